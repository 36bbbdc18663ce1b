/**
 * Tidies up after a thread that died: releases its locks, takes back what it held, and makes the books balance.
 *
 * The control side calls this as that thread: from an instance of the module under its number, which nobody
 * else has any more. A thread may have died between any two instructions, so nothing that it alone kept is
 * trusted. What can be relied on:
 *
 *     locks      a lock's word names its holder, and what a lock protects is usable at every moment (pool.ts), or
 *                made so before its lock is released
 *     frames     `Frame.holder`, and what is in the rings
 *     fragments  that wait, unless the thread was changing their table (conntrack/datagrams.ts)
 *     flows      what the buckets lead to, for readers walk them without a lock at every moment; and what the states
 *                of their lives say
 *     stations   the order in which they were heard (bridge/stations.ts)
 *     conntrack  what the records of connections say (conntrack/recover.ts)
 *     counters   each is one store; what was received and is nowhere any more is what the thread had in hand
 *
 * `releaseLocks` comes first and at once, since others may be spinning. The rest is done while every other
 * thread stands still between two rounds: it uses no flow then, and of the frames that came in it has at most
 * some in its transmit queues, some that wait for their turn, or punts that a controller has not seen yet. `mendDatagrams` is the first of it.
 */
import { BATCH } from './batch';
import { releaseStations } from './bridge/stations';
import { releaseDatagrams } from './conntrack/datagrams';
import { releaseConnectionLocks } from './conntrack/recover';
import {
  COPIES_DROPPED,
  COUNT_COPIED,
  COUNT_COPIES_FORWARDED,
  COUNT_FORWARDED,
  COUNT_RECEIVED,
  COUNT_THREAD_RESTARTS,
  count,
  countDrop,
  DROPPED,
  sumOf,
} from './counters';
import { DROP_REASONS, DROP_THREAD_DIED } from './drop';
import { BUCKET_SLOTS, firstIn, forgetChains, renewBucket } from './flow/buckets';
import { conceal } from './flow/classifier';
import { credit } from './flow/credit';
import { firstBlock, forgetEffects, holdAgain } from './flow/effects';
import { BLOCK_LINK, blockAt, flowAt, isLive, upkeepAt } from './flow/flow';
import {
  CREATED,
  DELETED,
  EVICTED,
  EVICTING,
  lifeAt,
  move,
  PLACE_RECLAIM,
  REMOVAL_NONE,
  REMOVAL_QUEUED,
  releaseLives,
  stateOf,
  VISIBLE,
} from './flow/life';
import { countIn, emptySubtables } from './flow/subtable';
import { ArenaMap, map, NONE } from './memory/arena';
import { releaseAfter } from './memory/lock';
import { forgetKeepers, releaseNames } from './memory/names';
import {
  beginRenewal,
  endRenewal,
  everTaken,
  isKept,
  keep,
  POOL_BLOCKS,
  POOL_FLOWS,
  POOL_FRAMES,
  POOL_LARGE_FRAMES,
  POOLS,
  releasePool,
} from './memory/pool';
import { clear, peek, publish, Ring, ringBetween, waiting } from './memory/ring';
import { beginAgain, self, threadAt } from './memory/thread';
import { forgetOrder, waitingIn } from './order';
import {
  FRAME_COPY,
  frameAt,
  frameNumbers,
  HELD_BY_NOBODY,
  HELD_BY_TABLE,
  HELD_BY_THREAD,
} from './packet/frame';
import { queued, transmitQueue, transmitQueueOf } from './port/port';
import { forgetPunts, puntOf } from './punt';
import { leaveRevalidation } from './revalidation';
import { renewShares } from './share';

/** Releases every lock that this thread left held. Returns how many. */
export function releaseLocks(): u32 {
  let released: u32 = 0;
  if (releaseAfter(changetype<usize>(map) + offsetof<ArenaMap>('classifierLock'), self.number)) released++;
  for (let pool: u32 = 0; pool < POOLS; pool++) if (releasePool(pool, self.number)) released++;
  if (releaseDatagrams(self.number)) released++;
  if (releaseStations(self.number)) released++;
  if (releaseNames(self.number)) released++;
  leaveRevalidation();
  return released + releaseConnectionLocks(self.number) + releaseLives(self.number);
}

