/**
 * Where frames go at the end of a batch: to their port's transmit queue, and from there, when another thread
 * sends for the port, through the ring to that thread. Each frame's fate is counted here, once.
 *
 * When the ring is full, the rest of the queue is held back until the next round, and a thread that holds
 * frames back takes no more in (`Forwarder.round`): a sender that is behind slows down whoever feeds it. It
 * never waits for a port, so this always ends.
 */
import {
  COUNT_COPIED,
  COUNT_COPIES_FORWARDED,
  COUNT_FORWARDED,
  count,
  countDrop,
  portCounters,
} from './counters';
import {
  DROP_BATCH_FULL,
  DROP_NO_FRAMES,
  DROP_NO_SUCH_PORT,
  DROP_PORT_CLOSED,
  DROP_THREAD_QUEUE_FULL,
  DROP_TRANSMIT_ERROR,
} from './drop';
import { handlersEnd, isHandler } from './handlers';
import { map, NONE } from './memory/arena';
import { ring } from './memory/doorbell';
import { enter } from './memory/epoch';
import { arrived, isEmpty, left, RING_SLOTS, Ring, ringBetween } from './memory/ring';
import { noteHeld, noteReady, self, THREAD_HELD_PORTS, THREAD_READY_PORTS } from './memory/thread';
import { hear, isDue, wakeWaiting } from './order';
import {
  copyFrame,
  FRAME_COPY,
  FRAME_PIECE,
  Frame,
  frameAt,
  giveFrame,
  passFrame,
  receiveFrame,
} from './packet/frame';
import {
  isUp,
  PORT_DOWN,
  PORT_NONE,
  PORT_UP,
  portAt,
  queued,
  senderFor,
  senderOf,
  setQueued,
  stateOf,
  TRANSMIT_SLOTS,
  TransmitQueue,
  transmitQueue,
} from './port/port';
import { publishMisses } from './share';

/** Ends a frame that goes nowhere. */
export function drop(number: u32, reason: u32): void {
  const frame = frameAt(number);
  countDrop(reason, (frame.flags & FRAME_COPY) != 0, 1 + frame.joined);
  giveFrame(number);
}

/** The same for a frame that a port could not send. */
export function dropAtPort(number: u32, port: u32, reason: u32): void {
  if (reason == DROP_TRANSMIT_ERROR) portCounters(port).txErrors++;
  else portCounters(port).txDropped++;
  drop(number, reason);
}

/**
 * Counts a frame as sent by `port`, in `packets` packets on the wire. The caller disposes of it. A piece of
 * a segment counts at the port only: the fate is the segment's.
 */
export function countSent(frame: Frame, port: u32, packets: u32, bytes: u32): void {
  const counters = portCounters(port);
  counters.txPackets += packets;
  counters.txBytes += bytes;
  if (frame.flags & FRAME_PIECE) return;
  count(frame.flags & FRAME_COPY ? COUNT_COPIES_FORWARDED : COUNT_FORWARDED, 1 + frame.joined);
}

/** Puts a frame on the transmit queue of `port`, and copies on those of the ports that mirror it. */
export function enqueue(number: u32, port: u32): void {
  const mirrors = isUp(port) ? portAt(port).mirrorOut : 0;
  if (mirrors != 0) mirror(number, mirrors);
  queueFor(number, port);
}

/** Queues a copy of the frame for each of up to four ports, a byte each. No copy is mirrored itself. */
export function mirror(number: u32, ports: u32): void {
  for (; ports != 0; ports >>>= 8) {
    const port = ports & 0xff;
    if (port == 0) continue;
    const copy = copyForTaker(number);
    if (copy != NONE) queueFor(copy, port);
  }
}

/** A copy of the frame, counted as one; NONE, counted as dropped, when there is no free frame. */
export function copyForTaker(number: u32): u32 {
  const copy = copyFrame(frameAt(number));
  count(COUNT_COPIED, 1);
  if (copy == NONE) countDrop(DROP_NO_FRAMES, true, 1);
  return copy;
}

/** Puts a frame, mirrored already, on the transmit queue of `port`, which may have gone. */
function queueFor(number: u32, port: u32): void {
  const state = stateOf(port);
  if (state == PORT_DOWN) return dropAtPort(number, port, DROP_PORT_CLOSED);
  if (state != PORT_UP) return drop(number, DROP_NO_SUCH_PORT);
  const queue = transmitQueue(port);
  if (queue.count == TRANSMIT_SLOTS) {
    const ours = senderFor(port) == self.number;
    return dropAtPort(number, port, ours ? DROP_BATCH_FULL : DROP_THREAD_QUEUE_FULL);
  }
  if (queue.count == 0) noteReady(port);
  frameAt(number).port = port;
  setQueued(queue, queue.count, number);
  queue.count++;
}

/**
 * Passes on what other threads send for this one, and then, unless some of that is held back, what handlers are to take:
 * so packets that found a flow are before those of it that do not any more. What is left in the list of ready ports is for
 * queues of its own, and their drivers transmit it. Returns how many ports that is.
 */
