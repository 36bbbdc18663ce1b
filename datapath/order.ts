/**
 * Packets of a flow leave in the order in which they came, also while a handler has some of them. A miss is with its
 * handler for a while, and in the middle of that its flow is there; what comes behind it would hit, and be first.
 *
 *     from the port ─▶ hit ─────────────────────────────▶ act ─▶ own queue, or ring to the sender
 *                   ─▶ miss ─▶ ring to the handler ─▶ ··· ─▶ ring to the sender; then that it is `done`
 *                   ─▶ hit, but its strand is out ─▶ waits here until that is done, and taken there
 *
 * A _strand_ is what the packets have in common whose order matters: a hash of the key with which they came in, without
 * what varies within a flow (flow/hash.ts). Flows may share one; then one waits for the other without need. A strand is
 * _out_ from when a packet of it misses until its sender has that. What waits goes on in the order in which it came, and is
 * looked up again, as soon as the first of it is not out any more. Behind what waits of its strand everything waits.
 *
 *     strands   a datapath thread × [ done, turned, asked, seen, since: MAX_THREADS × u32, by number of the handler
 *                                   │ marks: MAX_THREADS × MAX_THREADS × u32, by handler and sender
 *                                   │ places: STRANDS × u32 │ held: STRANDS × u16 │ waiting: a ring ]
 *
 *     done      so many of all that were ever put into the ring to a handler it has taken, and passed on with all that came
 *               of them into the rings to the senders; that handler alone writes it, atomically, after those
 *     turned    how many it had taken when its turn began; that handler's own
 *     asked     what was `done` when this thread last looked, and
 *     marks     what the handler had put into each of its rings by then, or later
 *     seen      what this thread goes by: what was `asked` when the last of the marks was taken there
 *     since     the packets in hand come behind what was put into the ring to a handler after so many
 *     places    how many had been put into that ring with the last miss of a strand
 *     held      how many packets of a strand wait
 *     waiting   their frames, which stay this thread's; each port has its share of the room (share.ts)
 *
 * All else is the datapath thread's own; others look whether `waiting` is empty.
 *
 * The other way round, packets that hit and then one that misses: misses are seen by their handlers when what was before
 * them is in the rings to its senders (`flush`), and those take it before what came by a handler (`collect`).
 *
 * Order is by flow: if of two packets of one strand in one batch the first goes round and then misses, and the second
 * misses at once, they may change places.
 */
import { BATCH, setFrameIn } from './batch';
import { chooseHandler, handlersEnd, isHandler } from './handlers';
import { map } from './memory/arena';
import { ring as ringDoorbell } from './memory/doorbell';
import {
  available,
  clear,
  everGot,
  everPut,
  get,
  isEmpty,
  peek,
  published,
  put,
  Ring,
  ringBetween,
  taken,
} from './memory/ring';
import { MAX_THREADS, self } from './memory/thread';
import { Frame, frameAt } from './packet/frame';
import { countIn, countOut, renew, sharesWaiting } from './share';

const TURNED: usize = 128; // MAX_THREADS × 4
const ASKED: usize = 256;
const SEEN: usize = 384;
const SINCE: usize = 512;
const MARKS: usize = 640;
const PLACES: usize = 4736; // MARKS + 4 × MAX_THREADS × MAX_THREADS
const HELD: usize = 266880; // PLACES + 4 × STRANDS
export const STRANDS_WAITING: u32 = 397952; // HELD + 2 × STRANDS
export const STRANDS_STRIDE: u32 = 402176; // STRANDS_WAITING + RING_STRIDE

/** Whether anything of this thread's is out or waits: then the packets in hand are looked at one by one. */
export let areOut: bool = false;

/** The packets in hand are the last that came in, so they come behind what waits. */
let areLast: bool = false;

function strandsOf(thread: u32): usize {
  return map.strands + <usize>(thread * STRANDS_STRIDE);
}

function doneAt(thread: u32, handler: u32): usize {
  return strandsOf(thread) + ((<usize>handler) << 2);
}

