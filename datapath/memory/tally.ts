/**
 * Tallies: what many threads count, each in a block of its own, so that counting shares no cache line and
 * needs no atomic operation.
 *
 *     thread 0  │ 0 │ 1 │ 2 │ … to whole lines │
 *     thread 1  │ 0 │ 1 │ 2 │ …                │
 *                 └───┴── sum over the threads: the number of events `which`
 *
 * A block is `perThread` numbers of 64 bits, a multiple of 8 that fills whole lines. Each is written by its
 * thread alone; whoever sums reads each whole. So a sum is at least what it was at its beginning and at most
 * what it is at its end, but two sums are not of the same moment.
 */

/** Address of thread `thread`'s number `which`. */
export function tallyAt(tallies: usize, perThread: u32, thread: u32, which: u32): usize {
  return tallies + <usize>((thread * perThread + which) << 3);
}

/** Adds to a number of this thread's own. */
export function add(tally: usize, n: u64): void {
  store<u64>(tally, load<u64>(tally) + n);
}

/** The sum of `which` over `threads` threads. */
export function sumOf(tallies: usize, perThread: u32, threads: u32, which: u32): u64 {
  let sum: u64 = 0;
  for (let thread: u32 = 0; thread < threads; thread++) {
    sum += atomic.load<u64>(tallyAt(tallies, perThread, thread, which));
  }
  return sum;
}
