/** Tallies: two threads count, a third sums. */
import { scratch, shares } from '../explore';
import { add, sumOf, tallyAt } from '../memory/tally';
import { self } from '../memory/thread';

const PER_THREAD: u32 = 8;
const THREADS: u32 = 2;

export function setUp(): void {
  shares(scratch(), (<usize>(PER_THREAD * THREADS)) << 3);
}

function count(n: u64): void {
  add(tallyAt(scratch(), PER_THREAD, self.number, 3), n);
}

function sum(): u64 {
  return sumOf(scratch(), PER_THREAD, THREADS, 3);
}

export function thread0(): void {
  count(1);
  count(1);
}

export function thread1(): void {
  count(10);
  count(10);
}

export function thread2(): void {
  const before = sum();
  const after = sum();
  assert(before <= after && after <= 22, 'a sum went back, or counted twice');
}

export function check(): void {
  assert(sum() == 22, 'a count is lost');
}
