/**
 * Handing connections to whoever sweeps: a queue from all threads that make, change or remove them (memory/mpsc.ts).
 *
 *     packet threads ──file──▶ [ 7 ]─▶[ 3 ]─▶[ 9 ] ──▶ the sweeper: wheel, removal, reuse (expiry.ts)
 *
 * From its publication on a connection's number is the sweeper's, and nobody else gives it back. A connection is
 * filed
 *
 * - when it has been published,
 * - when its expiry moves to an earlier time, so that the sweeper must not wait for the one that it knows,
 * - when it has been removed, so that the sweeper lets go of it.
 *
 * An expiry that moves to a later time is one store. The sweeper finds that out when it looks at the connection.
 *
 * `Origin.filed` keeps a number from being in the queue twice: whoever makes it FILED pushes. The sweeper, having
 * popped the number, clears `filed` before it looks at generation and expiry. So whoever found it FILED had changed
 * them before, and the sweeper sees the change; and whoever changes them later finds it clear and pushes again.
 * When the sweeper lets go of a number it leaves it FILED: a thread that comes late pushes nothing.
 */
import { map } from '../memory/arena';
import { MpscQueue, push } from '../memory/mpsc';
import {
  Connection,
  connectionAt,
  connectionNumber,
  expiryOf,
  Origin,
  originOf,
  setExpiry,
} from './connection';

export const NOT_FILED: u32 = 0;
export const FILED: u32 = 1;

export function filings(): MpscQueue {
  return changetype<MpscQueue>(map.filings);
}

/** Address of a connection's `filed`. */
export function filedAt(number: u32): usize {
  return changetype<usize>(originOf(connectionAt(number))) + offsetof<Origin>('filed');
}

/** Hands a connection to whoever sweeps, unless that has yet to look at it anyway. Any thread, within an epoch. */
export function file(number: u32): void {
  if (atomic.xchg<u32>(filedAt(number), FILED) != FILED) push(filings(), number);
}

/** Sets when a live connection's time is over. Under its lock, within an epoch. */
export function expireAt(connection: Connection, expiresMs: f64): void {
  const isEarlier = expiresMs < expiryOf(connection);
  setExpiry(connection, expiresMs);
  if (isEarlier) file(connectionNumber(connection));
}