/**
 * Takes back the flows and blocks that were being made, or that this thread had retired; those that are linked stay, and
 * those that others have retired. What it was doing to a flow is brought to an end. Returns how many flows.
 */
export function reclaimFlows(): u32 {
  const free = beginRenewal(POOL_FLOWS);
  beginRenewal(POOL_BLOCKS);
  emptySubtables();
  forgetChains();
  for (let bucket: u32 = 0; bucket < map.bucketCount; bucket++) {
    for (let slot: u32 = 0; slot < BUCKET_SLOTS; slot++) {
      for (let at = firstIn(bucket, slot); at != 0; at = flowAt(at - 1).next) {
        countIn(flowAt(at - 1).subtable);
        keepFlow(at - 1);
        mendLinked(at - 1);
      }
    }
    renewBucket(bucket);
  }
  for (let thread: u32 = 0; thread < map.threadCount; thread++)
    if (thread != self.number) keepRetired(thread);
  let live: u32 = 0;
  for (let number: u32 = 0; number < everTaken(POOL_FLOWS); number++) {
    if (!isKept(POOL_FLOWS, number)) endFlow(number);
    if (isLive(flowAt(number))) live++;
  }
  map.liveFlows = live;
  keepNames();
  endRenewal(POOL_BLOCKS);
  return endRenewal(POOL_FLOWS) - free;
}

/** Names are kept by those flows that are left. */
function keepNames(): void {
  forgetKeepers();
  for (let number: u32 = 0; number < everTaken(POOL_FLOWS); number++) {
    if (isKept(POOL_FLOWS, number)) holdAgain(lifeAt(number));
  }
}

/** Flows that a live thread has retired come back to it in time. */
function keepRetired(thread: u32): void {
  for (let at = threadAt(thread).retiredHead; at != 0; at = upkeepAt(at - 1).nextRetired) keepFlow(at - 1);
}

function keepFlow(number: u32): void {
  keep(POOL_FLOWS, number);
  keepBlocks(upkeepAt(number).blocks);
  keepBlocks(firstBlock(lifeAt(number)));
}

function keepBlocks(first: u32): void {
  for (let next = first; next != 0; next = load<u32>(blockAt(next - 1) + BLOCK_LINK)) {
    keep(POOL_BLOCKS, next - 1);
  }
}

/** Brings a linked flow to a state that it may be in: it was just installed, or was being evicted. */
function mendLinked(number: u32): void {
  const life = lifeAt(number);
  if (stateOf(life) == CREATED) move(life, VISIBLE, PLACE_RECLAIM);
  if (stateOf(life) != EVICTING) return;
  if (isLive(flowAt(number))) conceal(flowAt(number));
  life.removal = REMOVAL_QUEUED;
  move(life, EVICTED, PLACE_RECLAIM);
}

/** Ends a flow that nobody has any more; it may have been on its way into its bucket, or out of it. */
function endFlow(number: u32): void {
  const life = lifeAt(number);
  if (isLive(flowAt(number))) conceal(flowAt(number));
  if (stateOf(life) > CREATED) {
    credit(number);
    if (stateOf(life) < EVICTING) move(life, EVICTING, PLACE_RECLAIM);
    if (stateOf(life) < EVICTED) move(life, EVICTED, PLACE_RECLAIM);
    if (stateOf(life) < DELETED) move(life, DELETED, PLACE_RECLAIM);
  }
  life.removal = REMOVAL_NONE;
  forgetEffects(life);
}

/** Takes back the frames that this thread held, also in its ring to itself, and those that were between two holders. Returns how many. */
export function reclaimFrames(): u32 {
  const free = beginRenewal(POOL_FRAMES) + beginRenewal(POOL_LARGE_FRAMES);
  for (let from: u32 = 0; from < map.threadCount; from++) {
    for (let to: u32 = 0; to < map.threadCount; to++) keepRing(from, to);
  }
  for (let number: u32 = 0; number < frameNumbers(); number++) {
    const frame = frameAt(number);
    const byThread = frame.holder >= HELD_BY_THREAD;
    const byOther = byThread && <u32>frame.holder != HELD_BY_THREAD + self.number;
    if (byOther || frame.holder == HELD_BY_TABLE) keepFrame(number);
    else if (!isFrameKept(number)) frame.holder = HELD_BY_NOBODY;
  }
  return endRenewal(POOL_FRAMES) + endRenewal(POOL_LARGE_FRAMES) - free;
}

