/**
 * The in-memory half of a stream port: frames as QEMU writes them into a socket, each behind its length in
 * four bytes, big-endian. The control side moves bytes between the socket and two rings; here they become
 * frames and frames become bytes.
 *
 *     socket ─▶ control ─▶ [ incoming: STREAM_RING bytes ] ─▶ frames     head: control's, tail: the thread's
 *     socket ◀─ control ◀─ [ outgoing: STREAM_RING bytes ] ◀─ frames     head: the thread's, tail: control's
 *
 * Heads and tails count bytes and wrap. Whoever puts bytes stores the head after them, atomically; whoever
 * takes them stores the tail after reading them; so what lies between may be read, and the rest written.
 *
 * A ring that is full holds the sender back: the socket is not read until there is room, so a peer that sends
 * too fast waits and nothing is lost. What has no room on its way out is dropped, as it is at any port.
 *
 * The control side sleeps on `news`, which the thread raises when it has put bytes or made room. The thread
 * is told of bytes by its doorbell. `fault` is the thread's: it saw a length that no frame can have, and takes
 * nothing more of this connection; the control side hangs up.
 *
 * Each connection has a `connection` number of its own, which the control side raises. The thread then
 * forgets what the one before has left in the ring, and says so in `ready`; only after that are there bytes of
 * the new one. What is on its way out when a connection ends is thrown away by the control side.
 */
import { BATCH, BATCH_SCRATCH, batch, setFrameIn } from '../batch';
import { portCounters } from '../counters';
import { DROP_PORT_CLOSED, DROP_TOO_LONG, DROP_TRANSMIT_QUEUE_FULL } from '../drop';
import { NONE } from '../memory/arena';
import { FRAME_PIECE, Frame, frameAt, giveFrame, MAX_LENGTH, makePlain, takeFrame } from '../packet/frame';
import { VLAN_TAG } from '../packet/headers';
import { isTagged } from '../packet/vlan';
import { process } from '../process';
import { countSent, dropAtPort } from '../transmit';
import { hostPrepare } from './host';
import { portAt, queued, transmitQueue } from './port';

@unmanaged
export class StreamQueue {
  incomingHead: u32;
  incomingTail: u32;
  outgoingHead: u32;
  outgoingTail: u32;
  news: u32;
  fault: u32; // not 0: there is one, atomic; `faultLength` is written before
  faultLength: u32;
  isConnected: u32; // control's, atomic: frames for nobody are dropped as port_closed
  connection: u32;
  ready: u32;
}

/** Bytes of each ring, a power of two: more than the longest frame. */
export const STREAM_RING: u32 = 131072;
export const STREAM_INCOMING: u32 = 4096;
export const STREAM_OUTGOING: u32 = 135168;

/** Bytes in front of each frame. */
export const STREAM_LENGTH: u32 = 4;

/** Copies `length` bytes out of the ring at `ring`, from the byte that is `at` in its count. */
function copyOut(to: usize, ring: usize, at: u32, length: u32): void {
  const first = at & (STREAM_RING - 1);
  const whole = min<u32>(length, STREAM_RING - first);
  memory.copy(to, ring + first, whole);
  if (whole < length) memory.copy(to + whole, ring, length - whole);
}

function copyIn(ring: usize, at: u32, from: usize, length: u32): void {
  const first = at & (STREAM_RING - 1);
  const whole = min<u32>(length, STREAM_RING - first);
  memory.copy(ring + first, from, whole);
  if (whole < length) memory.copy(ring, from + whole, length - whole);
}

function lengthAt(ring: usize, at: u32): u32 {
  let length: u32 = 0;
  for (let i: u32 = 0; i < STREAM_LENGTH; i++) {
    length = (length << 8) | <u32>load<u8>(ring + ((at + i) & (STREAM_RING - 1)));
  }
  return length;
}

/** Tells the control side that there are bytes for it or room. */
function raise(queue: StreamQueue): void {
  const news = changetype<usize>(queue) + offsetof<StreamQueue>('news');
  atomic.add<u32>(news, 1);
  atomic.notify(news, 1);
}

/**
 * Receives up to a batch and processes it. Returns how many frames that was. For want of a free frame bytes
 * stay where they are.
 */
