/**
 * Tallies: packets and bytes counted at a place in a program, such as a group's bucket, whichever flow it
 * stands in. Each thread has a row of its own, and readers sum the rows, as with all counters (counters.ts).
 * Tallies only go up: who hands out a number notes the sums at that time and counts from there.
 */
import { map } from '../memory/arena';
import { self } from '../memory/thread';
import { Frame } from '../packet/frame';

@unmanaged
export class Tally {
  packets: u64;
  bytes: u64;
}

export const TALLIES: u32 = 4096;
export const TALLY_STRIDE: u32 = 16;

/** Counts the frame as it is now; `number` is under TALLIES. */
export function tally(number: u32, frame: Frame): void {
  const row = map.tallies + <usize>((self.number * TALLIES + number) * TALLY_STRIDE);
  const mine = changetype<Tally>(row);
  mine.packets++;
  mine.bytes += <u64>frame.length;
}
