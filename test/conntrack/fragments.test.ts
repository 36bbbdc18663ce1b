/** Fragments wait for their datagram: what is held, what goes on, what is dropped, and why. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CT_COMMIT, HeldFragments, OP_OUTPUT, OP_RECIRCULATE, regionAddress } from '../../src/datapath.ts';
import { releaseLocks } from '../../src/thread/reclaim.ts';
import { cutAll, datagram4, datagram6 } from '../support/fragments.ts';
import {
  type Extension,
  ethernet,
  extension,
  fragmentHeader,
  icmp,
  ipv6,
  routingHeader,
  udp,
} from '../support/packets.ts';
import { bytes, COMMIT, hex, out, states, Tracked, track, ZONE } from '../support/tracked.ts';

const TIME_MS = 15_000;

/** 2400 bytes of either version. */
const UDP4 = datagram4({ id: 7 }, udp({ src: 1000, dst: 53 }, bytes(2400 - 8)));
const UDP6 = datagram6({}, udp({ src: 1000, dst: 53 }, bytes(2400 - 8)));
const [FIRST, LAST] = [UDP4.cut(0, 1200), UDP4.cut(1200, 2400)];

test('fragments go on when their datagram is there, as they came and in order, as packets of one connection', () => {
  const transport = udp({ src: 1000, dst: 53 }, bytes(2500));
  for (const datagram of [datagram4({}, transport), datagram6({}, transport)]) {
    const fragments = cutAll(datagram, 1232);
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
      [2, 0, 1],
    ]) {
      const tracked = new Tracked(COMMIT);
      assert.deepEqual(tracked.receive([fragments[order[0]!]!]), []);
      assert.deepEqual(tracked.receive([fragments[order[1]!]!]), []);
      assert.deepEqual([tracked.held, tracked.connections], [2, 0]);
      const seen = tracked.receive([fragments[order[2]!]!]);
      assert.deepEqual(out(seen), hex(fragments));
      assert.deepEqual(states(seen), ['new|trk', 'new|trk', 'new|trk']);
      for (const packet of seen) {
        assert.deepEqual([packet.zone, packet.protocol, packet.ports], [ZONE, 17, [1000, 53]]);
      }
      assert.deepEqual([tracked.held, tracked.connections], [0, 1]);
      tracked.checkFates();
    }
  }
});

test('each echo is one packet of its connection, however many fragments it has', () => {
  const tracked = new Tracked(COMMIT);
  const reply = { src: '10.0.0.2', dst: '10.0.0.1' };
  for (const [id, length] of [
    [1, 1608],
    [2, 3208],
    [3, 4508],
  ] as const) {
    const request = cutAll(datagram4({ id }, icmp({ rest: 5 }, bytes(length))), 1480);
    const first = id === 1 ? 'new|trk' : 'est|trk';
    for (const seen of tracked.receive(request)) {
      assert.deepEqual([seen.state, seen.protocol, seen.ports], [first, 1, [8, 0]]);
    }
    const answer = cutAll(datagram4({ id, ...reply }, icmp({ type: 0, rest: 5 }, bytes(length))), 1480);
    const answered = tracked.receive(answer);
    assert.equal(answered.length, answer.length);
    for (const seen of answered) assert.deepEqual([seen.state, seen.ports], ['est|rpl|trk', [8, 0]]);
  }
  assert.equal(tracked.connections, 1);
  const { accepted, completed } = tracked.rig.observer.fragments(4);
  assert.deepEqual([accepted, completed], [2 * (2 + 3 + 4), 2 * (2 + 3 + 4)]);
  tracked.checkFates();
});

const ROUTING = routingHeader(0, 'fd00::9');
const HOP_BY_HOP = extension(0, new Uint8Array(6));
const DESTINATION = extension(60, new Uint8Array(14));
const chains: [string, Extension[], Extension[]][] = [
  ['hop-by-hop options', [HOP_BY_HOP], []],
  ['destination options', [DESTINATION], []],
  ['a routing header', [ROUTING], []],
  ['all of these', [HOP_BY_HOP, DESTINATION, ROUTING], []],
  ['nothing, and destination options behind', [], [DESTINATION]],
  ['hop-by-hop options, and destination options behind', [HOP_BY_HOP], [DESTINATION]],
];

