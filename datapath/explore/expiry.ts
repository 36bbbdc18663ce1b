/**
 * Expiry: two packets set a connection's expiry to an earlier time and one removes it, while two threads sweep. It
 * must go, once, and its number must come free, once.
 */
import { connectionAt } from '../conntrack/connection';
import { publish } from '../conntrack/create';
import { sweep } from '../conntrack/expiry';
import { expireAt } from '../conntrack/filing';
import { REMOVED_FLUSHED, removeConnection } from '../conntrack/table';
import { connectionCount } from '../conntrack/zones';
import { scratch } from '../explore';
import { begin, freeNumbers, generationNow, prepare, setClocks } from '../explore-connections';
import { NONE } from '../memory/arena';
import { enter, leave } from '../memory/epoch';
import { acquire, release } from '../memory/lock';
import { self } from '../memory/thread';

/** Two connections, of which the second is only refreshed. */
function goes(): u32 {
  return load<u32>(scratch());
}
function stays(): u32 {
  return load<u32>(scratch() + 4);
}

export function setUp(): void {
  prepare();
  store<u32>(scratch() + 8, freeNumbers());
  store<u32>(scratch(), begin(1, 2, 2, 1000));
  store<u32>(scratch() + 4, begin(3, 4, 4, 90));
  assert(publish(goes()) == NONE && publish(stays()) == NONE, 'not set up as planned');
  while (sweep(10) != 0) {}
  setClocks(50);
}

function setExpiryOf(number: u32, expiresMs: f64): void {
  const lock = changetype<usize>(connectionAt(number));
  acquire(lock, self.number);
  expireAt(connectionAt(number), expiresMs);
  release(lock);
}

export function thread0(): void {
  enter();
  setExpiryOf(goes(), 60);
  setExpiryOf(stays(), 1000);
  setExpiryOf(goes(), 55);
  leave();
}

export function thread1(): void {
  enter();
  if (generationNow(goes()) & 1) removeConnection(goes(), generationNow(goes()), REMOVED_FLUSHED);
  leave();
}

export function thread2(): void {
  sweep(2);
  sweep(1);
}

export function thread3(): void {
  enter();
  sweep(2);
  leave();
}

/** Nobody is in a batch, so each call brings the epoch on. */
function sweepAll(): void {
  for (let i = 0; i < 3; i++) while (sweep(10) != 0) {}
}

export function check(): void {
  setClocks(60);
  sweepAll();
  assert(connectionCount() == 1, 'what is over is still there');
  assert(freeNumbers() == load<u32>(scratch() + 8) - 1, 'its number did not come free, or twice');
  setClocks(1000);
  sweepAll();
  assert(freeNumbers() == load<u32>(scratch() + 8), 'what was refreshed has not expired');
}