function placeAt(strand: u32): usize {
  return strandsOf(self.number) + PLACES + ((<usize>strand) << 2);
}

function heldAt(strand: u32): usize {
  return strandsOf(self.number) + HELD + ((<usize>strand) << 1);
}

/** What waits in a datapath thread. */
export function waitingIn(thread: u32): Ring {
  return changetype<Ring>(strandsOf(thread) + STRANDS_WAITING);
}

// The datapath thread's side

/** A batch begins: of packets that have come in now, or (not `last`) that have waited and may go on. */
export function beginOrder(last: bool): void {
  areLast = last;
  areOut = !isEmpty(waitingIn(self.number));
  for (let handler = map.handlerThread; handler < handlersEnd(); handler++) {
    const seen = load<u32>(doneAt(self.number, handler) + SEEN);
    store<u32>(doneAt(self.number, handler) + SINCE, seen);
    if (everPut(ringBetween(self.number, handler)) != seen) areOut = true;
  }
}

/** The packets of the batch that go round come before what is out by now: it was behind them, or they would wait. */
export function goRoundInOrder(): void {
  areLast = false;
  for (let handler = map.handlerThread; handler < handlersEnd(); handler++) {
    store<u32>(doneAt(self.number, handler) + SINCE, everPut(ringBetween(self.number, handler)));
  }
}

/** Whether packets of a strand wait that are before those in hand: then these wait behind them. */
export function areWaiting(strand: u32): bool {
  return areLast && load<u16>(heldAt(strand)) != 0;
}

/** Whether a strand is out, so that none of its packets in hand must go on, unless through the same ring. */
export function isOut(strand: u32): bool {
  return isOutSince(strand, load<u32>(doneAt(self.number, chooseHandler(strand)) + SINCE));
}

/** Whether the last miss of a strand was put into its ring behind the first `since`. */
function isOutSince(strand: u32, since: u32): bool {
  const put = everPut(ringBetween(self.number, chooseHandler(strand)));
  return load<u32>(placeAt(strand)) - since - 1 < put - since;
}

/** Notes that the last that this thread put into the ring to its handler was of this strand. */
export function noteOut(strand: u32): void {
  store<u32>(placeAt(strand), everPut(ringBetween(self.number, chooseHandler(strand))));
  areOut = true;
}

/** Has a frame of this strand wait; false when its port has its share of the room already. */
export function wait(number: u32, strand: u32): bool {
  const frame = frameAt(number);
  const ring = waitingIn(self.number);
  if (!countIn(ring, sharesWaiting(self.number), frame.port)) return false;
  frame.strand = <u16>strand;
  put(ring, number);
  store<u16>(heldAt(strand), load<u16>(heldAt(strand)) + 1);
  return true;
}

/** Makes up to a batch of what waits and may go on this thread's batch. Returns how many. */
export function takeDue(): u32 {
  const ring = waitingIn(self.number);
  let n: u32 = 0;
  while (n < BATCH && available(ring) != 0) {
    const strand = <u32>frameAt(peek(ring, 0)).strand;
    if (isOutSince(strand, load<u32>(doneAt(self.number, chooseHandler(strand)) + SEEN))) break;
    const number = get(ring);
    countOut(sharesWaiting(self.number), frameAt(number).port);
    store<u16>(heldAt(strand), load<u16>(heldAt(strand)) - 1);
    setFrameIn(n++, number);
  }
  return n;
}

/** Whether something waits that may go on now: the last look before sleep. */
export function isDue(): bool {
  const ring = waitingIn(self.number);
  if (available(ring) == 0) return false;
  hear();
  const strand = <u32>frameAt(peek(ring, 0)).strand;
  return !isOutSince(strand, load<u32>(doneAt(self.number, chooseHandler(strand)) + SEEN));
}