for (const [what, before, behind] of chains) {
  test(`an IPv6 fragment header is found behind ${what}`, () => {
    const datagram = datagram6({ extensions: before }, udp({}, bytes(2392)), behind);
    const fragments = cutAll(datagram, 1248);
    for (const order of [fragments, fragments.toReversed()]) {
      const tracked = new Tracked(COMMIT);
      const seen = tracked.receive(order);
      assert.deepEqual(out(seen), hex(fragments));
      assert.deepEqual(states(seen), ['new|trk', 'new|trk']);
      assert.equal(tracked.connections, 1);
      tracked.checkFates();
    }
    const tracked = new Tracked(COMMIT);
    assert.deepEqual(tracked.receive(fragments.slice(0, 1)), []);
    assert.deepEqual(tracked.receive([datagram.cut(1240, datagram.length)]), []);
    assert.deepEqual([tracked.connections, tracked.dropped], [0, { fragment_overlap: 2 }]);
    tracked.checkFates();
  });
}

test('what is in one piece is not held, though it has a fragment header', () => {
  const tracked = new Tracked(COMMIT);
  const atomic = ethernet({}, ipv6({ extensions: [fragmentHeader(0, false)] }, udp({}, bytes(10))));
  assert.deepEqual(states(tracked.receive([atomic])), ['new|trk']);
  tracked.checkFates();
});

test('tags and options are no matter; options of the first fragment count for the datagram', () => {
  const link = { vlan: 5, innerVlan: 6, tpid: 0x88a8, padding: 3 };
  const datagram = datagram4({ options: new Uint8Array(12).fill(1) }, udp({}, bytes(2392)), link);
  const fragments = cutAll(datagram, 1200);
  const tracked = new Tracked(COMMIT);
  assert.deepEqual(out(tracked.receive(fragments.toReversed())), hex(fragments));
  assert.equal(tracked.connections, 1);
  tracked.checkFates();
});

test('a datagram has 15 seconds from its first fragment on; then they are dropped, and it begins anew', () => {
  const tracked = new Tracked(COMMIT);
  const { exports } = tracked.rig.handler;
  tracked.setClock(1000);
  assert.equal(exports.fragmentsDueMs(), Number.POSITIVE_INFINITY);
  tracked.receive([FIRST]);
  tracked.setClock(2000);
  tracked.receive([UDP6.cut(0, 1232)]);
  assert.equal(exports.fragmentsDueMs(), 1000 + TIME_MS);
  tracked.setClock(999 + TIME_MS);
  assert.equal(exports.sweepFragments(), 0);
  tracked.setClock(1000 + TIME_MS);
  assert.equal(exports.sweepFragments(), 1);
  assert.equal(exports.fragmentsDueMs(), 2000 + TIME_MS);
  tracked.setClock(2000 + TIME_MS);
  assert.deepEqual(tracked.receive([LAST]), []); // it comes by, and sweeps
  assert.deepEqual(tracked.dropped, { fragment_incomplete: 2 });
  assert.equal(tracked.receive([FIRST]).length, 2);
  assert.deepEqual(
    [4, 6].map((v) => tracked.rig.observer.fragments(v as 4 | 6).expired),
    [1, 1],
  );
  tracked.checkFates();
});

const SHORT = datagram4({ id: 7 }, udp({ src: 1000, dst: 53 }, bytes(2000 - 8)));
const overlapping: [string, Uint8Array[]][] = [
  ['the end of one before it', [FIRST, UDP4.cut(1192, 2400)]],
  ['the beginning of one behind it', [LAST, UDP4.cut(0, 1208)]],
  ['all of another', [UDP4.cut(8, 1216), UDP4.cut(0, 2392)]],
  ['the inside of another', [UDP4.cut(0, 2392), UDP4.cut(8, 1216)]],
  ['the same bytes that differ', [FIRST, SHORT.cut(0, 1200)]],
  ['another end', [LAST, SHORT.cut(1200, 2000)]],
  ['an end before what is there', [UDP4.cut(1208, 2392), UDP4.cut(8, 1208, false)]],
  ['bytes behind the end', [SHORT.cut(800, 2000), UDP4.cut(2000, 2400, true)]],
];

