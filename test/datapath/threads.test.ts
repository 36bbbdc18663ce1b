/**
 * The structures that threads share, on real threads. Each job does a bounded number of operations; what
 * must hold is checked by a thread other than the one that could break it.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import {
  ARENA_MAP,
  ArenaMap,
  KEY_SIZE,
  NONE,
  OP_DROP,
  OP_END,
  POOL_FLOWS,
  regionAddress,
} from '../../src/datapath.ts';
import { crew, type Job, type Shared, shared, work } from '../support/crew.ts';
import { flowNumber, foundInBatch, readProgram } from '../support/flows.ts';
import type { TestDatapath } from '../support/module.ts';
import { Rig } from '../support/rig.ts';
import { pick, Random } from '../support/seeded.ts';

// Ring: 0 ──▶ 1 ──▶ 2

const VALUES = 200_000;
const scrambled = (i: number): number => Math.imul(i, 0x9e3779b1) >>> 0;

const produce: Job = ({ exports }) => {
  const ring = exports.ringBetween(0, 1);
  for (let i = 0; i < VALUES; i++) while (!exports.put(ring, scrambled(i)));
};

const relay: Job = ({ exports }) => {
  const [from, to] = [exports.ringBetween(0, 1), exports.ringBetween(1, 2)];
  for (let i = 0; i < VALUES; i++) {
    while (!exports.available(from));
    const value = exports.get(from);
    while (!exports.put(to, value));
  }
};

const consume: Job = ({ exports }) => {
  const ring = exports.ringBetween(1, 2);
  for (let i = 0; i < VALUES; ) {
    for (let n = exports.available(ring); n > 0; n--) assert.equal(exports.get(ring) >>> 0, scrambled(i++));
  }
  assert.equal(exports.available(ring), 0);
};

// Pool: three threads take, give, and pass on to each other; `shared` says who holds what

const POOL_ROUNDS = 10_000;

const trade: Job = ({ exports, thread }, holders, seed) => {
  const random = new Random(seed);
  const mine: number[] = [];
  const others = [0, 1, 2].filter((other) => other !== thread);
  const become = (number: number, from: number, to: number) =>
    assert.equal(Atomics.compareExchange(holders, number, from, to), from, `holder of ${number}`);
  const take = () => {
    const number = exports.take(thread, POOL_FLOWS) >>> 0;
    if (number === NONE) return;
    become(number, 0, thread + 1);
    mine.push(number);
  };
  const give = () => {
    const number = mine.pop();
    if (number === undefined) return;
    become(number, thread + 1, 0);
    exports.give(thread, POOL_FLOWS, number);
  };
  const send = (to: number) => {
    if (mine.length > 0 && exports.put(exports.ringBetween(thread, to), mine.at(-1)!)) mine.pop();
  };
  const receive = (from: number) => {
    const ring = exports.ringBetween(from, thread);
    if (!exports.available(ring)) return;
    const number = exports.get(ring);
    become(number, from + 1, thread + 1);
    mine.push(number);
  };
  // Each round long enough to empty or fill a thread's cache, so that all meet at the stack.
  for (let round = 0; round < POOL_ROUNDS; round++) {
    for (let n = random.below(200); n > 0; n--) take();
    for (let n = random.below(20); n > 0; n--) send(pick(random, others));
    for (let n = random.below(20); n > 0; n--) receive(pick(random, others));
    for (let n = random.below(200); n > 0; n--) give();
  }
  while (mine.length > 0) give();
};

// Lock: two threads change two words under it, the third looks

const LOCKED = 150_000;

/** A lock, and two words that are always equal for whoever holds it. */
const lockAt = ({ arena }: TestDatapath): number => regionAddress(arena, 'queues');

const change: Job = (datapath) => {
  const { exports, u32, thread } = datapath;
  const lock = lockAt(datapath);
  for (let i = 0; i < LOCKED; i++) {
    exports.acquire(lock, thread);
    u32[(lock + 64) >> 2]!++;
    u32[(lock + 128) >> 2]!++;
    exports.release(lock);
  }
};

