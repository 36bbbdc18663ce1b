/**
 * Ports whose far side is TypeScript: it reads the queued frames' bytes in the arena, a batch at a time,
 * after they were made fit for it here, and then says that it has them.
 */
import { BATCH_SCRATCH, batch } from '../batch';
import { COUNT_SEGMENTED, count, portCounters } from '../counters';
import { DROP_BATCH_FULL, DROP_NO_FRAMES } from '../drop';
import { NONE } from '../memory/arena';
import { CHECKSUM_PARTIAL, FRAME_PIECE, frameAt, giveFrame } from '../packet/frame';
import { cutSegment, segmentHeaders } from '../packet/segment';
import { completeChecksum } from '../packet/transport-checksum';
import { countSent, drop, dropAtPort } from '../transmit';
import { queued, setQueued, TRANSMIT_SLOTS, TransmitQueue, transmitQueue } from './port';

/**
 * Completes the checksums of the frames queued for `port` and, if `cut`, replaces segments by the packets
 * that they stand for, in order. Returns how many frames there are now.
 */
export function hostPrepare(port: u32, cut: bool): u32 {
  const queue = transmitQueue(port);
  const n = queue.count;
  const numbers = batch() + BATCH_SCRATCH;
  memory.copy(numbers, changetype<usize>(queue) + offsetof<TransmitQueue>(), (<usize>n) << 2);
  queue.count = 0;
  for (let i: u32 = 0; i < n; i++) {
    const number = load<u32>(numbers + ((<usize>i) << 2));
    const frame = frameAt(number);
    if (cut && segmentHeaders(frame) != 0) {
      pushPieces(queue, port, number);
    } else {
      if (frame.checksum == CHECKSUM_PARTIAL) completeChecksum(frame);
      if (!push(queue, number)) dropAtPort(number, port, DROP_BATCH_FULL);
    }
  }
  return queue.count;
}

function push(queue: TransmitQueue, number: u32): bool {
  if (queue.count == TRANSMIT_SLOTS) return false;
  setQueued(queue, queue.count++, number);
  return true;
}

/**
 * The packets of a segment, as far as there are frames and room for them; what is missing counts at the
 * port. The first that goes stands for the segment, whose fate is counted once.
 */
function pushPieces(queue: TransmitQueue, port: u32, number: u32): void {
  const frame = frameAt(number);
  const headers = segmentHeaders(frame);
  let pieces: u32 = 0;
  for (let offset: u32 = 0; offset < frame.length - headers; offset += frame.segmentSize) {
    const piece = queue.count == TRANSMIT_SLOTS ? NONE : cutSegment(frame, headers, offset);
    if (piece == NONE) {
      portCounters(port).txDropped++;
      continue;
    }
    if (pieces != 0) frameAt(piece).flags |= FRAME_PIECE;
    pieces++;
    push(queue, piece);
  }
  if (pieces == 0) {
    drop(number, queue.count == TRANSMIT_SLOTS ? DROP_BATCH_FULL : DROP_NO_FRAMES);
    return;
  }
  count(COUNT_SEGMENTED, 1);
  giveFrame(number);
}

/** TypeScript has taken all frames queued for `port`. */
export function hostSent(port: u32): void {
  const queue = transmitQueue(port);
  for (let i: u32 = 0; i < queue.count; i++) {
    const number = queued(queue, i);
    const frame = frameAt(number);
    countSent(frame, port, 1, frame.length);
    giveFrame(number);
  }
  queue.count = 0;
}
