/**
 * Names: numbers for bytes, the same on all threads, against the naive twin and on real threads. Each sweep here
 * finds that it is due.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import {
  ARENA_MAP,
  ArenaMap,
  NAME_BYTES_MOST,
  NAME_PUNT,
  NAME_STATE,
  NAMES,
  NONE,
  regionAddress,
} from '../../src/datapath.ts';
import { releaseLocks } from '../../src/thread/reclaim.ts';
import { crew, type Job, shared, work } from '../support/crew.ts';
import type { TestDatapath } from '../support/module.ts';
import { leaveNumbers } from '../support/names.ts';
import { Numbers } from '../support/numbers.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, Random, seeded } from '../support/seeded.ts';

const SWEEP_MS = 5000;

/** A whole sweep, unless another thread is in the way. */
function sweep(datapath: TestDatapath): void {
  datapath.setClock(datapath.nowMs + SWEEP_MS);
  while (datapath.exports.sweepNames() !== 0);
}

/** A name by its number `id`: of a length of its own, and of bytes that tell it. */
const nameOf = (id: number): Uint8Array =>
  Uint8Array.from({ length: 1 + ((id * 37) % 200) }, (_, i) => (i === 0 ? id : id * i));

// On real threads: two name things, keep them and let them go; the third sweeps and reads

const IDS = 40;
const STEPS = 30_000;
const DONE = 0;
/** By thread and id: 1 + the number that the thread keeps, 0: none. */
const KEPT = 1;
const keptAt = (thread: number, id: number): number => KEPT + thread * IDS + id;

const name: Job = (datapath, state, seed) => {
  const { exports, thread } = datapath;
  const random = new Random(seed);
  let met = 0;
  for (let i = 0; i < STEPS; i++) {
    const id = random.below(IDS);
    const kept = keptAt(thread, id);
    const before = Atomics.exchange(state, kept, 0);
    if (before !== 0) exports.releaseName(NAME_STATE, before - 1);
    const number = datapath.internName(NAME_STATE, nameOf(id));
    assert.notEqual(number, NONE);
    if (!exports.retainName(NAME_STATE, number)) continue;
    // Two sweeps may have passed since it was asked for: then it may have become another's.
    if (datapath.readName(NAME_STATE, number)?.[0] !== id) {
      exports.releaseName(NAME_STATE, number);
      continue;
    }
    assert.deepEqual(datapath.readName(NAME_STATE, number), nameOf(id));
    Atomics.store(state, kept, number + 1);
    const others = Atomics.load(state, keptAt(1 - thread, id));
    if (others !== 0) {
      assert.equal(number, others - 1, 'equal names have two numbers');
      met++;
    }
  }
  Atomics.add(state, DONE, 1);
  return met;
};

const readAndSweep: Job = (datapath, state, seed) => {
  const random = new Random(seed);
  const seen = new Map<string, number>();
  while (Atomics.load(state, DONE) < 2) {
    const number = 1 + random.below(2 * IDS);
    const serial = datapath.exports.nameSerial(NAME_STATE, number);
    const bytes = datapath.readName(NAME_STATE, number);
    if (bytes) assert.deepEqual(bytes, nameOf(bytes[0]!), 'not what it was given for');
    if (bytes && datapath.exports.nameSerial(NAME_STATE, number) === serial) {
      const before = seen.get(`${number}/${serial}`);
      assert.ok(before === undefined || before === bytes[0], 'another name, and the same serial');
      seen.set(`${number}/${serial}`, bytes[0]!);
    }
    if (chance(random, 0.05)) sweep(datapath);
  }
  return seen.size;
};

