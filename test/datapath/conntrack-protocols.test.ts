/** Connections of protocols that have no state of their own: UDP, SCTP, ICMP queries, and any other. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { OneConnection } from '../support/one-connection.ts';
import {
  ethernet,
  icmp,
  icmp6,
  ipv4,
  ipv6,
  linkOption,
  neighbour,
  sctp,
  type Transport,
  udp,
} from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { pick, seeded } from '../support/seeded.ts';

const rig = new Rig();

const CHUNK = Uint8Array.of(1, 0, 0, 4);
const A = '10.1.1.1';
const B = '10.1.1.2';
const there = (transport: Transport) => ethernet({}, ipv4({ src: A, dst: B }, transport));
const back = (transport: Transport) => ethernet({}, ipv4({ src: B, dst: A }, transport));
const there6 = (transport: Transport) => ethernet({}, ipv6({}, transport));
const back6 = (transport: Transport) => ethernet({}, ipv6({ src: 'fd00::2', dst: 'fd00::1' }, transport));
const VRRP: Transport = { protocol: 112, bytes: new Uint8Array(8) };

/** A packet, its answer, and the timeouts while there was one packet, several, an answer. */
const kinds: [string, Uint8Array, Uint8Array, [string, string, string]][] = [
  [
    'UDP',
    there(udp({ src: 1, dst: 2 })),
    back(udp({ src: 2, dst: 1 })),
    ['UDP_FIRST', 'UDP_SINGLE', 'UDP_MULTIPLE'],
  ],
  [
    'UDP over IPv6',
    there6(udp({ src: 1, dst: 2 })),
    back6(udp({ src: 2, dst: 1 })),
    ['UDP_FIRST', 'UDP_SINGLE', 'UDP_MULTIPLE'],
  ],
  [
    'SCTP',
    there(sctp({ src: 1, dst: 2 }, CHUNK)),
    back(sctp({ src: 2, dst: 1 }, CHUNK)),
    ['UDP_FIRST', 'UDP_SINGLE', 'UDP_MULTIPLE'],
  ],
  ['VRRP', there(VRRP), back(VRRP), ['UDP_FIRST', 'UDP_SINGLE', 'UDP_MULTIPLE']],
  ['an echo', there(icmp({ type: 8 })), back(icmp({ type: 0 })), ['ICMP_FIRST', 'ICMP_FIRST', 'ICMP_REPLY']],
  [
    'a timestamp',
    there(icmp({ type: 13 })),
    back(icmp({ type: 14 })),
    ['ICMP_FIRST', 'ICMP_FIRST', 'ICMP_REPLY'],
  ],
  [
    'information',
    there(icmp({ type: 15 })),
    back(icmp({ type: 16 })),
    ['ICMP_FIRST', 'ICMP_FIRST', 'ICMP_REPLY'],
  ],
  [
    'an echo over IPv6',
    there6(icmp6({ type: 128 })),
    back6(icmp6({ type: 129 })),
    ['ICMP_FIRST', 'ICMP_FIRST', 'ICMP_REPLY'],
  ],
];

for (const [what, packet, answer, [first, again, both]] of kinds) {
  test(`${what} is new until it is answered, and established from then on`, () => {
    const tracked = new OneConnection(rig);
    const after = (bytes: Uint8Array) => [tracked.packet(bytes), tracked.timeout];
    assert.deepEqual(after(packet), ['new', first]);
    assert.deepEqual(after(packet), ['new', again]);
    assert.deepEqual(after(packet), ['new', again]);
    assert.deepEqual(after(answer), ['est rpl', both]);
    assert.deepEqual(after(packet), ['est', both]);
    assert.deepEqual(after(answer), ['est rpl', both]);
  });
}

for (const [what, packet, answer] of kinds) {
  test(
    `${what}: established is what has had an answer, in any order`,
    seeded((random) => {
      for (let round = 0; round < 20; round++) {
        const tracked = new OneConnection(rig);
        assert.equal(tracked.packet(packet), 'new');
        let answered = false;
        for (let i = 0; i < 20; i++) {
          const isAnswer = pick(random, [true, false, false]);
          answered ||= isAnswer;
          const expected: string = isAnswer ? 'est rpl' : answered ? 'est' : 'new';
          assert.equal(tracked.packet(isAnswer ? answer : packet), expected);
        }
      }
    }),
  );
}

test('an answer that comes when the time is over finds no connection', () => {
  const tracked = new OneConnection(rig);
  const [, packet, answer] = kinds[0]!;
  assert.deepEqual(
    [packet, answer].map((bytes) => tracked.packet(bytes)),
    ['new', 'est rpl'],
  );
  tracked.now = 29;
  assert.equal(tracked.packet(answer), 'est rpl');
  tracked.now = 29 + 100;
  assert.equal(tracked.packet(answer), 'new');
});

test('an answer to nothing begins no ICMP connection', () => {
  for (const transport of [icmp({ type: 0 }), icmp({ type: 14 }), icmp({ type: 16 })]) {
    assert.equal(new OneConnection(rig).packet(there(transport)), 'inv');
  }
  assert.equal(new OneConnection(rig).packet(there6(icmp6({ type: 129 }))), 'inv');
});

test('an answer with another identifier is none', () => {
  const tracked = new OneConnection(rig);
  assert.equal(tracked.packet(there(icmp({ type: 8, rest: 0x00070001 }))), 'new');
  assert.equal(
    tracked.packet(back(icmp({ type: 0, rest: 0x00070002 }))),
    'est rpl',
    'of any sequence number',
  );
  assert.equal(tracked.packet(back(icmp({ type: 0, rest: 0x00080001 }))), 'inv');
});

test('neighbour discovery cannot be tracked', () => {
  for (const [type, option] of [
    [135, 1],
    [136, 2],
  ] as const) {
    const packet = there6(neighbour(type, 'fd00::9', linkOption(option, '02:00:00:00:00:05')));
    assert.equal(new OneConnection(rig).packet(packet), 'inv');
  }
});

test('an error is related to the connection whose packet it quotes, in the direction of an answer to that', () => {
  const tracked = new OneConnection(rig);
  const [, packet, answer] = kinds[0]!;
  const error = (quoted: Uint8Array, to: string) =>
    ethernet(
      {},
      ipv4({ src: '172.16.0.3', dst: to }, icmp({ type: 3, code: 1, rest: 0 }, quoted.subarray(14))),
    );
  assert.equal(tracked.packet(error(packet, A)), 'inv', 'of no connection');
  assert.equal(tracked.packet(packet), 'new');
  assert.equal(tracked.packet(error(packet, A)), 'rel rpl');
  assert.equal(tracked.packet(error(answer, B)), 'rel');
  assert.equal(tracked.packet(packet), 'new', 'an error is no answer');
});
