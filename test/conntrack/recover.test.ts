/** What a thread that died left of connections is put right: those that live stay, all else is free again. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  Connection,
  NONE,
  POOL_CACHE,
  POOL_CONNECTIONS,
  REMOVED_FLUSHED,
  regionAddress,
} from '../../src/datapath.ts';
import { releaseLocks } from '../../src/thread/reclaim.ts';
import { Connections, type Ends, ORIGINAL, REPLY, reverse } from '../support/connections.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';

const THREADS = 3;
const MOST = 64;
const A: Ends = { src: 1, dst: 2, srcPort: 1000, dstPort: 80, zone: 0 };
const TRANSLATED: Ends = { src: 2, dst: 9, srcPort: 80, dstPort: 4000, zone: 0 };

function connectionsRig(): { rig: Rig; first: Connections; second: Connections } {
  const rig = new Rig({ threads: THREADS, connections: MOST });
  const [first, second] = rig.threads.map((datapath) => new Connections(datapath)) as [
    Connections,
    Connections,
  ];
  return { rig, first, second };
}

/** Sweeps until nothing is left to do; nobody is in a batch. */
function sweepAll(rig: Rig): void {
  for (const { exports } of rig.threads) exports.leave();
  for (let i = 0; i < 4; i++) while (rig.handler.exports.sweep(1000) > 0);
}

test('locks of shards and connections that the dead thread held are released; what it was changing is over', () => {
  const { rig, first, second } = connectionsRig();
  const [mine, others] = [first.create(A, 1000), second.create({ ...A, src: 3 }, 1000)];
  const shards = regionAddress(rig.arena, 'connectionShards');
  first.datapath.exports.acquire(shards, 0);
  first.datapath.exports.acquire(first.address(mine), 0);
  second.datapath.exports.acquire(second.address(others), 1);
  assert.equal(releaseLocks(rig.arena, 0), 2);
  const { u32 } = rig.datapath;
  assert.deepEqual([u32[shards >> 2], u32[first.address(mine) >> 2]], [0, 0]);
  assert.equal(u32[second.address(others) >> 2], 2);
  assert.deepEqual([first.lookUp(A), second.lookUp({ ...A, src: 3 })], [NONE, others * 2]);
});

test('what the dead thread was making is free, with its reservation and its places; what lives is found', () => {
  const { rig, first, second } = connectionsRig();
  const { exports } = first.datapath;
  exports.setZoneLimit(0, 3);
  const live = first.create(A, 1000, TRANSLATED);
  const [making, reserved] = [exports.takeConnection(), exports.takeConnection()];
  const reply = { ...TRANSLATED, dstPort: 5000 };
  first.fill(making, { ...A, src: 3 }, undefined, 1000);
  first.fill(reserved, { ...A, src: 4 }, reply, 1000);
  assert.deepEqual([exports.admit(making), exports.admit(reserved), exports.reserve(reserved)], [1, 1, 1]);
  assert.equal(second.create(reply, 1000), NONE);

  assert.equal(rig.bury(0).connections, 2);
  assert.deepEqual([exports.connectionCount(), exports.zoneCount(0)], [1, 1]);
  assert.equal(rig.free(POOL_CONNECTIONS), MOST + THREADS * POOL_CACHE - 1);
  assert.deepEqual([second.lookUp(A), second.lookUp(TRANSLATED)], [live * 2 + ORIGINAL, live * 2 + REPLY]);
  assert.notEqual(second.create(reply, 1000), NONE);
});

test('connections are counted also beyond a limit that has come down', () => {
  const { rig, first, second } = connectionsRig();
  for (let src = 10; src < 15; src++) assert.notEqual(second.create({ ...A, src }, 1000), NONE);
  const { exports } = second.datapath;
  exports.setConnectionLimit(2);
  assert.equal(rig.bury(0).connections, 0);
  assert.deepEqual([exports.connectionCount(), exports.connectionLimit()], [5, 2]);
  assert.equal(first.create(A, 1000), NONE);
  rig.handler.setClock(1000);
  sweepAll(rig);
  assert.equal(exports.connectionCount(), 0);
});

