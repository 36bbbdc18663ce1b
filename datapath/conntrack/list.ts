/**
 * Goes through all connections by number, a bounded stretch at a time: lists them, or flushes them. Whoever asks
 * comes back for the next stretch with the number that the last one ended with, so that a table of a million
 * holds nobody up.
 *
 *     from ──▶ │ live │ even │ live │ over │ live │ … up to `budget` numbers, or until the page is full ──▶ next
 *                 │             ✕ filter      │
 *                 └──────────┐      ┌─────────┘
 *     page     │ count │ copy │ copy │ … PAGE_CONNECTIONS
 *
 * Numbers that nobody has ever taken are left out, so a table that is mostly empty stays so in memory, too.
 *
 * A connection is looked at without its lock first. One that seems to be wanted is copied under its lock, and the
 * copy looked at again: what is listed is of one moment. Within an epoch, so that a number that was live stays
 * that connection's. A connection that comes while the table is gone through is listed or not; one that is
 * there all the time is listed once.
 */
import { NONE } from '../memory/arena';
import { enter, leave } from '../memory/epoch';
import { acquire, release } from '../memory/lock';
import { everTaken, POOL_CONNECTIONS } from '../memory/pool';
import { self } from '../memory/thread';
import { CONNECTION_STRIDE, Connection, connectionAt, expiryOf, isLive } from './connection';
import { ConnectionFilter, passes } from './filter';
import { REMOVED_FLUSHED, removeConnection } from './table';

/** What a call has found; PAGE_RECORDS on: copies of records. Of the calling thread alone. */
@unmanaged
export class ConnectionPage {
  count: u32;
}

export const PAGE_RECORDS: usize = 16;
/** With a filter they fill the scratch of a batch (batch.ts). */
export const PAGE_CONNECTIONS: u32 = 21;

function recordIn(page: ConnectionPage, i: u32): Connection {
  return changetype<Connection>(changetype<usize>(page) + PAGE_RECORDS + <usize>i * CONNECTION_STRIDE);
}

/**
 * Copies connections that pass `filter` to `page`, looking at up to `budget` numbers from `from` on. Returns where
 * to go on; NONE: that was all.
 */
export function listConnections(from: u32, budget: u32, filter: ConnectionFilter, page: ConnectionPage): u32 {
  const end = endOf(from, budget);
  let number = from;
  let count: u32 = 0;
  enter();
  for (; number < end && count < PAGE_CONNECTIONS; number++) {
    if (copyWanted(connectionAt(number), filter, recordIn(page, count))) count++;
  }
  leave();
  page.count = count;
  return goOn(number);
}

/** Removes connections instead; `page` gets their count. */
export function flushConnections(
  from: u32,
  budget: u32,
  filter: ConnectionFilter,
  page: ConnectionPage,
): u32 {
  const end = endOf(from, budget);
  const copy = recordIn(page, 0);
  let number = from;
  let count: u32 = 0;
  enter();
  for (; number < end; number++) {
    if (!copyWanted(connectionAt(number), filter, copy)) continue;
    if (removeConnection(number, copy.generation, REMOVED_FLUSHED)) count++;
  }
  leave();
  page.count = count;
  return goOn(number);
}

function endOf(from: u32, budget: u32): u32 {
  return <u32>min<u64>(<u64>from + budget, everTaken(POOL_CONNECTIONS));
}

function goOn(number: u32): u32 {
  return number < everTaken(POOL_CONNECTIONS) ? number : NONE;
}

/** Copies a connection if it is there and wanted; whether it was. */
function copyWanted(connection: Connection, filter: ConnectionFilter, to: Connection): bool {
  if (!isThere(connection) || !passes(connection, filter)) return false;
  const lock = changetype<usize>(connection) + offsetof<Connection>('lock');
  acquire(lock, self.number);
  memory.copy(changetype<usize>(to), changetype<usize>(connection), CONNECTION_STRIDE);
  release(lock);
  return isThere(to) && passes(to, filter);
}

/** Whether a record, or a copy of it, is a live connection whose time is not over. */
function isThere(connection: Connection): bool {
  const generation = atomic.load<u32>(changetype<usize>(connection) + offsetof<Connection>('generation'));
  return isLive(generation) && expiryOf(connection) > self.nowMs;
}
