/**
 * Connections on real threads: two make, find, refresh and remove them, a third sweeps, lets time go on and changes how
 * many there may be, a fourth looks up those that stay. What must hold is checked by it, and when all have ended by a walk over all records.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import {
  COUNT_CT_CREATED,
  COUNT_CT_REMOVED,
  COUNTERS,
  NONE,
  POOL_CACHE,
  POOL_CONNECTIONS,
  REMOVED_EXPIRED,
  REMOVED_FLUSHED,
  REMOVED_REPLACED,
  regionAddress,
  TUPLE_SIZE,
} from '../../src/datapath.ts';
import { Connections, type Ends, ORIGINAL, REPLY, reverse } from '../support/connections.ts';
import { crew, type Job, type Shared, shared, work } from '../support/crew.ts';
import { Rig } from '../support/rig.ts';
import { chance, Random } from '../support/seeded.ts';

const BATCHES = 15_000;
const STAYING = 60;
/** So few that the limit is reached again and again. */
const CONNECTIONS = 160;
const RECORDS = CONNECTIONS + 4 * POOL_CACHE;
const ZONE = 1;
const ZONE_LIMIT = 70;

// What the jobs share beside the arena.
const CLOCK = 0;
const DONE = 1;
const REMOVED = 2; // by callers who were told that they removed it

const staying = (i: number): Ends => ({ src: 100 + i, dst: 50, srcPort: i, dstPort: 80, zone: 0 });
/** Every other one is translated. */
const stayingReply = (i: number): Ends =>
  i % 2 === 0 ? reverse(staying(i)) : { ...reverse(staying(i)), dst: 60, dstPort: 1000 + i };

function drawn(random: Random): Ends {
  const end = (): number => 1 + random.below(4);
  return { src: end(), dst: end(), srcPort: end(), dstPort: end(), zone: ZONE };
}

const forward: Job = (datapath, state, seed) => {
  const { exports, u8, thread } = datapath;
  const random = new Random(seed);
  const connections = new Connections(datapath);
  const lifetime = (): number => datapath.nowMs + 1 + random.below(200);
  const tupleOf = (handle: number): string => {
    const at = connections.tupleAddress(handle >>> 1, handle & 1);
    return u8.subarray(at, at + TUPLE_SIZE).join();
  };
  const change = (handle: number): void => {
    const number = handle >>> 1;
    const generation = connections.generation(number);
    if (chance(random, 0.3)) {
      if (exports.removeConnection(number, generation, REMOVED_FLUSHED)) Atomics.add(state, REMOVED, 1);
      return;
    }
    exports.acquire(connections.address(number), thread);
    if (connections.isLive(number)) exports.expireAt(connections.address(number), lifetime());
    exports.release(connections.address(number));
  };
  let made = 0;
  for (let batch = 0; batch < BATCHES; batch++) {
    exports.enter();
    datapath.setClock(Atomics.load(state, CLOCK));
    const found = new Map<number, string>();
    for (let packet = 0; packet < 16; packet++) {
      const tuple = drawn(random);
      const handle = connections.lookUp(tuple);
      if (handle === NONE) {
        const reply = chance(random, 0.5) ? drawn(random) : undefined;
        if (connections.create(tuple, lifetime(), reply) !== NONE) made++;
      } else {
        found.set(handle, tupleOf(handle));
        if (chance(random, 0.5)) change(handle);
      }
    }
    for (const [handle, tuple] of found) {
      assert.equal(tupleOf(handle), tuple, 'a record was used again within a batch that had found it');
    }
    if (random.below(4) === 0) exports.leave();
  }
  exports.leave();
  Atomics.add(state, DONE, 1);
  return made;
};

const sweep: Job = (datapath, state, seed) => {
  const { exports } = datapath;
  const random = new Random(seed);
  let steps = 0;
  while (Atomics.load(state, DONE) < 2) {
    datapath.setClock(Atomics.add(state, CLOCK, 1));
    const limit = CONNECTIONS - random.below(CONNECTIONS - STAYING);
    exports.setConnectionLimit(limit);
    const most = Math.max(limit, exports.connectionCount());
    for (let n = random.below(20); n > 0; n--) steps += exports.sweep(1 + random.below(64));
    assert.ok(exports.connectionCount() <= most, 'more than the limit, and than there were');
    assert.ok(exports.zoneCount(ZONE) <= ZONE_LIMIT, 'more than the limit of the zone');
  }
  return steps;
};

