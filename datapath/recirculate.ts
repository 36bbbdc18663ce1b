/**
 * Frames that go round: parsed and looked up again under a number that the tables gave to the point where they
 * stopped. They wait in the ring from their thread to itself. A datapath thread empties it at the end of each
 * batch; the handler takes them with its next misses.
 */
import { COUNT_UPCALLS, count } from './counters';
import { DROP_BATCH_FULL, DROP_RECIRCULATION_LIMIT } from './drop';
import { map } from './memory/arena';
import { Ring, ringBetween } from './memory/ring';
import { self } from './memory/thread';
import { frameAt, passFrame } from './packet/frame';
import { drop } from './transmit';

/** How often one packet may go round. */
export const MAX_ROUNDS: u32 = 32;

/** Where this thread's frames wait for their next round. */
export function nextRound(): Ring {
  return ringBetween(self.number, self.number);
}

/** Sends a frame round again as `recirculation`. */
export function recirculate(number: u32, recirculation: u32): void {
  const frame = frameAt(number);
  if (frame.rounds == <u8>MAX_ROUNDS) return drop(number, DROP_RECIRCULATION_LIMIT);
  frame.rounds++;
  frame.recirculation = recirculation;
  if (!passFrame(number, self.number)) drop(number, DROP_BATCH_FULL);
  else if (self.number == map.handlerThread) count(COUNT_UPCALLS, 1);
}
