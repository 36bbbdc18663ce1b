/**
 * What connections have beside their records that have to do with one another: a record each, of a table that is small,
 * as few connections are such.
 *
 *     connection.kin ──▶ │ owner │ newest │ shift of what the one end sends │ … the other end   │   one that a helper
 *                        │       │        │ of its lines                                        │   looks at
 *                    ──▶ │ owner │        │ original tuple of its parent                        │   one that was expected
 *     table.free     ──▶ │ 0     │ next   │                                                     │
 *
 * One that a helper looks at gets it when it announces something. It goes with the connection's number, two epochs after
 * the connection (expiry.ts), so that whoever has found that live may read it.
 *
 * `owner`, and the list of free ones: whoever holds the table's lock, which is taken inside any other. `newest`: under
 * the lock of the expectations (expectation.ts). The shifts: under the connection's (shift.ts). The parent's tuple is
 * written before the connection is published, and never after.
 */
import { map } from '../memory/arena';
import { acquire, release, releaseAfter } from '../memory/lock';
import { self } from '../memory/thread';
import {
  CONNECTION_EXPECTED,
  Connection,
  connectionAt,
  connectionNumber,
  isLive,
  ORIGINAL,
  tupleOf,
} from './connection';
import { Tuple } from './tuple';

@unmanaged
export class KinTable {
  lock: u32; // lock.ts
  free: u32; // the first that was given back, counted from 1; 0: none
  everTaken: u32; // no record behind so many was ever used
}

@unmanaged
export class Kin {
  owner: u32; // connection number + 1; 0: free
  newest: u32; // serial of the expectation that was made last; 0: none. Of a free one: the next free one
  // KIN_BODY on: Shift of what the side that began sends, and of the other; or a Tuple
}

/** How the sequence numbers of one end become those that the other end sees. */
@unmanaged
export class Shift {
  position: u32; // host order, as the sender counts: up to here they are moved by `before`, beyond by `after`
  before: u32; // modulo 2³²
  after: u32;
}

export const KIN_RECORDS: usize = 64; // behind a line
export const KIN_STRIDE: u32 = 48;
const KIN_BODY: usize = 8;
const SHIFT_SIZE: usize = 12;

function table(): KinTable {
  return changetype<KinTable>(map.kin);
}

/** A record by its number, counted from 1. */
function recordAt(number: u32): Kin {
  return changetype<Kin>(map.kin + KIN_RECORDS + <usize>((number - 1) * KIN_STRIDE));
}

function bodyOf(connection: Connection): usize {
  return changetype<usize>(kinOf(connection)) + KIN_BODY;
}

/** Of a connection that has a record. */
export function kinOf(connection: Connection): Kin {
  return recordAt(connection.kin);
}

export function shiftOf(connection: Connection, direction: u32): Shift {
  return changetype<Shift>(bodyOf(connection) + <usize>direction * SHIFT_SIZE);
}

/** The original tuple of the parent of a connection that was expected. */
export function parentTuple(connection: Connection): Tuple {
  return changetype<Tuple>(bodyOf(connection));
}

/** What packets are told to be the original tuple: that of the parent, if the connection has one. */
export function toldTuple(connection: Connection): Tuple {
  return connection.flags & CONNECTION_EXPECTED ? parentTuple(connection) : tupleOf(connection, ORIGINAL);
}

/** Gives a connection, which is this thread's or whose lock it holds, a record of zeros if it has none. */
export function takeKin(connection: Connection): bool {
  if (connection.kin != 0) return true;
  acquire(map.kin, self.number);
  const number = takeNumber();
  if (number != 0) {
    memory.fill(changetype<usize>(recordAt(number)), 0, KIN_STRIDE);
    recordAt(number).owner = connectionNumber(connection) + 1;
  }
  release(map.kin);
  connection.kin = <u16>number;
  return number != 0;
}

function takeNumber(): u32 {
  const number = table().free;
  if (number != 0) {
    table().free = recordAt(number).newest;
    return number;
  }
  return table().everTaken < map.kinCount ? ++table().everTaken : 0;
}

/** Takes the record back from a connection that nobody sees, if it has one. */
export function giveKin(connection: Connection): void {
  const number = connection.kin;
  if (number == 0) return;
  acquire(map.kin, self.number);
  setFree(number);
  release(map.kin);
  connection.kin = 0;
}

function setFree(number: u32): void {
  const kin = recordAt(number);
  kin.owner = 0;
  kin.newest = table().free;
  table().free = number;
}

/** Releases the lock if `thread`, which is dead, holds it; whether it did. */
export function releaseKin(thread: u32): bool {
  return releaseAfter(map.kin, thread);
}

/** Frees all records but those of live connections, while all threads stand still. */
export function renewKin(): void {
  table().free = 0;
  for (let number: u32 = table().everTaken; number != 0; number--) {
    if (!isOwned(number)) setFree(number);
  }
}

function isOwned(number: u32): bool {
  const owner = recordAt(number).owner;
  if (owner == 0) return false;
  const connection = connectionAt(owner - 1);
  return isLive(connection.generation) && <u32>connection.kin == number;
}
