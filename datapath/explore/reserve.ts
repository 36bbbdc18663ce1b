/**
 * Connections whose addresses are translated: two threads want the same reply tuple, two have the same original; a
 * fourth looks on.
 */
import { abandon, publish, reserve, TUPLE_TAKEN } from '../conntrack/create';
import { connectionCount } from '../conntrack/zones';
import { begin, look, prepare } from '../explore-connections';
import { NONE } from '../memory/arena';
import { enter, leave } from '../memory/epoch';

export function setUp(): void {
  prepare();
}

/** Makes a connection from `source` to 2 that 8 or 9 answers; whether it could. */
function create(source: u32, answeredBy: u32): bool {
  enter();
  const number = begin(source, 2, answeredBy, 1000);
  const isReserved = reserve(number);
  const result = isReserved ? publish(number) : TUPLE_TAKEN;
  if (isReserved && result != NONE) {
    assert(result < TUPLE_TAKEN && look(source, 2) == result, 'refused, and nobody was first');
  }
  if (result != NONE) abandon(number);
  leave();
  return result == NONE;
}

/** Whether a connection of 1 is there, answered by `answeredBy`; it is found from both directions or from none. */
function isThere(answeredBy: u32): bool {
  const found = look(answeredBy, 1);
  if (found != NONE) assert(look(1, 2) == (found ^ 1), 'found by its reply alone');
  return found != NONE;
}

export function thread0(): void {
  create(1, 8);
}

export function thread1(): void {
  create(1, 8);
}

export function thread2(): void {
  create(1, 9);
}

export function thread3(): void {
  enter();
  isThere(8);
  isThere(9);
  leave();
}

export function check(): void {
  assert(isThere(8) != isThere(9), 'not one of the two is there');
  assert(connectionCount() == 1, 'a place that was given up is lost');
}
