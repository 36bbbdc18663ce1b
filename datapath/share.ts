/**
 * Each port's share of the queues to the handlers, so that a flood of misses at one port leaves room for the others'.
 * The queue is the ring from a thread to a handler; also from a handler to itself, for what it sends round or to the
 * controller. A port may have eight times as many frames in a ring as there are places free in it ("Dynamic queue
 * length thresholds", Choudhury and Hahne 1998):
 *
 *     ring   │ a a a a a a a a │ b b │ free           a may have no more, b may
 *
 * So a port alone gets eight ninths of a ring, since what comes when a switch starts comes at once, two get eight
 * seventeenths each in the end, and whoever comes next finds room as soon as anything is taken.
 *
 *     shares   a thread × handlers   [ passed: MAX_PORTS × u32 │ taken: MAX_PORTS × u32 ]
 *
 * `passed` and `taken` count by port (`Frame.port`, where a frame came in) what was ever put into the ring, and what was
 * ever taken; both wrap, and what is between them is in the ring. The thread that puts alone writes `passed`, before
 * the frame is in the ring; the handler alone `taken`, after it is out of it. So to whoever looks `taken` is never
 * ahead, and a port seems to have rather too much in the ring than too little. After a death both are made to agree
 * with the ring, while all threads stand still (reclaim.ts).
 */
import { portCounters } from './counters';
import { Key } from './flow/key';
import { handlerOf } from './handlers';
import { map } from './memory/arena';
import { ring as ringDoorbell } from './memory/doorbell';
import { free, peek, ringBetween, waiting } from './memory/ring';
import { MAX_PORTS, self } from './memory/thread';
import { frameAt, passFrame, receiveFrame } from './packet/frame';

/** A port may have so many times as many frames in a ring as there are places free: a power of two. */
export const SHARE_SHIFT: u32 = 3;

const TAKEN: usize = 1024; // MAX_PORTS × 4
export const SHARES_STRIDE: u32 = 2048;

/** The handlers that this thread has put something there for and has not rung yet, bit by number. */
let unrung: u32 = 0;

function sharesOf(from: u32, handler: u32): usize {
  const pair = from * map.handlerCount + handler - map.handlerThread;
  return map.shares + <usize>(pair * SHARES_STRIDE);
}

function passedAt(from: u32, handler: u32, port: u32): usize {
  return sharesOf(from, handler) + ((<usize>port) << 2);
}

function takenAt(from: u32, handler: u32, port: u32): usize {
  return passedAt(from, handler, port) + TAKEN;
}

/** How many frames of a port are in the ring from a thread to a handler. */
export function shareOf(from: u32, handler: u32, port: u32): u32 {
  const taken = atomic.load<u32>(takenAt(from, handler, port));
  return atomic.load<u32>(passedAt(from, handler, port)) - taken;
}

/**
 * Passes a frame whose key is `key` on to its handler; false when its port has its share already: then it stays this
 * thread's. `ringHandlers` follows at the end of the batch.
 */
export function passToHandler(number: u32, key: Key): bool {
  const frame = frameAt(number);
  const handler = handlerOf(frame, key);
  const port = frame.port;
  if (shareOf(self.number, handler, port) >= free(ringBetween(self.number, handler)) << SHARE_SHIFT) {
    portCounters(port).upcallsRefused++;
    return false;
  }
  addOne(passedAt(self.number, handler, port));
  passFrame(number, handler);
  if (handler != self.number) unrung |= 1 << handler;
  portCounters(port).upcalls++;
  return true;
}

/** Wakes the handlers that have got something in this batch. */
export function ringHandlers(): void {
  for (; unrung != 0; unrung &= unrung - 1) ringDoorbell(ctz<u32>(unrung));
}

/** Takes the oldest frame that thread `from` has passed to this one, a handler; there is one. */
export function takePassed(from: u32): u32 {
  const number = receiveFrame(ringBetween(from, self.number));
  addOne(takenAt(from, self.number, frameAt(number).port));
  return number;
}

/** Adds to a count of which this thread is the only writer. */
function addOne(count: usize): void {
  atomic.store<u32>(count, load<u32>(count) + 1);
}

/** Makes the counts of this thread's rings from or to handlers agree with what is in there; all threads stand still. */
export function renewShares(): void {
  for (let i: u32 = 0; i < map.handlerCount; i++) {
    const handler = map.handlerThread + i;
    for (let from: u32 = 0; from < map.threadCount; from++) {
      if (from == self.number || handler == self.number) renewPair(from, handler);
    }
  }
}

function renewPair(from: u32, handler: u32): void {
  memory.copy(passedAt(from, handler, 0), takenAt(from, handler, 0), (<usize>MAX_PORTS) << 2);
  const ring = ringBetween(from, handler);
  for (let i = waiting(ring); i != 0; i--) addOne(passedAt(from, handler, frameAt(peek(ring, i - 1)).port));
}
