/** Sequence lock: one thread writes a pair of equal words twice, two copy it. */
import { scratch, shares } from '../explore';
import { beginRead, beginWrite, copyOut, endWrite, isWhole } from '../memory/sequence';
import { self } from '../memory/thread';

function payload(): usize {
  return scratch() + 64;
}

function write(value: u64): void {
  beginWrite(scratch());
  store<u64>(payload(), value);
  store<u64>(payload() + 8, value);
  endWrite(scratch());
}

function read(): void {
  const copy = scratch() + 128 + <usize>(self.number * 64);
  const begun = beginRead(scratch());
  copyOut(copy, payload(), 16);
  if (isWhole(scratch(), begun)) assert(load<u64>(copy) == load<u64>(copy + 8), 'a torn copy was kept');
}

export function setUp(): void {
  shares(scratch(), 128);
}

export function thread0(): void {
  write(1);
  write(2);
}

export function thread1(): void {
  read();
  read();
}

export function thread2(): void {
  read();
}

export function check(): void {
  const begun = beginRead(scratch());
  assert(
    isWhole(scratch(), begun) && load<u64>(payload()) == 2,
    'the last value is not there, or not at rest',
  );
}
