/** Connections are made, found, limited, expire and go: held against maps and sets, and by what a packet sees. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  COUNT_CT_CREATED,
  COUNT_CT_REMOVED,
  COUNT_CT_SHARD_LOCKS,
  COUNTERS,
  NONE,
  POOL_CONNECTIONS,
  REMOVED_EXPIRED,
  REMOVED_FLUSHED,
  regionAddress,
  SHARDS,
  TUPLE_TAKEN,
} from '../../src/datapath.ts';
import { Connections, type Ends, ORIGINAL, REPLY, reverse } from '../support/connections.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';
import { NaiveConnections } from './naive-connections.ts';

const A: Ends = { src: 1, dst: 2, srcPort: 1000, dstPort: 80, zone: 0 };
const TRANSLATED: Ends = { src: 2, dst: 9, srcPort: 80, dstPort: 4000, zone: 0 };

function connectionsRig(connections = 64, threads = 2): { rig: Rig; all: Connections[] } {
  const rig = new Rig({ threads, connections });
  const all = rig.threads.map((datapath) => new Connections(datapath));
  for (const { exports } of rig.threads) exports.enter();
  return { rig, all };
}

function setClock(rig: Rig, ms: number): void {
  for (const datapath of rig.threads) datapath.setClock(ms);
}

function counted(rig: Rig, which: number): number {
  const at = regionAddress(rig.arena, 'counters') >> 3;
  return rig.threads.reduce((sum, { u64, thread }) => sum + Number(u64[at + thread * COUNTERS + which]!), 0);
}

/** Sweeps until there is nothing to do and nothing waits for its epoch. */
function sweepAll(rig: Rig, sweeper = rig.handler): void {
  for (let i = 0; i < 4; i++) {
    while (sweeper.exports.sweep(100) > 0);
    for (const { exports } of rig.threads) exports.enter();
  }
}

test('a connection is found from both directions, by all threads', () => {
  const { all } = connectionsRig();
  const number = all[0]!.create(A, 1000);
  for (const connections of all) {
    assert.equal(connections.lookUp(A), number * 2 + ORIGINAL);
    assert.equal(connections.lookUp(reverse(A)), number * 2 + REPLY);
    assert.equal(connections.lookUp({ ...A, zone: 1 }), NONE);
  }
});

test('one that is translated is found by the reply as it comes in, not by the reverse of the original', () => {
  const { all } = connectionsRig();
  const [connections] = all as [Connections];
  const number = connections.create(A, 1000, TRANSLATED);
  assert.equal(connections.lookUp(A), number * 2 + ORIGINAL);
  assert.equal(connections.lookUp(TRANSLATED), number * 2 + REPLY);
  assert.equal(connections.lookUp(reverse(A)), NONE);
});

test('both entries of a translated connection may be in one shard', () => {
  const { rig, all } = connectionsRig();
  const [connections] = all as [Connections];
  const shard = (tuple: Ends): number => connections.hash(tuple) >>> 26;
  let port = 1;
  while (shard({ ...TRANSLATED, dstPort: port }) !== shard(A)) port++;
  const reply = { ...TRANSLATED, dstPort: port };
  const number = connections.create(A, 1000, reply);
  assert.equal(connections.lookUp(reply), number * 2 + REPLY);
  assert.equal(rig.datapath.exports.removeConnection(number, connections.generation(number), 0), 1);
  assert.deepEqual([connections.lookUp(A), connections.lookUp(reply)], [NONE, NONE]);
});

test('look-ups take no lock', () => {
  const { rig, all } = connectionsRig();
  all[0]!.create(A, 1000, TRANSLATED);
  const locks = counted(rig, COUNT_CT_SHARD_LOCKS);
  assert.ok(locks > 0 && locks < SHARDS);
  for (let i = 0; i < 100; i++) for (const tuple of [A, TRANSLATED, reverse(A)]) all[1]!.lookUp(tuple);
  assert.equal(counted(rig, COUNT_CT_SHARD_LOCKS), locks);
  all[0]!.create({ ...A, srcPort: 7 }, 1000);
  assert.equal(counted(rig, COUNT_CT_SHARD_LOCKS), locks + 1, 'and a connection that is not translated one');
});

