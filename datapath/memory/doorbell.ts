/**
 * The doorbell: a thread that finds nothing to do sleeps, and whoever gives it work wakes it.
 *
 *     the sleeper                               who gives it work
 *     1  note `rung`                            1  make the work visible
 *     2  sleeping = how          ╲ ╱            2  sleeping?
 *     3  look once more for work ╱ ╲               in wait: rung + 1, notify
 *     4  sleep while `rung` is as noted            in poll: bit in wakeMask
 *
 * Both do their first before their second, sequentially consistent, so one of the two sees the other. Work is
 * frames in a ring to the thread, or `mail`, which the control side sets and the thread clears: MAIL_MESSAGE when
 * its TypeScript has something to read, MAIL_HALT while it is to stand still between two rounds. It then says so
 * in `sleeping` and waits on `mail` until that bit is gone. A thread that is not awake touches nothing of the
 * arena but its doorbell and its sight of the rings.
 *
 * A thread that waits on `rung` noted it before it looked for work, so that a ring in between does not let it
 * sleep. A thread in `poll()` is woken by its eventfd, which takes a system call: the module notes it in
 * `wakeMask`, and the TypeScript of the thread that rang makes the call after the batch.
 */
import { ASLEEP_IN_POLL, ASLEEP_IN_WAIT, AWAKE, self, Thread, threadAt } from './thread';

/**
 * Announces that this thread is about to sleep, unless it finds work when it now looks once more. Returns what
 * `sleepUntilRung` takes. `endSleep` follows in either case.
 */
export function beginSleep(how: u32): u32 {
  const rung = atomic.load<u32>(changetype<usize>(self) + offsetof<Thread>('rung'));
  atomic.store<u32>(changetype<usize>(self) + offsetof<Thread>('sleeping'), how);
  return rung;
}

/** Sleeps until somebody rings, or has since `beginSleep`; false: `timeoutMs` have passed instead. */
export function sleepUntilRung(rung: u32, timeoutMs: f64): bool {
  const timeoutNs = <i64>(timeoutMs * 1e6);
  return (
    atomic.wait<u32>(changetype<usize>(self) + offsetof<Thread>('rung'), rung, timeoutNs) !=
    AtomicWaitResult.TIMED_OUT
  );
}

export function endSleep(): void {
  atomic.store<u32>(changetype<usize>(self) + offsetof<Thread>('sleeping'), AWAKE);
}

/** Wakes `number` if it sleeps; call after the work for it is visible. */
export function ring(number: u32): void {
  const thread = threadAt(number);
  const address = changetype<usize>(thread);
  const sleeping = atomic.load<u32>(address + offsetof<Thread>('sleeping'));
  if (sleeping == ASLEEP_IN_POLL) {
    self.wakeMask |= 1 << number;
  } else if (sleeping == ASLEEP_IN_WAIT) {
    atomic.add<u32>(address + offsetof<Thread>('rung'), 1);
    atomic.notify(address + offsetof<Thread>('rung'), 1);
  }
}
