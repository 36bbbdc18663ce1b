/** Classifier: flows are installed, removed and their records reused, while two threads look flows up. */
import { OP_DROP, OP_END } from '../action/opcode';
import { FLOW_COUNTERS_STRIDE } from '../counters';
import { changes, scratch } from '../explore';
import { classify, SUBTABLE_STRIDE } from '../flow/classifier';
import { FLOW_PROGRAM, FLOW_STRIDE } from '../flow/flow';
import { install, reclaim, remove } from '../flow/install';
import { KEY_SIZE, Key } from '../flow/key';
import { ARENA_MAP, map, NONE } from '../memory/arena';
import { enter, leave } from '../memory/epoch';
import { POOL_CACHE_STRIDE, POOL_FLOWS, POOL_STRIDE, POOLS } from '../memory/pool';
import { self, THREAD_STRIDE } from '../memory/thread';

/** Flow records that may be used. */
const FLOWS: u32 = 4;

// Each thread builds keys, masks and programs in a piece of scratch memory of its own.
function mine(): usize {
  return scratch() + <usize>(self.number * 1024);
}

/** A key that begins with `id`. */
function keyOf(id: u32): usize {
  memory.fill(mine(), 0, KEY_SIZE);
  store<u32>(mine(), id);
  return mine();
}

/** Installs a flow for packets whose key begins with `id`, with a program that says whose it is. */
function installFor(id: u32): u32 {
  const mask = mine() + 256;
  const program = mine() + 512;
  memory.fill(mask, 0, KEY_SIZE);
  store<u32>(mask, 0xffffffff);
  store<u32>(program, OP_DROP);
  store<u32>(program + 4, id);
  store<u32>(program + 8, OP_END);
  const number = install(mask, keyOf(id), program);
  assert(number != NONE, 'no room for a flow');
  return number;
}

/** Looks the flow of `id` up, and sees that it stays whole for as long as the batch; whether there is one. */
function look(id: u32): bool {
  enter();
  const flow = classify(changetype<Key>(keyOf(id)));
  const isThere = flow != null;
  if (flow) {
    const program = changetype<usize>(flow) + FLOW_PROGRAM;
    assert(atomic.load<u32>(program + 4) == id, 'the flow of another key');
    assert(atomic.load<u32>(program + 4) == id, 'a flow that changed while somebody looked at it');
  }
  leave();
  return isThere;
}

export function setUp(): void {
  changes(ARENA_MAP, 256);
  changes(map.threads, 4 * THREAD_STRIDE);
  changes(map.flows, <usize>(FLOWS * FLOW_STRIDE));
  for (let thread: u32 = 0; thread < 4; thread++) {
    const counters = map.flowCounters + <usize>(thread * map.flowCount * FLOW_COUNTERS_STRIDE);
    changes(counters, <usize>(FLOWS * FLOW_COUNTERS_STRIDE));
  }
  changes(map.buckets, 4);
  changes(map.subtables, <usize>(2 * SUBTABLE_STRIDE));
  changes(map.pools, <usize>(POOLS * POOL_STRIDE));
  changes(map.poolCaches, <usize>(4 * POOLS * POOL_CACHE_STRIDE));
  // One bucket, so that to find a flow is to walk past those that come and go; and few records.
  map.bucketMask = 0;
  store<u32>(map.pools + <usize>(POOL_FLOWS * POOL_STRIDE) + 4, FLOWS);
  for (let i: u32 = 0; i < FLOWS; i++) {
    store<u32>(load<u32>(map.pools + <usize>(POOL_FLOWS * POOL_STRIDE) + 8) + ((<usize>i) << 2), i);
  }
  installFor(1);
}

/** The handler: `setUp` is its, too, so the free records are at its hand. */
export function thread0(): void {
  remove(installFor(2));
  reclaim();
  reclaim();
  reclaim();
  remove(installFor(3));
}

export function thread1(): void {
  look(2);
  assert(look(1), 'a flow that stays was not found');
}

export function thread2(): void {
  assert(look(1), 'a flow that stays was not found');
}

export function check(): void {
  assert(look(1) && !look(2) && !look(3), 'the flows that are there in the end are not the ones left');
}
