/** Chance in the packet path: a share of packets, drawn from each thread's own sequence. */
import { self } from '../memory/thread';

/** Whether this packet is one of `probability` in 2³²-1. */
export function isSampled(probability: u32): bool {
  return draw() <= probability;
}

/**
 * The next of this thread's random numbers, 1 to 2³²-1, each of which comes once in a period: 32-bit xorshift
 * (Marsaglia 2003).
 */
export function draw(): u32 {
  let x = self.random;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  self.random = x;
  return x;
}
