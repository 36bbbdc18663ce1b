/**
 * Threads that make, change, translate and remove connections die at any moment, one after the other, and are tidied up
 * after as the switch does it. Each time no lock is left held, no connection is half there, all counts are those of a walk
 * over all records, and every number is accounted for.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { ConnectionPackets } from '../../src/bench/connection-packets.ts';
import { LIFE, UDP } from '../../src/bench/packet-kinds.ts';
import {
  type Arena,
  BATCH,
  CT_COMMIT,
  CT_FORCE,
  CT_NAT,
  CuckooMap,
  halt,
  NETWORK_IPV4,
  POOL_CACHE,
  POOL_CACHE_STRIDE,
  POOL_CONNECTIONS,
  POOL_STRIDE,
  POOLS,
  Pool,
  PoolCache,
  regionAddress,
  resume,
  SHARD_MAP,
  SHARDS,
  TUPLE_SIZE,
  Tuple,
} from '../../src/datapath.ts';
import { parseConnectionFilter } from '../../src/table/connection-filter.ts';
import { reclaim, releaseLocks } from '../../src/thread/reclaim.ts';
import { Connections, ORIGINAL, REPLY } from '../support/connections.ts';
import { type Shared, shared } from '../support/crew.ts';
import { TestDatapath } from '../support/module.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, Random, seeded, word } from '../support/seeded.ts';

/** More find more: a thread is seldom killed in the middle of anything. */
const DEATHS = Number(process.env.DEATHS ?? 15);
/** Two that forward, and one that sweeps, flushes, and lets time go on. */
const THREADS = 3;
const SWEEPER = 2;
/** So few, of so many that are tried, that both limits are reached again and again. */
const CONNECTIONS = 180;
const ZONE_LIMIT = 160;
const RECORDS = CONNECTIONS + THREADS * POOL_CACHE;
const LONGEST_LIFE_MS = 20;

interface LifeData {
  arena: Arena;
  thread: number;
  seed: number;
  /** The switch clock. */
  clock: Shared;
}

// The threads

/** Connections are by kind of packet, so that only one kind is translated. */
const PLAIN = 0;
const TRANSLATED = 100;
const TCP = 200;
const OF_A_KIND = 100;
const OUTSIDE = { first: 0xc633_6400, last: 0xc633_6401 };

function forward(datapath: TestDatapath, random: Random, clock: Shared): () => void {
  datapath.exports.setSourceRange(OUTSIDE.first, OUTSIDE.last);
  const udp = new ConnectionPackets(datapath, UDP);
  const reply = new ConnectionPackets(datapath, { ...UDP, fromServer: true });
  const life = LIFE.map((kind) => new ConnectionPackets(datapath, kind));
  const track = (packets: ConnectionPackets, first: number, flags: number): void => {
    for (let i = 0; i < BATCH; i++) packets.placeOne(i, first + random.below(OF_A_KIND));
    packets.track(BATCH, flags);
  };
  const deeds = [
    () => track(udp, PLAIN, CT_COMMIT),
    () => track(reply, PLAIN, chance(random, 0.1) ? CT_COMMIT | CT_FORCE : CT_COMMIT),
    () => track(udp, TRANSLATED, CT_COMMIT | CT_NAT),
    () => track(pick(random, life), TCP, CT_COMMIT),
  ];
  return () => {
    datapath.setClock(Atomics.load(clock, 0));
    pick(random, deeds)();
  };
}

function tidy(datapath: TestDatapath, random: Random, clock: Shared): () => void {
  const everything = parseConnectionFilter([]);
  return () => {
    datapath.setClock(Atomics.add(clock, 0, random.below(20)));
    datapath.exports.sweep(1 + random.below(64));
    if (chance(random, 0.02)) datapath.flushConnections(random.below(RECORDS), random.below(64), everything);
  };
}

