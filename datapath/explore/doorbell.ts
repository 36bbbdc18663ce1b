/** Doorbell: a thread sleeps when it finds nothing; two others give it work, and it must not sleep through. */
import { changes, scratch, shares } from '../explore';
import { map } from '../memory/arena';
import { beginSleep, endSleep, ring, sleepUntilRung } from '../memory/doorbell';
import { ASLEEP_IN_WAIT, THREAD_STRIDE } from '../memory/thread';

function work(): usize {
  return scratch();
}

export function setUp(): void {
  shares(scratch(), 64);
  changes(map.threads, 4 * THREAD_STRIDE);
}

/** Ends when it has done two pieces of work; the explorer's waits have no time limit. */
export function thread0(): void {
  for (let done: u32 = 0; done < 2; ) {
    const rung = beginSleep(ASLEEP_IN_WAIT);
    if (atomic.load<u32>(work()) == 0) sleepUntilRung(rung, 1000);
    endSleep();
    done += atomic.xchg<u32>(work(), 0);
  }
}

function giveWork(): void {
  atomic.add<u32>(work(), 1);
  ring(0);
}

export function thread1(): void {
  giveWork();
}

export function thread2(): void {
  giveWork();
}
