/** Datagrams in fragments are tracked as wholes, and what flows say of their connection holds for every fragment. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { carried4, cutAll, type Datagram, datagram4, datagram6 } from '../../support/fragments.ts';
import {
  type EthernetFields,
  type Extension,
  extension,
  icmp,
  icmp6,
  routingHeader,
  udp,
} from '../../support/packets.ts';
import { A, B } from './talk.ts';
import { Tracker, twice } from './tracker.ts';

const ID = 1234;
const MTU_BYTES = 1480;
const V6 = { src: 'fc00::1', dst: 'fc00::2' };

/** Sends fragments in at a port; what leaves by the other. */
function pass(tracker: Tracker, from: number, fragments: readonly Uint8Array[]): Uint8Array[] {
  const sent = fragments.flatMap((fragment) => tracker.forward(from, fragment));
  for (const { port } of sent) assert.equal(port, 3 - from);
  return sent.map(({ bytes }) => bytes);
}

/** What goes in at a port leaves by the other as it was. */
function passes(tracker: Tracker, from: number, datagram: Datagram): void {
  const fragments = cutAll(datagram, MTU_BYTES);
  assert.deepEqual(pass(tracker, from, fragments), fragments);
}

/** An echo request over IPv4 with so many bytes, and the answer. */
function ping(bytes: number, link?: EthernetFields): [Datagram, Datagram] {
  const data = new Uint8Array(bytes).fill(bytes);
  return [
    datagram4({ src: A, dst: B, id: bytes }, icmp({ rest: ID << 16 }, data), link),
    datagram4({ src: B, dst: A, id: bytes }, icmp({ type: 0, rest: ID << 16 }, data), link),
  ];
}

const ECHO = `icmp,orig=(src=${A},dst=${B},id=${ID},type=8,code=0),reply=(src=${B},dst=${A},id=${ID},type=0,code=0)`;

/** Port 1 may begin, and port 2 answer. */
const flowsOf = (kind: string): string => `priority=1,actions=drop
  priority=100,ct_state=-trk,${kind},actions=ct(table=0,zone=9)
  priority=100,in_port=1,ct_state=+trk+new,${kind},actions=ct(commit,zone=9),2
  priority=100,in_port=1,ct_state=+trk+est-new,${kind},actions=2
  priority=100,in_port=2,ct_state=+trk+est-new,${kind},actions=1`;

for (const [what, link] of [
  ['', {}],
  [' with a tag', { vlan: 100 }],
  [' with two tags', { tpid: 0x88a8, vlan: 4094, innerVlan: 100 }],
] as [string, EthernetFields][]) {
  test(`pings that are longer than a packet pass${what}, and are one connection`, () => {
    twice(flowsOf('icmp'), (tracker) => {
      for (const bytes of [1600, 3200, 4500]) {
        const [request, answer] = ping(bytes, link);
        passes(tracker, 1, request);
        passes(tracker, 2, answer);
      }
      assert.deepEqual(tracker.lines(), [`${ECHO},zone=9`]);
    });
  });
}

test('so do those over IPv6', () => {
  twice(flowsOf('ipv6'), (tracker) => {
    for (const bytes of [1600, 3200]) {
      const data = new Uint8Array(bytes);
      passes(tracker, 1, datagram6({ ...V6, id: bytes }, icmp6({ rest: ID << 16 }, data)));
      const back = { src: V6.dst, dst: V6.src, id: bytes };
      passes(tracker, 2, datagram6(back, icmp6({ type: 129, rest: ID << 16 }, data)));
    }
    assert.equal(tracker.lines('zone=9').length, 1);
  });
});

