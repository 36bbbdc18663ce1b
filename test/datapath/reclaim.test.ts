/**
 * What is left of a thread that died is found wherever it was: nothing is lost, nothing has two holders, and the
 * counters add up. Here a thread dies by not being called any more.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  ARENA_MAP,
  ArenaMap,
  BATCH,
  CREATED,
  EVICTED,
  EVICTING,
  FLOW_COUNTERS_STRIDE,
  FLOW_STRIDE,
  Flow,
  FlowCounters,
  KEY_SIZE,
  Key,
  LIFE_STRIDE,
  Life,
  Lives,
  MAX_LENGTH,
  NONE,
  OP_DROP,
  OP_END,
  OP_OUTPUT,
  POOL_BLOCKS,
  POOL_FLOWS,
  POOL_FRAMES,
  POOL_LARGE_FRAMES,
  POOL_STRIDE,
  Pool,
  RING_SLOTS,
  regionAddress,
  STATE_NAMES,
  VISIBLE,
} from '../../src/datapath.ts';
import { releaseLocks } from '../../src/thread/reclaim.ts';
import type { TestDatapath } from '../support/module.ts';
import { ethernet, ipv4, udp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { pick, type Random, seeded } from '../support/seeded.ts';

const PACKET = ethernet({}, ipv4({}, udp({}, new Uint8Array(20))));
const OTHER = ethernet({}, ipv4({ src: '10.9.9.9' }, udp({}, new Uint8Array(20))));
const ANY = new Uint8Array(KEY_SIZE);

/** What matches all packets of a port. */
function portMask(port: number): [mask: Uint8Array, key: Uint8Array] {
  const [mask, key] = [new Uint8Array(KEY_SIZE), new Uint8Array(KEY_SIZE)];
  mask.fill(0xff, Key.inPort, Key.inPort + 2);
  key[Key.inPort] = port;
  return [mask, key];
}

const HANDLER = 2;

/** Two datapath threads and the handler; port 1 is the first's, port 2 the second's. */
function switchRig(frames = 1024): Rig {
  const rig = new Rig({ threads: 3, frames });
  rig.ports.open(1, 0, MAX_LENGTH);
  rig.ports.open(2, 1, MAX_LENGTH);
  return rig;
}

const flow = (rig: Rig, ...program: number[]): number =>
  rig.handler.install(ANY, ANY, Uint32Array.of(...program, OP_END));

/** The live threads send what they have, and the successor of the dead one what is left for it. */
function finish(rig: Rig): void {
  for (let round = 0; round < 2; round++) {
    for (const datapath of rig.threads.slice(0, 2)) {
      datapath.exports.collect();
      rig.transmit(datapath);
    }
    rig.dropMisses(0);
  }
}

test('frames in hand are free again, and those that were received are dropped as thread_died', () => {
  const rig = switchRig();
  const [first] = rig.threads as [TestDatapath];
  rig.receive(1, [OTHER]); // no flow: waits for the handler
  flow(rig, OP_OUTPUT, 2, OP_OUTPUT, 1);
  rig.receive(1, [PACKET, PACKET]); // in transmit queues, two of them copies
  first.takeFrame(100);
  first.takeFrame(4000);
  assert.deepEqual(rig.bury(0), { packets: 2, copies: 2, frames: 6, flows: 0, connections: 0 });
  finish(rig);
  const totals = rig.checkFates();
  assert.deepEqual(totals.dropped, { thread_died: 2, eth_truncated: 1 });
  assert.deepEqual(totals.copiesDropped, { thread_died: 2 });
  assert.equal(totals.threadRestarts, 1);
});

test('what is in rings goes on, to and from the dead thread', () => {
  const rig = switchRig();
  flow(rig, OP_OUTPUT, 2);
  rig.receive(1, [PACKET, PACKET, PACKET]);
  rig.transmit(); // through the ring to the second thread
  assert.deepEqual(rig.bury(0), { packets: 0, copies: 0, frames: 0, flows: 0, connections: 0 });
  assert.deepEqual(rig.bury(1), { packets: 0, copies: 0, frames: 0, flows: 0, connections: 0 });
  finish(rig);
  assert.equal(rig.checkFates().forwarded, 3);
});

for (const dead of [0, 1]) {
  test(`a miss that its handler does not see yet, for what is before it is held back, goes on when thread ${dead} dies`, () => {
    const rig = switchRig(4096);
    rig.handler.install(...portMask(1), Uint32Array.of(OP_OUTPUT, 2, OP_END));
    rig.ports.open(3, 0, MAX_LENGTH);
    for (let i = 0; i <= RING_SLOTS / BATCH; i++) {
      rig.receive(1, Array(BATCH).fill(PACKET)); // the last batch does not fit the ring to the second thread
      rig.transmit();
    }
    rig.receive(3, [OTHER]);
    assert.equal(rig.handler.exports.takeMisses(), 0);
    const { packets } = rig.bury(dead);
    assert.equal(packets, dead === 0 ? BATCH : 0);
    for (let i = 0; i < 3; i++) finish(rig); // of a full ring a quarter is taken at a time
    const { forwarded, dropped } = rig.checkFates();
    assert.equal(forwarded, RING_SLOTS + BATCH - packets);
    assert.equal(dropped.eth_truncated, 1);
  });
}