for (const [what, [one, other]] of overlapping as [string, [Uint8Array, Uint8Array]][]) {
  test(`a fragment that has ${what} ends its datagram, and what else comes of it is dropped`, () => {
    const tracked = new Tracked(COMMIT);
    new HeldFragments(tracked.rig.arena).set(4, { leastBytes: 0 });
    assert.deepEqual(tracked.receive([one]), []);
    assert.deepEqual(tracked.receive([other]), []);
    assert.deepEqual([tracked.held, tracked.dropped], [0, { fragment_overlap: 2 }]);
    assert.deepEqual(tracked.receive([FIRST, LAST]), []);
    assert.deepEqual([tracked.connections, tracked.dropped], [0, { fragment_overlap: 4 }]);
    assert.equal(tracked.rig.observer.fragments(4).overlapping, 3);
    tracked.setClock(TIME_MS);
    assert.equal(tracked.receive([FIRST, LAST]).length, 2);
    tracked.checkFates();
  });
}

test('an exact copy is dropped alone', () => {
  const tracked = new Tracked(COMMIT);
  assert.equal(tracked.receive([FIRST, FIRST, LAST]).length, 2);
  assert.equal(tracked.receive([LAST, LAST, FIRST]).length, 2);
  assert.deepEqual(tracked.dropped, { fragment_duplicate: 2 });
  tracked.checkFates();
});

const damaged = FIRST.slice();
damaged[14 + 8]! ^= 1; // time to live
const odd = datagram6({}, udp({}, bytes(2392)));
const refused: [string, Uint8Array][] = [
  ['under 1200 bytes over IPv4', UDP4.cut(0, 1160)],
  ['under 1280 bytes over IPv6', UDP6.cut(1232, 2440 - 24, true)],
  ['with a damaged IPv4 header', damaged],
  ['with a number of bytes that only the last may have', odd.cut(0, 1231)],
  ['without bytes', UDP4.cut(2400, 2400, false)],
];

for (const [what, fragment] of refused) {
  test(`a fragment ${what} is not held: it goes on, and is invalid`, () => {
    const tracked = new Tracked(COMMIT);
    const seen = tracked.receive([fragment]);
    assert.deepEqual([out(seen), states(seen), tracked.held], [hex([fragment]), ['inv|trk'], 0]);
    tracked.checkFates();
  });
}

test('how small a fragment may be, and whether it is held at all, can be set for each version of IP', () => {
  const tracked = new Tracked(COMMIT);
  const fragments = new HeldFragments(tracked.rig.arena);
  fragments.set(4, { leastBytes: 400 });
  assert.equal(tracked.receive(cutAll(UDP4, 400)).length, 6);
  assert.equal(tracked.receive([UDP4.cut(0, 360)])[0]!.state, 'inv|trk');
  fragments.set(4, { tracked: false });
  assert.deepEqual(states(tracked.receive([FIRST, LAST])), ['inv|trk', 'inv|trk']);
  assert.deepEqual(states(tracked.receive([UDP6.cut(0, 1232), UDP6.cut(1232, 2400)])), [
    'new|trk',
    'new|trk',
  ]);
  assert.deepEqual(fragments.settings(4), { tracked: false, leastBytes: 400 });
  assert.deepEqual(fragments.settings(6), { tracked: true, leastBytes: 1280 });
  tracked.checkFates();
});

test('so many are held at most, and a part of the room is for datagrams that have begun', () => {
  const tracked = new Tracked(COMMIT);
  new HeldFragments(tracked.rig.arena).most = 8;
  const datagrams = Array.from({ length: 7 }, (_, id) =>
    datagram4({ id }, udp({ src: id + 1 }, bytes(3592))),
  );
  const begun = tracked.receive(datagrams.map(({ cut }) => cut(0, 1200)));
  assert.deepEqual(states(begun), ['inv|trk']);
  assert.deepEqual(tracked.receive(datagrams.slice(0, 2).map(({ cut }) => cut(1200, 2400))), []);
  assert.equal(tracked.held, 8);
  assert.deepEqual(states(tracked.receive([datagrams[2]!.cut(1200, 2400)])), ['inv|trk']);
  assert.equal(tracked.rig.observer.fragments(4).noRoom, 2);
  assert.equal(tracked.rig.handler.exports.dropAllFragments(), 8);
  assert.equal(tracked.receive(cutAll(datagrams[6]!, 1200)).length, 3);
  tracked.checkFates();
});

