/** Barrier: two threads pass twice, a third is taken off it at any moment, as if it had died. */
import { scratch, shares } from '../explore';
import { arrive, BARRIER_STRIDE, Barrier, format, leave } from '../memory/barrier';
import { self } from '../memory/thread';

function barrier(): Barrier {
  return changetype<Barrier>(scratch());
}

/** How many of threads 0 and 1 have come to a phase. */
function comeTo(phase: u32): usize {
  return scratch() + 64 + ((<usize>phase) << 2);
}

export function setUp(): void {
  shares(scratch(), BARRIER_STRIDE);
  format(barrier(), 0b111);
}

function pass(phase: u32): void {
  atomic.add<u32>(comeTo(phase), 1);
  assert(arrive(barrier(), self.number), 'a member was turned away');
  assert(load<u32>(comeTo(phase)) == 2, 'passed before all had come');
}

export function thread0(): void {
  pass(0);
  pass(1);
}

export function thread1(): void {
  pass(0);
  pass(1);
}

export function thread2(): void {
  arrive(barrier(), 2);
}

export function thread3(): void {
  leave(barrier(), 2);
  leave(barrier(), 2);
}

export function check(): void {
  assert(barrier().sets == 0b11, 'somebody is left waiting, or the wrong one was taken off');
}
