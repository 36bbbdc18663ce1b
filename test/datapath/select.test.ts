/** How OP_SELECT spreads connections over buckets, and OP_SAMPLE draws packets. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  KEY_SIZE,
  NONE,
  OP_CONTROLLER,
  OP_END,
  OP_SAMPLE,
  OP_SELECT,
  OP_TALLY,
  RING_SLOTS,
  TALLIES,
} from '../../src/datapath.ts';
import {
  arp,
  ethernet,
  icmp,
  ipv4,
  ipv6,
  MORE_FRAGMENTS,
  type Transport,
  tcp,
  udp,
} from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { type Random, randomBytes, seeded, word } from '../support/seeded.ts';

const ANY = new Uint8Array(KEY_SIZE);

interface Bucket {
  salt: number;
  weight: number;
}

/** A select whose bucket `i` sends to the controller as `i`. */
const selectOf = (buckets: readonly Bucket[], basis = 0): number[] => [
  OP_SELECT,
  basis,
  buckets.length,
  ...buckets.flatMap(({ salt, weight }) => [salt, weight]),
  ...buckets.flatMap((_, i) => [OP_CONTROLLER, i, OP_END]),
  OP_END,
];

/** Which bucket each packet takes. */
function chosen(packets: readonly Uint8Array[], program: readonly number[]): number[] {
  const rig = new Rig({ frames: 2048 });
  rig.open(1);
  assert.notEqual(rig.handler.install(ANY, ANY, Uint32Array.from(program)), NONE);
  const choices: number[] = [];
  for (let at = 0; at < packets.length; at += RING_SLOTS / 2) {
    rig.receive(1, packets.slice(at, at + RING_SLOTS / 2));
    choices.push(...rig.takePunts().map(({ index }) => index));
  }
  rig.checkFates();
  assert.equal(choices.length, packets.length);
  return choices;
}

const dotted = (address: number): string =>
  [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');

const connection = (random: Random): Uint8Array =>
  ethernet(
    {},
    ipv4(
      { src: dotted(word(random)), dst: dotted(word(random)) },
      tcp({ src: random.below(65536), dst: 80 }),
    ),
  );

const connections = (random: Random, n: number): Uint8Array[] =>
  Array.from({ length: n }, () => connection(random));

/** At most so many of `n` packets may be away from their expected number `mean`: five standard deviations. */
const near = (count: number, mean: number, n: number): boolean =>
  Math.abs(count - mean) <= 5 * Math.sqrt(mean * (1 - mean / n)) + 1;

test(
  'connections spread over buckets by weight',
  seeded((random) => {
    const n = 6000;
    const buckets = [1, 5, 0, 10, 4].map((weight) => ({ salt: word(random), weight }));
    const choices = chosen(connections(random, n), selectOf(buckets, word(random)));
    for (const [i, { weight }] of buckets.entries()) {
      const count = choices.filter((choice) => choice === i).length;
      const mean = (n * weight) / 20;
      assert.ok(
        weight === 0 ? count === 0 : near(count, mean, n),
        `${count} of ${n} took weight ${weight} of 20`,
      );
    }
  }),
);

test(
  'many buckets with neighbouring salts share alike',
  seeded((random) => {
    const n = 8000;
    const buckets = Array.from({ length: 100 }, (_, salt) => ({ salt, weight: 65535 }));
    const choices = chosen(connections(random, n), selectOf(buckets));
    for (let i = 0; i < 100; i++) {
      const count = choices.filter((choice) => choice === i).length;
      assert.ok(near(count, n / 100, n), `bucket ${i} got ${count} of ${n}`);
    }
  }),
);

test(
  'when a bucket goes only its own connections move; when a weight grows they move only there',
  seeded((random) => {
    const packets = connections(random, 1500);
    const buckets = Array.from({ length: 6 }, (_, salt) => ({ salt, weight: 1 + salt }));
    const before = chosen(packets, selectOf(buckets));
    const gone = random.below(6);
    const left = [...buckets.keys()].filter((i) => i !== gone);
    const after = chosen(packets, selectOf(left.map((i) => buckets[i]!))).map((i) => left[i]!);
    for (const [i, choice] of before.entries()) {
      if (choice !== gone) assert.equal(after[i], choice);
    }
    const grown = chosen(
      packets,
      selectOf(buckets.map(({ salt, weight }, i) => ({ salt, weight: i === gone ? 2 * weight : weight }))),
    );
    for (const [i, choice] of grown.entries()) assert.ok(choice === before[i] || choice === gone);
  }),
);

/** Whether two packets take the same of 64 buckets under each of some bases. */
function isOneConnection(a: Uint8Array, b: Uint8Array): boolean {
  const buckets = Array.from({ length: 64 }, (_, salt) => ({ salt, weight: 1 }));
  return [1, 2, 3].every((basis) => {
    const [first, second] = chosen([a, b], selectOf(buckets, basis));
    return first === second;
  });
}

const v4 = { src: '10.0.0.1', dst: '10.0.0.2' };
const back = { src: '10.0.0.2', dst: '10.0.0.1' };
const ports = { src: 1000, dst: 2000 };
const inV4 = (transport: Transport): Uint8Array => ethernet({}, ipv4(v4, transport));

for (const [what, a, b, isOne] of [
  ['of one connection', inV4(tcp(ports)), ethernet({ vlan: 5 }, ipv4({ ...v4, ttl: 9 }, tcp(ports))), true],
  [
    'in the two directions',
    inV4(udp({ src: 1, dst: 2 })),
    ethernet({}, ipv4(back, udp({ src: 2, dst: 1 }))),
    false,
  ],
  ['from two ports', inV4(udp({ src: 1 })), inV4(udp({ src: 2 })), false],
  ['of two protocols', inV4(udp(ports)), inV4(tcp(ports)), false],
  ['of two ICMP types', inV4(icmp({ type: 8 })), inV4(icmp({ type: 0 })), true],
  [
    'that are fragments of one',
    ethernet({}, ipv4({ ...v4, fragment: MORE_FRAGMENTS }, udp(ports))),
    ethernet({}, ipv4({ ...v4, fragment: 100, protocol: 17 }, new Uint8Array(8))),
    true,
  ],
  [
    'of two IPv6 hosts',
    ethernet({}, ipv6({ src: 'fd00::1:0:0:1' }, udp(ports))),
    ethernet({}, ipv6({ src: 'fd00::2:0:0:1' }, udp(ports))),
    false,
  ],
  ['of ARP between two hosts', ethernet({}, arp()), ethernet({}, arp({ operation: 2 })), true],
] as [string, Uint8Array, Uint8Array, boolean][]) {
  test(`packets ${what} go ${isOne ? 'the same way' : 'their own ways'}`, () => {
    assert.equal(isOneConnection(a, b), isOne);
  });
}

test(
  'a sample is a share of packets',
  seeded((random) => {
    const n = 20_000;
    const probability = random.fraction();
    const rig = new Rig({ threads: 3, frames: 2048 });
    rig.open(1);
    const program = [OP_SAMPLE, Math.round(probability * 0xffffffff), OP_TALLY, TALLIES - 1, OP_END, OP_END];
    rig.handler.install(ANY, ANY, Uint32Array.from(program));
    const packet = ethernet({}, ipv4({}, udp({}, randomBytes(random, 9))));
    for (const datapath of rig.threads.slice(0, 2)) rig.receive(1, Array(n / 2).fill(packet), datapath);
    const { packets } = rig.observer.tally(TALLIES - 1);
    assert.ok(near(packets, n * probability, n), `${packets} of ${n} at ${probability}`);
    rig.checkFates();
  }),
);