const seek: Job = (datapath, state, seed) => {
  const { exports } = datapath;
  const random = new Random(seed);
  const connections = new Connections(datapath);
  let found = 0;
  while (Atomics.load(state, DONE) < 2) {
    exports.enter();
    const i = random.below(STAYING);
    const handle = connections.lookUp(staying(i));
    assert.notEqual(handle, NONE, 'one that stays was not found');
    assert.equal(connections.lookUp(stayingReply(i)), handle ^ 1, 'nor by its reply');
    exports.leave();
    found++;
  }
  return found;
};

/** All of them are reachable by both tuples, nobody has a tuple that another has; returns how many live. */
function walk(rig: Rig): number {
  const connections = new Connections(rig.datapath);
  const { u8, exports } = rig.datapath;
  const owners = new Set<string>();
  let live = 0;
  rig.datapath.setClock(0);
  for (let number = 0; number < RECORDS; number++) {
    if (!connections.isLive(number)) continue;
    live++;
    for (const direction of [ORIGINAL, REPLY]) {
      const at = connections.tupleAddress(number, direction);
      const tuple = u8.subarray(at, at + TUPLE_SIZE).join();
      const found = exports.lookUp(at, exports.hashTuple(at)) >>> 0;
      // A tuple may be its own reply.
      if (found !== number * 2 + direction)
        assert.equal(found, number * 2 + ORIGINAL, 'not found by a tuple');
      if (found === number * 2 + direction) assert.ok(!owners.has(tuple), `two have ${tuple}`);
      owners.add(tuple);
    }
  }
  return live;
}

function counted(rig: Rig, which: number): number {
  const at = regionAddress(rig.arena, 'counters') >> 3;
  return rig.threads.reduce((sum, { u64, thread }) => sum + Number(u64[at + thread * COUNTERS + which]!), 0);
}

function tests(): void {
  const run = async (rig: Rig, jobs: string[], state: Shared): Promise<unknown[]> => {
    const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
    try {
      return await crew(import.meta.url, rig.arena, jobs, state, seed);
    } catch (error) {
      if (error instanceof Error) error.message += `\n(jobs drew from SEED=${seed})`;
      throw error;
    }
  };

  test('connections that several threads make, change and remove are right, at every moment and in the end', async () => {
    const rig = new Rig({ threads: 4, connections: CONNECTIONS });
    const { exports } = rig.datapath;
    exports.setZoneLimit(ZONE, ZONE_LIMIT);
    const connections = new Connections(rig.datapath);
    for (let i = 0; i < STAYING; i++) {
      const reply = i % 2 === 0 ? undefined : stayingReply(i);
      assert.notEqual(connections.create(staying(i), 1e9, reply), NONE);
    }
    const state = shared(3);
    const results = await run(rig, ['forward', 'forward', 'sweep', 'seek'], state);
    assert.ok(results.every((n) => (n as number) > 0));

    const live = walk(rig);
    assert.ok(live >= STAYING);
    assert.equal(exports.connectionCount(), live);
    assert.equal(exports.zoneCount(ZONE), live - STAYING);
    assert.equal(counted(rig, COUNT_CT_REMOVED + REMOVED_FLUSHED), state[REMOVED]);
    const removed = [REMOVED_EXPIRED, REMOVED_REPLACED, REMOVED_FLUSHED].map((reason) =>
      counted(rig, COUNT_CT_REMOVED + reason),
    );
    assert.equal(counted(rig, COUNT_CT_CREATED) - removed.reduce((a, b) => a + b), live);

    rig.datapath.setClock(1e9);
    for (let i = 0; i < 4; i++) while (exports.sweep(1000) > 0);
    assert.equal(exports.connectionCount(), 0);
    assert.equal(rig.free(POOL_CONNECTIONS), RECORDS);
  });
}

if (isMainThread) tests();
else work({ forward, sweep, seek });
