/**
 * Index allocator: hands out the numbers 0 .. n-1 of fixed records, each to one holder at a time.
 *
 *     thread 0  [ cache: up to 128 numbers ]──┐ 64 at a time, under the lock
 *     thread 1  [ cache: up to 128 numbers ]──┼──▶ [ stack of all other free numbers ]
 *
 * A thread takes and gives from its own cache without any atomic operation; only when that is empty or
 * full does it move half a cache under the pool's lock. So at most 128 numbers a thread are out of reach
 * of the others: a pool must be larger than that times the threads.
 *
 * Cache: read and written by its thread alone. Stack, `free` and `least`: by whoever holds `lock`. `stack` and
 * `numbers` are written once, before any thread attaches.
 *
 * What the lock protects is right at every moment: only the numbers below `free` count. So a lock that a dead
 * thread left can be released at once; the numbers on their way between stack and cache are missing then,
 * until the pool is made anew from what its records say, while all threads stand still (reclaim.ts).
 */
import { map, NONE } from './arena';
import { acquire, release, releaseAfter } from './lock';

@unmanaged
export class Pool {
  lock: u32;
  free: u32; // numbers on the stack
  stack: usize; // u32 each
  numbers: u32; // all there are
  least: u32; // the fewest that were ever on the stack
}

@unmanaged
export class PoolCache {
  count: u32;
  // POOL_CACHE numbers follow
}

export const POOL_FRAMES: u32 = 0;
export const POOL_LARGE_FRAMES: u32 = 1;
export const POOL_FLOWS: u32 = 2;
export const POOL_BLOCKS: u32 = 3;
export const POOL_CONNECTIONS: u32 = 4;
export const POOLS: u32 = 5;

export const POOL_STRIDE: u32 = 64;
export const POOL_CACHE: u32 = 128;
export const POOL_CACHE_STRIDE: u32 = 576; // count and numbers, on lines of their own

function poolAt(pool: u32): Pool {
  return changetype<Pool>(map.pools + <usize>(pool * POOL_STRIDE));
}

function cacheAt(thread: u32, pool: u32): PoolCache {
  return changetype<PoolCache>(map.poolCaches + <usize>((thread * POOLS + pool) * POOL_CACHE_STRIDE));
}

function slot(cache: PoolCache, i: u32): usize {
  return changetype<usize>(cache) + 4 + ((<usize>i) << 2);
}

/** A free number of `pool`, or NONE. */
export function take(thread: u32, pool: u32): u32 {
  const cache = cacheAt(thread, pool);
  if (cache.count == 0 && !refill(thread, pool, cache)) return NONE;
  cache.count--;
  return load<u32>(slot(cache, cache.count));
}

/** Gives back a number got from `take`, by this thread or another. */
export function give(thread: u32, pool: u32, number: u32): void {
  const cache = cacheAt(thread, pool);
  if (cache.count == POOL_CACHE) spill(thread, pool, cache);
  store<u32>(slot(cache, cache.count), number);
  cache.count++;
}

function refill(thread: u32, pool: u32, cache: PoolCache): bool {
  const p = poolAt(pool);
  acquire(changetype<usize>(p), thread);
  const n = min<u32>(p.free, POOL_CACHE / 2);
  p.free -= n;
  p.least = min<u32>(p.least, p.free);
  memory.copy(slot(cache, 0), p.stack + ((<usize>p.free) << 2), (<usize>n) << 2);
  release(changetype<usize>(p));
  cache.count = n;
  return n != 0;
}

function spill(thread: u32, pool: u32, cache: PoolCache): void {
  const p = poolAt(pool);
  const n = POOL_CACHE / 2;
  cache.count -= n;
  acquire(changetype<usize>(p), thread);
  memory.copy(p.stack + ((<usize>p.free) << 2), slot(cache, cache.count), (<usize>n) << 2);
  p.free += n;
  release(changetype<usize>(p));
}

/** How many numbers `pool` has. */
export function poolSize(pool: u32): u32 {
  return poolAt(pool).numbers;
}

/** No number from this one on has ever been taken: the lowest are handed out first. */
export function everTaken(pool: u32): u32 {
  return poolAt(pool).numbers - poolAt(pool).least;
}

/** Releases the pool's lock if `thread`, which is dead, holds it; whether it did. */
export function releasePool(pool: u32, thread: u32): bool {
  return releaseAfter(changetype<usize>(poolAt(pool)), thread);
}

/**
 * Makes a pool anew while all threads stand still: every number is free, except those that are kept before
 * `endRenewal`. Until then the stack is a list of marks, the highest number's first. Returns how many were free.
 */
export function beginRenewal(pool: u32): u32 {
  const p = poolAt(pool);
  let free = p.free;
  for (let thread: u32 = 0; thread < map.threadCount; thread++) {
    const cache = cacheAt(thread, pool);
    free += cache.count;
    cache.count = 0;
  }
  memory.fill(p.stack, 0, (<usize>p.numbers) << 2);
  return free;
}

function mark(pool: u32, number: u32): usize {
  const p = poolAt(pool);
  return p.stack + ((<usize>(p.numbers - 1 - number)) << 2);
}

/** Says of a number, between `beginRenewal` and `endRenewal`, that it is in use. */
export function keep(pool: u32, number: u32): void {
  store<u32>(mark(pool, number), 1);
}

/** Whether `keep` was said of a number. */
export function isKept(pool: u32, number: u32): bool {
  return load<u32>(mark(pool, number)) != 0;
}

/** Puts all that was not kept on the stack, the lowest on top. Returns how many that is. */
export function endRenewal(pool: u32): u32 {
  const p = poolAt(pool);
  let free: u32 = 0;
  for (let i: u32 = 0; i < p.numbers; i++) {
    if (load<u32>(p.stack + ((<usize>i) << 2)) != 0) continue;
    store<u32>(p.stack + ((<usize>free) << 2), p.numbers - 1 - i);
    free++;
  }
  p.free = free;
  return free;
}
