/** A connection is removed and its record made another one, while two threads look both up. */
import { CONNECTION_STRIDE, connectionAt, tupleOf } from '../conntrack/connection';
import { publish } from '../conntrack/create';
import { sweep } from '../conntrack/expiry';
import { REMOVED_FLUSHED, removeConnection } from '../conntrack/table';
import { scratch, shares } from '../explore';
import { begin, generationNow, look, prepare } from '../explore-connections';
import { NONE } from '../memory/arena';
import { enter, leave } from '../memory/epoch';

function first(): u32 {
  return load<u32>(scratch());
}

function create(source: u32, destination: u32): u32 {
  const number = begin(source, destination, destination, 1000);
  assert(publish(number) == NONE, 'nobody else makes it');
  return number;
}

export function setUp(): void {
  prepare();
  store<u32>(scratch(), create(1, 2));
  shares(changetype<usize>(connectionAt(first())), CONNECTION_STRIDE);
  while (sweep(10) != 0) {}
}

/** Whose cache of numbers the removed one comes to, so that it takes it again if it may. */
export function thread0(): void {
  enter();
  removeConnection(first(), generationNow(first()), REMOVED_FLUSHED);
  leave();
  for (let i = 0; i < 3; i++) sweep(10);
  enter();
  create(3, 4);
  leave();
}

/** Looks up a connection, and sees that its record stays its own for as long as the batch. */
function batch(source: u32, destination: u32): void {
  enter();
  const found = look(source, destination);
  if (found != NONE) {
    const tuple = tupleOf(connectionAt(found >>> 1), 0);
    assert(<u32>tuple.srcLow == source, 'the connection of another tuple');
    assert(<u32>tuple.dstLow == destination, 'a record was used again while somebody looked at it');
  }
  leave();
}

export function thread1(): void {
  batch(1, 2);
}

export function thread2(): void {
  batch(3, 4);
  batch(1, 2);
}

export function check(): void {
  assert(look(1, 2) == NONE && look(4, 3) != NONE, 'not what was made last is there');
}
