/**
 * Concurrent cuckoo map from a 32-bit hash to 32-bit numbers, of a fixed size. Readers never write and take
 * no lock. Who inserts holds one that is the caller's; who removes takes none, so nobody waits for that.
 *
 *     record   │ mask, count │ queue of the writer's search │
 *     bucket   │ moves │ hash, number + 1 │ hash, number + 1 │ …     one line, 7 slots
 *     bucket   │ …                       ▲
 *                ▲ firstOf(hash)         └ an entry is in one of its two buckets
 *                └ secondOf(hash)
 *
 * The map knows hashes only. Several numbers may have one hash, so whoever looks up compares the record that
 * each number names, and asks for the next while it is another's (as in Open vSwitch's cmap).
 *
 * Slots are read and written whole, atomically; 0 is free. An insertion that finds both buckets full looks,
 * breadth first, for the shortest row of entries that can each move to their other bucket, the last to a free
 * slot, and moves the last first. A move stores the entry in its new place, counts it in the new bucket's
 * `moves`, and only then clears the old one. So at every moment an entry is somewhere, but a reader that goes
 * from the first bucket to the second may pass one that goes the other way. Then the first bucket's `moves`
 * has changed since the reader began, and it looks again. So does who removes. An entry that is removed while it
 * moves does not come back: who moves it finds that the old place is cleared already, and clears the new one.
 *
 * - An entry that is there from before a look-up begins until it ends is found; it may be found twice.
 * - After MOST_TRIES a look-up that is disturbed each time ends, with NONE. So who is to act on an absence
 *   holds the lock and looks again: under the lock every answer is exact.
 * - At most 14 entries can have one hash. Up to nine tenths of the slots fill before insertions fail.
 * - A writer that is stopped for good, at the head of a loop or at a call, leaves every entry findable.
 */
import { NONE } from './arena';

@unmanaged
export class CuckooMap {
  mask: u32; // buckets - 1. Written once, by `format`
  count: u32; // entries. Atomic
}

@unmanaged
class Bucket {
  moves: u32; // entries that came here from their other bucket
}

/** A bucket that the search for a free slot has reached. */
@unmanaged
class Reached {
  bucket: u32;
  from: u32; // place in the queue of the bucket whose entry would move here; ROOT: none, the search began here
  slot: u32; // that entry's slot in it
}

export const CUCKOO_SLOTS: u32 = 7;
export const CUCKOO_BUCKET: u32 = 64;
export const CUCKOO_BUCKETS: usize = 3136; // 64 + MOST_REACHED × 12
const QUEUE: usize = 64;
const MOST_REACHED: u32 = 256;
const ROOT: u32 = NONE;
const MOST_TRIES: u32 = 16;

/** An odd constant of high bit density. */
const MIX: u32 = 0x9e3779b1;

/**
 * Makes an empty map of `buckets`, a power of two from 2 on, out of CUCKOO_BUCKETS + buckets × CUCKOO_BUCKET
 * bytes at a multiple of LINE.
 */
export function format(map: CuckooMap, buckets: u32): void {
  const at = changetype<usize>(map);
  memory.fill(at, 0, CUCKOO_BUCKETS + <usize>buckets * CUCKOO_BUCKET);
  map.mask = buckets - 1;
}

function bucketAt(map: CuckooMap, i: u32): usize {
  return changetype<usize>(map) + CUCKOO_BUCKETS + <usize>i * CUCKOO_BUCKET;
}

function slotAt(bucket: usize, slot: u32): usize {
  return bucket + 8 + ((<usize>slot) << 3);
}

/** The bucket that a look-up reads first. */
export function firstOf(map: CuckooMap, hash: u32): u32 {
  return hash & map.mask;
}

/** The other one. */
export function secondOf(map: CuckooMap, hash: u32): u32 {
  const mixed = (hash ^ (hash >>> 15)) * MIX;
  const other = (mixed ^ (mixed >>> 16)) & map.mask;
  return other != firstOf(map, hash) ? other : other ^ 1;
}

/** Of an entry's two buckets, the one that is not `bucket`. */
function otherOf(map: CuckooMap, hash: u32, bucket: u32): u32 {
  const first = firstOf(map, hash);
  return bucket == first ? secondOf(map, hash) : first;
}

// Looking up. The search under way is the instance's, and so its thread's, own.

let searchedHash: u32 = 0;
let firstBucket: usize = 0;
let secondBucket: usize = 0;
let firstMoves: u32 = 0;
let nextSlot: u32 = 0; // 0 .. 6 of the first bucket, 7 .. 13 of the second
let tries: u32 = 0;

/** The first number found for `hash`, or NONE. */
export function find(map: CuckooMap, hash: u32): u32 {
  searchedHash = hash;
  firstBucket = bucketAt(map, firstOf(map, hash));
  secondBucket = bucketAt(map, secondOf(map, hash));
  firstMoves = atomic.load<u32>(firstBucket);
  nextSlot = 0;
  tries = 1;
  return findNext();
}

