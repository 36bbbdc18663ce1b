/** The classifier and the life of flows in it, against a Map. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  ARENA_MAP,
  ArenaMap,
  BATCH,
  KEY_SIZE,
  MAX_SUBTABLES,
  NONE,
  OP_DROP,
  OP_END,
  OP_OUTPUT,
  OP_POP_VLAN,
  OP_PUSH_VLAN,
  OP_SET,
  POOL_BLOCKS,
  POOL_FLOWS,
  PROGRAM_WORDS,
  regionAddress,
  SEARCH_ORDER,
} from '../../src/datapath.ts';
import { flowNumber, foundInBatch, masked, matches, readProgram } from '../support/flows.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded, word } from '../support/seeded.ts';

const DROP = Uint32Array.of(OP_DROP, 0, OP_END);
const OUTPUT_LONG = Uint32Array.from([...Array.from({ length: 511 }, () => [OP_OUTPUT, 1]).flat(), OP_END]);

interface TwinFlow {
  mask: Uint8Array;
  key: Uint8Array;
  program: number[];
  number: number;
}

const hex = (...parts: Uint8Array[]): string => Buffer.concat(parts).toString('hex');

/** The number of the flow that takes `key`, or NONE. */
function lookUp(
  { datapath, keyAddress }: { datapath: Rig['datapath']; keyAddress: number },
  key: Uint8Array,
) {
  datapath.u8.set(key, keyAddress);
  const found = datapath.exports.classify(keyAddress);
  return found === 0 ? NONE : flowNumber(datapath, found);
}

/** The same for up to BATCH keys, looked up together. */
function lookUpBatch({ datapath }: Rig, keys: readonly Uint8Array[]): number[] {
  const at = regionAddress(datapath.arena, 'queues');
  for (const [i, key] of keys.entries()) datapath.u8.set(key, at + KEY_SIZE * i);
  datapath.exports.lookUpUncached(at, keys.length);
  return foundInBatch(datapath, keys.length).map((flow) => (flow === 0 ? NONE : flowNumber(datapath, flow)));
}

const place = (rig: Rig) => ({ datapath: rig.datapath, keyAddress: rig.keyAddress() });

/** Keys of so few values in so few places that flows and packets meet; the second line is mostly zeros. */
const PLACES = [0, 5, 8, 20, 27, 33, 47, 63];
const PLACES_BEYOND = [64, 79, 80, 102, 127];
function randomKey(random: Random): Uint8Array {
  const key = new Uint8Array(KEY_SIZE);
  for (const at of PLACES) key[at] = random.below(3);
  if (chance(random, 0.3)) for (const at of PLACES_BEYOND) key[at] = random.below(2);
  return key;
}

function randomMask(random: Random): Uint8Array {
  const mask = new Uint8Array(KEY_SIZE);
  for (const at of PLACES) mask[at] = pick(random, [0, 0, 0xff, 0x02]);
  if (chance(random, 0.3)) for (const at of PLACES_BEYOND) mask[at] = pick(random, [0, 0, 0xff]);
  return mask;
}

function randomProgram(random: Random): number[] {
  const program: number[] = [];
  const most = pick(random, [1, 14, 15, 16, 17, 80, 300, PROGRAM_WORDS]);
  while (true) {
    const operation = pick(random, [
      [OP_OUTPUT, random.below(8)],
      [OP_SET, 4 * (1 + random.below(15)), word(random), word(random)],
      [OP_PUSH_VLAN, word(random)],
      [OP_POP_VLAN],
      [OP_DROP, random.below(26)],
    ]);
    if (program.length + operation.length >= most) return [...program, OP_END];
    program.push(...operation);
  }
}

for (const buckets of ['many buckets', 'one bucket']) {
  test(
    `finds what a Map finds, whatever is installed, replaced and removed, in ${buckets}`,
    seeded(againstMap(buckets)),
  );
}