const look: Job = (datapath) => {
  const { exports, u32, thread } = datapath;
  const lock = lockAt(datapath);
  for (let i = 0; i < LOCKED; i++) {
    exports.acquire(lock, thread);
    assert.equal(u32[lock >> 2], thread + 1, 'the lock names its holder');
    assert.equal(u32[(lock + 64) >> 2], u32[(lock + 128) >> 2]);
    exports.release(lock);
  }
};

// Flows: one thread installs, removes and replaces, two look up and hold what they found for a batch

const CHANGES = 40_000;
const COMING_AND_GOING = 64;
const STAYING = 16;
const DONE = 0;

/** Flow `id`, for packets whose key begins with it. */
function flowKey(id: number): Uint8Array {
  const key = new Uint8Array(KEY_SIZE);
  new DataView(key.buffer).setUint32(0, id);
  return key;
}

/** Each generation has a mask of its own, so that subtables come and go as well. All of them match `id`. */
function flowMask(generation: number): Uint8Array {
  const mask = new Uint8Array(KEY_SIZE).fill(0xff, 0, 4);
  new DataView(mask.buffer).setUint32(8, generation);
  return mask;
}

/** A program that says whose it is in every operand, most too long for one record. */
function flowProgram(id: number, generation: number): Uint32Array {
  const length = 1 + (generation % 90);
  const stamp = generation * 128 + id;
  return Uint32Array.from([...Array.from({ length }, () => [OP_DROP, stamp]).flat(), OP_END]);
}

const changeFlows: Job = (datapath, state, seed) => {
  const { exports } = datapath;
  const random = new Random(seed);
  const live = new Map<number, number>();
  const staying = state.subarray(1); // numbers of the flows that stay, and change
  let installed = 0;
  for (let generation = 1; generation <= CHANGES; generation++) {
    exports.enter();
    const id = random.below(COMING_AND_GOING);
    const number = live.get(id);
    if (number !== undefined) {
      exports.remove(number);
      live.delete(id);
    } else {
      const taken = datapath.install(flowMask(generation), flowKey(id), flowProgram(id, generation));
      if (taken !== NONE) {
        live.set(id, taken);
        installed++;
      }
    }
    const i = random.below(STAYING);
    const heir = datapath.replace(staying[i]!, flowProgram(COMING_AND_GOING + i, generation));
    if (heir !== NONE) staying[i] = heir;
    exports.reclaim();
  }
  for (const number of live.values()) exports.remove(number);
  Atomics.store(state, DONE, 1);
  exports.leave();
  return installed;
};

const lookUpFlows: Job = (datapath, state, seed) => {
  const { exports, u8, arena, thread } = datapath;
  const random = new Random(seed);
  const at = regionAddress(arena, 'queues') + 4096 * (1 + thread);
  let found = 0;
  const lookUp = () => {
    const hash = exports.hashKey(at);
    let flow = random.below(2) === 0 ? exports.cached(at, hash) : 0;
    if (flow === 0) {
      flow = exports.classify(at);
      if (flow !== 0) exports.remember(hash, flow);
    }
    return flow;
  };
  const alone = (ids: number[]) => {
    exports.enter();
    return ids.map((id) => {
      u8.set(flowKey(id), at);
      return lookUp();
    });
  };
  const together = (ids: number[]) => {
    for (const [i, id] of ids.entries()) u8.set(flowKey(id), at + KEY_SIZE * i);
    exports.lookUpUncached(at, ids.length);
    return foundInBatch(datapath, ids.length);
  };
  while (!Atomics.load(state, DONE)) {
    const ids = Array.from({ length: 16 }, () => random.below(COMING_AND_GOING + STAYING));
    const flows = random.below(2) === 0 ? alone(ids) : together(ids);
    const batch: [id: number, flow: number][] = [];
    for (const [i, id] of ids.entries()) {
      if (flows[i] !== 0) batch.push([id, flows[i]!]);
      else assert.ok(id < COMING_AND_GOING, `flow ${id}, which stays, was not found`);
    }
    for (const [id, flow] of batch) {
      const program = readProgram(datapath, flowNumber(datapath, flow));
      const [, stamp] = program;
      assert.equal(stamp! % 128, id, 'the flow of another key');
      assert.ok(
        program.length > 1 &&
          program.every((word, i) => word === [OP_DROP, stamp][i % 2] || i === program.length - 1),
      );
      assert.equal(
        program.length,
        2 * (1 + (Math.floor(stamp! / 128) % 90)) + 1,
        'a program of another length',
      );
    }
    found += batch.length;
    if (random.below(8) === 0) exports.leave();
  }
  exports.leave();
  return found;
};

