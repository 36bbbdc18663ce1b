/**
 * Connections: two threads remove one whose time is over, a third makes another with its tuple, and a fourth, whose
 * clock is behind, still finds the old one.
 */

import { publish, reserve } from '../conntrack/create';
import { REMOVED_FLUSHED, removeConnection } from '../conntrack/table';
import { connectionCount } from '../conntrack/zones';
import { COUNT_CT_REMOVED, sumOf } from '../counters';
import { scratch } from '../explore';
import { begin, generationNow, look, prepare, setClocks } from '../explore-connections';
import { NONE } from '../memory/arena';
import { enter, leave } from '../memory/epoch';
import { threadAt } from '../memory/thread';

/** The connection that goes, from 1 to 2 and answered by 8; and the generation in which it does. */
function old(): u32 {
  return load<u32>(scratch());
}
function generation(): u32 {
  return load<u32>(scratch() + 4);
}

export function setUp(): void {
  prepare();
  const number = begin(1, 2, 8, 100);
  assert(reserve(number) && publish(number) == NONE, 'not set up as planned');
  store<u32>(scratch(), number);
  store<u32>(scratch() + 4, generationNow(number));
  setClocks(100);
  threadAt(3).nowMs = 99;
}

function remove(): void {
  enter();
  removeConnection(old(), generation(), REMOVED_FLUSHED);
  assert(look(1, 2) == NONE || look(1, 2) >>> 1 != old(), 'a connection that was removed is found');
  leave();
}

export function thread0(): void {
  remove();
}

export function thread1(): void {
  remove();
}

export function thread2(): void {
  enter();
  const number = begin(1, 2, 2, 1000);
  assert(publish(number) == NONE, 'a connection whose time is over is in the way');
  assert(look(1, 2) == number << 1, 'what was made is not found');
  leave();
}

export function thread3(): void {
  enter();
  const byOriginal = look(1, 2);
  const byReply = look(8, 1);
  assert(byReply == NONE || byReply == ((old() << 1) | 1), 'found by what is not its reply');
  if (byOriginal >>> 1 != old()) assert(byReply == NONE || byOriginal != NONE, 'found by its reply alone');
  leave();
}

export function check(): void {
  assert(sumOf(COUNT_CT_REMOVED) + sumOf(COUNT_CT_REMOVED + REMOVED_FLUSHED) == 1, 'removed twice, or not');
  assert(look(1, 2) != NONE && look(8, 1) == NONE, 'not what was made last is there');
  assert(connectionCount() == 1, 'counted off twice, or not');
}