function againstMap(buckets: string) {
  return (random: Random) => {
    const rig = new Rig({ flows: 4096 });
    const { handler } = rig;
    if (buckets === 'one bucket') handler.u32[(ARENA_MAP + ArenaMap.bucketCount) >> 2] = 1;
    const at = place(rig);
    const twin = new Map<string, TwinFlow>();
    for (let i = 0; i < 6000; i++) {
      const doing = random.fraction();
      if (doing < 0.25) {
        const mask = randomMask(random);
        const key = randomKey(random);
        const program = randomProgram(random);
        const name = hex(mask, masked(key, mask));
        const number = handler.install(mask, key, Uint32Array.from(program));
        const there = twin.get(name);
        if (there) {
          assert.equal(number, there.number, 'the flow that is there');
        } else if (number !== NONE) {
          assert.deepEqual(readProgram(handler, number), program);
          assert.ok(![...twin.values()].some((flow) => flow.number === number), 'a number in use');
          twin.set(name, { mask, key: masked(key, mask), program, number });
        }
      } else if (doing < 0.3 && twin.size > 0) {
        const flow = pick(random, [...twin.values()]);
        const program = randomProgram(random);
        const number = handler.replace(flow.number, Uint32Array.from(program));
        if (number !== NONE) Object.assign(flow, { number, program });
        assert.deepEqual(readProgram(handler, flow.number), flow.program);
      } else if (doing < 0.45 && twin.size > 0) {
        const [name, flow] = pick(random, [...twin]);
        assert.deepEqual(readProgram(handler, flow.number), flow.program);
        handler.exports.remove(flow.number);
        twin.delete(name);
      } else if (doing < 0.5) {
        rig.reclaim();
      } else {
        const keys = Array.from({ length: 1 + random.below(BATCH) }, () => randomKey(random));
        const together = lookUpBatch(rig, keys);
        for (const [n, key] of keys.entries()) {
          const expected = [...twin.values()].filter((flow) => matches(key, flow.mask, flow.key));
          const numbers = expected.length === 0 ? [NONE] : expected.map(({ number }) => number);
          assert.ok(numbers.includes(together[n]!), 'in a batch');
          assert.ok(numbers.includes(lookUp(at, key)), 'alone');
        }
      }
    }
    assert.equal(rig.observer.liveFlows(), twin.size);
    for (const { number, mask, key, program } of twin.values()) {
      assert.deepEqual(Buffer.from(handler.flowMask(number)), Buffer.from(mask));
      assert.deepEqual(Buffer.from(handler.flowKey(number)), Buffer.from(key));
      assert.deepEqual(readProgram(handler, number), program);
      handler.exports.remove(number);
    }
    rig.reclaim();
    rig.checkNoFlows();
  };
}

test('flows for which their bucket has no slot are found, also when who put them there died before counting them', () => {
  const rig = new Rig({ flows: 1024 });
  const { handler } = rig;
  const bucketCount = (ARENA_MAP + ArenaMap.bucketCount) >> 2;
  const chainedFlows = (ARENA_MAP + ArenaMap.chainedFlows) >> 2;
  handler.u32[bucketCount] = 1;
  const keys = Array.from({ length: BATCH }, (_, n) => keyOf(n));
  const numbers = keys.map((key) => handler.install(keyOf(0xff), key, DROP));
  assert.deepEqual(lookUpBatch(rig, keys), numbers);
  assert.deepEqual(lookUpBatch(rig, [keyOf(BATCH)]), [NONE]);
  const counted = handler.u32[chainedFlows]!;
  assert.ok(counted > 0, 'or there was room');

  handler.u32[chainedFlows] = 0;
  rig.bury(handler.thread);
  assert.equal(handler.u32[chainedFlows], counted);
  assert.deepEqual(lookUpBatch(rig, keys), numbers);
  for (const number of numbers) handler.exports.remove(number);
  rig.reclaim();
  rig.checkNoFlows();
});

test('a thread tries first the masks that its packets use, and still finds the others', () => {
  const rig = new Rig({ flows: 1024 });
  const { handler } = rig;
  const maskOf = (n: number) => keyOf(0xff000000 + n);
  const numbers = Array.from({ length: 300 }, (_, n) => handler.install(maskOf(n), keyOf(n << 24), DROP));
  const keyFor = (n: number) => keyOf(n << 24);
  const last = numbers.length - 1;
  assert.equal(new Set(numbers).size, numbers.length);
  const order = (at: number) => {
    const { u16, arena } = rig.datapath;
    return u16[(regionAddress(arena, 'searches') + SEARCH_ORDER + 2 * at) >> 1]!;
  };
  const batch = Array.from({ length: BATCH }, () => keyFor(last));
  const found = lookUpBatch(rig, batch)[0]!;
  assert.notEqual(found, NONE);
  const used = numbers.indexOf(found);
  for (let i = 0; i < 3000; i++) lookUpBatch(rig, batch);
  assert.equal(order(0), used);
  assert.deepEqual(
    Array.from(numbers, (_, at) => order(at)).toSorted((a, b) => a - b),
    Array.from(numbers, (_, at) => at),
    'each is in the order once',
  );
});

const keyOf = (n: number): Uint8Array => {
  const key = new Uint8Array(KEY_SIZE);
  new DataView(key.buffer).setUint32(32, n);
  return key;
};
const ALL = new Uint8Array(KEY_SIZE).fill(0xff);

test('when flows run out, install gives none, and all come back', () => {
  const rig = new Rig({ flows: 512 });
  const { handler } = rig;
  for (let round = 0; round < 3; round++) {
    const numbers = Array.from({ length: 512 }, (_, n) => handler.install(ALL, keyOf(n), DROP));
    assert.equal(new Set(numbers).size, 512);
    assert.ok(!numbers.includes(NONE));
    assert.equal(handler.install(ALL, keyOf(512), DROP), NONE);
    assert.equal(handler.install(ALL, keyOf(7), DROP), numbers[7], 'what is there needs no room');
    assert.equal(lookUp(place(rig), keyOf(512)), NONE);
    for (const number of numbers) handler.exports.remove(number);
    assert.equal(handler.install(ALL, keyOf(512), DROP), NONE, 'not before two epochs have passed');
    rig.reclaim();
    rig.checkNoFlows();
  }
});