function tests(): void {
  const run = async (arena: Rig['arena'], jobs: string[], common: Shared = shared(1)): Promise<unknown[]> => {
    const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
    try {
      return await crew(import.meta.url, arena, jobs, common, seed);
    } catch (error) {
      if (error instanceof Error) error.message += `\n(jobs drew from SEED=${seed})`;
      throw error;
    }
  };

  test('rings lose nothing and keep the order', async () => {
    await run(new Rig({ threads: 3 }).arena, ['produce', 'relay', 'consume']);
  });

  test('no number of a pool has two holders, and none is lost', async () => {
    const rig = new Rig({ threads: 3, flows: 1024 });
    await run(rig.arena, ['trade', 'trade', 'trade'], shared(1024));
    const { exports } = rig.datapath;
    for (const from of [0, 1, 2]) {
      for (const to of [0, 1, 2]) {
        const ring = exports.ringBetween(from, to);
        while (exports.available(ring)) exports.give(to, POOL_FLOWS, exports.get(ring));
      }
    }
    assert.equal(rig.free(POOL_FLOWS), 1024);
    const numbers = new Set<number>();
    for (const thread of [0, 1, 2]) {
      for (
        let n = exports.take(thread, POOL_FLOWS) >>> 0;
        n !== NONE;
        n = exports.take(thread, POOL_FLOWS) >>> 0
      ) {
        numbers.add(n);
      }
    }
    assert.equal(numbers.size, 1024);
  });

  test('a lock keeps others out', async () => {
    const rig = new Rig({ threads: 3 });
    await run(rig.arena, ['change', 'change', 'look']);
    const { u32 } = rig.datapath;
    const lock = lockAt(rig.datapath);
    assert.deepEqual([u32[lock >> 2], u32[(lock + 64) >> 2]], [0, 2 * LOCKED]);
  });

  test('who looks flows up while they come, change and go finds the right ones, whole, for as long as a batch', async () => {
    const rig = new Rig({ threads: 3, flows: 768 });
    // One bucket: to find a flow is to walk over those that come and go.
    rig.datapath.u32[(ARENA_MAP + ArenaMap.bucketCount) >> 2] = 1;
    const state = shared(1 + STAYING);
    for (let i = 0; i < STAYING; i++) {
      const id = COMING_AND_GOING + i;
      state[1 + i] = rig.handler.install(flowMask(0), flowKey(id), flowProgram(id, 0));
    }
    const jobs = ['lookUpFlows', 'lookUpFlows', 'changeFlows'];
    const [found, foundToo, installed] = await run(rig.arena, jobs, state);
    assert.ok((found as number) > 0 && (foundToo as number) > 0);
    assert.ok((installed as number) > 2 * 768, 'or no record was used again');
    for (const number of state.subarray(1)) rig.handler.exports.remove(number);
    rig.reclaim();
    rig.checkNoFlows();
  });
}

if (isMainThread) tests();
else work({ produce, relay, consume, trade, change, look, changeFlows, lookUpFlows });