test('a reserved reply is nobody else’s and is not found', () => {
  const { rig, all } = connectionsRig();
  const [first, second] = all as [Connections, Connections];
  const { exports } = first.datapath;
  const number = exports.takeConnection();
  first.fill(number, A, TRANSLATED, 1000);
  assert.equal(exports.reserve(number), 1);
  assert.equal(second.lookUp(TRANSLATED), NONE);
  assert.equal(second.create({ ...A, src: 5 }, 1000, TRANSLATED), NONE, 'reserved');
  assert.equal(second.create(TRANSLATED, 1000), NONE, 'nor does it become an original');
  exports.abandon(number);
  assert.notEqual(second.create(TRANSLATED, 1000), NONE);
  assert.equal(rig.free(POOL_CONNECTIONS), 64 + 2 * 128 - 1);
});

test('who comes second gets the connection of who came first', () => {
  const { rig, all } = connectionsRig();
  const number = all[0]!.create(A, 1000);
  const { exports } = rig.handler;
  const second = exports.takeConnection();
  all[1]!.fill(second, reverse(A), undefined, 1000);
  assert.equal(exports.publish(second) >>> 0, number * 2 + REPLY);
  all[1]!.fill(second, A, TRANSLATED, 1000);
  assert.equal(exports.reserve(second), 1);
  assert.equal(exports.publish(second) >>> 0, number * 2 + ORIGINAL);
  exports.abandon(second);
  assert.equal(all[1]!.lookUp(TRANSLATED), NONE);
});

test('a connection whose replies would be another’s is refused', () => {
  const { rig, all } = connectionsRig();
  all[0]!.create(A, 1000, TRANSLATED);
  const { exports } = rig.datapath;
  const number = exports.takeConnection();
  all[0]!.fill(number, reverse(TRANSLATED), undefined, 1000);
  assert.equal(exports.publish(number) >>> 0, TUPLE_TAKEN);
});

test('a connection whose time is over is not found, and its tuples are free at once', () => {
  const { rig, all } = connectionsRig();
  const [connections] = all as [Connections];
  const old = connections.create(A, 1000, TRANSLATED);
  setClock(rig, 999);
  assert.equal(connections.lookUp(A), old * 2);
  setClock(rig, 1000);
  assert.equal(connections.lookUp(A), NONE);
  const number = connections.create(TRANSLATED, 2000);
  assert.equal(connections.lookUp(TRANSLATED), number * 2);
  assert.equal(connections.isLive(old), false);
  assert.equal(rig.datapath.exports.connectionCount(), 1);
});

test('of two that remove a connection one does, and a connection made anew is safe from the old generation', () => {
  const { rig, all } = connectionsRig(1);
  const [connections] = all as [Connections];
  const number = connections.create(A, 1000);
  const generation = connections.generation(number);
  assert.equal(rig.datapath.exports.removeConnection(number, generation, REMOVED_FLUSHED), 1);
  assert.equal(rig.handler.exports.removeConnection(number, generation, REMOVED_FLUSHED), 0);
  sweepAll(rig);
  let next = NONE;
  for (let i = 0; i < 400 && next !== number; i++) {
    next = all[1]!.create(A, 1000);
    if (next !== number) rig.handler.exports.removeConnection(next, connections.generation(next), 1);
    sweepAll(rig);
  }
  assert.equal(next, number, 'the number is used again');
  assert.equal(rig.datapath.exports.removeConnection(number, generation, REMOVED_FLUSHED), 0);
  assert.equal(connections.lookUp(A), number * 2);
  assert.equal(counted(rig, COUNT_CT_REMOVED + REMOVED_FLUSHED), 1);
});

test('a number is not used again while a batch that may have seen it goes on', () => {
  const { rig, all } = connectionsRig(1);
  const [connections] = all as [Connections];
  const number = connections.create(A, 1000);
  const free = rig.free(POOL_CONNECTIONS);
  rig.datapath.exports.removeConnection(number, connections.generation(number), REMOVED_FLUSHED);
  for (let i = 0; i < 10; i++) {
    rig.handler.exports.enter();
    rig.handler.exports.sweep(100);
  }
  assert.equal(rig.free(POOL_CONNECTIONS), free, 'the first thread is still in the batch');
  sweepAll(rig);
  assert.equal(rig.free(POOL_CONNECTIONS), free + 1);
});

