/**
 * Puts connection tracking right after a thread died (../reclaim.ts): what the live records say is kept, and all that
 * leads to them is made anew.
 *
 *     record     live: kept, unless the thread was changing it. Reserved, half-written or dead: free, for between two
 *                rounds nobody else has one in hand
 *     shards     the thread may have died while an entry moved, or between two entries of a connection
 *     wheel      it may have died while it swept; then the wheel's lock is still its own
 *     counts     counted, and not made; removed, and not counted off
 *     expected   those whose parents live are kept, but for one that was being made or removed
 *
 * Locks of shards, connections and expectations are released at once, since others may be spinning on them. Shards and
 * expectations are usable at every moment; a connection that was being changed is over. The rest is done while every other thread stands still.
 */
import { map } from '../memory/arena';
import { format as formatMap } from '../memory/cuckoo';
import { releaseAfter } from '../memory/lock';
import { format as formatQueue } from '../memory/mpsc';
import { beginRenewal, endRenewal, everTaken, keep, POOL_CONNECTIONS } from '../memory/pool';
import {
  CONNECTION_REVERSED,
  CONNECTION_STRIDE,
  Connection,
  connectionAt,
  isLive,
  ORIGINAL,
  Origin,
  originOf,
  REPLY,
  setExpiry,
  tupleOf,
} from './connection';
import { releaseExpectations, renewExpectations } from './expectation';
import { file, filedAt, filings, NOT_FILED } from './filing';
import { releaseKin, renewKin } from './kin';
import { enterUnder, mapOf, SHARDS, shardAt, takeOut } from './table';
import { hashTuple } from './tuple';
import { emptyWheel } from './wheel';
import { countAgain, forgetCounts } from './zones';

/**
 * Releases the locks of shards, connections and expectations that `thread` left held. Returns how many. The time of those
 * connections is over.
 */
export function releaseConnectionLocks(thread: u32): u32 {
  if (map.connectionLimit == 0) return 0;
  let released: u32 = <u32>releaseExpectations(thread) + <u32>releaseKin(thread);
  for (let i: u32 = 0; i < SHARDS; i++) {
    if (releaseAfter(changetype<usize>(shardAt(i)), thread)) released++;
  }
  const numbers = everTaken(POOL_CONNECTIONS);
  for (let number: u32 = 0; number < numbers; number++) {
    const lock = changetype<usize>(connectionAt(number));
    if (atomic.load<u32>(lock) != thread + 1) continue;
    setExpiry(connectionAt(number), 0);
    if (releaseAfter(lock, thread)) released++;
  }
  return released;
}

/** Makes all that leads to connections anew, if ever there was one. Returns how many numbers came free. */
export function reclaimConnections(): u32 {
  const numbers = everTaken(POOL_CONNECTIONS);
  const freed = numbers != 0 ? renew(numbers) : 0;
  atomic.store<u32>(map.wheel, 0);
  return freed;
}

/** Of the records, the first so many were ever used. */
function renew(numbers: u32): u32 {
  const free = beginRenewal(POOL_CONNECTIONS);
  for (let i: u32 = 0; i < SHARDS; i++) {
    const shard = mapOf(shardAt(i));
    formatMap(shard, shard.mask + 1);
  }
  forgetCounts();
  emptyWheel(numbers);
  formatFilings();
  for (let number: u32 = 0; number < numbers; number++) {
    if (enter(number)) keepConnection(number);
    else end(connectionAt(number));
  }
  renewKin();
  renewExpectations();
  return endRenewal(POOL_CONNECTIONS) - free;
}

function formatFilings(): void {
  const links = changetype<usize>(originOf(connectionAt(0))) + offsetof<Origin>('next');
  formatQueue(filings(), links, CONNECTION_STRIDE);
}

/** Enters a live connection in the table; false when it is not live, or finds no room as others came before it. */
function enter(number: u32): bool {
  const connection = connectionAt(number);
  if (!isLive(connection.generation)) return false;
  if (!enterUnder(hashTuple(tupleOf(connection, ORIGINAL)), number)) return false;
  if (!(connection.flags & CONNECTION_REVERSED)) return true;
  if (enterUnder(hashTuple(tupleOf(connection, REPLY)), number)) return true;
  takeOut(connection, ORIGINAL);
  return false;
}

function keepConnection(number: u32): void {
  keep(POOL_CONNECTIONS, number);
  countAgain(number);
  store<u32>(filedAt(number), NOT_FILED);
  file(number);
}

/** Makes a record a free one. Its generation goes up, so that nobody takes the next connection for this one. */
function end(connection: Connection): void {
  connection.generation = (connection.generation + 3) & ~3;
  connection.kin = 0;
}
