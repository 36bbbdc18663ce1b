/** What is tracked when all fragments are there: the whole. What comes of that, each fragment is told. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CT_COMMIT, CT_NAT, NAT_HAS_ADDRESS, NAT_SOURCE, OP_CT, OP_CT_NAT } from '../../src/datapath.ts';
import { carried4, carried6, cutAll, type Datagram, datagram4, datagram6 } from '../support/fragments.ts';
import {
  address,
  concat,
  ethernet,
  get16,
  icmp,
  icmp6,
  ipv4,
  ipv6,
  sctp,
  set16,
  tcp,
  udp,
} from '../support/packets.ts';
import { bytes, COMMIT, hex, out, states, Tracked, ZONE } from '../support/tracked.ts';

test('the checksum that counts is that of the whole', () => {
  const wrong = [
    datagram4({}, udp({ checksum: 1 }, bytes(2392))),
    datagram4({}, tcp({ checksum: 1 }, bytes(2380))),
    datagram4({}, sctp({ checksum: 1 }, bytes(2388))),
    datagram6({}, icmp6({ checksum: 1 }, bytes(2392))),
    datagram6({}, udp({ checksum: 0 }, bytes(2392))),
    datagram4({}, udp({ length: 2401 }, bytes(2392))),
  ];
  for (const datagram of wrong) {
    const tracked = new Tracked(COMMIT);
    const fragments = cutAll(datagram, 1232);
    const seen = tracked.receive(fragments);
    assert.deepEqual([out(seen), states(seen)], [hex(fragments), ['inv|trk', 'inv|trk']]);
    assert.equal(tracked.connections, 0);
    tracked.checkFates();
  }
});

test('65535 bytes are a datagram; one more, and its fragments are dropped', () => {
  for (const [length, make] of [
    [65535 - 20, (n: number) => datagram4({ totalLength: 0 }, udp({ length: 0, checksum: 0 }, bytes(n - 8)))],
    [65535, (n: number) => datagram6({ payloadLength: 0 }, { protocol: 253, bytes: bytes(n) })],
  ] as [number, (n: number) => Datagram][]) {
    for (const more of [0, 1]) {
      const tracked = new Tracked(COMMIT);
      const { cut } = make(length + more);
      const fragments: Uint8Array[] = [];
      for (let at = 0; at < length; at += 1480) {
        const fragment = cut(at, Math.min(at + 1480, length + more));
        const network = length === 65535 ? 18 : 16;
        set16(fragment, network, fragment.length - (length === 65535 ? 54 : 14));
        if (length !== 65535) fixHeader(fragment);
        fragments.push(fragment);
      }
      const seen = tracked.receive(fragments);
      assert.equal(seen.length, more === 0 ? fragments.length : 0);
      if (more) assert.deepEqual(tracked.dropped, { fragment_too_long: fragments.length });
      tracked.checkFates();
    }
  }
});

/** Makes the IPv4 header's checksum anew. */
function fixHeader(frame: Uint8Array): void {
  const network = ipv4(
    { fragment: get16(frame, 20), id: get16(frame, 18) },
    { protocol: frame[23]!, bytes: frame.slice(34) },
  );
  frame.set(network.bytes, 14);
}

/** `ct(commit,nat(src=…))`. */
const translated = (source: string): number[] => {
  const words = new Uint32Array(8);
  const view = new Uint8Array(words.buffer);
  view.set(address(source), 0);
  view.set(address(source), 16);
  return [OP_CT_NAT, NAT_SOURCE | NAT_HAS_ADDRESS, ...words, 0, OP_CT, CT_COMMIT | CT_NAT, ZONE, 0, 0];
};

