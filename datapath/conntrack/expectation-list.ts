/** Finds the expectations among all that there may be, for a list of them (expectation.ts). */
import { map, NONE } from '../memory/arena';
import { enter, leave } from '../memory/epoch';
import { acquire, release } from '../memory/lock';
import { self } from '../memory/thread';
import { connectionAt, ORIGINAL, tupleOf } from './connection';
import { Expectation, expectationAt, hasParent } from './expectation';
import { copyTuple, setName, TUPLE_SIZE, Tuple } from './tuple';

/** What is told of one: the tuple of the packets that it waits for, whose source port may be any, and its parent's. */
@unmanaged
export class ExpectationCopy {
  mark: u32;
  pad4: u32;
  label: u64; // as in a connection
  labelHigh: u64;
  // EXPECTATION_TUPLES on: Tuple that is expected, original Tuple of the parent
}

export const EXPECTATION_COPY_SIZE: u32 = 104;
export const EXPECTATION_TUPLES: usize = 24;

/** Copies the first expectation from slot `from` on to `copy`. Returns its slot, or NONE. */
export function nextExpectation(from: u32, copy: ExpectationCopy): u32 {
  let slot = from;
  enter();
  acquire(map.expectations, self.number);
  while (slot < map.kinCount && !copyExpectation(expectationAt(slot), copy)) slot++;
  release(map.expectations);
  leave();
  return slot < map.kinCount ? slot : NONE;
}

function copyExpectation(expectation: Expectation, to: ExpectationCopy): bool {
  if (expectation.isLinked == 0 || !hasParent(expectation)) return false;
  const parent = connectionAt(expectation.parent);
  const expected = changetype<Tuple>(changetype<usize>(to) + EXPECTATION_TUPLES);
  to.mark = expectation.mark;
  to.label = expectation.label;
  to.labelHigh = expectation.labelHigh;
  copyTuple(expected, tupleOf(parent, expectation.direction));
  setName(expected, (<u32>expectation.port) << 16);
  copyTuple(changetype<Tuple>(changetype<usize>(expected) + TUPLE_SIZE), tupleOf(parent, ORIGINAL));
  return true;
}
