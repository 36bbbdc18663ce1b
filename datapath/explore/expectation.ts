/**
 * Expectations: two connections between the same hosts announce the same port, one of them is removed meanwhile, and a
 * fourth thread looks for what they announce.
 */
import { CONNECTION_TFTP, connectionAt, REPLY, tupleOf } from '../conntrack/connection';
import { publish } from '../conntrack/create';
import { Expectations, expect, findExpectation } from '../conntrack/expectation';
import { REMOVED_FLUSHED, removeConnection } from '../conntrack/table';
import { copyTuple, TUPLE_SIZE, Tuple } from '../conntrack/tuple';
import { changes, scratch } from '../explore';
import { begin, generationNow, prepare } from '../explore-connections';
import { map, NONE } from '../memory/arena';
import { enter, leave } from '../memory/epoch';
import { acquire, release } from '../memory/lock';
import { self } from '../memory/thread';

const PORT: u16 = 5;

function going(): u32 {
  return load<u32>(scratch());
}
function staying(): u32 {
  return load<u32>(scratch() + 4);
}

export function setUp(): void {
  prepare();
  changes(map.batches, map.counters - map.batches);
  changes(map.kin, map.queues - map.kin);
  store<u32>(scratch(), parent(7));
  store<u32>(scratch() + 4, parent(8));
}

/** A connection from 1, at this port, to 2. */
function parent(port: u16): u32 {
  const number = begin(1, 2, 2, 1000);
  const connection = connectionAt(number);
  connection.flags |= CONNECTION_TFTP;
  tupleOf(connection, 0).tpSrc = port;
  tupleOf(connection, 1).tpDst = port;
  assert(publish(number) == NONE, 'not set up as planned');
  return number;
}

/** Where a connection's announcement is found; 0: it cannot announce any more. */
function announce(number: u32): u16 {
  const connection = connectionAt(number);
  enter();
  acquire(changetype<usize>(connection), self.number);
  const port = expect(connection, REPLY, PORT, PORT, true);
  release(changetype<usize>(connection));
  leave();
  return port;
}

/** Who is expected at a port of 1, coming from 2; NONE: nobody. */
function parentAt(port: u16): u32 {
  const tuple = changetype<Tuple>(scratch() + 4096 + <usize>(self.number * 64));
  memory.fill(changetype<usize>(tuple), 0, TUPLE_SIZE);
  copyTuple(tuple, tupleOf(connectionAt(staying()), REPLY));
  tuple.tpSrc = 9;
  tuple.tpDst = port;
  enter();
  const found = findExpectation(tuple);
  const number = found != null ? found.parent : NONE;
  leave();
  return number;
}

export function thread0(): void {
  announce(going());
}

export function thread1(): void {
  enter();
  removeConnection(going(), generationNow(going()), REMOVED_FLUSHED);
  leave();
  assert(parentAt(PORT) != going(), 'the expectation of a connection that was removed is met');
}

export function thread2(): void {
  const port = announce(staying());
  assert(port != 0, 'nothing can be announced');
  assert(parentAt(port) == staying(), 'what is announced is not expected');
}

export function thread3(): void {
  const number = parentAt(PORT);
  assert(number == NONE || number == going() || number == staying(), 'somebody else is expected');
}

export function check(): void {
  assert(changetype<Expectations>(map.expectations).count == 1, 'not one is left');
}