function live(): void {
  const { arena, thread, seed, clock } = workerData as LifeData;
  const datapath = new TestDatapath(arena, thread);
  const round = (thread === SWEEPER ? tidy : forward)(datapath, new Random(seed), clock);
  datapath.halt(); // its predecessor stands still
  for (let rounds = 0; ; rounds++) {
    if (datapath.hasMail()) {
      datapath.exports.leave();
      datapath.halt();
    }
    round();
    if (rounds === 0) parentPort!.postMessage('goes round');
  }
}

// The supervisor

class Ward {
  readonly #worker: Worker;
  readonly #died: Promise<unknown[]>;

  constructor(data: LifeData) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: data });
    this.#died = once(this.#worker, 'exit');
  }

  /** Throws when it ends instead. */
  async started(): Promise<void> {
    await once(this.#worker, 'message');
  }

  async kill(): Promise<void> {
    void this.#worker.terminate();
    await this.#died;
  }
}

/** Does `work` while all of `threads` stand still. */
async function atStandstill(arena: Arena, threads: readonly number[], work: () => void): Promise<void> {
  while (!halt(arena, threads, 20)) await sleep(1);
  work();
  resume(arena, threads);
}

/** As the switch does it; how many connections were being made, or had been removed. */
async function bury(arena: Arena, dead: number, others: readonly number[]): Promise<number> {
  releaseLocks(arena, dead);
  for (;;) {
    const { reclaimed } = reclaim(arena, [dead], others);
    if (reclaimed) return reclaimed[0]!.connections;
    await sleep(1);
  }
}

// The books

/** All checks, as the thread of `datapath`, which is dead. */
class Audit {
  readonly #rig: Rig;
  readonly #datapath: TestDatapath;
  readonly #connections: Connections;

  constructor(rig: Rig, dead: number) {
    this.#rig = rig;
    this.#datapath = rig.threads[dead]!;
    this.#connections = new Connections(this.#datapath);
  }

  check(nowMs: number): void {
    this.#checkLocks();
    this.#datapath.setClock(-1); // at which no connection's time is over
    const live = Array.from({ length: RECORDS }, (_, n) => n).filter((n) => this.#connections.isLive(n));
    for (const number of live) this.#checkRecord(number);
    this.#checkTuples(live);
    const { exports } = this.#datapath;
    const reversed = live.filter((number) => this.#connections.isReversed(number)).length;
    assert.equal(this.#entries(), live.length + reversed, 'entries of the table');
    assert.deepEqual([exports.connectionCount(), exports.zoneCount(0)], [live.length, live.length]);
    this.#datapath.setClock(nowMs);
    for (let i = 0; i < 4; i++) while (exports.sweep(1000) > 0);
    this.#checkNumbers();
  }

  #checkLocks(): void {
    const { arena } = this.#rig;
    const { u32 } = this.#datapath;
    const shards = arena.regions.find(({ name }) => name === 'connectionShards')!;
    const addresses = [
      ...Array.from({ length: SHARDS }, (_, i) => shards.address + i * shards.recordBytes),
      ...Array.from({ length: RECORDS }, (_, number) => this.#connections.address(number)),
      ...Array.from({ length: POOLS }, (_, i) => regionAddress(arena, 'pools') + i * POOL_STRIDE),
      regionAddress(arena, 'wheel'),
    ];
    for (const address of addresses) assert.equal(u32[address >> 2], 0, `lock at 0x${address.toString(16)}`);
  }

  /** A live connection is whole. */
  #checkRecord(number: number): void {
    const { u8, u16 } = this.#datapath;
    const [original, reply] = [ORIGINAL, REPLY].map((way) => this.#connections.tupleAddress(number, way)) as [
      number,
      number,
    ];
    for (const at of [original, reply]) {
      assert.equal(u8[at + Tuple.l3], NETWORK_IPV4);
      assert.ok([6, 17].includes(u8[at + Tuple.proto]!));
      assert.notEqual(u16[(at + Tuple.tpSrc) >> 1], 0);
    }
    const bytes = (at: number, offset: number, length: number) =>
      u8.subarray(at + offset, at + offset + length).join('.');
    assert.equal(bytes(original, Tuple.dstLow, 16), bytes(reply, Tuple.srcLow, 16), 'where it goes');
    assert.equal(bytes(original, Tuple.tpDst, 2), bytes(reply, Tuple.tpSrc, 2), 'to which port');
    const client = this.#connections.isReversed(number) ? /^198\.51\.100\.[01]$/ : /^10\.[01]\./;
    assert.match(bytes(reply, Tuple.dstLow, 4), client, 'where the reply goes');
  }

  /** Each connection is found by both its tuples, and nobody has a tuple of another. */
  #checkTuples(live: readonly number[]): void {
    const { u8, exports } = this.#datapath;
    const owners = new Map<string, number>();
    for (const number of live) {
      for (const direction of [ORIGINAL, REPLY]) {
        const at = this.#connections.tupleAddress(number, direction);
        assert.equal(exports.lookUp(at, exports.hashTuple(at)) >>> 0, 2 * number + direction, 'not found');
        const tuple = u8.subarray(at, at + TUPLE_SIZE).join();
        assert.ok(!owners.has(tuple), `${number} and ${owners.get(tuple)} have one tuple`);
        owners.set(tuple, number);
      }
    }
  }

  #entries(): number {
    const { address, recordBytes } = this.#rig.arena.regions.find(({ name }) => name === 'connectionShards')!;
    let entries = 0;
    for (let i = 0; i < SHARDS; i++) {
      entries += this.#datapath.u32[(address + i * recordBytes + SHARD_MAP + CuckooMap.count) >> 2]!;
    }
    return entries;
  }