test('datagrams that differ in addresses, protocol, identification or zone are not mixed', () => {
  const others = [
    datagram4({ id: 8 }, udp({}, bytes(2392))),
    datagram4({ id: 7, src: '10.0.0.3' }, udp({}, bytes(2392))),
    datagram4({ id: 7, dst: '10.0.0.3' }, udp({}, bytes(2392))),
    datagram4({ id: 7 }, icmp({}, bytes(2392))),
    datagram6({ id: 7 }, udp({}, bytes(2392))),
    datagram6({ id: 0x70007 }, udp({}, bytes(2392))),
  ];
  const tracked = new Tracked(COMMIT);
  tracked.receive([FIRST, ...others.map(({ cut }) => cut(0, 1232))]);
  for (const { cut } of others) assert.equal(tracked.receive([cut(1232, 2400)]).length, 2);
  assert.equal(tracked.held, 1);
  tracked.checkFates();
});

test('in one program, and in another round, fragments are held again for each zone', () => {
  const tracked = new Tracked([...COMMIT, ...track(CT_COMMIT, 5), ...track(CT_COMMIT, ZONE)]);
  const seen = tracked.receive([LAST, FIRST]);
  assert.deepEqual(out(seen), hex([FIRST, LAST]));
  assert.deepEqual(states(seen), ['new|trk', 'new|trk']);
  assert.equal(tracked.connections, 2);
  tracked.checkFates();
});

test('on two ways through the tables a datagram is held on each', () => {
  const tracked = new Tracked([...COMMIT, OP_RECIRCULATE, 2, ...COMMIT]);
  for (const recirculation of [1, 2]) tracked.install(recirculation, [...COMMIT, OP_RECIRCULATE, 3]);
  const seen = tracked.receive([LAST, FIRST]);
  assert.deepEqual(out(seen), hex([FIRST, LAST, FIRST, LAST]));
  tracked.checkFates();
});

test('a copy is held as a copy', () => {
  const tracked = new Tracked([OP_OUTPUT, 3, ...COMMIT]);
  assert.deepEqual(tracked.receive([FIRST]), []);
  assert.equal(tracked.receive([LAST]).length, 2);
  tracked.receive([FIRST]);
  tracked.checkFates();
});

test('all go on as if they had come in where the last did', () => {
  const tracked = new Tracked(COMMIT);
  tracked.receive([FIRST], 3);
  assert.deepEqual(
    tracked.receive([LAST], 1).map(({ port }) => port),
    [1, 1],
  );
  tracked.checkFates();
});

test('a program that ends with ct() drops every fragment as it would the whole', () => {
  const tracked = new Tracked([]);
  const { rig } = new Tracked(COMMIT);
  assert.equal(tracked.receive([FIRST, LAST]).length, 2, 'without ct() nothing is held');
  rig.receive(1, [FIRST, LAST]);
  assert.equal(rig.dropMisses(19), 2);
  rig.checkFates();
});

test('when no frame is free for the whole, its fragments are dropped', () => {
  const tracked = new Tracked(COMMIT, { largeFrames: 0 });
  assert.deepEqual(tracked.receive([FIRST, LAST]), []);
  assert.deepEqual(tracked.dropped, { no_frames: 2 });
  tracked.checkFates();
});

test('what waits outlives a thread that dies, but not one that dies while it changes the table', () => {
  const tracked = new Tracked(COMMIT, { threads: 3 });
  const { rig } = tracked;
  const [first, second] = rig.threads;
  tracked.receive([FIRST], 1, first);
  rig.bury(0);
  assert.equal(tracked.held, 1);
  assert.equal(tracked.receive([LAST], 1, second).length, 2);

  tracked.receive([FIRST], 1, second);
  first!.exports.acquire(regionAddress(rig.arena, 'datagramTable'), 0);
  assert.equal(releaseLocks(rig.arena, 0), 1);
  assert.deepEqual(states(tracked.receive([LAST], 1, second)), ['inv|trk'], 'the table is not to be trusted');
  assert.equal(rig.handler.exports.sweepFragments(), 0);
  assert.equal(rig.bury(0).packets, 1);
  assert.deepEqual([tracked.held, tracked.dropped], [0, { thread_died: 1 }]);
  assert.equal(tracked.receive([FIRST, LAST], 1, second).length, 2);
  tracked.checkFates();
});
