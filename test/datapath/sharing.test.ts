/**
 * Map, queue, sequence lock, barrier, doorbell and tallies, on real threads. Each job does a bounded number of
 * operations; what must hold is checked by a thread other than the one that could break it.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import { NONE, regionAddress } from '../../src/datapath.ts';
import { crew, type Job, shared, work } from '../support/crew.ts';
import type { TestDatapath } from '../support/module.ts';
import { Rig } from '../support/rig.ts';
import { pick, Random } from '../support/seeded.ts';

/** Memory that nobody else uses: the structure at its beginning, what goes with it half a MiB on. */
const scratch = ({ arena }: TestDatapath): number => regionAddress(arena, 'queues');
const BESIDE = 512 * 1024;

const DONE = 0;

// Map: two threads insert and remove under a lock; a third looks up those that stay

const BUCKETS = 64;
const CHANGES = 60_000;
const STAYING = Array.from({ length: 150 }, (_, i) => i);
const hashOf = (number: number): number => Math.imul(number % 300, 0x9e3779b1) >>> 0;

const changeMap: Job = (datapath, state, seed) => {
  const { exports, thread } = datapath;
  const random = new Random(seed);
  const map = scratch(datapath);
  const lock = map + BESIDE;
  const mine: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    exports.acquire(lock, thread);
    if (mine.length < 120 && random.below(2) === 0) {
      const number = 1000 + 2 * random.below(100_000) + thread;
      if (!mine.includes(number) && exports.insertInMap(map, hashOf(number), number)) mine.push(number);
    } else if (mine.length > 0) {
      const [number] = mine.splice(random.below(mine.length), 1);
      assert.equal(exports.removeFromMap(map, hashOf(number!), number!), 1);
    }
    exports.release(lock);
  }
  Atomics.add(state, DONE, 1);
};

const lookUpInMap: Job = (datapath, state, seed) => {
  const { exports } = datapath;
  const random = new Random(seed);
  const map = scratch(datapath);
  let found = 0;
  while (Atomics.load(state, DONE) < 2) {
    const staying = pick(random, STAYING);
    const hash = hashOf(staying);
    let number = exports.findInMap(map, hash) >>> 0;
    for (; number !== NONE && number !== staying; number = exports.findNextInMap() >>> 0) {
      assert.equal(hashOf(number), hash, 'a number of another hash');
    }
    assert.equal(number, staying, 'one that stays was not found');
    found++;
  }
  return found;
};

// Queue: two threads push, each number again as soon as it was taken; the third takes

const PUSHES = 150_000;
const NUMBERS = 64;
const RECORD = 64;

const pushNumbers: Job = (datapath) => {
  const { exports, u32, thread } = datapath;
  const queue = scratch(datapath);
  for (let i = 0; i < PUSHES; i++) {
    const number = thread * NUMBERS + (i % NUMBERS);
    const record = (queue + BESIDE + RECORD * number) >> 2;
    while (Atomics.load(u32, record + 2) !== Math.floor(i / NUMBERS));
    u32[record + 1] = i;
    exports.push(queue, number);
  }
};

const takeNumbers: Job = (datapath) => {
  const { exports, u32 } = datapath;
  const queue = scratch(datapath);
  const next = [0, 0];
  for (let taken = 0; taken < 2 * PUSHES; ) {
    const number = exports.pop(queue) >>> 0;
    if (number === NONE) continue;
    const producer = Math.floor(number / NUMBERS);
    const record = (queue + BESIDE + RECORD * number) >> 2;
    assert.equal(u32[record + 1], next[producer], 'lost, twice, or out of order');
    next[producer]!++;
    taken++;
    Atomics.add(u32, record + 2, 1);
  }
  assert.equal(exports.pop(queue) >>> 0, NONE);
};

// Sequence lock: one thread writes eight equal words, two copy them

const WRITES = 200_000;

const writeWhole: Job = (datapath, state) => {
  const { exports, u32 } = datapath;
  const sequence = scratch(datapath);
  for (let value = 1; value <= WRITES; value++) {
    exports.beginWrite(sequence);
    for (let i = 0; i < 8; i++) u32[((sequence + 64) >> 2) + i] = value;
    exports.endWrite(sequence);
  }
  Atomics.store(state, DONE, 1);
};

const readWhole: Job = (datapath, state) => {
  const { exports, u32, thread } = datapath;
  const sequence = scratch(datapath);
  const copy = sequence + 128 * (1 + thread);
  let last = 0;
  let kept = 0;
  while (!Atomics.load(state, DONE) || kept === 0) {
    const begun = exports.beginRead(sequence);
    exports.copyOut(copy, sequence + 64, 32);
    if (!exports.isWhole(sequence, begun)) continue;
    const words = u32.subarray(copy >> 2, (copy >> 2) + 8);
    assert.ok(words.every((word) => word === words[0]) && words[0]! >= last, `torn or old: ${words}`);
    last = words[0]!;
    kept++;
  }
  return kept;
};

