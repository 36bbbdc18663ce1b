/**
 * The module that `heddle bench memory` loads: for each structure that threads share, a loop over one
 * operation of it. Compiled to build/heddle-bench.wasm from the same sources.
 *
 * Every thread calls the same function, with how often and with how many threads there are. `setUp` is called
 * once, before, by one thread. Structures lie in memory that the arena keeps for ports, which are not there.
 */
import { map, NONE } from './memory/arena';
import { arrive, BARRIER_STRIDE, Barrier, format as formatBarrier } from './memory/barrier';
import { CuckooMap, find, format as formatMap, insert, remove } from './memory/cuckoo';
import { beginSleep, endSleep, ring as ringDoorbell, sleepUntilRung } from './memory/doorbell';
import { advance, enter } from './memory/epoch';
import { acquire, release } from './memory/lock';
import { format as formatQueue, MpscQueue, pop, push } from './memory/mpsc';
import { give, POOL_FLOWS, take } from './memory/pool';
import { available, get, put, ringBetween } from './memory/ring';
import { beginRead, copyOut, isWhole } from './memory/sequence';
import { add } from './memory/tally';
import { ASLEEP_IN_WAIT, self } from './memory/thread';

export { attach } from './memory/thread';

/** Bytes of scratch memory that are needed. */
export const BENCH_SCRATCH: u32 = 0x800000;

// Offsets in the scratch memory.
const LOCK: usize = 0x0;
const GUARDED: usize = 0x40;
const SEQUENCE: usize = 0x80;
const BARRIERS: usize = 0x100; // of one thread, and of two
const TOKEN: usize = 0x200;
const COPIES: usize = 0x1000; // and tallies: a line a thread
const QUEUE: usize = 0x2000;
const LINKS: usize = 0x3000; // RECORDS × 64
const MAP: usize = 0x100000;

const RECORDS: u32 = 4096;
const BUCKETS: u32 = 65536;
const ENTRIES: u32 = 300000;

function at(offset: usize): usize {
  return map.queues + offset;
}

function cuckooMap(): CuckooMap {
  return changetype<CuckooMap>(at(MAP));
}

function hashOf(number: u32): u32 {
  const mixed = (number + 1) * 0x9e3779b1;
  return mixed ^ (mixed >>> 15);
}

export function setUp(): void {
  formatBarrier(changetype<Barrier>(at(BARRIERS)), 0b1);
  formatBarrier(changetype<Barrier>(at(BARRIERS) + BARRIER_STRIDE), 0b11);
  formatQueue(changetype<MpscQueue>(at(QUEUE)), at(LINKS), 64);
  formatMap(cuckooMap(), BUCKETS);
  for (let number: u32 = 0; number < ENTRIES; number++) insert(cuckooMap(), hashOf(number), number);
}

/** Takes the lock, adds to a word, and releases it. */
export function lock(times: u32): void {
  for (let i: u32 = 0; i < times; i++) {
    acquire(at(LOCK), self.number);
    store<u32>(at(GUARDED), load<u32>(at(GUARDED)) + 1);
    release(at(LOCK));
  }
}

/** Copies 32 bytes that nobody writes. */
export function sequence(times: u32): void {
  const copy = at(COPIES) + <usize>(self.number << 6);
  for (let i: u32 = 0; i < times; i++) {
    const begun = beginRead(at(SEQUENCE));
    copyOut(copy, at(SEQUENCE) + 8, 32);
    if (!isWhole(at(SEQUENCE), begun)) return;
  }
}

/** Begins a batch; at every 64th moves the epoch on. */
export function epoch(times: u32): void {
  for (let i: u32 = 0; i < times; i++) {
    enter();
    if ((i & 63) == 0) advance();
  }
}

/** Finds one of 300,000 entries, each as likely. */
export function cuckooFind(times: u32): void {
  for (let i: u32 = 0; i < times; i++) {
    const number = hashOf(2 * i + self.number) % ENTRIES;
    if (find(cuckooMap(), hashOf(number)) == NONE) unreachable();
  }
}

/** Inserts an entry or removes it again, under the lock. */
export function cuckooChange(times: u32): void {
  for (let i: u32 = 0; i < times; i++) {
    const number = ENTRIES + ((i >>> 1) & 0xffff) * 2 + self.number;
    acquire(at(LOCK), self.number);
    if (i & 1) remove(cuckooMap(), hashOf(number), number);
    else insert(cuckooMap(), hashOf(number), number);
    release(at(LOCK));
  }
}

/** Hands a number through the queue: to itself, or from thread 0 to thread 1, which hands the record back. */
export function mpsc(times: u32, threads: u32): void {
  const q = changetype<MpscQueue>(at(QUEUE));
  for (let i: u32 = 0; i < times; i++) {
    const number = i & (RECORDS - 1);
    const isTaken = at(LINKS) + ((<usize>number) << 6) + 4;
    if (threads == 1 || self.number == 0) {
      while (atomic.load<u32>(isTaken) != 0) {}
      store<u32>(isTaken, 1);
      push(q, number);
    }
    if (threads == 1 || self.number == 1) {
      while (pop(q) == NONE) {}
      atomic.store<u32>(isTaken, 0);
    }
  }
}

/** Hands a number through a ring: to itself, or from thread 0 to thread 1. */
export function ring(times: u32, threads: u32): void {
  const r = ringBetween(0, threads - 1);
  for (let i: u32 = 0; i < times; i++) {
    if (threads == 1 || self.number == 0) while (!put(r, i)) {}
    if (threads == 1 || self.number == 1) {
      while (available(r) == 0) {}
      get(r);
    }
  }
}

/** Takes a number or gives it back, 100 in a row, so that some meet at the stack. */
export function pool(times: u32): void {
  const numbers = at(COPIES) + 0x400 + <usize>(self.number << 9);
  for (let i: u32 = 0; i < times; i += 200) {
    for (let n: u32 = 0; n < 100; n++) store<u32>(numbers + ((<usize>n) << 2), take(self.number, POOL_FLOWS));
    for (let n: u32 = 0; n < 100; n++) give(self.number, POOL_FLOWS, load<u32>(numbers + ((<usize>n) << 2)));
  }
}

/** Counts one. */
export function tally(times: u32): void {
  const mine = at(COPIES) + <usize>(self.number << 6);
  for (let i: u32 = 0; i < times; i++) add(mine, 1);
}

/** Passes a barrier of all threads. */
export function barrier(times: u32, threads: u32): void {
  const b = changetype<Barrier>(at(BARRIERS) + <usize>((threads - 1) * BARRIER_STRIDE));
  for (let i: u32 = 0; i < times; i++) arrive(b, self.number);
}

/** Rings a thread that is awake; or two threads wake each other in turn, each asleep until then. */
export function doorbell(times: u32, threads: u32): void {
  for (let i: u32 = 0; i < times; i++) {
    if (threads == 1) ringDoorbell(0);
    else takeTurn();
  }
}

/** Waits until the token says that it is this thread's turn, asleep, and passes it on. */
function takeTurn(): void {
  while (true) {
    const rung = beginSleep(ASLEEP_IN_WAIT);
    const isMine = (atomic.load<u32>(at(TOKEN)) & 1) == self.number;
    if (!isMine) sleepUntilRung(rung, 1000);
    endSleep();
    if (isMine) break;
  }
  atomic.add<u32>(at(TOKEN), 1);
  ringDoorbell(1 - self.number);
}