/** Looks how far handlers are, and whether the senders have what they were done with when this thread looked before. */
export function hear(): void {
  for (let handler = map.handlerThread; handler < handlersEnd(); handler++) {
    const at = doneAt(self.number, handler);
    if (load<u32>(at + ASKED) == load<u32>(at + SEEN)) ask(handler);
    if (load<u32>(at + ASKED) != load<u32>(at + SEEN) && areTaken(handler)) {
      store<u32>(at + SEEN, load<u32>(at + ASKED));
    }
  }
}

function markAt(handler: u32, sender: u32): usize {
  return strandsOf(self.number) + MARKS + ((<usize>(handler * MAX_THREADS + sender)) << 2);
}

/** Notes what a handler is done with, and where that is in its rings. */
function ask(handler: u32): void {
  const at = doneAt(self.number, handler);
  const done = atomic.load<u32>(at);
  if (done == load<u32>(at + SEEN)) return;
  store<u32>(at + ASKED, done);
  for (let sender: u32 = 0; sender < map.handlerThread; sender++) {
    store<u32>(markAt(handler, sender), published(ringBetween(handler, sender)));
  }
}

/** Whether the senders have taken all that a handler had put into its rings when it was asked. */
function areTaken(handler: u32): bool {
  for (let sender: u32 = 0; sender < map.handlerThread; sender++) {
    const mark = load<u32>(markAt(handler, sender));
    if (<i32>(taken(ringBetween(handler, sender)) - mark) < 0) return false;
  }
  return true;
}

/** This thread has taken what handlers had for it: wakes those who wait for that. */
export function wakeWaiting(): void {
  for (let thread: u32 = 0; thread < map.handlerThread; thread++) {
    if (thread != self.number && !isEmpty(waitingIn(thread))) ringDoorbell(thread);
  }
}

// The handler's side

/** Frames are told apart by whether they were taken in this turn or in the one before: even or odd. */
let turn: u8 = 0;

/** How many of this turn's, and of the one's before, this handler has sent round and not taken again. */
let roundingNow: u32 = 0;
let roundingBefore: u32 = 0;

/** This handler has taken a frame from datapath thread `from`. */
export function beginTurn(frame: Frame, from: u32): void {
  frame.origin = <u8>from;
  frame.turn = turn;
}

/** This handler has sent a frame round. */
export function noteRound(frame: Frame): void {
  if (frame.turn == turn) roundingNow++;
  else roundingBefore++;
}

/** This handler has taken a frame again that it sent round. */
export function endRound(frame: Frame): void {
  if (frame.turn == turn) roundingNow--;
  else roundingBefore--;
}

/**
 * Says what is done, and wakes who waits for it. This handler has sent on what it had in hand: so all that it has taken is
 * done, if nothing goes round; else what it had taken when the turn began, once nothing of the turn before goes round.
 */
export function noteDone(): void {
  if (self.heldPorts != 0 || roundingBefore != 0) return;
  for (let from: u32 = 0; from < map.handlerThread; from++) {
    const turned = doneAt(from, self.number) + TURNED;
    const got = everGot(ringBetween(from, self.number));
    setDone(from, roundingNow == 0 ? got : load<u32>(turned));
    store<u32>(turned, got);
  }
  turn ^= 1;
  roundingBefore = roundingNow;
  roundingNow = 0;
}

function setDone(from: u32, n: u32): void {
  const done = doneAt(from, self.number);
  if (load<u32>(done) == n) return;
  atomic.store<u32>(done, n);
  if (!isEmpty(waitingIn(from))) ringDoorbell(from);
}

// After a death

/** Forgets what waited in this thread and what was out, in its place; what a handler had taken is done. All stand still. */
export function forgetOrder(): void {
  if (isHandler()) return noteDone();
  if (self.number >= map.handlerThread) return;
  for (let handler: u32 = 0; handler < MAX_THREADS; handler++) {
    store<u32>(doneAt(self.number, handler) + ASKED, load<u32>(doneAt(self.number, handler) + SEEN));
  }
  const ring = waitingIn(self.number);
  clear(ring);
  renew(sharesWaiting(self.number), ring);
  memory.fill(strandsOf(self.number) + PLACES, 0, <usize>STRANDS_WAITING - PLACES);
}
