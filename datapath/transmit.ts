/**
 * Where frames go at the end of a batch: to their port's transmit queue, and from there, when another
 * thread owns the port, through the ring to that thread. Each frame's fate is counted here, once.
 */
import { COUNT_COPIES_FORWARDED, COUNT_FORWARDED, count, countDrop, portCounters } from './counters';
import { DROP_BATCH_FULL, DROP_NO_SUCH_PORT, DROP_PORT_CLOSED, DROP_THREAD_QUEUE_FULL } from './drop';
import { map } from './memory/arena';
import { enter } from './memory/epoch';
import { available, RING_SLOTS, ringBetween } from './memory/ring';
import { noteReady, ring, self, THREAD_READY_PORTS } from './memory/thread';
import { FRAME_COPY, FRAME_PIECE, Frame, frameAt, giveFrame, passFrame, receiveFrame } from './packet/frame';
import { isUp, portAt, queued, setQueued, TRANSMIT_SLOTS, transmitQueue } from './port/port';

/** Ends a frame that goes nowhere. */
export function drop(number: u32, reason: u32): void {
  const frame = frameAt(number);
  countDrop(reason, (frame.flags & FRAME_COPY) != 0, 1 + frame.joined);
  giveFrame(number);
}

/** The same for a frame that a port could not send. */
export function dropAtPort(number: u32, port: u32, reason: u32): void {
  portCounters(port).txDropped++;
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

/** Puts a frame on the transmit queue of `port`. */
export function enqueue(number: u32, port: u32): void {
  if (!isUp(port)) return drop(number, DROP_NO_SUCH_PORT);
  const queue = transmitQueue(port);
  if (queue.count == TRANSMIT_SLOTS) return dropAtPort(number, port, DROP_BATCH_FULL);
  if (queue.count == 0) noteReady(port);
  frameAt(number).port = port;
  setQueued(queue, queue.count, number);
  queue.count++;
}

/**
 * Passes on what this thread has for other threads' ports; what is left in the list of ready ports is for
 * its own, and their drivers transmit it. Returns how many ports that is.
 */
export function flush(): u32 {
  const list = changetype<usize>(self) + THREAD_READY_PORTS;
  let own: u32 = 0;
  for (let i: u32 = 0; i < self.readyPorts; i++) {
    const port = <u32>load<u16>(list + ((<usize>i) << 1));
    if (portAt(port).owner == self.number) {
      store<u16>(list + ((<usize>own) << 1), <u16>port);
      own++;
    } else {
      passOn(port);
    }
  }
  self.readyPorts = own;
  return own;
}

function passOn(port: u32): void {
  const owner = portAt(port).owner;
  const queue = transmitQueue(port);
  for (let i: u32 = 0; i < queue.count; i++) {
    if (!passFrame(queued(queue, i), owner)) dropAtPort(queued(queue, i), port, DROP_THREAD_QUEUE_FULL);
  }
  queue.count = 0;
  ring(owner);
}

/**
 * Takes what other threads have for this thread's ports. Returns how many frames that was. A round begins with
 * this, and nothing found before is held: a thread that only sends for others must not stop the epoch.
 */
export function collect(): u32 {
  enter();
  let frames: u32 = 0;
  for (let from: u32 = 0; from < map.threadCount; from++) {
    if (from == self.number) continue;
    const source = ringBetween(from, self.number);
    const n = min<u32>(available(source), RING_SLOTS / 4);
    for (let i: u32 = 0; i < n; i++) {
      const number = receiveFrame(source);
      enqueueOwn(number, frameAt(number).port);
    }
    frames += n;
  }
  return frames;
}

/** As `enqueue`, for a frame whose port may have gone while it was on its way. */
function enqueueOwn(number: u32, port: u32): void {
  if (isUp(port)) enqueue(number, port);
  else dropAtPort(number, port, DROP_PORT_CLOSED);
}

/** Whether another thread has put something there for this one: the last look before sleep. */
export function hasWork(): bool {
  for (let from: u32 = 0; from < map.threadCount; from++) {
    if (from != self.number && available(ringBetween(from, self.number)) != 0) return true;
  }
  return false;
}