/** The next number for the hash of this thread's last `find`, or NONE. */
export function findNext(): u32 {
  while (true) {
    while (nextSlot < 2 * CUCKOO_SLOTS) {
      const slot = nextSlot++;
      const at = slot < CUCKOO_SLOTS ? slotAt(firstBucket, slot) : slotAt(secondBucket, slot - CUCKOO_SLOTS);
      const entry = atomic.load<u64>(at);
      if (<u32>entry == searchedHash && entry != <u64>searchedHash) return <u32>(entry >>> 32) - 1;
    }
    const moves = atomic.load<u32>(firstBucket);
    if (moves == firstMoves || tries == MOST_TRIES) return NONE;
    firstMoves = moves;
    nextSlot = 0;
    tries++;
  }
}

// Changing

function countAt(map: CuckooMap): usize {
  return changetype<usize>(map) + offsetof<CuckooMap>('count');
}

/** Removes `number` from `hash`; false when it is not there. Once for each, under no lock. */
export function remove(map: CuckooMap, hash: u32, number: u32): bool {
  const entry = ((<u64>number + 1) << 32) | <u64>hash;
  const first = bucketAt(map, firstOf(map, hash));
  const second = bucketAt(map, secondOf(map, hash));
  while (true) {
    const moves = atomic.load<u32>(first);
    if (clear(first, entry) || clear(second, entry)) break;
    if (atomic.load<u32>(first) == moves) return false;
  }
  atomic.sub<u32>(countAt(map), 1);
  return true;
}

/** Frees the slot of `bucket` that holds `entry`; false: it is in none. */
function clear(bucket: usize, entry: u64): bool {
  const at = slotOf(bucket, entry);
  return at != 0 && atomic.cmpxchg<u64>(at, entry, 0) == entry;
}

// What follows is under the caller's lock.

/** Adds `number` under `hash`; false, with nothing changed, when there is no room for it. Not for NONE. */
export function insert(map: CuckooMap, hash: u32, number: u32): bool {
  const at = freeSlot(map, hash);
  if (at == 0) return false;
  atomic.store<u64>(at, ((<u64>number + 1) << 32) | <u64>hash);
  atomic.add<u32>(countAt(map), 1);
  return true;
}

/** Address of the slot of `bucket` that holds `entry`, or 0. */
function slotOf(bucket: usize, entry: u64): usize {
  for (let slot: u32 = 0; slot < CUCKOO_SLOTS; slot++) {
    if (atomic.load<u64>(slotAt(bucket, slot)) == entry) return slotAt(bucket, slot);
  }
  return 0;
}

function reachedAt(map: CuckooMap, i: u32): Reached {
  return changetype<Reached>(changetype<usize>(map) + QUEUE + <usize>(i * offsetof<Reached>()));
}

function reach(map: CuckooMap, i: u32, bucket: u32, from: u32, slot: u32): void {
  const reached = reachedAt(map, i);
  reached.bucket = bucket;
  reached.from = from;
  reached.slot = slot;
}

/** Address of a slot for `hash`, emptied if need be by moving others; 0 when the search ends without one. */
function freeSlot(map: CuckooMap, hash: u32): usize {
  reach(map, 0, firstOf(map, hash), ROOT, 0);
  reach(map, 1, secondOf(map, hash), ROOT, 0);
  let reached: u32 = 2;
  for (let i: u32 = 0; i < reached; i++) {
    const here = reachedAt(map, i).bucket;
    const bucket = bucketAt(map, here);
    const free = slotOf(bucket, 0);
    if (free != 0) return moveRow(map, i, free);
    for (let slot: u32 = 0; slot < CUCKOO_SLOTS && reached < MOST_REACHED; slot++) {
      const entry = atomic.load<u64>(slotAt(bucket, slot));
      reach(map, reached++, otherOf(map, <u32>entry, here), i, slot);
    }
  }
  return 0;
}

/** Moves the entries on the way to bucket `i` of the queue, last first, from `free` on; the slot left free. */
function moveRow(map: CuckooMap, i: u32, free: usize): usize {
  for (let reached = reachedAt(map, i); reached.from != ROOT; reached = reachedAt(map, reached.from)) {
    const old = slotAt(bucketAt(map, reachedAt(map, reached.from).bucket), reached.slot);
    move(old, free, bucketAt(map, reached.bucket));
    free = old;
  }
  return free;
}

/**
 * Moves an entry to slot `to` of `bucket`: it is in both places before it leaves the old one. If it has been removed
 * from that meanwhile, it leaves both.
 */
function move(from: usize, to: usize, bucket: usize): void {
  const entry = atomic.load<u64>(from);
  atomic.store<u64>(to, entry);
  atomic.store<u32>(bucket, changetype<Bucket>(bucket).moves + 1);
  if (atomic.cmpxchg<u64>(from, entry, 0) != entry) atomic.cmpxchg<u64>(to, entry, 0);
}
