/**
 * The lives of flows on real threads: packets come, a handler installs flows for them, another thread installs the same,
 * two revalidators evict and sweep them, and one looks on.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import {
  BATCH,
  type DumpOrders,
  EVICT_NONE,
  type FlowAbout,
  KEY_SIZE,
  Lives,
  NONE,
  OP_DROP,
  OP_END,
} from '../../src/datapath.ts';
import { crew, type Job, shared, work } from '../support/crew.ts';
import type { TestDatapath } from '../support/module.ts';
import { ethernet } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, Random } from '../support/seeded.ts';

const BATCHES = 6000;
const IDS = 24;
const FLOWS = 1536;
const ETH_DST = 8;
const REASON = 0;
const PACKETS = Array.from({ length: IDS }, (_, id) =>
  ethernet({ dst: `02:00:00:00:00:${id.toString(16).padStart(2, '0')}` }, new Uint8Array(50)),
);
const LENGTH = PACKETS[0]!.length;
const MASK = new Uint8Array(KEY_SIZE).fill(0xff, ETH_DST, ETH_DST + 6);
const PROGRAMS = [1, 40].map((drops) =>
  Uint32Array.from([...Array.from({ length: drops }, () => [OP_DROP, REASON]).flat(), OP_END]),
);
const PROGRAM = PROGRAMS[0]!;
/** All flows credit rule 0; often enough that the words go on in blocks. */
const EFFECTS = [Uint32Array.of(0), Uint32Array.from([0, ...Array.from({ length: 40 }, () => 1)])];

/** What is shared beside the arena. */
const DONE = 0;

const about = (random: Random): FlowAbout => ({
  version: 0,
  learned: 0,
  flags: 0,
  effects: EFFECTS[random.below(2)]!,
});

const orders = (random: Random): DumpOrders => ({
  revalidators: 1,
  index: 0,
  version: random.below(2),
  learned: 0,
  killsAll: chance(random, 0.05),
  purges: chance(random, 0.05),
  minPacketsPerSecond: 0,
  maxIdleMs: 1e9,
  lastDumpMs: 0,
  maxDumpMs: 500,
});

const send: Job = (datapath, state, seed) => {
  const { exports } = datapath;
  const random = new Random(seed);
  for (let i = 0; i < BATCHES; i++) {
    exports.collect();
    while (exports.resume() > 0);
    let n = 0;
    for (; n < BATCH; n++) {
      const frame = datapath.takeFrame(LENGTH);
      if (frame === NONE) break;
      datapath.u8.set(PACKETS[random.below(IDS)]!, datapath.dataAddress(frame));
      datapath.receive(n, 1, frame, LENGTH);
    }
    if (n > 0) exports.process(1, n);
    if (chance(random, 0.2)) exports.leave();
  }
  exports.leave();
  Atomics.store(state, DONE, 1);
};

const handle: Job = (datapath, state, seed) => {
  const { exports } = datapath;
  const random = new Random(seed);
  while (!Atomics.load(state, DONE)) {
    const misses = exports.takeMisses();
    for (let i = 0; i < misses; i++) {
      let number = exports.flowOfMiss(i) >>> 0;
      if (number === NONE) number = datapath.install(MASK, datapath.key(i), PROGRAM, about(random));
      if (number !== NONE) {
        exports.actByFlow(i, number);
      } else {
        exports.creditPackets(0, 1, LENGTH, 1);
        datapath.actByProgram(i, PROGRAM);
      }
    }
    exports.noteDone();
    exports.leave();
    exports.reclaim();
  }
};

/** Dumps and sweeps everything; the first of the revalidators begins the dumps, the second installs flows too. */
const revalidate: Job = (datapath, state, seed) => {
  const { exports } = datapath;
  const random = new Random(seed);
  const key = new Uint8Array(KEY_SIZE);
  while (!Atomics.load(state, DONE)) {
    if (datapath.thread === 1) exports.beginDump();
    const said = orders(random);
    for (let from = 0; from !== NONE; ) from = follow(datapath, random, datapath.dumpStep(said, from));
    for (let from = 0; from !== NONE; ) from = follow(datapath, random, datapath.sweepStep(said, from));
    exports.reclaim();
    if (datapath.thread === 1) continue;
    key.set([2, 0, 0, 0, 0, random.below(IDS)], ETH_DST);
    datapath.install(MASK, key, PROGRAM, about(random));
  }
};

function follow(
  datapath: TestDatapath,
  random: Random,
  { due, next }: ReturnType<TestDatapath['dumpStep']>,
): number {
  for (const { flow, serial } of due) {
    const doing = random.below(6);
    if (doing < 2) datapath.renewFlow(flow, serial, PROGRAMS[doing]!, about(random));
    else if (doing === 2) datapath.exports.failFlow(flow, serial);
    else if (doing === 3) datapath.exports.evictFlow(flow, serial, EVICT_NONE);
  }
  return next;
}

/** No life goes back: how often it saw one go on. */
const watch: Job = (datapath, state) => {
  const lives = new Lives(datapath.arena);
  const last = new Map<number, { serial: number; state: number }>();
  let moves = 0;
  while (!Atomics.load(state, DONE)) {
    for (let flow = 0; flow < FLOWS; flow++) {
      const { serial, state: now } = lives.of(flow);
      if (serial === 0 || lives.of(flow).serial !== serial) continue;
      const before = last.get(flow);
      if (before?.serial === serial) assert.ok(now >= before.state, `${now} after ${before.state}`);
      else if (before) assert.ok(serial > before.serial, 'a life of before');
      if (before?.state !== now) moves++;
      last.set(flow, { serial, state: now });
    }
  }
  return moves;
};

function tests(): void {
  test('every packet is credited once, no life goes back, and every record comes back', async () => {
    const rig = new Rig({ threads: 5, flows: FLOWS, frames: 4096, rules: 2 });
    rig.open(1);
    const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
    const jobs = ['send', 'revalidate', 'revalidate', 'watch', 'handle'];
    try {
      const [, , , moves] = await crew(import.meta.url, rig.arena, jobs, shared(1), seed);
      assert.ok((moves as number) > 0);
      let waiting = 0; // no flow acted on these
      for (let n = rig.dropMisses(REASON); n > 0; n = rig.dropMisses(REASON)) {
        waiting += n;
        rig.catchUp();
      }
      for (let flow = 0; flow < FLOWS; flow++) rig.handler.exports.remove(flow);
      rig.reclaim();
      rig.checkNoFlows();
      const { dropped, received } = rig.observer.totals();
      const name = Object.keys(dropped).find((key) => key !== 'upcall_queue_full')!;
      const acted = dropped[name]! - waiting;
      assert.equal(received, dropped[name]! + (dropped.upcall_queue_full ?? 0));
      const { packets, bytes } = rig.observer.rule(0);
      assert.deepEqual([packets, bytes], [acted, acted * LENGTH]);
      assert.equal(new Lives(rig.arena).refused, 0);
      const { upcall_ukey_replace } = rig.observer.coverage();
      assert.ok(upcall_ukey_replace! > 0, 'or nothing was replaced');
    } catch (error) {
      if (error instanceof Error) error.message += `\n(jobs drew from SEED=${seed})`;
      throw error;
    }
  });
}

if (isMainThread) tests();
else work({ send, handle, revalidate, watch });