test('when blocks run out, install gives none and keeps nothing', () => {
  const rig = new Rig({ flows: 512 });
  const { handler } = rig;
  const numbers: number[] = [];
  for (let n = 0; ; n++) {
    const before = [rig.free(POOL_FLOWS), rig.free(POOL_BLOCKS)];
    const number = handler.install(ALL, keyOf(n), OUTPUT_LONG);
    if (number === NONE) {
      assert.deepEqual([rig.free(POOL_FLOWS), rig.free(POOL_BLOCKS)], before);
      assert.equal(lookUp(place(rig), keyOf(n)), NONE);
      break;
    }
    numbers.push(number);
  }
  assert.ok(numbers.length >= 512 / 20);
  const short = handler.install(ALL, keyOf(9999), DROP);
  assert.notEqual(short, NONE, 'a program that needs no block');
  for (const number of [short, ...numbers]) {
    if (number !== short) assert.deepEqual(readProgram(handler, number), [...OUTPUT_LONG]);
    handler.exports.remove(number);
  }
  rig.reclaim();
  rig.checkNoFlows();
});

test('when subtables run out, install gives none; empty ones take new masks', () => {
  const rig = new Rig({ flows: 1024 });
  const { handler } = rig;
  const maskOf = (n: number) => {
    const mask = keyOf(n);
    mask[0] = 0xff;
    return mask;
  };
  for (let round = 0; round < 3; round++) {
    const first = 1 + 10_000 * round;
    const numbers = Array.from({ length: MAX_SUBTABLES }, (_, n) =>
      handler.install(maskOf(first + n), ALL, DROP),
    );
    assert.ok(!numbers.includes(NONE));
    assert.equal(handler.install(maskOf(first + MAX_SUBTABLES), ALL, DROP), NONE);
    for (const number of numbers) handler.exports.remove(number);
    assert.equal(handler.install(maskOf(first + MAX_SUBTABLES), ALL, DROP), NONE, 'not before two epochs');
    rig.reclaim();
    rig.checkNoFlows();
  }
});

test('a flow that starts anew starts with no packets', () => {
  const rig = new Rig();
  rig.open(1, 2);
  const everything = new Uint8Array(KEY_SIZE);
  const number = rig.handler.install(everything, everything, Uint32Array.of(OP_OUTPUT, 2, OP_END));
  rig.receive(1, [new Uint8Array(60), new Uint8Array(70)]);
  assert.deepEqual([rig.observer.flow(number).packets, rig.observer.flow(number).bytes], [2, 130]);
  rig.handler.exports.remove(number);
  rig.reclaim();
  const again = Array.from({ length: 1024 }, (_, n) => rig.handler.install(ALL, keyOf(n), DROP));
  assert.ok(again.includes(number));
  assert.equal(rig.observer.flow(number).packets, 0);
});

// Epochs

test('a record is not reused while a thread that may have found it is in the same batch', () => {
  const rig = new Rig({ flows: 512 });
  const { handler, datapath } = rig;
  const reuse = (n: number) => {
    for (let i = 0; i < 10; i++) {
      handler.exports.enter();
      handler.exports.reclaim();
    }
    return handler.install(ALL, keyOf(n), DROP);
  };
  const numbers = Array.from({ length: 512 }, (_, n) => handler.install(ALL, keyOf(n), DROP));
  datapath.exports.enter();
  assert.equal(lookUp(place(rig), keyOf(3)), numbers[3]);
  handler.exports.remove(numbers[3]!);
  assert.equal(reuse(1000), NONE, 'the reader is still in its batch');
  assert.deepEqual(readProgram(datapath, numbers[3]!), [...DROP]);
  datapath.exports.enter();
  assert.equal(reuse(1000), numbers[3], 'the reader has begun another, which cannot find it');

  datapath.exports.enter();
  handler.exports.remove(numbers[4]!);
  assert.equal(reuse(1001), NONE);
  datapath.exports.leave();
  assert.equal(reuse(1001), numbers[4], 'a thread that sleeps holds nothing');
});

test('a thread that left and never came back does not keep others from reclaiming', () => {
  const rig = new Rig({ threads: 4, flows: 1024 });
  const { handler } = rig;
  for (const { exports } of rig.threads) exports.enter();
  rig.threads[1]!.exports.leave();
  const number = handler.install(ALL, keyOf(1), DROP);
  handler.exports.remove(number);
  for (let i = 0; i < 4; i++) {
    for (const { thread, exports } of rig.threads) if (thread !== 1) exports.enter();
    handler.exports.reclaim();
  }
  rig.checkNoFlows();
});
