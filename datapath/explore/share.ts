/**
 * Shares: one thread passes on frames of a port that may have a single one more in the ring, and of another port,
 * while the handler takes from what was there.
 */
import { changes, shares } from '../explore';
import { map } from '../memory/arena';
import { available, RING_CONSUMER, RING_SLOTS, RING_STRIDE, Ring, ringBetween } from '../memory/ring';
import { FRAME_RECORD, frameAt } from '../packet/frame';
import { passToHandler, publishMisses, SHARES_STRIDE, shareOf, sharesBetween, takePassed } from '../share';

const HANDLER: u32 = 1;
const FLOODING: u32 = 0;
const QUIET: u32 = 1;
/** So many one port may have in the ring. */
const MOST: u32 = (8 * RING_SLOTS + 8) / 9;

/** Frames of the quiet port are numbered from here on. */
const QUIET_FRAMES: u32 = 1000;

function ring(): Ring {
  return ringBetween(0, HANDLER);
}

function between(): usize {
  return sharesBetween(0, HANDLER);
}

/** A port has no more than its share of the ring by its counts, nor less than nothing. */
function checkCounts(most: u32): void {
  assert(shareOf(between(), FLOODING) <= most && shareOf(between(), QUIET) <= most, 'the counts are wrong');
}

/** The handler may have one in hand that it has not counted. */
function pass(number: u32): bool {
  const passed = passToHandler(number, 0);
  publishMisses();
  checkCounts(MOST + 1);
  return passed;
}

/** How many frames are in the ring, whoever they are of. */
function inRing(): u32 {
  const at = changetype<usize>(ring());
  return atomic.load<u32>(at) - atomic.load<u32>(at + RING_CONSUMER);
}

/** How many are counted. */
function counted(): u32 {
  return shareOf(between(), FLOODING) + shareOf(between(), QUIET);
}

export function setUp(): void {
  map.handlerThread = HANDLER;
  shares(changetype<usize>(ring()), 128);
  changes(changetype<usize>(ring()) + 128, RING_STRIDE - 128);
  shares(between(), SHARES_STRIDE);
  changes(map.portCounters, map.flowCounters - map.portCounters);
  changes(map.frameRecords, <usize>(1024 * FRAME_RECORD));
  changes(map.threads, map.batches - map.threads);
  for (let number: u32 = 0; number < 1024; number++) {
    frameAt(number).port = number < QUIET_FRAMES ? FLOODING : QUIET;
  }
  for (let number: u32 = 0; number < MOST - 1; number++) pass(number);
}

export function thread0(): void {
  for (let number: u32 = MOST; number < MOST + 3; number++) {
    pass(number);
    assert(inRing() <= MOST, 'a port has more than its share of the ring');
    const before = counted(); // at least so many as there were then
    assert(inRing() <= before, 'a frame is in the ring and not counted any more');
  }
  assert(pass(QUIET_FRAMES) && pass(QUIET_FRAMES + 1), 'a port that has next to nothing there was refused');
}

export function thread1(): void {
  for (let i: u32 = 0; i < 2; i++) {
    assert(available(ring()) != 0, 'nothing is there');
    assert(takePassed(0) == i, 'out of order');
    checkCounts(MOST);
    assert(inRing() <= counted(), 'a frame is in the ring before it is counted');
  }
}

export function check(): void {
  assert(counted() == inRing(), 'the counts are not what is in the ring');
  assert(shareOf(between(), QUIET) == 2, 'a frame is not counted');
}