test('a frame taken from a ring by a thread that died before it said so is found', () => {
  const rig = switchRig();
  flow(rig, OP_OUTPUT, 2);
  rig.receive(1, [PACKET]);
  rig.transmit();
  const { exports } = rig.threads[1]!;
  const ring = exports.ringBetween(0, 1);
  assert.equal(exports.available(ring), 1);
  exports.get(ring);
  assert.deepEqual(rig.bury(1), { packets: 1, copies: 0, frames: 1, flows: 0, connections: 0 });
  rig.checkFates();
});

test('numbers on their way between the stack and a cache of a dead thread are found', () => {
  const rig = switchRig();
  const { exports, u32 } = rig.datapath;
  const pool = regionAddress(rig.arena, 'pools') + POOL_FRAMES * POOL_STRIDE;
  exports.acquire(pool, 0);
  u32[(pool + Pool.free) >> 2]! -= 64;
  assert.equal(releaseLocks(rig.arena, 0), 1);
  assert.equal(u32[pool >> 2], 0);
  assert.equal(rig.bury(0).frames, 64);
  rig.checkFates();
});

test('every lock of the dead thread is released, and no other', () => {
  const rig = switchRig();
  const { exports, u32 } = rig.datapath;
  const pools = regionAddress(rig.arena, 'pools');
  const classifier = ARENA_MAP + ArenaMap.classifierLock;
  exports.acquire(classifier, 0);
  exports.acquire(pools + POOL_FLOWS * POOL_STRIDE, 0);
  exports.acquire(pools + POOL_LARGE_FRAMES * POOL_STRIDE, 1);
  assert.equal(releaseLocks(rig.arena, 0), 2);
  assert.deepEqual([u32[classifier >> 2], u32[(pools + POOL_LARGE_FRAMES * POOL_STRIDE) >> 2]], [0, 2]);
});

test('a dead thread holds no epoch back, and is not thought to have ports ready', () => {
  const rig = switchRig();
  flow(rig, OP_OUTPUT, 2, OP_OUTPUT, 1);
  const number = rig.handler.install(new Uint8Array(KEY_SIZE).fill(255), ANY, Uint32Array.of(OP_END));
  rig.receive(1, [PACKET]);
  rig.bury(0);
  assert.equal(rig.transmit().size, 0);
  rig.handler.exports.remove(number);
  for (let i = 0; i < 4; i++) rig.handler.exports.reclaim();
  assert.equal(rig.free(POOL_FLOWS), rig.arena.limits.flows - 1);
  rig.checkFates();
});

test('flows of a dead handler stay until the next one removes them; half-made and retired ones are free', () => {
  const rig = switchRig();
  const { handler } = rig;
  const mask = (byte: number) => new Uint8Array(KEY_SIZE).fill(byte, 0, 4);
  const long = Uint32Array.from([...Array.from({ length: 200 }, () => [OP_DROP, 0]).flat(), OP_END]);
  const kept = handler.install(mask(0), ANY, long);
  handler.exports.remove(handler.install(mask(1), ANY, long)); // waits for its epoch
  handler.exports.take(HANDLER, POOL_FLOWS);
  handler.exports.take(HANDLER, POOL_BLOCKS);
  // Died in `link`, after the flow said that it is live and before it was in its bucket.
  const linking = handler.exports.take(HANDLER, POOL_FLOWS);
  const generation = (regionAddress(rig.arena, 'flows') + linking * FLOW_STRIDE + Flow.generation) >> 2;
  handler.u32[generation]!++;

  assert.equal(rig.bury(HANDLER).flows, 3);
  assert.equal(handler.u32[generation]! & 1, 0);
  assert.equal(rig.observer.liveFlows(), 1);
  assert.equal(rig.free(POOL_FLOWS), rig.arena.limits.flows - 1);
  rig.receive(1, [PACKET]);
  assert.equal(rig.observer.flow(kept).packets, 1, 'it still takes packets');

  handler.exports.remove(kept);
  rig.reclaim();
  rig.checkNoFlows();
  assert.notEqual(handler.install(mask(1), ANY, long), NONE, 'and there is room again');
});

const RULE_0 = { version: 0, learned: 0, flags: 0, effects: Uint32Array.of(0) };

/** A word of a flow's life, as an index of `u32`. */
const lifeWord = (rig: Rig, number: number, field: number): number =>
  (regionAddress(rig.arena, 'lives') + number * LIFE_STRIDE + field) >> 2;

/** A thread beside the handler that has to do with flows. */
const REVALIDATOR = 1;

/** Tidies up after the revalidator alone: of the others none has anything in hand. */
function buryRevalidator(rig: Rig): number {
  const { exports } = rig.threads[REVALIDATOR]!;
  exports.releaseLocks();
  const flows = exports.reclaimFlows();
  exports.reset();
  return flows;
}

