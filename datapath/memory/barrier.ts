/**
 * Barrier: threads wait for each other until all members have arrived, as often as they like.
 *
 *     sets    members (low 32 bits) │ arrived (high 32 bits)     bit by thread number
 *     phase   goes up by one each time that all have arrived
 *
 * Members and arrivals stand in one word, so that an arrival and a departure cannot miss each other: whichever
 * makes "all members have arrived" true clears the arrivals, moves the phase on and wakes the others.
 *
 * Whoever has something else to do meanwhile announces that it has arrived, and looks now and then whether the phase
 * has moved on.
 *
 * A thread that goes leaves the barrier; for one that died the supervisor does it, in its name. Either may
 * come at any moment, before the thread arrived or while it waits, and twice: it is struck from both sets, and
 * those who waited for it alone go on. So nobody waits for a thread that is known to be gone. One that joins is
 * waited for from the present phase on.
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

/** The present phase. */
export function phaseNow(barrier: Barrier): u32 {
  return atomic.load<u32>(phaseOf(barrier));
}

/** The threads that are waited for, bit by number. */
export function membersOf(barrier: Barrier): u32 {
  return <u32>atomic.load<u64>(setsOf(barrier));
}

/** Waits until all members have arrived; false at once when `thread` is no member, or no longer. */
export function arrive(barrier: Barrier, thread: u32): bool {
  const seen = phaseNow(barrier);
  if (!announce(barrier, thread)) return false;
  while (phaseNow(barrier) == seen) atomic.wait<u32>(phaseOf(barrier), seen, -1);
  return true;
}

/** `thread` has arrived, and does not wait; false when it is no member, or no longer. */
export function announce(barrier: Barrier, thread: u32): bool {
  while (true) {
    const sets = atomic.load<u64>(setsOf(barrier));
    if (!((sets >>> thread) & 1)) return false;
    if (change(barrier, sets, sets | ((<u64>1) << (32 + thread)))) return true;
  }
}

/** Adds `thread`, which is none, to the members: from now on it is waited for. */
export function join(barrier: Barrier, thread: u32): void {
  while (true) {
    const sets = atomic.load<u64>(setsOf(barrier));
    if (change(barrier, sets, sets | ((<u64>1) << thread))) return;
  }
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
