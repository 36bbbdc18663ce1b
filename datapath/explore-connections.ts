/**
 * What the scenarios of connection tracking have in common: some records, a number of a connection at each thread's
 * hand, and tuples that differ in two small numbers.
 */
import { CONNECTION_REVERSED, Connection, connectionAt, setExpiry, tupleOf } from './conntrack/connection';
import { admit, takeConnection } from './conntrack/create';
import { lookUp } from './conntrack/table';
import { hashTuple, reverseTuple, TUPLE_SIZE, Tuple } from './conntrack/tuple';
import { COUNTERS } from './counters';
import { changes, scratch } from './explore';
import { ARENA_MAP, ArenaMap, map } from './memory/arena';
import { give, POOL_CACHE_STRIDE, POOL_CONNECTIONS, POOL_STRIDE, POOLS, Pool, take } from './memory/pool';
import { attach, self, threadAt } from './memory/thread';

const THREADS: u32 = 4;

/** Declares what connection tracking writes, beside what the scenario `shares`. In `setUp`, which is thread 0's. */
export function prepare(): void {
  changes(ARENA_MAP, offsetof<ArenaMap>());
  changes(map.threads, map.batches - map.threads);
  changes(map.counters, (<usize>(THREADS * COUNTERS)) << 3);
  changes(map.pools, map.frameRecords - map.pools);
  changes(map.connections, map.zoneCounts - map.connections);
  for (let thread = THREADS; thread-- > 0; ) {
    attach(thread);
    give(thread, POOL_CONNECTIONS, take(thread, POOL_CONNECTIONS));
  }
}

export function setClocks(nowMs: f64): void {
  for (let thread: u32 = 0; thread < THREADS; thread++) threadAt(thread).nowMs = nowMs;
}

function write(tuple: Tuple, source: u32, destination: u32): void {
  memory.fill(changetype<usize>(tuple), 0, TUPLE_SIZE);
  tuple.srcLow = source;
  tuple.dstLow = destination;
  tuple.proto = 17;
}

/** A connection in the making from `source` to `destination`, REVERSED if it is answered by another than that. */
export function begin(source: u32, destination: u32, answeredBy: u32, expiresMs: f64): u32 {
  const number = takeConnection();
  const connection = connectionAt(number);
  write(tupleOf(connection, 0), source, destination);
  reverseTuple(tupleOf(connection, 1), tupleOf(connection, 0));
  if (answeredBy != destination) {
    tupleOf(connection, 1).srcLow = answeredBy;
    connection.flags = CONNECTION_REVERSED;
  }
  setExpiry(connection, expiresMs);
  assert(admit(number), 'a limit where there is none');
  return number;
}

/** What a look-up of this thread's finds. */
export function look(source: u32, destination: u32): u32 {
  const tuple = changetype<Tuple>(scratch() + 4096 + <usize>(self.number * 64));
  write(tuple, source, destination);
  return lookUp(tuple, hashTuple(tuple));
}

export function generationNow(number: u32): u32 {
  return atomic.load<u32>(changetype<usize>(connectionAt(number)) + offsetof<Connection>('generation'));
}

/** How many records are free. */
export function freeNumbers(): u32 {
  let free = changetype<Pool>(map.pools + <usize>(POOL_CONNECTIONS * POOL_STRIDE)).free;
  for (let thread: u32 = 0; thread < THREADS; thread++) {
    free += load<u32>(map.poolCaches + <usize>((thread * POOLS + POOL_CONNECTIONS) * POOL_CACHE_STRIDE));
  }
  return free;
}
