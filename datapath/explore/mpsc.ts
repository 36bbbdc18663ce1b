/** Queue: two threads push, one of them a number again once it was taken; a third takes. */
import { scratch, shares } from '../explore';
import { NONE } from '../memory/arena';
import { format, MPSC_STRIDE, MpscQueue, pop, push } from '../memory/mpsc';

// A record: its link, what its pusher wrote in it, and how often it was pushed and taken.
const RECORDS: usize = 256;
const RECORD: u32 = 16;

function queue(): MpscQueue {
  return changetype<MpscQueue>(scratch());
}
function written(number: u32): usize {
  return scratch() + RECORDS + <usize>(number * RECORD) + 4;
}
function pushed(number: u32): usize {
  return scratch() + RECORDS + <usize>(number * RECORD) + 8;
}
function taken(number: u32): usize {
  return scratch() + RECORDS + <usize>(number * RECORD) + 12;
}

export function setUp(): void {
  shares(scratch(), MPSC_STRIDE);
  shares(scratch() + RECORDS, 4 * RECORD);
  format(queue(), scratch() + RECORDS, RECORD);
}

function pushNumber(number: u32): void {
  const times = load<u32>(pushed(number)) + 1;
  store<u32>(written(number), times);
  store<u32>(pushed(number), times);
  push(queue(), number);
}

function takeOne(): bool {
  const number = pop(queue());
  if (number == NONE) return false;
  assert(number < 4, 'a number that nobody pushed');
  const times = load<u32>(taken(number)) + 1;
  assert(load<u32>(written(number)) == times, 'taken before it was written, or twice');
  if (number == 3) assert(load<u32>(taken(2)) == 1, 'taken before what the same thread pushed before it');
  atomic.store<u32>(taken(number), times);
  return true;
}

export function thread0(): void {
  pushNumber(0);
  pushNumber(1);
  if (atomic.load<u32>(taken(0)) == 1) pushNumber(0);
}

export function thread1(): void {
  pushNumber(2);
  pushNumber(3);
}

export function thread2(): void {
  takeOne();
  takeOne();
  takeOne();
}

export function check(): void {
  while (takeOne()) {}
  for (let number: u32 = 0; number < 4; number++) {
    assert(load<u32>(taken(number)) == load<u32>(pushed(number)), 'a number is lost');
  }
}