export function flush(): u32 {
  retryHeld();
  const list = changetype<usize>(self) + THREAD_READY_PORTS;
  let own: u32 = 0;
  for (let i: u32 = 0; i < self.readyPorts; i++) {
    const port = <u32>load<u16>(list + ((<usize>i) << 1));
    if (!isUp(port)) {
      dropQueue(port);
    } else if (senderFor(port) == self.number) {
      store<u16>(list + ((<usize>own) << 1), <u16>port);
      own++;
    } else if (!passOn(port)) {
      noteHeld(port);
    }
  }
  self.readyPorts = own;
  if (self.heldPorts == 0) publishMisses();
  return own;
}

/** Tries again to pass on what did not fit. A port that has changed meanwhile counts as ready. */
function retryHeld(): void {
  const list = changetype<usize>(self) + THREAD_HELD_PORTS;
  let held: u32 = 0;
  for (let i: u32 = 0; i < self.heldPorts; i++) {
    const port = <u32>load<u16>(list + ((<usize>i) << 1));
    if (!isUp(port) || senderFor(port) == self.number) {
      noteReady(port);
    } else if (!passOn(port)) {
      store<u16>(list + ((<usize>held) << 1), <u16>port);
      held++;
    }
  }
  self.heldPorts = held;
}

/**
 * Puts the frames queued for a port into the rings to its senders; false when some are left for want of room. What a
 * handler has goes to the sender of the thread that it came from: so the packets of a flow all leave by one queue.
 */
function passOn(port: u32): bool {
  const queue = transmitQueue(port);
  const handles = isHandler();
  let gone: u32 = 0;
  let senders: u32 = 0;
  for (; gone < queue.count; gone++) {
    const number = queued(queue, gone);
    const sender = senderOf(port, handles ? <u32>frameAt(number).origin : self.number);
    if (!passFrame(number, sender)) break;
    senders |= 1 << sender;
  }
  for (; senders != 0; senders &= senders - 1) ring(ctz<u32>(senders));
  queue.count -= gone;
  const first = changetype<usize>(queue) + offsetof<TransmitQueue>();
  if (queue.count != 0) memory.copy(first, first + ((<usize>gone) << 2), (<usize>queue.count) << 2);
  return queue.count == 0;
}

/** Drops the frames queued for a port that has gone. */
function dropQueue(port: u32): void {
  const queue = transmitQueue(port);
  for (let i: u32 = 0; i < queue.count; i++) dropAtPort(queued(queue, i), port, DROP_PORT_CLOSED);
  queue.count = 0;
}

/** So many frames are taken from one ring at a time: a transmit queue has room for those of two. */
const COLLECTED: u32 = RING_SLOTS / 4;

/**
 * Takes what other threads want sent by this one. Returns how many frames that was. A round begins with
 * this, and nothing found before is held: a thread that only sends for others must not stop the epoch.
 *
 * Of one flow, what a datapath thread passed on is before what a handler sends that got it later, and nothing is behind
 * that which this thread has not taken (order.ts). So it looks into the rings of handlers first; and takes what it saw there
 * when it has taken what was in those of datapath threads then.
 */
export function collect(): u32 {
  enter();
  if (!isLeft(0, handlersEnd())) {
    for (let from = map.handlerThread; from < handlersEnd(); from++) arrived(ringBetween(from, self.number));
    for (let from: u32 = 0; from < map.handlerThread; from++) arrived(ringBetween(from, self.number));
  }
  let frames = takeToSend(0, map.handlerThread);
  if (!isLeft(0, map.handlerThread)) {
    const handled = takeToSend(map.handlerThread, handlersEnd());
    if (handled != 0) wakeWaiting();
    frames += handled;
  }
  hear();
  return frames;
}

/** Whether something is left of what this thread saw in the rings from some others, in order. */
function isLeft(first: u32, end: u32): bool {
  for (let from = first; from < end; from++) {
    if (from != self.number && left(ringBetween(from, self.number)) != 0) return true;
  }
  return false;
}

/** Takes of what this thread saw in the rings from some others as much as may be. Returns how many frames that is. */
function takeToSend(first: u32, end: u32): u32 {
  let frames: u32 = 0;
  for (let from = first; from < end; from++) {
    if (from != self.number) frames += takeFrom(ringBetween(from, self.number));
  }
  return frames;
}

function takeFrom(source: Ring): u32 {
  const n = min<u32>(left(source), COLLECTED);
  for (let i: u32 = 0; i < n; i++) {
    const number = receiveFrame(source);
    const port = frameAt(number).port;
    if (stateOf(port) == PORT_NONE)
      dropAtPort(number, port, DROP_PORT_CLOSED); // removed meanwhile
    else queueFor(number, port);
  }
  return n;
}

/** Whether something is there for this thread: the last look before sleep. */
export function hasWork(): bool {
  for (let from: u32 = 0; from < map.threadCount; from++) {
    if (!isEmpty(ringBetween(from, self.number))) return true;
  }
  return self.number < map.handlerThread && isDue();
}
