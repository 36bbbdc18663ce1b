/** Pool: one thread's cache is empty, one's is full, and another takes, so that all meet at the stack. */
import { changes, scratch, shares } from '../explore';
import { map, NONE } from '../memory/arena';
import {
  give,
  POOL_CACHE,
  POOL_CACHE_STRIDE,
  POOL_FLOWS,
  POOL_STRIDE,
  POOLS,
  Pool,
  take,
} from '../memory/pool';
import { self } from '../memory/thread';

/** Numbers in play: what the full cache has, what is given to it, and 96 on the stack. */
const NUMBERS: u32 = POOL_CACHE + 1 + 96;
const THREADS: u32 = 4;

function poolRecord(): usize {
  return map.pools + <usize>(POOL_FLOWS * POOL_STRIDE);
}

function holderOf(number: u32): usize {
  return scratch() + 64 + ((<usize>number) << 2);
}

export function setUp(): void {
  shares(poolRecord(), POOL_STRIDE);
  const pool = changetype<Pool>(poolRecord());
  pool.free = NUMBERS;
  changes(pool.stack, (<usize>NUMBERS) << 2);
  changes(map.poolCaches, <usize>(THREADS * POOLS * POOL_CACHE_STRIDE));
  changes(scratch(), 64 + 4096);
  // Thread 1's cache becomes full, and it holds one number more.
  pool.free = 0;
  for (let i: u32 = 0; i < POOL_CACHE; i++) give(1, POOL_FLOWS, load<u32>(pool.stack + ((<usize>i) << 2)));
  store<u32>(scratch(), load<u32>(pool.stack + ((<usize>POOL_CACHE) << 2)));
  for (let i: u32 = 0; i < 96; i++) {
    store<u32>(pool.stack + ((<usize>i) << 2), load<u32>(pool.stack + ((<usize>(i + POOL_CACHE + 1)) << 2)));
  }
  pool.free = 96;
}

function hold(number: u32): void {
  assert(number != NONE && number < 1024, 'no number, or none of the pool');
  assert(load<u32>(holderOf(number)) == 0, 'a number has two holders');
  store<u32>(holderOf(number), self.number + 1);
}

export function thread0(): void {
  hold(take(0, POOL_FLOWS));
}

export function thread1(): void {
  give(1, POOL_FLOWS, load<u32>(scratch()));
}

export function thread2(): void {
  const number = take(2, POOL_FLOWS);
  hold(number);
  store<u32>(holderOf(number), 0);
  give(2, POOL_FLOWS, number);
}

/** Counts `n` numbers from `at` on as held by nobody. */
function findFree(at: usize, n: u32): u32 {
  for (let i: u32 = 0; i < n; i++) hold(load<u32>(at + ((<usize>i) << 2)));
  return n;
}

export function check(): void {
  const pool = changetype<Pool>(poolRecord());
  let found = 1 + findFree(pool.stack, pool.free); // thread 0 holds one
  for (let thread: u32 = 0; thread < THREADS; thread++) {
    const cache = map.poolCaches + <usize>((thread * POOLS + POOL_FLOWS) * POOL_CACHE_STRIDE);
    found += findFree(cache + 4, load<u32>(cache));
  }
  assert(found == NUMBERS, 'a number is lost');
}