function keepRing(from: u32, to: u32): void {
  if (isOwn(from, to)) return;
  const ring = ringBetween(from, to);
  for (let i = waiting(ring); i != 0; i--) keepFrame(peek(ring, i - 1));
}

/** Whether it is the ring from this thread to itself: what is in there goes with the thread. */
function isOwn(from: u32, to: u32): bool {
  return from == self.number && to == self.number;
}

function keepFrame(number: u32): void {
  if (number < map.frameCount) keep(POOL_FRAMES, number);
  else keep(POOL_LARGE_FRAMES, number - map.frameCount);
}

function isFrameKept(number: u32): bool {
  if (number < map.frameCount) return isKept(POOL_FRAMES, number);
  return isKept(POOL_LARGE_FRAMES, number - map.frameCount);
}

/**
 * Counts as dropped what was received, or copied if `copies`, has no fate, and is with nobody else: this thread
 * had it in hand. Returns how many packets that is.
 */
export function settle(copies: bool): u32 {
  let missing = copies ? sumOf(COUNT_COPIED) : sumOf(COUNT_RECEIVED);
  missing -= copies ? sumOf(COUNT_COPIES_FORWARDED) : sumOf(COUNT_FORWARDED);
  for (let reason: u32 = 0; reason < DROP_REASONS; reason++) {
    missing -= sumOf((copies ? COPIES_DROPPED : DROPPED) + reason);
  }
  for (let thread: u32 = 0; thread < map.threadCount; thread++) {
    for (let to: u32 = 0; to < map.threadCount; to++) missing -= packetsInRing(thread, to, copies);
    if (thread == self.number) continue;
    missing -= packetsInQueues(thread, copies) + packetsInPunts(thread, copies);
    if (thread < map.handlerThread) missing -= packetsIn(waitingIn(thread), copies);
  }
  missing -= packetsInTable(copies);
  if (<i64>missing <= 0) return 0;
  countDrop(DROP_THREAD_DIED, copies, missing);
  return <u32>missing;
}

function packetsInRing(from: u32, to: u32, copies: bool): u64 {
  return isOwn(from, to) ? 0 : packetsIn(ringBetween(from, to), copies);
}

function packetsIn(ring: Ring, copies: bool): u64 {
  let packets: u64 = 0;
  for (let i = waiting(ring); i != 0; i--) packets += packetsOf(peek(ring, i - 1), copies);
  return packets;
}

function packetsInQueues(thread: u32, copies: bool): u64 {
  let packets: u64 = 0;
  for (let port: u32 = 0; port < map.portCount; port++) {
    const queue = transmitQueueOf(thread, port);
    for (let i: u32 = 0; i < queue.count; i++) packets += packetsOf(queued(queue, i), copies);
  }
  return packets;
}

function packetsInPunts(thread: u32, copies: bool): u64 {
  let packets: u64 = 0;
  for (let i: u32 = 0; i < BATCH; i++) {
    const number = puntOf(thread, i);
    if (number != NONE) packets += packetsOf(number, copies);
  }
  return packets;
}

/** Fragments that wait for the rest of their datagrams. */
function packetsInTable(copies: bool): u64 {
  let packets: u64 = 0;
  for (let number: u32 = 0; number < frameNumbers(); number++) {
    if (frameAt(number).holder == HELD_BY_TABLE) packets += packetsOf(number, copies);
  }
  return packets;
}

/** How many packets, or copies, a frame stands for. */
function packetsOf(number: u32, copies: bool): u64 {
  const frame = frameAt(number);
  return ((frame.flags & FRAME_COPY) != 0) == copies ? <u64>(1 + frame.joined) : 0;
}

/**
 * Makes the thread's own records as they were before it first started, for its successor, and what ports have of its
 * rings what is in there. What it had put into rings goes on, seen or not.
 */
export function reset(): void {
  for (let port: u32 = 0; port < map.portCount; port++) transmitQueue(port).count = 0;
  clear(ringBetween(self.number, self.number));
  for (let to: u32 = 0; to < map.threadCount; to++) publish(ringBetween(self.number, to));
  renewShares();
  forgetPunts();
  beginAgain();
  forgetOrder();
  count(COUNT_THREAD_RESTARTS, 1);
}