test('flows that a dead thread had retired are credited and free, those of others are left to them', () => {
  const rig = switchRig();
  const { handler, observer } = rig;
  const mask = (byte: number) => new Uint8Array(KEY_SIZE).fill(byte, 32, 36);
  const install = (n: number) => handler.install(mask(n), ANY, Uint32Array.of(OP_DROP, 0, OP_END), RULE_0);
  const [first, second] = [install(0), install(1)];
  rig.threads[REVALIDATOR]!.exports.remove(first);
  handler.exports.remove(second);
  for (const number of [first, second]) count(rig, number, 5); // by a batch that had them in hand
  assert.equal(buryRevalidator(rig), 1);
  assert.equal(observer.rule(0).packets, 5);
  assert.equal(rig.free(POOL_FLOWS), rig.arena.limits.flows - 1);
  rig.reclaim();
  assert.equal(observer.rule(0).packets, 10);
  rig.checkNoFlows();
});

function count(rig: Rig, number: number, packets: number): void {
  const at = regionAddress(rig.arena, 'flowCounters') + number * FLOW_COUNTERS_STRIDE;
  rig.datapath.u64[(at + FlowCounters.packets) >> 3]! += BigInt(packets);
}

for (const [state, hidden, after] of [
  [CREATED, false, VISIBLE],
  [EVICTING, false, EVICTED],
  [EVICTING, true, EVICTED],
] as const) {
  test(`a linked flow that a dead thread left ${STATE_NAMES[state]} and ${hidden ? 'hidden' : 'live'} is ${STATE_NAMES[after]}`, () => {
    const rig = switchRig();
    const { handler, observer } = rig;
    const lives = new Lives(rig.arena);
    const number = handler.install(ANY, ANY, Uint32Array.of(OP_DROP, 0, OP_END), RULE_0);
    count(rig, number, 3);
    handler.u32[lifeWord(rig, number, Life.lock)] = REVALIDATOR + 1;
    handler.u32[lifeWord(rig, number, Life.state)] = state;
    const generation = (regionAddress(rig.arena, 'flows') + number * FLOW_STRIDE + Flow.generation) >> 2;
    if (hidden) handler.u32[generation]!++;
    assert.equal(buryRevalidator(rig), 0);
    assert.equal(lives.of(number).state, after);
    assert.equal(handler.u32[lifeWord(rig, number, Life.lock)], 0);
    assert.equal(observer.liveFlows(), after === VISIBLE ? 1 : 0);
    assert.equal(handler.u32[generation]! & 1, after === VISIBLE ? 1 : 0);
    assert.ok(handler.exports.remove(number));
    rig.reclaim();
    assert.equal(observer.rule(0).packets, 3);
    rig.checkNoFlows();
  });
}

test('the effects of a flow that stays keep their blocks when a thread dies', () => {
  const rig = switchRig();
  const effects = Uint32Array.from({ length: 100 }, () => 0);
  const number = rig.handler.install(ANY, ANY, Uint32Array.of(OP_DROP, 0, OP_END), { ...RULE_0, effects });
  const free = rig.free(POOL_BLOCKS);
  rig.handler.exports.take(REVALIDATOR, POOL_BLOCKS);
  buryRevalidator(rig);
  assert.equal(rig.free(POOL_BLOCKS), free);
  count(rig, number, 1);
  rig.handler.exports.remove(number);
  assert.equal(rig.observer.rule(0).packets, 100);
  rig.reclaim();
  rig.checkNoFlows();
});

/** Something a thread does, or half does. */
const DEEDS: readonly ((rig: Rig, datapath: TestDatapath, random: Random) => void)[] = [
  (rig, datapath, random) =>
    rig.receive(
      1 + datapath.thread,
      Array.from({ length: 1 + random.below(40) }, () => PACKET),
      datapath,
    ),
  (rig, datapath) => rig.transmit(datapath),
  (_, { exports }) => exports.flush(),
  (_, { exports }) => exports.collect(),
  (rig) => void rig.dropMisses(0),
  (_, { exports }) => exports.giveFrame(exports.takeFrame(64)),
  (_, { exports }) => void exports.takeFrame(64),
];

test('whenever a thread dies, every frame and every packet is accounted for', () => {
  seeded((random) => {
    const rig = switchRig();
    flow(rig, OP_OUTPUT, 1, OP_OUTPUT, 2);
    for (let life = 0; life < 200; life++) {
      const datapath = rig.threads[random.below(2)]!;
      const other = rig.threads[1 - datapath.thread]!;
      for (let n = random.below(8); n > 0; n--) pick(random, DEEDS.slice(0, 2))(rig, other, random);
      for (let n = random.below(8); n > 0; n--) pick(random, DEEDS)(rig, datapath, random);
      // The other comes to the end of its round.
      rig.transmit(other);
      rig.bury(datapath.thread);
      if (random.below(4) === 0) {
        finish(rig);
        rig.checkFates();
      }
    }
  })();
});
