/**
 * The table of connections, by tuple: 64 shards, each a cuckoo map (memory/cuckoo.ts) with a lock of its own.
 *
 *     hash      │ shard: 6 bits │ … first bucket: low bits │
 *     shard     │ lock │ cuckoo map: hash → connection     │      the lock on a line of its own
 *
 * A tuple and its reverse have one hash, so a connection has one entry and is found from both directions. One whose
 * addresses are translated (CONNECTION_REVERSED) has two, as its reply comes under another tuple; they are in two
 * shards, or in one.
 *
 * The generation of a record says what its entries mean; its two low bits are
 *
 *     0   free, or dead: its tuples are free, whether its entries are still there or not
 *     2   reserved: in the making. Not found, but its reply tuple is its own (create.ts)
 *     3   live: owns both its tuples, unless its time is over
 *
 * So a connection comes and goes by one store: it is found by both tuples or by none. Entries are made under the
 * shard's lock, and it is where two that would have one tuple meet; they are taken out under none, so whoever begins a
 * connection does not wait for a million that end. Look-ups take no lock and write nothing. They
 * may meet records that are dead, or reused as another connection: each is judged by its generation first, and if
 * that is odd all else in it holds until the batch ends (memory/epoch.ts).
 */
import { COUNT_CT_REMOVED, COUNT_CT_SHARD_LOCKS, count } from '../counters';
import { map, NONE } from '../memory/arena';
import { CuckooMap, find, findNext, insert, remove } from '../memory/cuckoo';
import { acquire, release } from '../memory/lock';
import { self } from '../memory/thread';
import {
  CONNECTION_HELPED,
  CONNECTION_REVERSED,
  Connection,
  connectionAt,
  connectionNumber,
  expiryOf,
  isLive,
  ORIGINAL,
  REPLY,
  tupleOf,
} from './connection';
import { EVENT_DESTROY, noteEvent } from './events';
import { forgetExpectations } from './expectation';
import { file } from './filing';
import { hashTuple, isSameTuple, Tuple } from './tuple';
import { countOut, dismiss } from './zones';

@unmanaged
export class Shard {
  lock: u32; // lock.ts
}

export const SHARDS: u32 = 64;
const SHARD_SHIFT: u32 = 26; // of a hash of 32 bits
/** Where a shard's map is. */
export const SHARD_MAP: usize = 64;

// Why a connection was removed: COUNT_CT_REMOVED + this is the counter.
export const REMOVED_EXPIRED: u32 = 0; // nothing came for as long as its timeout says
export const REMOVED_REPLACED: u32 = 1; // it was over, and a packet began another with its tuple
export const REMOVED_FLUSHED: u32 = 2; // by command
export const REMOVED_FORCED: u32 = 3; // a reply was to begin one of its own

export function shardAt(number: u32): Shard {
  return changetype<Shard>(map.connectionShards + <usize>number * map.shardStride);
}

export function mapOf(shard: Shard): CuckooMap {
  return changetype<CuckooMap>(changetype<usize>(shard) + SHARD_MAP);
}

function shardOf(hash: u32): Shard {
  return shardAt(hash >>> SHARD_SHIFT);
}

export function generationAt(connection: Connection): usize {
  return changetype<usize>(connection) + offsetof<Connection>('generation');
}

export function generationOf(connection: Connection): u32 {
  return atomic.load<u32>(generationAt(connection));
}

export function isReserved(generation: u32): bool {
  return (generation & 3) == 2;
}

/** Whether a connection's time is over: then it is none, removed or not. */
export function isOver(connection: Connection): bool {
  return self.nowMs >= expiryOf(connection);
}

/** The direction of `connection` in which packets with `tuple` go, or NONE. */
function directionOf(connection: Connection, tuple: Tuple): u32 {
  if (isSameTuple(tuple, tupleOf(connection, ORIGINAL))) return ORIGINAL;
  return isSameTuple(tuple, tupleOf(connection, REPLY)) ? REPLY : NONE;
}

/** A connection and a direction, as one number. */
function handle(number: u32, direction: u32): u32 {
  return (number << 1) | direction;
}

/** The live connection of packets with `tuple`, as `number << 1 | direction`, or NONE. Within an epoch. */
export function lookUp(tuple: Tuple, hash: u32): u32 {
  if (map.connectionLimit == 0) return NONE;
  for (let number = find(mapOf(shardOf(hash)), hash); number != NONE; number = findNext()) {
    const connection = connectionAt(number);
    if (!isLive(generationOf(connection))) continue;
    const direction = directionOf(connection, tuple);
    if (direction != NONE && !isOver(connection)) return handle(number, direction);
  }
  return NONE;
}

/**
 * The handle of who has `tuple`, whether its time is over or not: live, or reserved and then as its reply. NONE: nobody.
 * Under the shard's lock.
 */
export function ownerOf(tuple: Tuple, hash: u32): u32 {
  for (let number = find(mapOf(shardOf(hash)), hash); number != NONE; number = findNext()) {
    const connection = connectionAt(number);
    const generation = generationOf(connection);
    if (isLive(generation)) {
      const direction = directionOf(connection, tuple);
      if (direction != NONE) return handle(number, direction);
    } else if (isReserved(generation) && isSameTuple(tuple, tupleOf(connection, REPLY))) {
      return handle(number, REPLY);
    }
  }
  return NONE;
}

export function lockShard(hash: u32): void {
  acquire(changetype<usize>(shardOf(hash)), self.number);
  count(COUNT_CT_SHARD_LOCKS, 1);
}

export function unlockShard(hash: u32): void {
  release(changetype<usize>(shardOf(hash)));
}

/** Enters a connection under the hash of one of its tuples; false: there is no room. Under the shard's lock. */
export function enterUnder(hash: u32, number: u32): bool {
  return insert(mapOf(shardOf(hash)), hash, number);
}

/** Takes out the entry that a connection has for its tuple of `direction`. */
export function takeOut(connection: Connection, direction: u32): void {
  const hash = hashTuple(tupleOf(connection, direction));
  remove(mapOf(shardOf(hash)), hash, connectionNumber(connection));
}

/**
 * Removes a connection, found with `generation`, and hands its number to the sweeper. Of all who would one gets true.
 * Within an epoch, and under no shard's lock.
 */
export function removeConnection(number: u32, generation: u32, reason: u32): bool {
  const isMine = endConnection(number, generation, reason);
  if (isMine) file(number);
  return isMine;
}

/** The same for the sweeper, which has the number already. */
export function endConnection(number: u32, generation: u32, reason: u32): bool {
  const connection = connectionAt(number);
  if (!isLive(generation)) return false;
  if (atomic.cmpxchg<u32>(generationAt(connection), generation, generation + 1) != generation) return false;
  // First, so that what is no more counts no longer than it must.
  dismiss(number);
  countOut();
  noteEvent(connection, EVENT_DESTROY, reason);
  takeOut(connection, ORIGINAL);
  if (connection.flags & CONNECTION_REVERSED) takeOut(connection, REPLY);
  if (connection.flags & CONNECTION_HELPED) forgetExpectations(connection);
  count(COUNT_CT_REMOVED + reason, 1);
  return true;
}
