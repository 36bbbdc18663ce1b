/**
 * Tuple-space classifier (Srinivasan, Suri and Varghese 1999): flows grouped by mask into subtables, all in
 * one hash table.
 *
 *     subtables   [ mask 0 ][ mask 1 ][ mask 2 ] …        tried in each thread's own order (search.ts)
 *                      │ hash(key & mask, subtable)
 *     tags        [▪▪·▪ … ]  a tag like the hash's?       no: the next subtable
 *                      │ yes                                    (buckets.ts)
 *     slots       [ · ][ ▪ ] …  ──▶ flow: takes the key?  no: once more, with care
 *
 * Megaflows are disjoint where they matter: if two match one packet they do the same to it, so the first
 * found is right and there are no priorities.
 *
 * A batch is looked up together, so that the processor waits for the memory of many packets at once: first
 * all packets in all subtables, by tags alone and without a branch that depends on a packet; then all the
 * slots; then all the flows. Only these verify, and the odd packet that a tag deceived, or whose flow has no
 * slot and so no tag, is looked up alone.
 *
 * Written under `map.classifierLock`. Readers take no lock and write nothing shared: a flow is complete
 * before it is shown, with one atomic store; removal is one atomic store that leads past it, and the flow
 * keeps its own `next` until two epochs later, when nobody can still stand on it. Replacement is one atomic
 * store that leads to the new flow instead of the old. A subtable's mask is written before `subtableCount`
 * covers it, and changes only while the subtable is empty and has been for two epochs.
 *
 * A flow is linked once for its mask and masked key. It may be linked and not live: to conceal a flow is one
 * store that needs no lock. Readers pass it over until it is unlinked, or another put in its place.
 */

import { BATCH } from '../batch';
import { ArenaMap, map } from '../memory/arena';
import { acquire, release } from '../memory/lock';
import { self } from '../memory/thread';
import {
  BUCKET_SLOTS_SIZE,
  BUCKET_TAGS_SIZE,
  bucketOf,
  candidates,
  chainOf,
  hasChains,
  hide,
  show,
  slotAt,
  supersede,
  tagOf,
  tagsAt,
} from './buckets';
import { Flow, flowAt, inherit, isLive, nextOf } from './flow';
import { hashBatch } from './hash';
import { KEY_SIZE, Key } from './key';
import { beginSearch, countUses, hashesAt, openAt, search, subtableInOrder } from './search';
import {
  countIn,
  countOut,
  hashIn,
  hasMask,
  hasRest,
  isEmpty,
  isFree,
  MAX_SUBTABLES,
  maskAt,
  NO_SUBTABLE,
  setMask,
  subtableAt,
  takes,
  takesRest,
  takesStart,
} from './subtable';

function subtableCount(): u32 {
  return atomic.load<u32>(changetype<usize>(map) + offsetof<ArenaMap>('subtableCount'));
}

/**
 * Looks up the keys at `keys`, KEY_SIZE bytes each, whose `n` numbers, at most BATCH, stand as u32 at `wanted`.
 * Where the number indexes `flows`, u32 as well, stands afterwards the address of the flow that takes the
 * key, 0 when there is none. Call within an epoch.
 */
export function classifyBatch(keys: usize, wanted: usize, n: u32, flows: usize): void {
  findSlots(keys, wanted, n, flows);
  readSlots(wanted, n, flows, hashesAt(search()));
  const isCertain = !hasChains();
  for (let p: u32 = 0; p < n; p++) {
    const number = numberAt(wanted, p);
    const at = flows + (number << 2);
    if (isCertain && load<u32>(at) == 0) continue;
    const content = <u32>numberAt(hashesAt(search()), p);
    store<u32>(at, <u32>verified(content, changetype<Key>(keys + number * KEY_SIZE)));
  }
}

