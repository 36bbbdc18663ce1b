/**
 * Ports whose far side is TypeScript: it reads the queued frames' bytes in the arena, a batch at a time,
 * after they were made fit for it here, and then says that it has them.
 */
import { COUNT_COPIES_FORWARDED, COUNT_FORWARDED, COUNT_SEGMENTED, count, portCounters } from '../counters';
import { NONE } from '../memory/arena';
import { FRAME_COPY, FRAME_PARTIAL, FRAME_PIECE, frameAt, giveFrame, SEGMENT_NONE } from '../packet/frame';
import { completeChecksum, cutSegment, segmentHeaders } from '../packet/segment';
import { queued, setQueued, TRANSMIT_SLOTS, TransmitQueue, transmitQueue } from './port';

/**
 * Completes the checksums of the frames queued for `port` and, if `cut`, replaces segments by the packets
 * that they stand for. Returns how many frames there are now.
 */
export function hostPrepare(port: u32, cut: bool): u32 {
  const queue = transmitQueue(port);
  const n = queue.count;
  for (let i: u32 = 0; i < n; i++) {
    const frame = frameAt(queued(queue, i));
    if (cut && frame.segmentType != SEGMENT_NONE) cutQueued(queue, port, i);
    else if (frame.flags & FRAME_PARTIAL) completeChecksum(frame);
  }
  return queue.count;
}

/**
 * The first packet takes the segment's place in the queue, the others go to its end: their order among
 * each other stays, which is what their connection needs. Those that find no room are the port's drops.
 */
function cutQueued(queue: TransmitQueue, port: u32, i: u32): void {
  const number = queued(queue, i);
  const frame = frameAt(number);
  const headers = segmentHeaders(frame);
  if (headers == 0) return;
  for (let offset: u32 = 0; offset < frame.length - headers; offset += frame.segmentSize) {
    const piece = offset == 0 || queue.count < TRANSMIT_SLOTS ? cutSegment(frame, headers, offset) : NONE;
    if (piece == NONE) {
      portCounters(port).txDropped++;
      if (offset == 0) return;
      continue;
    }
    if (offset == 0) {
      setQueued(queue, i, piece);
    } else {
      frameAt(piece).flags |= FRAME_PIECE;
      setQueued(queue, queue.count++, piece);
    }
  }
  count(COUNT_SEGMENTED, 1);
  giveFrame(number);
}

/** TypeScript has taken all frames queued for `port`. */
export function hostSent(port: u32): void {
  const queue = transmitQueue(port);
  const counters = portCounters(port);
  for (let i: u32 = 0; i < queue.count; i++) {
    const number = queued(queue, i);
    const frame = frameAt(number);
    counters.txPackets++;
    counters.txBytes += <u64>frame.length;
    if (!(frame.flags & FRAME_PIECE)) {
      count(frame.flags & FRAME_COPY ? COUNT_COPIES_FORWARDED : COUNT_FORWARDED, 1);
    }
    giveFrame(number);
  }
  queue.count = 0;
}
