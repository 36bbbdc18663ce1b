/**
 * The in-memory half of an AF_XDP port: the four rings that it shares with the kernel.
 *
 *                   fill  ── frames to receive into ──▶  kernel
 *     this thread   rx    ◀─ frames received ──────────  kernel
 *                   tx    ── frames to send ──────────▶  kernel
 *          completion     ◀─ frames sent ──────────────  kernel
 *
 * The small frames of the arena are the UMEM, so a frame received here is sent by another AF_XDP port as
 * it is. A frame is the kernel's from the moment it is on `fill` or `tx` until it is back through `rx` or
 * `completion`. The rings' indices are free-running; the producer of each publishes with an atomic store.
 *
 * In the queue's area: rx, tx, fill, completion areas of XDP_AREA each; inside the fill area, behind its ring,
 * the record below, which TypeScript fills before a thread drives the queue; and at XDP_HELD a bit for each
 * small frame of the arena, set while the kernel has the frame. Where a frame is inside the kernel no ring
 * tells, so when the socket is closed, these bits say which frames come back. The queue's thread alone uses it.
 */
import { BATCH, setFrameIn } from '../batch';
import { COUNT_SEGMENTED, count } from '../counters';
import { DROP_NO_FRAMES, DROP_TOO_LONG, DROP_TRANSMIT_QUEUE_FULL } from '../drop';
import { map, NONE } from '../memory/arena';
import { POOL_FRAMES, take } from '../memory/pool';
import { self } from '../memory/thread';
import {
  CHECKSUM_PARTIAL,
  duplicate,
  FRAME_SIZE,
  Frame,
  frameAt,
  giveFrame,
  hold,
  makePlain,
} from '../packet/frame';
import { VLAN_TAG } from '../packet/headers';
import { cutSegment, segmentHeaders } from '../packet/segment';
import { completeChecksum } from '../packet/transport-checksum';
import { isTagged } from '../packet/vlan';
import { process } from '../process';
import { countSent, dropAtPort } from '../transmit';
import { portAt, queued, transmitQueue } from './port';

@unmanaged
export class XdpQueue {
  rxProducer: usize;
  rxConsumer: usize;
  rxDescriptors: usize;
  txProducer: usize;
  txConsumer: usize;
  txDescriptors: usize;
  fillProducer: usize;
  fillConsumer: usize;
  fillDescriptors: usize;
  completionProducer: usize;
  completionConsumer: usize;
  completionDescriptors: usize;
  entries: u32; // of each ring, a power of two
  fillTarget: u32; // frames that the kernel should have to receive into
  txNext: u32; // where the next frame goes on the transmit ring: the producer's index, not yet published
}

export const XDP_AREA: u32 = 65536;
export const XDP_QUEUE: u32 = 163840; // 2 × XDP_AREA + 32 KiB

/** Offset in the area of the bits that say which frames the kernel has. There is room for MAX_FRAMES. */
export const XDP_HELD: u32 = 393216;
export const MAX_FRAMES: u32 = 1048576;

/** Frames are given to the kernel this many at a time at least. */
const FILL_BATCH: u32 = 64;

/** The word that has frame `number`'s bit. */
function heldWord(queue: XdpQueue, number: u32): usize {
  return changetype<usize>(queue) + (XDP_HELD - XDP_QUEUE) + ((<usize>(number >>> 5)) << 2);
}

/** Notes that frame `number` goes to the kernel, or comes back from it. */
function flipHeld(queue: XdpQueue, number: u32): void {
  const word = heldWord(queue, number);
  store<u32>(word, load<u32>(word) ^ (1 << (number & 31)));
}

/** Receives up to a batch and processes it. Returns how many frames that was. */
export function xdpPoll(port: u32, queue: XdpQueue): u32 {
  const consumer = load<u32>(queue.rxConsumer);
  const n = min<u32>(atomic.load<u32>(queue.rxProducer) - consumer, BATCH);
  for (let i: u32 = 0; i < n; i++) {
    const descriptor = queue.rxDescriptors + ((<usize>((consumer + i) & (queue.entries - 1))) << 4);
    const address = load<u32>(descriptor);
    const number = address / FRAME_SIZE;
    const frame = frameAt(number);
    frame.data = map.frames + address;
    frame.length = load<u32>(descriptor, 8);
    frame.port = port;
    makePlain(frame);
    flipHeld(queue, number);
    setFrameIn(i, number);
  }
  if (n != 0) atomic.store<u32>(queue.rxConsumer, consumer + n);
  fill(queue);
  if (n != 0) process(port, n);
  return n;
}

/** Gives the kernel frames to receive into, up to the target. */
function fill(queue: XdpQueue): void {
  const producer = load<u32>(queue.fillProducer);
  const room = queue.fillTarget - (producer - atomic.load<u32>(queue.fillConsumer));
  if (<i32>room < <i32>FILL_BATCH) return;
  let given: u32 = 0;
  for (; given < room; given++) {
    const number = take(self.number, POOL_FRAMES);
    if (number == NONE) break;
    hold(frameAt(number));
    const slot = queue.fillDescriptors + ((<usize>((producer + given) & (queue.entries - 1))) << 3);
    store<u64>(slot, <u64>number * FRAME_SIZE);
    flipHeld(queue, number);
  }
  atomic.store<u32>(queue.fillProducer, producer + given);
}