test('there are as many connections as the limit says, and those whose time is over do not count', () => {
  const { rig, all } = connectionsRig(8);
  const make = (port: number): number => all[port % 2]!.create({ ...A, srcPort: port }, 100 * port);
  for (let port = 1; port <= 8; port++) assert.notEqual(make(port), NONE);
  assert.equal(make(9), NONE);
  setClock(rig, 200);
  assert.deepEqual([make(9) !== NONE, make(10) !== NONE, make(11) !== NONE], [true, true, false]);
  assert.equal(counted(rig, COUNT_CT_REMOVED + REMOVED_EXPIRED), 2);
});

test('without connections nothing is found and none is made', () => {
  const { rig, all } = connectionsRig(0);
  assert.equal(all[0]!.lookUp(A), NONE);
  assert.equal(rig.datapath.exports.takeConnection() >>> 0, NONE);
  assert.equal(rig.datapath.exports.sweep(10), 0);
  assert.equal(rig.datapath.exports.sweepDueMs(), Number.POSITIVE_INFINITY);
});

const CONNECTIONS = 24;
const ZONES = [0, 1, 2];

function drawn(random: Random): Ends {
  const end = (): number => 1 + random.below(3);
  return { src: end(), dst: end(), srcPort: end(), dstPort: end(), zone: pick(random, ZONES) };
}

class Trial {
  readonly #rig: Rig;
  readonly #all: Connections[];
  readonly #random: Random;
  readonly #twin = new NaiveConnections(CONNECTIONS);
  readonly #making = new Set<number>();

  constructor(random: Random) {
    const { rig, all } = connectionsRig(CONNECTIONS, 3);
    this.#rig = rig;
    this.#all = all;
    this.#random = random;
  }

