/** Connections: two threads make the same one, a third one that is its reply; a fourth looks it up. */
import { abandon, publish, TUPLE_TAKEN } from '../conntrack/create';
import { connectionCount } from '../conntrack/zones';
import { begin, look, prepare } from '../explore-connections';
import { NONE } from '../memory/arena';
import { enter, leave } from '../memory/epoch';

export function setUp(): void {
  prepare();
}

/** Makes a connection unless another thread has; then there is that one to go on with. */
function create(source: u32, destination: u32): void {
  enter();
  const number = begin(source, destination, destination, 1000);
  const first = publish(number);
  if (first != NONE) {
    assert(first < TUPLE_TAKEN && first >>> 1 != number, 'refused, and nobody was first');
    assert(look(source, destination) == first, 'who was first is not found');
    abandon(number);
  }
  leave();
}

export function thread0(): void {
  create(1, 2);
}

export function thread1(): void {
  create(1, 2);
}

export function thread2(): void {
  create(2, 1);
}

export function thread3(): void {
  enter();
  const found = look(1, 2);
  if (found != NONE) assert(look(2, 1) == (found ^ 1), 'found from one direction alone');
  leave();
}

export function check(): void {
  const found = look(1, 2);
  assert(found != NONE && look(2, 1) == (found ^ 1), 'nobody made it');
  assert(connectionCount() == 1, 'there are two');
}
