/** What the scenarios about the lives of flows share: a few flows in one bucket, and the books that must balance. */
import { OP_DROP, OP_END } from './action/opcode';
import { BATCH_SCRATCH, batch } from './batch';
import { flowCounters } from './counters';
import { changes, scratch } from './explore';
import { BUCKET_SLOTS, firstIn } from './flow/buckets';
import { classify } from './flow/classifier';
import { countersOf } from './flow/credit';
import { Dump, dumpOrders, dumpStep } from './flow/dump';
import { Flow, flowAt, flowNumber, isLive, upkeepAt } from './flow/flow';
import { ABOUT_EFFECTS, About, install } from './flow/install';
import { KEY_SIZE, Key } from './flow/key';
import {
  CREATED,
  DELETED,
  EVICTED,
  INCONSISTENT,
  lifeAt,
  REMOVAL_NONE,
  REMOVAL_QUEUED,
  REMOVAL_RETIRED,
  stateOf,
} from './flow/life';
import { RuleCounters } from './flow/rule-counters';
import { sweepStep } from './flow/sweep';
import { ARENA_MAP, ArenaMap, map, NONE } from './memory/arena';
import { enter, leave } from './memory/epoch';
import { give, POOL_CACHE_STRIDE, POOL_FLOWS, POOL_STRIDE, POOLS, Pool } from './memory/pool';
import { threadAt } from './memory/thread';

const THREADS: u32 = 4;
/** The rule that all flows credit. */
const RULE: u32 = 0;

/** How many packets have come, in all. */
function packetsAt(): usize {
  return scratch();
}

/** Where `checkLives` notes how often it met a number. */
function metAt(number: u32): usize {
  return scratch() + 1024 + ((<usize>number) << 2);
}

/**
 * Declares what lives of flows change, and gives threads 0 and 1 `each` free numbers, `apart` from each other: so few that
 * one is used again as soon as it may be.
 */
export function setUpLives(each: u32, apart: u32): void {
  changes(ARENA_MAP, offsetof<ArenaMap>());
  changes(map.threads, map.caches - map.threads);
  changes(map.flows, map.frameRecords - map.flows);
  map.bucketCount = 1;
  const pool = changetype<Pool>(map.pools + <usize>(POOL_FLOWS * POOL_STRIDE));
  pool.free = 0;
  pool.least = 0;
  pool.numbers = 2 * each * apart;
  for (let number: u32 = 0; number < 2 * each; number++) give(number & 1, POOL_FLOWS, number * apart);
}

/** A key that begins with `id`, in this thread's scratch. */
function keyOf(id: u32): usize {
  const key = batch() + BATCH_SCRATCH + KEY_SIZE;
  memory.fill(key, 0, KEY_SIZE);
  store<u32>(key, id);
  return key;
}

/** Installs the flow of packets whose key begins with `id`, and that credits the rule; its number, or NONE. */
export function installFor(id: u32): u32 {
  const key = keyOf(id);
  const mask = key - KEY_SIZE;
  const program = key + KEY_SIZE;
  memory.fill(mask, 0, KEY_SIZE);
  store<u32>(mask, 0xffffffff);
  return install(mask, key, writeDrop(program, 0), writeAbout(program + 64));
}

export function writeDrop(program: usize, reason: u32): usize {
  store<u32>(program, OP_DROP);
  store<u32>(program + 4, reason);
  store<u32>(program + 8, OP_END);
  return program;
}

export function writeAbout(at: usize): usize {
  const about = changetype<About>(at);
  about.version = 0;
  about.learned = 0;
  about.flags = 0;
  about.effects = 1;
  store<u32>(at + ABOUT_EFFECTS, RULE);
  return at;
}

