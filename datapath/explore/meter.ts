/** Meters: three threads take from a bucket in which there is less than they want. Exactly what is there goes. */
import { bitsOf, MeterBand, takesTokens } from '../action/meter';
import { changes, scratch } from '../explore';
import { self, threadAt } from '../memory/thread';

const DEPTH: u32 = 4; // tokens, of which one comes in each millisecond
const THREADS: u32 = 3;

function band(): MeterBand {
  return changetype<MeterBand>(scratch());
}

/** How many tokens a thread got. */
function takenBy(thread: u32): usize {
  return scratch() + offsetof<MeterBand>() + <usize>(thread << 2);
}

export function setUp(): void {
  band().rate = 1;
  band().depthMs = DEPTH;
  band().emptyMs = bitsOf(-Infinity);
  changes(scratch(), 64);
  for (let thread: u32 = 0; thread < THREADS; thread++) threadAt(thread).nowMs = 100;
}

function take(): void {
  for (let i: u32 = 0; i < 2; i++) {
    if (takesTokens(band(), 1)) store<u32>(takenBy(self.number), load<u32>(takenBy(self.number)) + 1);
  }
}

export function thread0(): void {
  take();
}

export function thread1(): void {
  take();
}

export function thread2(): void {
  take();
}

export function check(): void {
  const taken = load<u32>(takenBy(0)) + load<u32>(takenBy(1)) + load<u32>(takenBy(2));
  assert(taken == DEPTH, 'another number of tokens went than was there');
}