export function streamPoll(port: u32, queue: StreamQueue): u32 {
  const ring = changetype<usize>(queue) + STREAM_INCOMING;
  if (isNew(queue)) return 0;
  const head = atomic.load<u32>(changetype<usize>(queue) + offsetof<StreamQueue>('incomingHead'));
  const from = queue.incomingTail;
  let tail = from;
  let n: u32 = 0;
  while (n < BATCH && head - tail >= STREAM_LENGTH && queue.fault == 0) {
    const length = lengthAt(ring, tail);
    if (length == 0 || length > MAX_LENGTH) {
      queue.faultLength = length;
      atomic.store<u32>(changetype<usize>(queue) + offsetof<StreamQueue>('fault'), 1);
      break;
    }
    if (head - tail - STREAM_LENGTH < length) break;
    if (!receive(port, n, ring, tail + STREAM_LENGTH, length)) break;
    tail += STREAM_LENGTH + length;
    n++;
  }
  atomic.store<u32>(changetype<usize>(queue) + offsetof<StreamQueue>('incomingTail'), tail);
  if (tail != from || queue.fault != 0) raise(queue);
  if (n != 0) process(port, n);
  return n;
}

/** Whether there is another connection than before; forgets what that one has left. */
function isNew(queue: StreamQueue): bool {
  const connection = atomic.load<u32>(changetype<usize>(queue) + offsetof<StreamQueue>('connection'));
  if (connection == queue.ready) return false;
  queue.incomingTail = atomic.load<u32>(changetype<usize>(queue) + offsetof<StreamQueue>('incomingHead'));
  atomic.store<u32>(changetype<usize>(queue) + offsetof<StreamQueue>('fault'), 0);
  atomic.store<u32>(changetype<usize>(queue) + offsetof<StreamQueue>('ready'), connection);
  raise(queue);
  return true;
}

/** Makes a frame, number `i` of the batch, of `length` bytes of the ring; false when there is no free one. */
function receive(port: u32, i: u32, ring: usize, at: u32, length: u32): bool {
  const number = takeFrame(length);
  if (number == NONE) return false;
  const frame = frameAt(number);
  copyOut(frame.data, ring, at, length);
  frame.length = length;
  frame.port = port;
  makePlain(frame);
  setFrameIn(i, number);
  return true;
}

/** Puts the frames queued for the port, as packets with whole checksums, on their way to the socket. */
export function streamTransmit(port: u32, queue: StreamQueue): void {
  const ring = changetype<usize>(queue) + STREAM_OUTGOING;
  const n = hostPrepare(port, true);
  const waiting = transmitQueue(port);
  const tail = atomic.load<u32>(changetype<usize>(queue) + offsetof<StreamQueue>('outgoingTail'));
  const isConnected = atomic.load<u32>(changetype<usize>(queue) + offsetof<StreamQueue>('isConnected')) != 0;
  let head = queue.outgoingHead;
  for (let i: u32 = 0; i < n; i++) {
    const number = queued(waiting, i);
    const frame = frameAt(number);
    if (!isConnected) refuse(number, port, DROP_PORT_CLOSED);
    else if (isTooLong(frame, port)) refuse(number, port, DROP_TOO_LONG);
    else if (STREAM_RING - (head - tail) < STREAM_LENGTH + frame.length) {
      refuse(number, port, DROP_TRANSMIT_QUEUE_FULL);
    } else {
      store<u32>(batch() + BATCH_SCRATCH, bswap<u32>(frame.length));
      copyIn(ring, head, batch() + BATCH_SCRATCH, STREAM_LENGTH);
      copyIn(ring, head + STREAM_LENGTH, frame.data, frame.length);
      head += STREAM_LENGTH + frame.length;
      countSent(frame, port, 1, frame.length);
      giveFrame(number);
    }
  }
  waiting.count = 0;
  atomic.store<u32>(changetype<usize>(queue) + offsetof<StreamQueue>('outgoingHead'), head);
  raise(queue);
}

function isTooLong(frame: Frame, port: u32): bool {
  return frame.length > portAt(port).maxLength + (isTagged(frame) ? VLAN_TAG : 0);
}

/** A piece of a segment that is counted already is missing at the port only. */
function refuse(number: u32, port: u32, reason: u32): void {
  if (!(frameAt(number).flags & FRAME_PIECE)) return dropAtPort(number, port, reason);
  portCounters(port).txDropped++;
  giveFrame(number);
}