// Barrier: threads pass it together; one leaves half-way, without having said so

const PHASES = 2000;

const passTogether: Job = (datapath, arrivals) => {
  const { exports, thread } = datapath;
  for (let phase = 0; phase < PHASES; phase++) {
    const isLast = thread === 2 && phase === PHASES / 2;
    if (isLast) exports.leaveBarrier(scratch(datapath), thread);
    else Atomics.add(arrivals, phase, 1);
    assert.equal(exports.arrive(scratch(datapath), thread), isLast ? 0 : 1);
    if (isLast) return;
    assert.equal(
      Atomics.load(arrivals, phase),
      phase < PHASES / 2 ? 3 : 2,
      `through phase ${phase} too early`,
    );
  }
};

// Doorbell: a token goes round; whoever has none sleeps

const ROUNDS = 20_000;

const passToken: Job = (datapath) => {
  const { exports, thread } = datapath;
  const next = (thread + 1) % 3;
  const [from, to] = [exports.ringBetween((thread + 2) % 3, thread), exports.ringBetween(thread, next)];
  const send = (value: number): void => {
    exports.put(to, value);
    exports.ringDoorbell(next);
  };
  if (thread === 0) send(0);
  for (let round = 0; round < ROUNDS; round++) {
    while (!exports.available(from)) datapath.wait({ dueMs: () => Number.POSITIVE_INFINITY }, 60_000);
    const value = exports.get(from);
    assert.equal(value, 3 * round + ((thread + 2) % 3));
    if (thread !== 0 || round < ROUNDS - 1) send(value + 1);
  }
};

// Tallies: two threads count, the third sums

const COUNTS = 200_000;

const countUp: Job = (datapath) => {
  const { exports, thread } = datapath;
  const tally = exports.tallyAt(scratch(datapath), 8, thread, 5);
  for (let i = 0; i < COUNTS; i++) exports.add(tally, 1n);
};

const sumUp: Job = (datapath) => {
  let last = 0n;
  while (last < 2 * COUNTS) {
    const sum = datapath.exports.sumOf(scratch(datapath), 8, 2, 5);
    assert.ok(sum >= last && sum <= 2 * COUNTS, `${sum} after ${last}`);
    last = sum;
  }
};

function tests(): void {
  const run = async (rig: Rig, jobs: string[], words = 1): Promise<unknown[]> => {
    const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
    try {
      return await crew(import.meta.url, rig.arena, jobs, shared(words), seed);
    } catch (error) {
      if (error instanceof Error) error.message += `\n(jobs drew from SEED=${seed})`;
      throw error;
    }
  };

  test('who looks up in a map whose entries move finds all that stay', async () => {
    const rig = new Rig({ threads: 3 });
    const { exports } = rig.datapath;
    const map = scratch(rig.datapath);
    exports.formatMap(map, BUCKETS);
    for (const number of STAYING) assert.equal(exports.insertInMap(map, hashOf(number), number), 1);
    const [, , found] = await run(rig, ['changeMap', 'changeMap', 'lookUpInMap']);
    assert.ok((found as number) > 0);
  });

  test('a queue loses nothing and keeps the order of each producer', async () => {
    const rig = new Rig({ threads: 3 });
    const queue = scratch(rig.datapath);
    rig.datapath.exports.formatQueue(queue, queue + BESIDE, RECORD);
    await run(rig, ['pushNumbers', 'pushNumbers', 'takeNumbers']);
  });

  test('a copy made under a sequence lock is whole', async () => {
    const [, kept, keptToo] = await run(new Rig({ threads: 3 }), ['writeWhole', 'readWhole', 'readWhole']);
    assert.ok((kept as number) > 0 && (keptToo as number) > 0);
  });

  test('nobody passes a barrier alone, and a thread that has left is not waited for', async () => {
    const rig = new Rig({ threads: 3 });
    rig.datapath.exports.formatBarrier(scratch(rig.datapath), 0b111);
    await run(rig, ['passTogether', 'passTogether', 'passTogether'], PHASES);
  });

  test('nobody sleeps through the doorbell', async () => {
    await run(new Rig({ threads: 3 }), ['passToken', 'passToken', 'passToken']);
  });

  test('tallies never go back and lose nothing', async () => {
    await run(new Rig({ threads: 3 }), ['countUp', 'countUp', 'sumUp']);
  });
}

if (isMainThread) tests();
else {
  work({
    changeMap,
    lookUpInMap,
    pushNumbers,
    takeNumbers,
    writeWhole,
    readWhole,
    passTogether,
    passToken,
    countUp,
    sumUp,
  });
}