function tests(): void {
  test(
    'numbers are those that the naive twin gives',
    seeded((random) => {
      for (let run = 0; run < 40; run++) {
        const limit = 1 + random.below(8);
        const rig = new Rig({ threads: 2 });
        leaveNumbers(rig, NAME_STATE, limit);
        const twin = new Numbers<number>(limit);
        const keeps: number[] = [];
        for (let step = 0; step < 150; step++) {
          const datapath = pick(random, rig.threads);
          const id = random.below(12);
          const number = twin.numberOf(id);
          assert.equal(datapath.internName(NAME_STATE, nameOf(id)), number ?? NONE);
          if (number !== undefined && chance(random, 0.4)) {
            twin.retain(number);
            assert.equal(datapath.exports.retainName(NAME_STATE, number), 1);
            keeps.push(number);
          }
          if (keeps.length > 0 && chance(random, 0.4)) {
            const [kept] = keeps.splice(random.below(keeps.length), 1);
            twin.release(kept!);
            datapath.exports.releaseName(NAME_STATE, kept!);
          }
          if (chance(random, 0.3)) {
            twin.sweep();
            rig.threads.forEach(({ now }) => {
              now[0]! += SWEEP_MS;
            });
            while (datapath.exports.sweepNames() !== 0);
          }
          for (let number = 1; number <= limit; number++) {
            const thing = twin.get(number);
            assert.deepEqual(
              pick(random, rig.threads).readName(NAME_STATE, number),
              thing === undefined ? undefined : nameOf(thing),
            );
          }
        }
      }
    }),
  );

  test('a packet-in and a state of equal bytes are two names', () => {
    const { datapath } = new Rig();
    assert.equal(datapath.internName(NAME_PUNT, nameOf(1)), 1);
    assert.equal(datapath.internName(NAME_STATE, nameOf(2)), 1);
    assert.equal(datapath.internName(NAME_STATE, nameOf(1)), 2);
    assert.deepEqual(datapath.readName(NAME_PUNT, 1), nameOf(1));
    assert.equal(datapath.readName(NAME_PUNT, 2), undefined);
    assert.equal(datapath.readName(NAME_PUNT, 0), undefined);
    assert.equal(datapath.readName(NAME_STATE, NAMES + 1), undefined);
  });

  test('there are 65535 numbers of each kind, and all come back', () => {
    const { datapath } = new Rig({ flows: 16_384 });
    const short = (id: number) => Uint8Array.of(id, id >> 8, id >> 16);
    for (let id = 1; id < NAMES; id++) assert.equal(datapath.internName(NAME_PUNT, short(id)), id);
    assert.equal(datapath.internName(NAME_PUNT, short(NAMES)), NONE);
    assert.equal(datapath.internName(NAME_PUNT, short(1)), 1);
    for (let i = 0; i < 3; i++) sweep(datapath);
    assert.equal(datapath.readName(NAME_PUNT, 1), undefined);
    assert.equal(datapath.internName(NAME_PUNT, short(NAMES)), NAMES - 1);
  });

  test('a name that there are no blocks for has no number, and takes none', () => {
    const { datapath } = new Rig();
    datapath.u32[(ARENA_MAP + ArenaMap.nameBlockCount) >> 2] = 4;
    const long = (bytes: number) => new Uint8Array(bytes).fill(7);
    assert.equal(datapath.internName(NAME_STATE, long(60)), 1);
    assert.equal(datapath.internName(NAME_STATE, long(181)), NONE);
    assert.equal(datapath.internName(NAME_STATE, long(180)), 2);
    assert.equal(datapath.internName(NAME_STATE, long(1)), NONE);
    for (let i = 0; i < 3; i++) sweep(datapath);
    assert.equal(datapath.internName(NAME_STATE, long(240)), 3);
    assert.deepEqual(datapath.readName(NAME_STATE, 3), long(240));
  });

  test('no name is longer than 64 KiB', () => {
    const { datapath } = new Rig();
    const longest = new Uint8Array(NAME_BYTES_MOST).fill(3);
    assert.equal(datapath.internName(NAME_STATE, longest), 1);
    assert.deepEqual(datapath.readName(NAME_STATE, 1), longest);
    assert.equal(datapath.internName(NAME_STATE, new Uint8Array(NAME_BYTES_MOST + 1)), NONE);
  });

  test('a number that is forgotten cannot be kept, and its serial tells', () => {
    const { datapath } = new Rig();
    const { exports } = datapath;
    const serials = [exports.nameSerial(NAME_STATE, 1)];
    datapath.internName(NAME_STATE, nameOf(1));
    serials.push(exports.nameSerial(NAME_STATE, 1));
    for (let i = 0; i < 3; i++) sweep(datapath);
    serials.push(exports.nameSerial(NAME_STATE, 1));
    assert.deepEqual(serials, [0, 1, 2]);
    assert.equal(exports.retainName(NAME_STATE, 1), 0);
  });

  test('a sweep begins five seconds after the last, whichever thread asks', () => {
    const { threads } = new Rig({ threads: 2 });
    const [first, second] = threads as [TestDatapath, TestDatapath];
    first.internName(NAME_STATE, nameOf(1));
    const sweepAt = (datapath: TestDatapath, nowMs: number) => {
      datapath.setClock(nowMs);
      return datapath.exports.sweepNames();
    };
    const begun = [sweepAt(first, 0), sweepAt(second, 4999), sweepAt(second, 5000), sweepAt(first, 9999)];
    assert.deepEqual(begun, [1, 0, 1, 0]);
    assert.equal(first.readName(NAME_STATE, 1), undefined);
  });

  test('what a handler that died kept is kept no more', () => {
    const rig = new Rig();
    const { datapath, handler } = rig;
    const number = handler.internName(NAME_STATE, nameOf(1));
    handler.exports.retainName(NAME_STATE, number);
    for (let i = 0; i < 3; i++) sweep(datapath);
    rig.bury(handler.thread);
    assert.deepEqual(datapath.readName(NAME_STATE, number), nameOf(1));
    sweep(datapath);
    assert.deepEqual(datapath.readName(NAME_STATE, number), nameOf(1));
    sweep(datapath);
    assert.equal(datapath.readName(NAME_STATE, number), undefined);
  });

  test('the lock of a thread that died is released', () => {
    const rig = new Rig();
    rig.datapath.exports.acquire(regionAddress(rig.arena, 'nameTable'), 0);
    assert.equal(rig.handler.exports.sweepNames(), 0);
    assert.equal(releaseLocks(rig.arena, 0), 1);
    assert.equal(rig.handler.internName(NAME_STATE, nameOf(1)), 1);
  });

  test('threads that name the same thing get the same number', async () => {
    const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
    try {
      const jobs = ['name', 'name', 'readAndSweep'];
      const state = shared(KEPT + 2 * IDS);
      const [first, second, seen] = await crew(
        import.meta.url,
        new Rig({ threads: 3 }).arena,
        jobs,
        state,
        seed,
      );
      assert.ok((first as number) + (second as number) > 0 && (seen as number) > 0, 'threads never met');
    } catch (error) {
      if (error instanceof Error) error.message += `\n(jobs drew from SEED=${seed})`;
      throw error;
    }
  });
}

if (isMainThread) tests();
else work({ name, readAndSweep });
