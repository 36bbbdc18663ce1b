/**
 * A limit is exact: an expired connection never counts, though nobody has swept it up, and a live one always does.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import { BATCH, NONE, regionAddress } from '../../src/datapath.ts';
import { Connections, type Ends } from '../support/connections.ts';
import { crew, type Job, shared, work } from '../support/crew.ts';
import { Rig } from '../support/rig.ts';

const MOST = 5000;
const LIFE_MS = 1000;

const ends = (i: number, zone = 0): Ends => ({ src: 1 + i, dst: 2, srcPort: 7, dstPort: 80, zone });

/** Two threads that forward and one that sweeps, when the two have made as many connections as may be. */
function fullRig(most = MOST): { rig: Rig; first: Connections; second: Connections; numbers: number[] } {
  const rig = new Rig({ threads: 3, connections: most });
  const [first, second] = rig.threads.map((datapath) => new Connections(datapath)) as [
    Connections,
    Connections,
  ];
  const numbers = Array.from({ length: most }, (_, i) => create(i % 2 === 0 ? first : second, ends(i)));
  assert.ok(!numbers.includes(NONE));
  assert.equal(create(first, ends(most)), NONE, 'one more than there may be');
  return { rig, first, second, numbers };
}

/** Each within a batch of its own. */
function create(connections: Connections, tuple: Ends, lifeMs = LIFE_MS): number {
  const { exports, nowMs } = connections.datapath;
  exports.enter();
  const number = connections.create(tuple, nowMs + lifeMs);
  exports.leave();
  return number;
}

function sweepAll(rig: Rig): void {
  while (rig.handler.exports.sweep(1000) > 0);
}

function setClocks(rig: Rig, nowMs: number): void {
  for (const datapath of rig.threads) datapath.setClock(nowMs);
}

function makeAll(connections: Connections): void {
  for (let i = 0; i < MOST; i++) assert.notEqual(create(connections, ends(MOST + i)), NONE, `the ${i}th`);
  assert.equal(create(connections, ends(2 * MOST)), NONE, 'one more than there may be');
  assert.equal(connections.datapath.exports.connectionCount(), MOST);
}

const tests = (): void => {
  for (const wasSwept of [false, true]) {
    const known = wasSwept ? 'once the sweeper knows them' : 'unless the sweeper knows them';
    test(`when all connections have expired as many are made again, ${known}`, () => {
      const { rig, first } = fullRig();
      if (wasSwept) sweepAll(rig);
      setClocks(rig, LIFE_MS);
      makeAll(first);
    });
  }

  test('they are made while another thread has the wheel, and goes on', () => {
    const { rig, first, second } = fullRig();
    setClocks(rig, LIFE_MS);
    const wheel = regionAddress(rig.arena, 'wheel');
    const spare = 200; // what has been removed stays with the sweeper
    second.datapath.exports.acquire(wheel, second.datapath.thread);
    for (let i = 0; i < spare; i++) assert.notEqual(create(first, ends(MOST + i)), NONE, `the ${i}th`);
    second.datapath.exports.release(wheel);
  });

  test('one that has expired is found behind many that were refreshed', () => {
    const { rig, first, numbers } = fullRig(1500);
    sweepAll(rig);
    const [expired] = numbers.splice(700, 1);
    for (const number of numbers) first.datapath.exports.expireAt(first.address(number), 2 * LIFE_MS);
    setClocks(rig, LIFE_MS);
    assert.notEqual(create(first, ends(MOST)), NONE);
    assert.ok(!first.isLive(expired!));
    assert.equal(create(first, ends(MOST + 1)), NONE);
  });

  test('the same holds for a zone', () => {
    const rig = new Rig({ threads: 2, connections: MOST });
    const connections = new Connections(rig.datapath);
    rig.handler.exports.setZoneLimit(5, 10);
    for (let i = 0; i < 1000; i++) create(connections, ends(i), LIFE_MS / 2);
    for (let i = 0; i < 10; i++) create(connections, ends(i, 5));
    assert.equal(create(connections, ends(10, 5)), NONE);
    setClocks(rig, LIFE_MS);
    for (let i = 0; i < 10; i++) assert.notEqual(create(connections, ends(100 + i, 5)), NONE, `the ${i}th`);
    assert.equal(create(connections, ends(200, 5)), NONE);
  });

  for (const third of ['watch', 'sweep']) {
    test(`two threads at a time make as many as have expired, while a third does ${third}`, async () => {
      const { rig } = fullRig();
      setClocks(rig, LIFE_MS);
      await crew(import.meta.url, rig.arena, ['make', 'make', third], shared(1), 1);
      assert.equal(rig.datapath.exports.connectionCount(), MOST);
    });
  }
};

/** Makes half of them, in batches, of which the first has to succeed as a whole. */
const make: Job = (datapath, done) => {
  const connections = new Connections(datapath);
  for (let made = 0; made < MOST / 2; ) {
    datapath.exports.enter();
    for (let i = 0; i < BATCH && made < MOST / 2; i++) {
      const tuple = ends(MOST + 2 * made + datapath.thread);
      // A record that was removed is used again when all threads have begun another batch, and that may take a while.
      if (connections.create(tuple, 2 * LIFE_MS) !== NONE) made++;
      else assert.ok(made >= BATCH, `only ${made} were made at once`);
    }
    datapath.exports.leave();
  }
  Atomics.add(done, 0, 1);
};

const watch: Job = ({ exports }, done) => {
  while (Atomics.load(done, 0) < 2) assert.ok(exports.connectionCount() <= MOST);
};

const sweep: Job = ({ exports }, done) => {
  while (Atomics.load(done, 0) < 2) exports.sweep(256);
};

if (isMainThread) tests();
else work({ make, watch, sweep });
