/** Rings: one thread puts and another gets, by a ring that is empty and by one that has a single slot free. */
import { scratch, shares } from '../explore';
import { available, get, put, RING_SLOTS, RING_STRIDE, Ring, ringBetween } from '../memory/ring';

/** Counts are about to wrap in the ring that is empty. */
const START: u32 = 0xffffffff;

function empty(): Ring {
  return ringBetween(0, 1);
}
function full(): Ring {
  return ringBetween(2, 3);
}

// How many values were put into a ring and taken from it; value i is i.
function countOfPut(ring: Ring): usize {
  return scratch() + <usize>(ring == full() ? 64 : 0);
}
function countOfTaken(ring: Ring): usize {
  return countOfPut(ring) + 128;
}

function putNext(ring: Ring): void {
  const value = load<u32>(countOfPut(ring));
  if (put(ring, value)) store<u32>(countOfPut(ring), value + 1);
}

function takeNext(ring: Ring): void {
  if (available(ring) == 0) return;
  const expected = load<u32>(countOfTaken(ring));
  assert(get(ring) == expected, 'a value is lost, or not whole, or out of order');
  store<u32>(countOfTaken(ring), expected + 1);
}

export function setUp(): void {
  shares(changetype<usize>(empty()), RING_STRIDE);
  shares(changetype<usize>(full()), RING_STRIDE);
  for (let at: usize = 0; at <= 64; at += 64) {
    store<u32>(changetype<usize>(empty()) + at, START);
    store<u32>(changetype<usize>(empty()) + at + 4, START);
  }
  store<u32>(changetype<usize>(empty()) + 8, START);
  for (let i: u32 = 0; i < RING_SLOTS - 1; i++) putNext(full());
}

export function thread0(): void {
  putNext(empty());
  putNext(full());
  putNext(empty());
  putNext(full());
}

export function thread1(): void {
  takeNext(full());
  takeNext(empty());
  takeNext(full());
  takeNext(empty());
}

export function check(): void {
  takeNext(empty());
  takeNext(empty());
  assert(load<u32>(countOfPut(empty())) == 2 && load<u32>(countOfTaken(empty())) == 2, 'a value is lost');
  const left = load<u32>(countOfPut(full())) - load<u32>(countOfTaken(full()));
  assert(
    load<u32>(changetype<usize>(full())) - load<u32>(changetype<usize>(full()) + 64) == left,
    'a count is wrong',
  );
}
