/**
 * Tuple-space classifier: flows grouped by mask into subtables, all in one hash table.
 *
 *     subtables   [ mask 0 ][ mask 1 ][ mask 2 ] …        tried in order
 *                      │ hash(key & mask, subtable)
 *     buckets     [ · ][ · ][ ▪ ][ · ] …   ──▶ flow ──▶ flow ──▶ 0
 *
 * Megaflows are disjoint where they matter: if two match one packet they do the same to it, so the first
 * found is right and there are no priorities.
 *
 * Written under `map.classifierLock`. Readers take no lock: a flow is complete before it is linked, with
 * one atomic store, at the head of its bucket; removal is one atomic store that leads past it, and the
 * flow keeps its own `next` until two epochs later, when nobody can still stand on it. A subtable's mask
 * is written before `subtableCount` covers it, and changes only while the subtable is empty and has been
 * for two epochs.
 */

import { ArenaMap, map } from '../memory/arena';
import { currentEpoch } from '../memory/epoch';
import { Flow, flowAt, flowKey, flowNumber, matches } from './flow';
import { hashMasked } from './hash';
import { KEY_SIZE, Key } from './key';

@unmanaged
class Subtable {
  flows: u32; // atomic: read without the lock, to pass over the empty ones
  emptyEpoch: u32; // when the last of its flows was unlinked
}

export const SUBTABLE_STRIDE: u32 = 192;
export const SUBTABLE_MASK: usize = 64;
export const MAX_SUBTABLES: u32 = 512;
export const NO_SUBTABLE: u32 = 0xffffffff;

function subtableAt(i: u32): Subtable {
  return changetype<Subtable>(map.subtables + <usize>(i * SUBTABLE_STRIDE));
}

function subtableMask(i: u32): Key {
  return changetype<Key>(map.subtables + <usize>(i * SUBTABLE_STRIDE) + SUBTABLE_MASK);
}

/** The mask of a live flow; stays for as long as the epoch in which the flow was seen live. */
export function maskOf(flow: Flow): Key {
  return subtableMask(flow.subtable);
}

function bucketAt(hash: u32): usize {
  return map.buckets + ((<usize>(hash & map.bucketMask)) << 2);
}

/** The flow that takes `key`, or null. Call within an epoch. */
export function classify(key: Key): Flow | null {
  const n = atomic.load<u32>(changetype<usize>(map) + offsetof<ArenaMap>('subtableCount'));
  for (let i: u32 = 0; i < n; i++) {
    if (atomic.load<u32>(changetype<usize>(subtableAt(i))) == 0) continue;
    const mask = subtableMask(i);
    const hash = hashMasked(key, mask, i);
    for (let at = atomic.load<u32>(bucketAt(hash)); at != 0; ) {
      const flow = flowAt(at - 1);
      if (flow.hash == hash && flow.subtable == i && matches(key, mask, flowKey(flow))) return flow;
      at = atomic.load<u32>(changetype<usize>(flow) + offsetof<Flow>('next'));
    }
  }
  return null;
}

/** The subtable for `mask`, made if need be; NO_SUBTABLE when there is no room. Under the lock. */
export function subtableFor(mask: Key): u32 {
  const n = map.subtableCount;
  let free = NO_SUBTABLE;
  for (let i: u32 = 0; i < n; i++) {
    if (memory.compare(changetype<usize>(subtableMask(i)), changetype<usize>(mask), KEY_SIZE) == 0) return i;
    const subtable = subtableAt(i);
    if (subtable.flows == 0 && currentEpoch() - subtable.emptyEpoch >= 2) free = i;
  }
  if (free == NO_SUBTABLE && n == MAX_SUBTABLES) return NO_SUBTABLE;
  const i = free != NO_SUBTABLE ? free : n;
  memory.copy(changetype<usize>(subtableMask(i)), changetype<usize>(mask), KEY_SIZE);
  if (i == n) atomic.store<u32>(changetype<usize>(map) + offsetof<ArenaMap>('subtableCount'), n + 1);
  return i;
}

/** The first flow of a bucket, for whoever goes over all flows; number + 1, 0 none. */
export function firstIn(bucket: u32): u32 {
  return load<u32>(map.buckets + ((<usize>bucket) << 2));
}

/** Says that all subtables are empty, while all threads stand still; then each flow is counted again. */
export function emptySubtables(): void {
  for (let i: u32 = 0; i < map.subtableCount; i++) {
    subtableAt(i).flows = 0;
    subtableAt(i).emptyEpoch = currentEpoch();
  }
}

export function countAgain(flow: Flow): void {
  subtableAt(flow.subtable).flows++;
}

/** Shows `flow`, whose key, mask, program and subtable are set, to the readers. Under the lock. */
export function link(flow: Flow): void {
  flow.hash = hashMasked(flowKey(flow), maskOf(flow), flow.subtable);
  const bucket = bucketAt(flow.hash);
  flow.next = load<u32>(bucket);
  atomic.store<u32>(changetype<usize>(flow), flow.generation + 1);
  atomic.store<u32>(bucket, flowNumber(flow) + 1);
  const subtable = changetype<usize>(subtableAt(flow.subtable));
  atomic.store<u32>(subtable, load<u32>(subtable) + 1);
}

/** Hides `flow`, which is linked, from readers that look from now on. Under the lock. */
export function unlink(flow: Flow): void {
  const number = flowNumber(flow) + 1;
  let place = bucketAt(flow.hash);
  while (load<u32>(place) != number) {
    place = changetype<usize>(flowAt(load<u32>(place) - 1)) + offsetof<Flow>('next');
  }
  atomic.store<u32>(place, flow.next);
  atomic.store<u32>(changetype<usize>(flow), flow.generation + 1);
  const subtable = subtableAt(flow.subtable);
  atomic.store<u32>(changetype<usize>(subtable), subtable.flows - 1);
  subtable.emptyEpoch = currentEpoch(); // read after the store: who saw a flow here entered in it or before
}

/** The live flow with exactly this mask and masked key, or null. Under the lock. */
export function find(mask: Key, masked: Key): Flow | null {
  const n = map.subtableCount;
  for (let i: u32 = 0; i < n; i++) {
    if (memory.compare(changetype<usize>(subtableMask(i)), changetype<usize>(mask), KEY_SIZE) != 0) continue;
    const hash = hashMasked(masked, mask, i);
    for (let at = load<u32>(bucketAt(hash)); at != 0; ) {
      const flow = flowAt(at - 1);
      if (flow.hash == hash && flow.subtable == i && matches(masked, mask, flowKey(flow))) return flow;
      at = flow.next;
    }
  }
  return null;
}