/** The orders of a dump of one share, in which flows that are too idle go: with -1 all do. */
export function order(revalidators: u32, index: u32, maxIdleMs: f64): Dump {
  const dump = dumpOrders();
  memory.fill(changetype<usize>(dump), 0, 64);
  dump.revalidators = revalidators;
  dump.index = index;
  dump.maxIdleMs = maxIdleMs;
  return dump;
}

export function dumpAll(): void {
  for (let at: u32 = 0; at != NONE; at = dumpStep(at, NONE));
}

export function sweepAll(): void {
  for (let at: u32 = 0; at != NONE; at = sweepStep(at, NONE));
}

/** One packet for `id`, in a batch of its own; whether a flow took it. */
export function packetFor(id: u32): bool {
  enter();
  const flow = classify(changetype<Key>(keyOf(id)));
  if (flow) take(flow);
  leave();
  return flow != null;
}

function take(flow: Flow): void {
  const counters = flowCounters(flowNumber(flow));
  counters.packets++;
  counters.bytes += 100;
  atomic.add<u32>(packetsAt(), 1);
}

/** Each number is in one place; states, facts and counts fit; every packet is credited once, or will be. */
export function checkLives(): void {
  assert(load<u32>(map.badMoves) == 0, 'a state was to move where it may not');
  let pending: u64 = 0;
  let live: u32 = 0;
  for (let slot: u32 = 0; slot < BUCKET_SLOTS; slot++) {
    for (let at = firstIn(0, slot); at != 0; at = flowAt(at - 1).next) {
      checkLinked(at - 1);
      pending += uncredited(at - 1);
      live += <u32>isLive(flowAt(at - 1));
    }
  }
  assert(map.liveFlows == live, 'the count of live flows is wrong');
  for (let thread: u32 = 0; thread < THREADS; thread++) {
    for (let at = threadAt(thread).retiredHead; at != 0; at = upkeepAt(at - 1).nextRetired) {
      checkApart(at - 1, REMOVAL_RETIRED);
      pending += uncredited(at - 1);
    }
    const cache = map.poolCaches + <usize>((thread * POOLS + POOL_FLOWS) * POOL_CACHE_STRIDE);
    for (let n = load<u32>(cache); n != 0; n--)
      checkApart(load<u32>(cache + ((<usize>n) << 2)), REMOVAL_NONE);
  }
  const rule = changetype<RuleCounters>(map.ruleCounters);
  assert(rule.packets + pending == <u64>load<u32>(packetsAt()), 'packets are credited twice, or never');
  assert(rule.bytes <= rule.packets * 100, 'bytes are credited twice');
}

function meet(number: u32): void {
  const at = metAt(number >>> 8 ? 8 + (number >>> 8) : number);
  assert(load<u32>(at) == 0, 'a number is in two places');
  store<u32>(at, 1);
}

function checkLinked(number: u32): void {
  meet(number);
  const life = lifeAt(number);
  const state = stateOf(life);
  assert(life.lock == 0, 'a lock is left behind');
  assert(state > CREATED && state < DELETED, 'a linked flow is not in its life');
  assert(
    isLive(flowAt(number)) == state <= INCONSISTENT,
    'a flow takes packets, and its life says otherwise',
  );
  assert((life.removal == REMOVAL_QUEUED) == (state == EVICTED), 'an evicted flow is not queued');
}

/** A number that is not linked, whose removal has come so far. */
function checkApart(number: u32, removal: u32): void {
  meet(number);
  const life = lifeAt(number);
  assert(life.lock == 0, 'a lock is left behind');
  assert(!isLive(flowAt(number)), 'a flow that is not linked takes packets');
  assert(stateOf(life) == DELETED || stateOf(life) == CREATED, 'a flow is lost');
  assert(life.removal == removal, 'a record is given back that is still retired');
}

function uncredited(number: u32): u64 {
  let packets: u64 = 0;
  for (let thread: u32 = 0; thread < THREADS; thread++) {
    packets += countersOf(thread, number).packets;
  }
  return packets - lifeAt(number).packets;
}
