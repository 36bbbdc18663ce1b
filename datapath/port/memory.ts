/**
 * Memory port: receives from a ring of frames in the arena and transmits into one. Two of them joined in a
 * circle measure the packet path alone.
 *
 *     the queue's area: head, tail, then MEMORY_SLOTS frame numbers
 *
 * What is transmitted to the port is what it receives next; nobody but its thread touches it.
 */
import { BATCH, setFrameIn } from '../batch';
import { DROP_TRANSMIT_QUEUE_FULL } from '../drop';
import { frameAt, makePlain } from '../packet/frame';
import { process } from '../process';
import { countSent, dropAtPort } from '../transmit';
import { queued, transmitQueue } from './port';

@unmanaged
export class MemoryQueue {
  head: u32;
  tail: u32;
}

export const MEMORY_SLOTS: u32 = 8192;

function slot(queue: MemoryQueue, i: u32): usize {
  return changetype<usize>(queue) + offsetof<MemoryQueue>() + ((<usize>(i & (MEMORY_SLOTS - 1))) << 2);
}

/** Receives up to a batch and processes it. Returns how many frames that was. */
export function memoryPoll(port: u32, queue: MemoryQueue): u32 {
  const n = min<u32>(queue.head - queue.tail, BATCH);
  for (let i: u32 = 0; i < n; i++) {
    const number = load<u32>(slot(queue, queue.tail + i));
    const frame = frameAt(number);
    frame.port = port;
    makePlain(frame);
    setFrameIn(i, number);
  }
  queue.tail += n;
  if (n != 0) process(port, n);
  return n;
}

export function memoryTransmit(port: u32, queue: MemoryQueue): void {
  const waiting = transmitQueue(port);
  for (let i: u32 = 0; i < waiting.count; i++) {
    const number = queued(waiting, i);
    if (queue.head - queue.tail == MEMORY_SLOTS) {
      dropAtPort(number, port, DROP_TRANSMIT_QUEUE_FULL);
      continue;
    }
    const frame = frameAt(number);
    countSent(frame, port, 1, frame.length);
    store<u32>(slot(queue, queue.head), number);
    queue.head++;
  }
  waiting.count = 0;
}