test('a connection whose removal the dead thread began is gone, its entries too', () => {
  const { rig, first, second } = connectionsRig();
  const number = first.create(A, 1000, TRANSLATED);
  Atomics.add(rig.datapath.u32, (first.address(number) + Connection.generation) >> 2, 1);
  assert.equal(rig.bury(0).connections, 1);
  assert.equal(rig.datapath.exports.connectionCount(), 0);
  for (let i = 0; i < 200; i++) {
    const next = second.create(A, 1000, TRANSLATED);
    assert.equal(second.lookUp(TRANSLATED), next * 2 + REPLY);
    second.datapath.exports.removeConnection(next, second.generation(next), REMOVED_FLUSHED);
    sweepAll(rig);
  }
});

test('after a death while sweeping, connections still expire when they should', () => {
  const { rig, first, second } = connectionsRig();
  const { exports } = second.datapath;
  for (const [i, expiresMs] of [100, 200, 1e6].entries()) first.create({ ...A, src: 3 + i }, expiresMs);
  assert.ok(exports.sweep(2) === 2);
  first.datapath.exports.acquire(regionAddress(rig.arena, 'wheel'), 0);
  assert.equal(exports.sweep(10), 0, 'whoever sweeps keeps others out');
  assert.equal(releaseLocks(rig.arena, 0), 0, 'what it was turning is not whole');
  rig.bury(0);
  for (const [nowMs, left] of [
    [100, 2],
    [200, 1],
    [1e6, 0],
  ] as const) {
    for (const datapath of rig.threads) datapath.setClock(nowMs);
    sweepAll(rig);
    assert.equal(exports.connectionCount(), left);
  }
  assert.equal(rig.free(POOL_CONNECTIONS), MOST + THREADS * POOL_CACHE);
});

/** Does something with connections, or half of it. */
function act(connections: Connections, random: Random, all: boolean): void {
  const { exports, u32 } = connections.datapath;
  exports.enter();
  const end = (): number => 1 + random.below(4);
  const tuple = { src: end(), dst: end(), srcPort: end(), dstPort: end(), zone: random.below(2) };
  const reply = chance(random, 0.5) ? { ...reverse(tuple), dst: 9 + random.below(3) } : undefined;
  const found = connections.lookUp(tuple);
  if (found !== NONE) {
    const generation = connections.generation(found >>> 1);
    if (all) exports.removeConnection(found >>> 1, generation, REMOVED_FLUSHED);
    else u32[(connections.address(found >>> 1) + Connection.generation) >> 2]!++;
  } else if (all) {
    connections.create(tuple, connections.datapath.nowMs + 1 + random.below(1000), reply);
  } else {
    const number = exports.takeConnection() >>> 0;
    if (number === NONE) return;
    connections.fill(number, tuple, reply, 1e6);
    if (chance(random, 0.7)) exports.admit(number);
    if (chance(random, 0.7) && reply) exports.reserve(number);
  }
}

test(
  'whenever a thread dies, every connection and every record is accounted for',
  seeded((random) => {
    const { rig, first, second } = connectionsRig();
    const { exports } = rig.handler;
    exports.setZoneLimit(1, 10);
    for (let life = 0; life < 300; life++) {
      for (const datapath of rig.threads) datapath.setClock(100 * life);
      for (let n = random.below(10); n > 0; n--) act(pick(random, [first, second]), random, true);
      exports.sweep(random.below(20));
      for (let n = random.below(4); n > 0; n--) act(first, random, false);
      rig.bury(0);
      const live: number[] = [];
      for (let n = 0; n < MOST + THREADS * POOL_CACHE; n++) if (first.isLive(n)) live.push(n);
      assert.equal(exports.connectionCount(), live.length);
      assert.equal(rig.free(POOL_CONNECTIONS), MOST + THREADS * POOL_CACHE - live.length);
      second.datapath.setClock(0);
      for (const number of live) {
        for (const direction of [ORIGINAL, REPLY]) {
          const at = second.tupleAddress(number, direction);
          const found = second.datapath.exports.lookUp(at, second.datapath.exports.hashTuple(at));
          assert.equal(found >>> 1, number);
        }
      }
    }
    for (const datapath of rig.threads) datapath.setClock(1e9);
    sweepAll(rig);
    assert.deepEqual([exports.connectionCount(), exports.zoneCount(1)], [0, 0]);
    assert.equal(rig.free(POOL_CONNECTIONS), MOST + THREADS * POOL_CACHE);
  }),
);
