/**
 * Classifier: flows are installed, removed and their records reused, while two threads look flows up. It goes
 * through the public functions alone, and knows nothing of how flows are kept.
 */
import { OP_DROP, OP_END } from '../action/opcode';
import { changes, scratch, shares } from '../explore';
import { classifyBatch } from '../flow/classifier';
import { Flow, flowNumber } from '../flow/flow';
import { install } from '../flow/install';
import { KEY_SIZE } from '../flow/key';
import { reclaim } from '../flow/retire';
import { SEARCH_STRIDE } from '../flow/search';
import { remove } from '../flow/sweep';
import { ARENA_MAP, ArenaMap, map, NONE } from '../memory/arena';
import { enter, leave } from '../memory/epoch';
import { POOL_FLOWS, POOL_STRIDE, Pool } from '../memory/pool';
import { self } from '../memory/thread';

/** So few flow records that one is used again as soon as it may be. */
const FLOWS: u32 = 2;

/** Whose a flow record is: noted after it was installed, so 0 for a moment, but never another's. */
function ownerOf(number: u32): usize {
  return scratch() + ((<usize>number) << 2);
}

/** A key that begins with `id`, in memory of this thread's own. */
function keyOf(id: u32): usize {
  const at = scratch() + 4096 + <usize>(self.number * 1024);
  memory.fill(at, 0, KEY_SIZE);
  store<u32>(at, id);
  return at;
}

/** Installs a flow for packets whose key begins with `id`; NONE when no record has come free. */
export function installFor(id: u32): u32 {
  const key = keyOf(id);
  const mask = key + 256;
  const program = key + 512;
  memory.fill(mask, 0, KEY_SIZE);
  store<u32>(mask, 0xffffffff);
  store<u32>(program, OP_DROP);
  store<u32>(program + 8, OP_END);
  const number = install(mask, key, program, key + 640);
  if (number != NONE) store<u32>(ownerOf(number), id);
  return number;
}

function isFor(id: u32, number: u32): bool {
  const owner = load<u32>(ownerOf(number));
  return owner == id || owner == 0;
}

/** The flow for packets whose key begins with `id`, or null: a batch of one. */
function found(id: u32): Flow | null {
  const key = keyOf(id);
  const wanted = key + 896;
  store<u32>(wanted, 0);
  classifyBatch(key, wanted, 1, wanted + 4);
  return changetype<Flow | null>(<usize>load<u32>(wanted + 4));
}

/** Looks the flow of `id` up, and sees that its record stays its own for as long as the batch; whether there is one. */
function look(id: u32): bool {
  enter();
  const flow = found(id);
  if (flow) {
    const number = flowNumber(flow);
    assert(isFor(id, number), 'the flow of another key');
    assert(isFor(id, number), 'a flow whose record was used again while somebody looked at it');
  }
  leave();
  return flow != null;
}

export function setUp(): void {
  setUpBucket();
  installFor(1);
}

/** Makes the one bucket there is. */
export function setUpBucket(): void {
  shares(scratch(), FLOWS << 2);
  changes(ARENA_MAP, offsetof<ArenaMap>());
  changes(map.threads, map.batches - map.threads);
  changes(map.counters, map.caches - map.counters);
  changes(map.searches, map.threadCount * SEARCH_STRIDE);
  changes(map.flows, map.frameRecords - map.flows);
  // One bucket, so that to find a flow is to walk past those that come and go.
  map.bucketCount = 1;
  const pool = changetype<Pool>(map.pools + <usize>(POOL_FLOWS * POOL_STRIDE));
  pool.free = FLOWS;
  for (let number: u32 = 0; number < FLOWS; number++) store<u32>(pool.stack + ((<usize>number) << 2), number);
}

/** The handler: `setUp` is its, too, so the free records are at its hand. */
export function thread0(): void {
  const number = installFor(2);
  remove(number);
  for (let i = 0; i < 3; i++) reclaim();
  store<u32>(ownerOf(number), 0);
  const next = installFor(3);
  if (next != NONE) remove(next);
}

export function thread1(): void {
  look(2);
  assert(look(1), 'a flow that stays was not found');
}

export function thread2(): void {
  assert(look(1), 'a flow that stays was not found');
}

export function check(): void {
  assert(look(1) && !look(2) && !look(3), 'other flows are there than were left');
}
