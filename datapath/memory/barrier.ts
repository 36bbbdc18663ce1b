/**
 * Barrier: threads wait for each other until all members have arrived, as often as they like.
 *
 *     sets    members (low 32 bits) │ arrived (high 32 bits)     bit by thread number
 *     phase   goes up by one each time that all have arrived
 *
 * Members and arrivals stand in one word, so that an arrival and a departure cannot miss each other: whichever
 * makes "all members have arrived" true clears the arrivals, moves the phase on and wakes the others.
 *
 * A thread that goes leaves the barrier; for one that died the supervisor does it, in its name. Either may
 * come at any moment, before the thread arrived or while it waits, and twice: it is struck from both sets, and
 * those who waited for it alone go on. So nobody waits for a thread that is known to be gone.
 */
@unmanaged
export class Barrier {
  sets: u64; // atomic; all members and whoever removes one
  phase: u32; // atomic; whoever completes a phase
}

export const BARRIER_STRIDE: u32 = 64;

function setsOf(barrier: Barrier): usize {
  return changetype<usize>(barrier) + offsetof<Barrier>('sets');
}

function phaseOf(barrier: Barrier): usize {
  return changetype<usize>(barrier) + offsetof<Barrier>('phase');
}

/** Makes a barrier of the threads in `members`, bit by number. Nobody may be waiting. */
export function format(barrier: Barrier, members: u32): void {
  barrier.sets = <u64>members;
  barrier.phase = 0;
}

/** Waits until all members have arrived; false at once when `thread` is no member, or no longer. */
export function arrive(barrier: Barrier, thread: u32): bool {
  const seen = atomic.load<u32>(phaseOf(barrier));
  while (true) {
    const sets = atomic.load<u64>(setsOf(barrier));
    if (!((sets >>> thread) & 1)) return false;
    if (change(barrier, sets, sets | ((<u64>1) << (32 + thread)))) break;
  }
  while (atomic.load<u32>(phaseOf(barrier)) == seen) atomic.wait<u32>(phaseOf(barrier), seen, -1);
  return true;
}

/** Strikes `thread` from the members, whatever it is doing. By itself, or by whoever knows that it is gone. */
export function leave(barrier: Barrier, thread: u32): void {
  const both: u64 = 0x100000001;
  while (true) {
    const sets = atomic.load<u64>(setsOf(barrier));
    if (!((sets >>> thread) & 1)) return;
    if (change(barrier, sets, sets & ~(both << thread))) return;
  }
}

/**
 * Puts `to` in the place of `from`, or if that completes the phase, what the next begins with; false, with
 * nothing done, when another thread has changed the sets.
 */
function change(barrier: Barrier, from: u64, to: u64): bool {
  const members = <u32>to;
  const isComplete = <u32>(to >>> 32) == members;
  if (atomic.cmpxchg<u64>(setsOf(barrier), from, isComplete ? <u64>members : to) != from) return false;
  if (isComplete) {
    atomic.add<u32>(phaseOf(barrier), 1);
    atomic.notify(phaseOf(barrier), -1);
  }
  return true;
}
