/**
 * Frames that go round: parsed and looked up again under a number that the tables gave to the point where they
 * stopped. They wait in the ring from their thread to itself. A datapath thread empties it at the end of each
 * batch; a handler takes them with its next misses, as which they count (share.ts).
 */
import { COUNT_UPCALLS, count } from './counters';
import { DROP_BATCH_FULL, DROP_RECIRCULATION_LIMIT, DROP_UPCALL_QUEUE_FULL } from './drop';
import { Key } from './flow/key';
import { isHandler, strandOf } from './handlers';
import { Ring, ringBetween } from './memory/ring';
import { self } from './memory/thread';
import { noteRound } from './order';
import { frameAt, passFrame } from './packet/frame';
import { passToHandler } from './share';
import { drop } from './transmit';

/** How often one packet may go round. */
export const MAX_ROUNDS: u32 = 32;

/** Where this thread's frames wait for their next round. */
export function nextRound(): Ring {
  return ringBetween(self.number, self.number);
}

/** Sends a frame whose key is `key` round again as `recirculation`. */
export function recirculate(number: u32, recirculation: u32, key: Key): void {
  const frame = frameAt(number);
  if (frame.rounds == <u8>MAX_ROUNDS) return drop(number, DROP_RECIRCULATION_LIMIT);
  if (frame.rounds == 0) frame.strand = <u16>strandOf(key);
  frame.rounds++;
  frame.recirculation = <u16>recirculation;
  if (isHandler()) missAgain(number);
  else if (!passFrame(number, self.number)) drop(number, DROP_BATCH_FULL);
}

/** The handler takes the frame with its next misses. */
function missAgain(number: u32): void {
  const frame = frameAt(number);
  if (!passToHandler(number, frame.strand)) return drop(number, DROP_UPCALL_QUEUE_FULL);
  noteRound(frame);
  count(COUNT_UPCALLS, 1);
}