test('every fragment is translated, and the checksum of the whole stays right', () => {
  const transports = [
    udp({}, bytes(4501)),
    tcp({ flags: 2 }, bytes(4000)),
    sctp({ src: 5 }, concat(Uint8Array.of(1, 0, 0, 4), bytes(4000))),
  ];
  for (const transport of transports) {
    const [four, six] = [new Tracked(translated('10.9.9.9')), new Tracked(translated('fd00::99'))];
    const seen4 = four.receive(cutAll(datagram4({ id: 3 }, transport), 1480).toReversed());
    const expected4 = ipv4({ id: 3, src: '10.9.9.9' }, transport).bytes;
    assert.deepEqual(carried4(seen4.map(({ bytes }) => bytes)), expected4.subarray(20));
    const seen6 = six.receive(cutAll(datagram6({}, transport), 1448).toReversed());
    assert.deepEqual(
      carried6(seen6.map(({ bytes }) => bytes)),
      ipv6({ src: 'fd00::99' }, transport).bytes.subarray(40),
    );
    assert.deepEqual(out(seen4), hex(cutAll(datagram4({ id: 3, src: '10.9.9.9' }, transport), 1480)));
    assert.deepEqual(out(seen6), hex(cutAll(datagram6({ src: 'fd00::99' }, transport), 1448)));
    for (const { state } of [...seen4, ...seen6]) assert.equal(state, 'new|trk|snat');
    four.checkFates();
    six.checkFates();
  }
});

test('replies in fragments are translated back', () => {
  const tracked = new Tracked(translated('10.9.9.9'));
  tracked.receive(cutAll(datagram4({ id: 3 }, icmp({ rest: 5 }, bytes(4500))), 1480));
  const answer = icmp({ type: 0, rest: 5 }, bytes(4500));
  const seen = tracked.receive(cutAll(datagram4({ id: 4, src: '10.0.0.2', dst: '10.9.9.9' }, answer), 1480));
  assert.deepEqual(
    out(seen),
    hex(cutAll(datagram4({ id: 4, src: '10.0.0.2', dst: '10.0.0.1' }, answer), 1480)),
  );
  for (const { state } of seen) assert.equal(state, 'est|rpl|trk|dnat');
  tracked.checkFates();
});

test('an error that quotes a packet is one datagram too, and what it quotes is translated back', () => {
  const sent = udp({ src: 1000, dst: 53 }, bytes(2000));
  const tracked = new Tracked(translated('10.9.9.9'));
  tracked.receive([ethernet({}, ipv4({}, sent))]);
  const error = (source: string, outside: string) =>
    datagram4(
      { id: 4, src: '10.0.0.2', dst: outside },
      icmp({ type: 3, code: 3, rest: 0 }, ipv4({ src: source }, sent).bytes),
    );
  const seen = tracked.receive(cutAll(error('10.9.9.9', '10.9.9.9'), 1200));
  assert.deepEqual(out(seen), hex(cutAll(error('10.0.0.1', '10.0.0.1'), 1200)));
  for (const { state } of seen) assert.equal(state, 'rel|rpl|trk|dnat');
  tracked.checkFates();
});

test('TCP data in fragments moves its connection on by all its bytes', () => {
  const tracked = new Tracked(COMMIT);
  const [client, server] = [
    { src: 1000, dst: 80 },
    { src: 80, dst: 1000 },
  ];
  const back = { src: '10.0.0.2', dst: '10.0.0.1' };
  const whole = (fields: object, transport: Parameters<typeof ipv4>[1]) =>
    ethernet({}, ipv4(fields, transport));
  tracked.receive([whole({}, tcp({ ...client, flags: 2, seq: 0 }))]);
  tracked.receive([whole(back, tcp({ ...server, flags: 0x12, seq: 0, ack: 1 }))]);
  tracked.receive([whole({}, tcp({ ...client, seq: 1, ack: 1 }))]);
  const data = datagram4({ id: 9 }, tcp({ ...client, seq: 1, ack: 1 }, bytes(3000)));
  assert.deepEqual(states(tracked.receive(cutAll(data, 1480))), ['est|trk', 'est|trk', 'est|trk']);
  assert.deepEqual(states(tracked.receive([whole(back, tcp({ ...server, seq: 1, ack: 3001 }))])), [
    'est|rpl|trk',
  ]);
  assert.deepEqual(states(tracked.receive([whole(back, tcp({ ...server, seq: 1, ack: 90_001 }))])), [
    'inv|trk',
  ]);
  tracked.checkFates();
});