/** For each packet the address of the slot where its flow may be, 0 for none, in its place in `places`. */
function findSlots(keys: usize, wanted: usize, n: u32, places: usize): void {
  const mine = search();
  const subtables = subtableCount();
  beginSearch(mine, subtables);
  let open = wanted;
  let left = n;
  for (let at: u32 = 0; at < subtables && left != 0; at++) {
    const i = subtableInOrder(mine, at);
    if (isEmpty(i)) continue;
    hashBatch(keys, open, left, changetype<usize>(maskAt(i)), subtableAt(i).lanes, i, hashesAt(mine));
    const still = sift(hashesAt(mine), open, left, openAt(mine), places);
    countUses(mine, i, left - still);
    left = still;
    open = openAt(mine);
  }
  for (let p: u32 = 0; p < left; p++) store<u32>(places + (numberAt(open, p) << 2), 0);
}

function numberAt(list: usize, p: u32): usize {
  return <usize>load<u32>(list + ((<usize>p) << 2));
}

/**
 * Looks at the tags for the `n` packets listed in `open`, whose hashes under the mask of one subtable are given.
 * Notes for each the slot where its flow may be, and lists in `still` those for which there is none; returns
 * how many. The lists may be the same.
 */
function sift(hashes: usize, open: usize, n: u32, still: usize, places: usize): u32 {
  const tags = tagsAt(0);
  const slots = slotAt(0, 0);
  const buckets = map.bucketCount;
  const end = open + ((<usize>n) << 2);
  let to = still;
  for (; open < end; open += 4) {
    const hash = load<u32>(hashes);
    hashes += 4;
    const bucket = bucketOf(hash, buckets);
    const found = candidates(tags + bucket * BUCKET_TAGS_SIZE, tagOf(hash));
    const number = load<u32>(open);
    store<u32>(places + ((<usize>number) << 2), slots + bucket * BUCKET_SLOTS_SIZE + (ctz<u32>(found) << 2));
    store<u32>(to, number);
    to += (<u32>(found == 0)) << 2;
  }
  return <u32>(to - still) >>> 2;
}

/**
 * Reads the slots, and of each flow in one its first line: in two loops so short that the processor waits for
 * all slots at once, then for all flows. (Address 0, that of no slot, reads as 0.)
 */
function readSlots(wanted: usize, n: u32, places: usize, contents: usize): void {
  for (let p: u32 = 0; p < n; p++) {
    const place = <usize>load<u32>(places + (numberAt(wanted, p) << 2));
    store<u32>(contents + ((<usize>p) << 2), atomic.load<u32>(place));
  }
  let seen: u32 = 0;
  for (let p: u32 = 0; p < n; p++) {
    const content = <u32>numberAt(contents, p);
    seen |= flowAt(content - <u32>(content != 0)).subtable;
  }
  store<u32>(contents + ((<usize>BATCH) << 2), seen); // or the loop would be left out
}

/** The address of the flow in a slot when that takes `key`; else of whichever does, or 0. */
function verified(content: u32, key: Key): usize {
  if (content != 0) {
    const flow = flowAt(content - 1);
    // As `takes` has it, but compiled in place: a call for each packet is 2 ns.
    if (isLive(flow) && takesStart(flow, key) && (!hasRest(flow) || takesRest(flow, key)))
      return changetype<usize>(flow);
  }
  return changetype<usize>(classify(key)); // in a chain; or its tag another's, or the slot changed just now
}

/** The flow that takes `key`, or null. Call within an epoch. */
export function classify(key: Key): Flow | null {
  const n = subtableCount();
  for (let i: u32 = 0; i < n; i++) {
    if (isEmpty(i)) continue;
    const flow = liveIn(i, key);
    if (flow) return flow;
  }
  return null;
}

/** The live flow of subtable `i` that takes `key`, or null. Call within an epoch. */
function liveIn(i: u32, key: Key): Flow | null {
  let flow = flowIn(i, key);
  while (flow && !isLive(flow)) {
    // It may have been replaced since: then its successor is in its place.
    const now = flowIn(i, key);
    if (now == flow) return null;
    flow = now;
  }
  return flow;
}

