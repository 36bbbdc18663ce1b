/** Connections: one ends while two threads make another with its tuple. */
import { abandon, publish, TUPLE_TAKEN } from '../conntrack/create';
import { REMOVED_FLUSHED, removeConnection } from '../conntrack/table';
import { connectionCount } from '../conntrack/zones';
import { scratch } from '../explore';
import { begin, generationNow, look, prepare } from '../explore-connections';
import { NONE } from '../memory/arena';
import { enter, leave } from '../memory/epoch';

/** The connection that ends, from 1 to 2. */
function old(): u32 {
  return load<u32>(scratch());
}

export function setUp(): void {
  prepare();
  const number = begin(1, 2, 2, 1000);
  assert(publish(number) == NONE, 'not set up as planned');
  store<u32>(scratch(), number);
}

function create(): void {
  enter();
  const number = begin(1, 2, 2, 1000);
  const first = publish(number);
  assert(first != TUPLE_TAKEN, 'refused, and nobody has the tuple');
  if (first != NONE) abandon(number);
  else assert(look(1, 2) == number << 1, 'what was made is not found');
  leave();
}

export function thread0(): void {
  enter();
  removeConnection(old(), generationNow(old()), REMOVED_FLUSHED);
  leave();
}

export function thread1(): void {
  create();
}

export function thread2(): void {
  create();
}

export function check(): void {
  assert(connectionCount() == (look(1, 2) == NONE ? 0 : 1), 'there are more than are found');
}
