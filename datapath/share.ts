/**
 * Each port's share of the queues to the handlers, so that a flood of misses at one port leaves room for the others'.
 * The queue is the ring from a thread to a handler; also from a handler to itself, for what it sends round or to the
 * controller; and what waits in a datapath thread until a handler has seen to what is before it (order.ts). A port may
 * have eight times as many frames in a ring as there are places free in it ("Dynamic queue length thresholds",
 * Choudhury and Hahne 1998):
 *
 *     ring   │ a a a a a a a a │ b b │ free           a may have no more, b may
 *
 * So a port alone gets eight ninths of a ring, since what comes when a switch starts comes at once, two get eight
 * seventeenths each in the end, and whoever comes next finds room as soon as anything is taken.
 *
 *     shares   a thread × (handlers, and what waits)   [ passed: MAX_PORTS × u32 │ taken: MAX_PORTS × u32 ]
 *
 * `passed` and `taken` count by port (`Frame.port`, where a frame came in) what was ever put into the ring, and what was
 * ever taken; both wrap, and what is between them is in the ring. The thread that puts alone writes `passed`, before
 * the frame is in the ring; whoever takes alone `taken`, after it is out of it. So to whoever looks `taken` is never
 * ahead, and a port seems to have rather too much in the ring than too little. After a death both are made to agree
 * with the ring, while all threads stand still (reclaim.ts).
 */
import { portCounters } from './counters';
import { handlerFor, handlersEnd } from './handlers';
import { map } from './memory/arena';
import { ring as ringDoorbell } from './memory/doorbell';
import { free, peek, publish, Ring, ringBetween, stage, waiting } from './memory/ring';
import { MAX_PORTS, self } from './memory/thread';
import { frameAt, HELD_BY_RING, receiveFrame } from './packet/frame';

/** A port may have so many times as many frames in a ring as there are places free: a power of two. */
export const SHARE_SHIFT: u32 = 3;

const TAKEN: usize = 1024; // MAX_PORTS × 4
export const SHARES_STRIDE: u32 = 2048;

/** The handlers that this thread has something for which they do not see yet, bit by number. */
let unpublished: u32 = 0;

/** The shares of the ring from a thread to a handler. */
export function sharesBetween(from: u32, handler: u32): usize {
  return sharesOf(from, handler - map.handlerThread);
}

/** The shares of what waits in a thread. */
export function sharesWaiting(thread: u32): usize {
  return sharesOf(thread, map.handlerCount);
}

function sharesOf(thread: u32, queue: u32): usize {
  return map.shares + <usize>((thread * (map.handlerCount + 1) + queue) * SHARES_STRIDE);
}

function passedAt(shares: usize, port: u32): usize {
  return shares + ((<usize>port) << 2);
}

function takenAt(shares: usize, port: u32): usize {
  return shares + TAKEN + ((<usize>port) << 2);
}

/** How many frames of a port are in the ring with these shares. */
export function shareOf(shares: usize, port: u32): u32 {
  const taken = atomic.load<u32>(takenAt(shares, port));
  return atomic.load<u32>(passedAt(shares, port)) - taken;
}

/** Counts one more frame of `port` into a ring of which this thread is the producer; false when it has its share already. */
export function countIn(ring: Ring, shares: usize, port: u32): bool {
  if (shareOf(shares, port) >= free(ring) << SHARE_SHIFT) {
    portCounters(port).upcallsRefused++;
    return false;
  }
  addOne(passedAt(shares, port));
  return true;
}

/** Counts one of `port` out, which this thread has taken. */
export function countOut(shares: usize, port: u32): void {
  addOne(takenAt(shares, port));
}

/**
 * Passes a frame of this strand on to its handler; false when its port has its share already: then it stays this
 * thread's. Another thread sees it when `publishMisses` says so.
 */
export function passToHandler(number: u32, strand: u32): bool {
  const frame = frameAt(number);
  const handler = handlerFor(strand);
  const ring = ringBetween(self.number, handler);
  if (!countIn(ring, sharesBetween(self.number, handler), frame.port)) return false;
  frame.holder = HELD_BY_RING;
  stage(ring, number);
  if (handler == self.number) publish(ring);
  else unpublished |= 1 << handler;
  portCounters(frame.port).upcalls++;
  return true;
}

/** Whether this thread has something for handlers that they do not see yet. */
export function hasUnpublished(): bool {
  return unpublished != 0;
}

/** Lets handlers see what this thread has passed on to them, and wakes them. */
export function publishMisses(): void {
  for (; unpublished != 0; unpublished &= unpublished - 1) {
    const handler = ctz<u32>(unpublished);
    publish(ringBetween(self.number, handler));
    ringDoorbell(handler);
  }
}

/** Takes the oldest frame that thread `from` has passed to this one, a handler; there is one. */
export function takePassed(from: u32): u32 {
  const number = receiveFrame(ringBetween(from, self.number));
  countOut(sharesBetween(from, self.number), frameAt(number).port);
  return number;
}

/** Adds to a count of which this thread is the only writer. */
function addOne(count: usize): void {
  atomic.store<u32>(count, load<u32>(count) + 1);
}

/** Makes the counts of this thread's rings from or to handlers agree with what is in there; all threads stand still. */
export function renewShares(): void {
  for (let handler = map.handlerThread; handler < handlersEnd(); handler++) {
    for (let from: u32 = 0; from < map.threadCount; from++) {
      if (from == self.number || handler == self.number) {
        renew(sharesBetween(from, handler), ringBetween(from, handler));
      }
    }
  }
}

/** Makes the counts of a ring agree with what is in there; all threads stand still. */
export function renew(shares: usize, ring: Ring): void {
  memory.copy(passedAt(shares, 0), takenAt(shares, 0), (<usize>MAX_PORTS) << 2);
  for (let i = waiting(ring); i != 0; i--) addOne(passedAt(shares, frameAt(peek(ring, i - 1)).port));
}
