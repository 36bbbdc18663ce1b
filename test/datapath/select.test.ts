/** How OP_SELECT spreads connections over buckets, and OP_SAMPLE draws packets. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { KEY_SIZE, NONE, OP_END, OP_SAMPLE, OP_SELECT, OP_TALLY, TALLIES } from '../../src/datapath.ts';
import { arp, ethernet, icmp, ipv4, ipv6, tcp, udp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { type Random, randomBytes, seeded, word } from '../support/seeded.ts';

const ANY = new Uint8Array(KEY_SIZE);

interface Bucket {
  salt: number;
  weight: number;
}

/** A select whose bucket `i` tallies at `i`. */
const selectOf = (buckets: readonly Bucket[], basis = 0): number[] => [
  OP_SELECT,
  basis,
  buckets.length,
  ...buckets.flatMap(({ salt, weight }) => [salt, weight]),
  ...buckets.flatMap((_, i) => [OP_TALLY, i, OP_END]),
  OP_END,
];

/** Which bucket each packet takes; -1: none. */
function chosen(packets: readonly Uint8Array[], program: readonly number[]): number[] {
  const rig = new Rig({ frames: 2048 });
  rig.open(1);
  assert.notEqual(rig.handler.install(ANY, ANY, Uint32Array.from(program)), NONE);
  const counts = () => Array.from({ length: 128 }, (_, i) => rig.observer.tally(i).packets);
  let before = counts();
  const choices = packets.map((packet) => {
    rig.receive(1, [packet]);
    const after = counts();
    const choice = after.findIndex((count, i) => count !== before[i]);
    before = after;
    return choice;
  });
  rig.checkFates();
  return choices;
}

const connection = (random: Random): Uint8Array =>
  ethernet(
    {},
    ipv4(
      { source: word(random), destination: word(random) },
      tcp({ source: random.below(65536), destination: 80 }),
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
      assert.ok(weight === 0 ? count === 0 : near(count, mean, n), `${count} of ${n} took weight ${weight} of 20`);
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

const v4 = { source: 0x0a000001, destination: 0x0a000002 };
const ports = { source: 1000, destination: 2000 };
const later = { ...v4, fragmentOffset: 100 };

for (const [what, a, b, isOne] of [
  ['of one connection', ethernet({}, ipv4({ ...v4, ttl: 9 }, tcp({ ...ports, flags: 2 }))), ethernet({ vlan: 5 }, ipv4(v4, tcp(ports))), true],
  ['in the two directions', ethernet({}, ipv4(v4, udp({ source: 1, destination: 2 }))), ethernet({}, ipv4({ source: v4.destination, destination: v4.source }, udp({ source: 2, destination: 1 }))), false],
  ['from two ports', ethernet({}, ipv4(v4, udp({ source: 1 }))), ethernet({}, ipv4(v4, udp({ source: 2 }))), false],
  ['of two protocols', ethernet({}, ipv4(v4, udp(ports))), ethernet({}, ipv4(v4, tcp(ports))), false],
  ['of two ICMP types', ethernet({}, ipv4(v4, icmp({ type: 8 }))), ethernet({}, ipv4(v4, icmp({ type: 0 }))), true],
  ['that are fragments of one', ethernet({}, ipv4({ ...v4, moreFragments: true }, udp(ports))), ethernet({}, ipv4({ ...later, protocol: 17 }, new Uint8Array(8))), true],
  ['of two IPv6 hosts', ethernet({}, ipv6({ source: new Uint8Array(16).fill(1) }, udp(ports))), ethernet({}, ipv6({ source: new Uint8Array(16).fill(1, 1) }, udp(ports))), false],
  ['of other protocols between the same hosts', ethernet({}, arp()), ethernet({}, arp({ operation: 2 })), true],
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
