/** Lock: three threads each add one to a word that it guards. */
import { scratch, shares } from '../explore';
import { acquire, release } from '../memory/lock';
import { self } from '../memory/thread';

export function setUp(): void {
  shares(scratch(), 128);
}

function addOne(): void {
  const lock = scratch();
  acquire(lock, self.number);
  assert(load<u32>(lock) == self.number + 1, 'the lock does not name its holder');
  store<u32>(lock + 64, load<u32>(lock + 64) + 1);
  release(lock);
}

export function thread0(): void {
  addOne();
}

export function thread1(): void {
  addOne();
}

export function thread2(): void {
  addOne();
}

export function check(): void {
  assert(load<u32>(scratch()) == 0, 'the lock is not free in the end');
  assert(load<u32>(scratch() + 64) == 3, 'an addition is lost');
}