  /** Every number is a live connection's or free, once. */
  #checkNumbers(): void {
    const { arena } = this.#rig;
    const { u32 } = this.#datapath;
    const pool = (regionAddress(arena, 'pools') + POOL_CONNECTIONS * POOL_STRIDE) >> 2;
    const stack = u32[pool + (Pool.stack >> 2)]! >> 2;
    const free = [...u32.subarray(stack, stack + u32[pool + (Pool.free >> 2)]!)];
    for (let thread = 0; thread < THREADS; thread++) {
      const caches = regionAddress(arena, 'poolCaches') + thread * POOLS * POOL_CACHE_STRIDE;
      const cache = (caches + POOL_CONNECTIONS * POOL_CACHE_STRIDE) >> 2;
      free.push(...u32.subarray(cache + 1, cache + 1 + u32[cache + (PoolCache.count >> 2)]!));
    }
    assert.equal(new Set(free).size, free.length, 'a number is free twice');
    for (let number = 0; number < RECORDS; number++) {
      assert.notEqual(this.#connections.isLive(number), free.includes(number), `number ${number}`);
    }
  }
}

const tests = (): void => {
  test(
    'whenever a thread is killed, no lock is left and what it was doing is done or undone',
    seeded(async (random) => {
      const rig = new Rig({ threads: THREADS, connections: CONNECTIONS, frames: 4096 });
      const { arena } = rig;
      rig.handler.exports.setZoneLimit(0, ZONE_LIMIT);
      const clock = shared(1);
      const start = (thread: number): Ward => new Ward({ arena, thread, seed: word(random), clock });
      const wards = rig.threads.map(({ thread }) => start(thread));
      let reclaimed = 0;
      try {
        await Promise.all(wards.map((ward) => ward.started()));
        for (let death = 0; death < DEATHS; death++) {
          await sleep(random.below(LONGEST_LIFE_MS));
          const dead = random.below(THREADS);
          const others = rig.threads.map(({ thread }) => thread).filter((thread) => thread !== dead);
          await wards[dead]!.kill();
          reclaimed += await bury(arena, dead, others);
          await atStandstill(arena, others, () => new Audit(rig, dead).check(Atomics.load(clock, 0)));
          wards[dead] = start(dead);
          await wards[dead]!.started();
        }
      } finally {
        await Promise.all(wards.map((ward) => ward.kill()));
      }
      const { ctCreated, ctExpired, ctFull, ctZoneFull } = rig.observer.totals();
      for (const count of [reclaimed, ctCreated, ctExpired, ctFull + ctZoneFull]) assert.ok(count > 0);
    }),
  );
};

if (isMainThread) tests();
else live();