/** The linked flow of subtable `i` that takes `key`, or null. Call within an epoch, or under the lock. */
function flowIn(i: u32, key: Key): Flow | null {
  const hash = hashIn(i, key);
  const bucket = bucketOf(hash, map.bucketCount);
  for (let slots = candidates(tagsAt(bucket), tagOf(hash)); slots != 0; slots &= slots - 1) {
    const at = atomic.load<u32>(slotAt(bucket, ctz<u32>(slots)));
    if (at != 0 && isIn(i, flowAt(at - 1), key)) return flowAt(at - 1);
  }
  for (let at = chainOf(bucket); at != 0; at = nextOf(flowAt(at - 1))) {
    if (isIn(i, flowAt(at - 1), key)) return flowAt(at - 1);
  }
  return null;
}

/** Whether `flow` is of subtable `i` and takes `key`. */
function isIn(i: u32, flow: Flow, key: Key): bool {
  return flow.subtable == i && takes(flow, key);
}

/** The subtable whose mask this is; NO_SUBTABLE when there is none. Under the lock. */
function subtableOf(mask: Key): u32 {
  const n = map.subtableCount;
  for (let i: u32 = 0; i < n; i++) {
    if (hasMask(i, mask)) return i;
  }
  return NO_SUBTABLE;
}

/** The subtable for `mask`, made if need be; NO_SUBTABLE when there is no room. Under the lock. */
export function subtableFor(mask: Key): u32 {
  const there = subtableOf(mask);
  if (there != NO_SUBTABLE) return there;
  const n = map.subtableCount;
  let i: u32 = 0;
  while (i < n && !isFree(i)) i++;
  if (i == MAX_SUBTABLES) return NO_SUBTABLE;
  setMask(i, mask);
  if (i == n) atomic.store<u32>(changetype<usize>(map) + offsetof<ArenaMap>('subtableCount'), n + 1);
  return i;
}

/** Taken before flows are linked and unlinked; held for a few instructions. */
export function lockClassifier(): void {
  acquire(changetype<usize>(map) + offsetof<ArenaMap>('classifierLock'), self.number);
}

export function unlockClassifier(): void {
  release(changetype<usize>(map) + offsetof<ArenaMap>('classifierLock'));
}

/** Has packets take a flow from now on. */
function reveal(flow: Flow): void {
  atomic.store<u32>(changetype<usize>(flow), flow.generation + 1);
  atomic.add<u32>(liveFlowsAt(), 1);
}

/** Has packets pass over a live flow from now on, wherever it is linked. */
export function conceal(flow: Flow): void {
  atomic.store<u32>(changetype<usize>(flow), flow.generation + 1);
  atomic.sub<u32>(liveFlowsAt(), 1);
}

function liveFlowsAt(): usize {
  return changetype<usize>(map) + offsetof<ArenaMap>('liveFlows');
}

/** Whether there are as many live flows as may be. */
export function isAtFlowLimit(): bool {
  const limit = atomic.load<u32>(changetype<usize>(map) + offsetof<ArenaMap>('flowLimit'));
  return atomic.load<u32>(liveFlowsAt()) >= limit;
}

/** Shows a complete flow to the readers, in subtable `i`; its key is given once more. Under the lock. */
export function link(flow: Flow, i: u32, key: Key): void {
  flow.subtable = i;
  flow.hash = hashIn(i, key);
  reveal(flow);
  show(flow);
  countIn(i);
}

/** Leads readers that look from now on past a flow that is not live. Under the lock. */
export function unlink(flow: Flow): void {
  hide(flow);
  countOut(flow.subtable);
}

/** Puts `heir`, which inherits from `flow`, in its place; that is concealed, or to be so. Under the lock. */
export function relink(flow: Flow, heir: Flow): void {
  inherit(heir, flow);
  reveal(heir);
  supersede(flow, heir);
}

/** The linked flow, live or not, with exactly this mask and masked key, or null. Under the lock. */
export function find(mask: Key, key: Key): Flow | null {
  const i = subtableOf(mask);
  return i == NO_SUBTABLE ? null : flowIn(i, key);
}
