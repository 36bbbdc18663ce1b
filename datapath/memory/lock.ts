/**
 * A spin lock of one word: 0 when free, else the holder's thread number + 1, so that a lock left behind
 * by a thread that died names it. Held only for a few instructions, never across a call out of the module.
 */
import { self } from './thread';

export function acquire(lock: usize, thread: u32): void {
  while (atomic.cmpxchg<u32>(lock, 0, thread + 1) != 0) {
    while (atomic.load<u32>(lock) != 0) {}
  }
}

/** Takes a lock if it is free, and does not wait for it; whether it did. */
export function tryAcquire(lock: usize, thread: u32): bool {
  return atomic.cmpxchg<u32>(lock, 0, thread + 1) == 0;
}

/** Called by the holder alone; the explorer's build checks that. */
export function release(lock: usize): void {
  assert(load<u32>(lock) == self.number + 1, 'a lock is released by who does not hold it');
  atomic.store<u32>(lock, 0);
}

/** Releases a lock if `thread`, which is dead, holds it; whether it did. */
export function releaseAfter(lock: usize, thread: u32): bool {
  return atomic.cmpxchg<u32>(lock, thread + 1, 0) == thread + 1;
}