  step(): void {
    const connections = pick(this.#random, this.#all);
    connections.datapath.exports.enter();
    const deeds = [
      this.#begin,
      this.#begin,
      this.#begin,
      this.#end,
      this.#end,
      this.#end,
      this.#remove,
      this.#refresh,
      this.#wait,
      this.#limit,
    ];
    pick(this.#random, deeds).call(this, connections);
    const tuple = drawn(this.#random);
    assert.equal(connections.lookUp(tuple), this.#twin.lookUp(tuple) ?? NONE);
  }

  #lifetime(): number {
    return this.#twin.nowMs + (chance(this.#random, 0.2) ? 1e6 : 1 + this.#random.below(5000));
  }

  /** A connection is taken, and if it may be made, reserved. */
  #begin(connections: Connections): void {
    const { exports } = connections.datapath;
    const { hasRoom } = this.#twin;
    const number = exports.takeConnection() >>> 0;
    assert.equal(number !== NONE, hasRoom, 'takeConnection');
    if (number === NONE) return;
    const original = drawn(this.#random);
    const reply = chance(this.#random, 0.5) ? { ...drawn(this.#random), zone: original.zone } : undefined;
    const expiresMs = this.#lifetime();
    connections.fill(number, original, reply, expiresMs);
    this.#twin.take(number, original, reply, expiresMs);
    this.#making.add(number);
    const mayBe = this.#twin.admit(number);
    assert.equal(exports.admit(number) === 1, mayBe, 'admit');
    if (!mayBe) return this.#abandon(connections, number);
    if (!reply) return;
    const isFree = this.#twin.ownerOf(reply) === undefined;
    assert.equal(exports.reserve(number) === 1, isFree, 'reserve');
    if (!isFree) return this.#abandon(connections, number);
    this.#twin.byNumber.get(number)!.isReserved = true;
  }

  /** One that was taken is published, if it can be. */
  #end(connections: Connections): void {
    const [number] = this.#making;
    if (number === undefined) return;
    if (chance(this.#random, 0.1)) return this.#abandon(connections, number);
    const connection = this.#twin.byNumber.get(number)!;
    // It may have waited long; a connection is not published when its time is over.
    connection.expiresMs = this.#lifetime();
    connections.datapath.f64[(connections.address(number) + 8) >> 3] = connection.expiresMs;
    const owner = this.#twin.ownerOf(connection.original);
    const other = connection.isReversed ? undefined : this.#twin.ownerOf(connection.reply);
    const result = connections.datapath.exports.publish(number) >>> 0;
    if (owner?.isLive) assert.equal(result, owner.number * 2 + owner.direction);
    else assert.equal(result, owner || other ? TUPLE_TAKEN : NONE);
    if (result !== NONE) return this.#abandon(connections, number);
    connection.isLive = true;
    this.#making.delete(number);
  }

  #abandon({ datapath }: Connections, number: number): void {
    datapath.exports.abandon(number);
    this.#making.delete(number);
    this.#twin.remove(number);
  }

  #anyLive(): number | undefined {
    this.#twin.expire();
    const live = [...this.#twin.byNumber].filter(([, { isLive }]) => isLive).map(([number]) => number);
    return live.length > 0 ? pick(this.#random, live) : undefined;
  }

  #remove(connections: Connections): void {
    const number = this.#anyLive();
    if (number === undefined) return;
    const { exports } = connections.datapath;
    assert.equal(exports.removeConnection(number, connections.generation(number), REMOVED_FLUSHED), 1);
    this.#twin.remove(number);
  }

  #refresh(connections: Connections): void {
    const number = this.#anyLive();
    if (number === undefined) return;
    const expiresMs = this.#lifetime();
    connections.datapath.exports.expireAt(connections.address(number), expiresMs);
    this.#twin.byNumber.get(number)!.expiresMs = expiresMs;
  }

  #wait(): void {
    this.#twin.nowMs += this.#random.below(chance(this.#random, 0.1) ? 1e6 : 1000);
    setClock(this.#rig, this.#twin.nowMs);
    if (chance(this.#random, 0.5)) this.check();
  }

  #limit({ datapath: { exports } }: Connections): void {
    const zone = pick(this.#random, ZONES);
    const limit = this.#random.below(8);
    switch (this.#random.below(4)) {
      case 0:
        exports.setZoneLimit(zone, limit);
        return this.#twin.setLimit(zone, limit);
      case 1:
        exports.deleteZoneLimit(zone);
        return this.#twin.deleteLimit(zone);
      case 2: {
        const most = this.#random.below(CONNECTIONS + 1);
        exports.setConnectionLimit(most);
        return this.#twin.setMost(most);
      }
      default:
        exports.setDefaultLimit(limit);
        return this.#twin.setDefault(limit);
    }
  }

  /** Once all that is due has been swept, everything is counted and free as it should be. */
  check(): void {
    sweepAll(this.#rig, pick(this.#random, this.#rig.threads));
    this.#twin.expire();
    const { exports } = this.#rig.datapath;
    const { size } = this.#twin.byNumber;
    assert.equal(exports.connectionCount(), size);
    assert.equal(this.#rig.free(POOL_CONNECTIONS), CONNECTIONS + 3 * 128 - size);
    for (const zone of ZONES) assert.equal(exports.zoneCount(zone), this.#twin.countOf(zone), `zone ${zone}`);
    const live = [...this.#twin.byNumber.values()].filter(({ isLive }) => isLive);
    const dueMs = exports.sweepDueMs();
    assert.ok(dueMs > this.#twin.nowMs && dueMs <= Math.min(...live.map(({ expiresMs }) => expiresMs)));
    if (live.length === 0) assert.equal(dueMs, Number.POSITIVE_INFINITY);
    const created = counted(this.#rig, COUNT_CT_CREATED);
    const removed = [0, 1, 2].reduce((sum, reason) => sum + counted(this.#rig, COUNT_CT_REMOVED + reason), 0);
    assert.equal(created - removed, live.length);
  }
}

test(
  'connections come, change and go as in maps and sets',
  seeded((random) => {
    for (let i = 0; i < 20; i++) {
      const trial = new Trial(random);
      for (let step = 0; step < 2000; step++) trial.step();
      trial.check();
    }
  }),
);