test('flows match what began the connection in every fragment', () => {
  const original = `ct_nw_src=${A},ct_nw_dst=${B},ct_nw_proto=1,ct_tp_src=8,ct_tp_dst=0`;
  const flows = `priority=1,actions=drop
    priority=100,ct_state=-trk,icmp,actions=ct(table=0,zone=9)
    priority=100,in_port=1,ct_state=+trk+new,ip,${original},actions=ct(commit,zone=9),2
    priority=100,in_port=2,ct_state=+trk+est,ip,${original},actions=1`;
  twice(flows, (tracker) => {
    const [request, answer] = ping(1600);
    passes(tracker, 1, request);
    passes(tracker, 2, answer);
  });
});

const PAYLOAD = udp({ src: 1, dst: 2 }, new Uint8Array(1600 - 8));
const behind = (...extensions: Extension[]): Datagram => datagram6({ ...V6, extensions }, PAYLOAD);
const forms: [string, kind: string, Datagram][] = [
  ['IPv4', 'ip', datagram4({ src: A, dst: B, id: 1 }, PAYLOAD)],
  ['IPv6', 'ipv6', behind()],
  ['IPv6 with hop-by-hop options', 'ipv6', behind(extension(0, new Uint8Array(6)))],
  ['IPv6 with destination options', 'ipv6', behind(extension(60, new Uint8Array(6)))],
  ['IPv6 with a routing header', 'ipv6', behind(routingHeader(0, 'fc00::9'))],
];

for (const [what, kind, { cut, length }] of forms) {
  test(`${what}: a connection begins with a datagram that is whole, in either order`, () => {
    const [first, last, overlapping] = [cut(0, 1392), cut(1392, length), cut(1384, length)];
    for (const [fragments, connections] of [
      [[first], 0],
      [[last], 0],
      [[first, last], 1],
      [[last, first], 1],
      [[first, overlapping], 0],
      [[overlapping, first], 0],
    ] as const) {
      const tracker = new Tracker(`priority=100,${kind},actions=ct(commit),2`);
      pass(tracker, 1, fragments);
      assert.equal(tracker.lines().length, connections);
      tracker.advance(15);
      tracker.rig.checkFates();
    }
  });
}

test('first fragments alone are dropped after 15 s', () => {
  const tracker = new Tracker(`priority=1,actions=drop
    priority=100,in_port=1,ip_frag=first,icmp,actions=ct(commit,zone=9),2`);
  for (let bytes = 1600; bytes < 1607; bytes++) {
    const [request] = ping(bytes);
    assert.deepEqual(pass(tracker, 1, cutAll(request, MTU_BYTES)), []);
  }
  const { dropped } = tracker.rig.observer.totals();
  assert.deepEqual(dropped, { flow: 7 });
  tracker.advance(14.999);
  assert.equal(tracker.rig.observer.fragments(4).expired, 0);
  tracker.advance(0.001);
  assert.equal(tracker.rig.observer.fragments(4).expired, 7);
  assert.deepEqual(tracker.lines(), []);
  tracker.rig.checkFates();
});

test('each fragment is translated', () => {
  const flows = `priority=1,actions=drop
    priority=100,in_port=1,icmp,actions=ct(commit,zone=9,nat(src=10.1.1.240)),2
    priority=100,in_port=2,ct_state=-trk,icmp,actions=ct(table=0,zone=9,nat)
    priority=100,in_port=2,ct_state=+trk+est+dnat,icmp,actions=1`;
  twice(flows, (tracker) => {
    const [request] = ping(4500);
    const data = new Uint8Array(4500).fill(4500);
    const outside = datagram4({ src: '10.1.1.240', dst: B, id: 4500 }, icmp({ rest: ID << 16 }, data));
    assert.deepEqual(pass(tracker, 1, cutAll(request, MTU_BYTES)), cutAll(outside, MTU_BYTES));
    const answer = icmp({ type: 0, rest: ID << 16 }, data);
    const back = cutAll(datagram4({ src: B, dst: '10.1.1.240', id: 7 }, answer), MTU_BYTES);
    const came = pass(tracker, 2, back);
    assert.deepEqual(came, cutAll(datagram4({ src: B, dst: A, id: 7 }, answer), MTU_BYTES));
    assert.deepEqual(carried4(came), carried4(back));
  });
});
