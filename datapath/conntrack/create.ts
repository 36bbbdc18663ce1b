/**
 * Making a connection, from a free record to one that packets find. By one thread, within one batch:
 *
 *     takeConnection ──▶ both tuples, expiry … written ──▶ admit ──▶ reserve ──▶ publish ──▶ live
 *                                                            │  if REVERSED │       │
 *                                                            └────── abandon┴───────┘
 *
 * A connection that is REVERSED first reserves the tuple of its reply, so that the search for a free one is done
 * under no lock; whoever reserves it first has it. Then, or at once, `publish` enters the original tuple, under that
 * shard's lock alone, and looks once more whether another thread has been faster.
 *
 * A tuple whose connection's time is over is free: whoever needs it removes that connection first. And a limit that
 * is reached counts no connection whose time is over: whoever finds it reached helps to remove those, until there is
 * room or none is left; or for as long as its other packets can wait (expiry.ts).
 */
import { COUNT_CT_CREATED, count } from '../counters';
import { NONE } from '../memory/arena';
import { give, POOL_CONNECTIONS, take } from '../memory/pool';
import { self } from '../memory/thread';
import {
  CONNECTION_REVERSED,
  CONNECTION_STRIDE,
  Connection,
  connectionAt,
  isLive,
  ORIGINAL,
  REPLY,
  tupleOf,
} from './connection';
import { help } from './expiry';
import { file } from './filing';
import { giveKin } from './kin';
import {
  enterUnder,
  generationAt,
  generationOf,
  isOver,
  isReserved,
  lockShard,
  ownerOf,
  REMOVED_EXPIRED,
  removeConnection,
  takeOut,
  unlockShard,
} from './table';
import { hashTuple, isSameTuple, Tuple } from './tuple';
import { countIn, countInZone, countOut, dismiss } from './zones';

// What `publish` returns beside NONE and handles.
export const TABLE_FULL: u32 = 0xfffffffe;
/** The tuple of the reply is another connection's; or that of the original is, and it is still being made. */
export const TUPLE_TAKEN: u32 = 0xfffffffd;

/**
 * A connection that is this thread's to fill, zeroed but for its generation; NONE when there are as many as there may
 * be.
 */
export function takeConnection(): u32 {
  let steps: u32 = 0;
  while (!countIn()) if (!help(steps++)) return NONE;
  let number = take(self.number, POOL_CONNECTIONS);
  while (number == NONE && help(steps++)) number = take(self.number, POOL_CONNECTIONS);
  if (number == NONE) {
    countOut();
    return NONE;
  }
  const at = changetype<usize>(connectionAt(number));
  const rest = <u32>offsetof<Connection>('expiresMs');
  store<u32>(at, 0);
  memory.fill(at + rest, 0, CONNECTION_STRIDE - rest);
  return number;
}

/** Whether the limit of its zone lets a connection, whose original tuple is written, be made. Once for each. */
export function admit(number: u32): bool {
  let steps: u32 = 0;
  while (!countInZone(number)) if (!help(steps++)) return false;
  return true;
}

/**
 * Reserves the tuple of the reply, for a connection that is REVERSED; false when another has that tuple, live or
 * reserved, or there is no room.
 */
export function reserve(number: u32): bool {
  const connection = connectionAt(number);
  const reply = tupleOf(connection, REPLY);
  const hash = hashTuple(reply);
  if (lockUnlessTaken(reply, reply, hash) != NONE) return false;
  const hasRoom = enterUnder(hash, number);
  if (hasRoom) atomic.store<u32>(generationAt(connection), generationOf(connection) | 2);
  unlockShard(hash);
  return hasRoom;
}

/**
 * Makes a connection live; NONE when that is done. Else the handle of the live one that has its original tuple, or
 * TABLE_FULL or TUPLE_TAKEN; then the caller abandons it.
 */
export function publish(number: u32): u32 {
  const connection = connectionAt(number);
  const original = tupleOf(connection, ORIGINAL);
  const hash = hashTuple(original);
  const isReversed = (connection.flags & CONNECTION_REVERSED) != 0;
  const other = tupleOf(connection, isReversed ? ORIGINAL : REPLY); // what else it owns under this hash, if anything
  for (let owner = lockUnlessTaken(original, other, hash); owner != NONE; ) {
    if (isFor(owner, original)) return owner;
    if (has(owner, original) || has(owner, other)) return TUPLE_TAKEN;
    owner = lockUnlessTaken(original, other, hash); // that one has just ended
  }
  const hasRoom = enterUnder(hash, number);
  if (hasRoom) atomic.store<u32>(generationAt(connection), generationOf(connection) | 3);
  unlockShard(hash);
  if (!hasRoom) return TABLE_FULL;
  count(COUNT_CT_CREATED, 1);
  file(number);
  return NONE;
}

/** Gives back a connection that was not published, with its reservation and its place under the limits. */
export function abandon(number: u32): void {
  const connection = connectionAt(number);
  const generation = generationOf(connection);
  if (isReserved(generation)) {
    atomic.store<u32>(generationAt(connection), generation + 2);
    takeOut(connection, REPLY);
  }
  giveKin(connection);
  dismiss(number);
  countOut();
  give(self.number, POOL_CONNECTIONS, number);
}

/**
 * Locks the shard of `hash` if nobody has one of these tuples, both of that hash. Else nothing is locked, and it
 * returns who has it: a connection whose time is not over, or one that is reserved.
 */
function lockUnlessTaken(tuple: Tuple, other: Tuple, hash: u32): u32 {
  while (true) {
    lockShard(hash);
    let owner = ownerOf(tuple, hash);
    if (owner == NONE) owner = ownerOf(other, hash);
    if (owner == NONE) return NONE;
    const connection = connectionAt(owner >>> 1);
    const generation = generationOf(connection);
    unlockShard(hash);
    if (isReserved(generation) || (isLive(generation) && !isOver(connection))) return owner;
    removeConnection(owner >>> 1, generation, REMOVED_EXPIRED);
  }
}

/** Whether `owner` is live, and `tuple` that of its direction. */
function isFor(owner: u32, tuple: Tuple): bool {
  const connection = connectionAt(owner >>> 1);
  return isLive(generationOf(connection)) && isSameTuple(tuple, tupleOf(connection, owner & 1));
}

/** The same, or it is reserved. */
function has(owner: u32, tuple: Tuple): bool {
  const connection = connectionAt(owner >>> 1);
  const generation = generationOf(connection);
  return (isLive(generation) || isReserved(generation)) && isSameTuple(tuple, tupleOf(connection, owner & 1));
}