/** Takes back the frames that the kernel has sent. Until then they take up its room for more. */
function reap(queue: XdpQueue): void {
  const consumer = load<u32>(queue.completionConsumer);
  const n = atomic.load<u32>(queue.completionProducer) - consumer;
  for (let i: u32 = 0; i < n; i++) {
    const slot = queue.completionDescriptors + ((<usize>((consumer + i) & (queue.entries - 1))) << 3);
    const number = load<u32>(slot) / FRAME_SIZE;
    flipHeld(queue, number);
    giveFrame(number);
  }
  if (n != 0) atomic.store<u32>(queue.completionConsumer, consumer + n);
}

/** Puts the frames queued for the port on the transmit ring; what does not fit is dropped. */
export function xdpTransmit(port: u32, queue: XdpQueue): void {
  const waiting = transmitQueue(port);
  queue.txNext = load<u32>(queue.txProducer);
  for (let i: u32 = 0; i < waiting.count; i++) {
    const number = queued(waiting, i);
    if (segmentHeaders(frameAt(number)) != 0) sendSegments(queue, port, number);
    else sendWhole(queue, port, number);
  }
  waiting.count = 0;
  // Published once: an atomic store waits for all stores before it, and they for their cache lines.
  atomic.store<u32>(queue.txProducer, queue.txNext);
}

/** Whether `length` bytes of the frame are more than the port takes, to which a tag adds its own. */
function isTooLong(frame: Frame, length: u32, port: u32): bool {
  const longest = portAt(port).maxLength;
  return length > longest && !(isTagged(frame) && length <= longest + VLAN_TAG);
}

function sendWhole(queue: XdpQueue, port: u32, number: u32): void {
  const frame = frameAt(number);
  if (isTooLong(frame, frame.length, port)) return dropAtPort(number, port, DROP_TOO_LONG);
  if (frame.checksum == CHECKSUM_PARTIAL) completeChecksum(frame);
  const own = number < map.frameCount ? number : duplicate(frame, frame.length);
  if (own == NONE) return dropAtPort(number, port, DROP_NO_FRAMES);
  if (!post(queue, own)) {
    if (own != number) giveFrame(own);
    return dropAtPort(number, port, DROP_TRANSMIT_QUEUE_FULL);
  }
  countSent(frame, port, 1, frame.length);
  if (own != number) giveFrame(number);
}

/** Cuts a segment into packets for the wire. It counts as sent when at least one of them is. */
function sendSegments(queue: XdpQueue, port: u32, number: u32): void {
  const frame = frameAt(number);
  const headers = segmentHeaders(frame);
  if (isTooLong(frame, headers + frame.segmentSize, port)) return dropAtPort(number, port, DROP_TOO_LONG);
  let packets: u32 = 0;
  let bytes: u32 = 0;
  for (let offset: u32 = 0; offset < frame.length - headers; offset += frame.segmentSize) {
    const segment = cutSegment(frame, headers, offset);
    if (segment == NONE) break;
    if (!post(queue, segment)) {
      giveFrame(segment);
      break;
    }
    packets++;
    bytes += frameAt(segment).length;
  }
  if (packets == 0) return dropAtPort(number, port, DROP_TRANSMIT_QUEUE_FULL);
  count(COUNT_SEGMENTED, 1);
  countSent(frame, port, packets, bytes);
  giveFrame(number);
}

/** Puts one frame of the UMEM on the transmit ring; false when the ring is full. */
function post(queue: XdpQueue, number: u32): bool {
  const producer = queue.txNext;
  if (producer - atomic.load<u32>(queue.txConsumer) == queue.entries) return false;
  const frame = frameAt(number);
  const descriptor = queue.txDescriptors + ((<usize>(producer & (queue.entries - 1))) << 4);
  store<u64>(descriptor, <u64>(frame.data - map.frames));
  store<u32>(descriptor, frame.length, 8);
  store<u32>(descriptor, 0, 12);
  queue.txNext = producer + 1;
  flipHeld(queue, number);
  return true;
}

/** Takes back what the kernel has sent; returns how many frames are on the transmit ring still. */
export function xdpBacklog(queue: XdpQueue): u32 {
  reap(queue);
  return load<u32>(queue.txProducer) - atomic.load<u32>(queue.txConsumer);
}

/** Takes back every frame that the kernel had: the socket is closed. */
export function xdpRelease(queue: XdpQueue): void {
  for (let first: u32 = 0; first < map.frameCount; first += 32) {
    const word = heldWord(queue, first);
    for (let held = load<u32>(word); held != 0; held &= held - 1) giveFrame(first + ctz<u32>(held));
    store<u32>(word, 0);
  }
}
