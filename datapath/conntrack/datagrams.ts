/**
 * The table of datagrams of which not all fragments are there yet.
 *
 *     bucket ─▶ datagram ─▶ datagram         found by name: a chain for each bucket
 *                   └─first─▶ frame ─▶ frame ─▶ …      its fragments in order, without overlap (fragment.ts)
 *     oldest ─▶ … ─▶ newest                  all have the same time, so the oldest is over first
 *
 * One lock is over all of it, held for as long as it takes to find a datagram and go along its fragments: there are
 * some fifty at most, as small ones are not taken. Frames in it are the table's (`HELD_BY_TABLE`); whoever takes a
 * datagram out gets its frames under the lock, and does all else after.
 *
 * A datagram that failed stays, without fragments, until its time is over, so that what still comes of it is known
 * (RFC 5722 §4). Records are as many as fragments may be held; a bucket's head stands in the record of its number.
 *
 * A thread that dies with the lock leaves the table as it may be. It is marked broken then, takes nothing any more,
 * and is emptied while all threads stand still.
 */
import { map } from '../memory/arena';
import { acquire, release, releaseAfter } from '../memory/lock';
import { self } from '../memory/thread';
import { frameAt, frameNumbers, HELD_BY_NOBODY, HELD_BY_TABLE, hold, NETWORK_IPV4 } from '../packet/frame';
import { fragmentAt } from './fragment';
import { copyTuple, hashTuple, isSameTuple, Tuple } from './tuple';

@unmanaged
export class DatagramTable {
  lock: u32;
  isBroken: u32;
  oldest: u32; // datagrams: number + 1; 0: none
  newest: u32;
  free: u32; // of records that were used before, joined by `next`
  everUsed: u32; // records
  most: u32; // fragments that are held at a time; the control side writes it at any time
  // from DATAGRAM_FAMILIES on: FragmentFamily × 2, of IPv4 and of IPv6
}

/** What is taken of one version of IP. */
@unmanaged
export class FragmentFamily {
  isIgnored: u32; // its fragments are not held; written, as is the next, by the control side at any time
  leastBytes: u32; // that a fragment has which is not the last
  held: u32; // fragments; written under the lock
}

@unmanaged
export class Datagram {
  bucket: u32; // first of the datagrams whose hash says this record's number; number + 1
  next: u32; // in its bucket, or of the free ones
  older: u32;
  newer: u32;
  first: u32; // of its fragments: frame number + 1
  bytes: u32; // that are there
  end: u32; // its length; 0 while the last fragment is missing
  failure: u32; // DROP_…, for which its fragments are dropped; 0: none
  recirculation: u32; // the round that its fragments were in; 0: the first
  expiresMs: f64;
  // from DATAGRAM_NAME on: its name, a Tuple
}

export const DATAGRAM_STRIDE: u32 = 128;
const DATAGRAM_NAME: usize = 64;
export const DATAGRAM_TABLE_SIZE: u32 = 64;
export const DATAGRAM_FAMILIES: u32 = 32;
export const FAMILY_STRIDE: u32 = 16;

/** So long the others have to come once one is there, as in Open vSwitch; a host waits a minute (RFC 8200 §4.5). */
const TIME_MS: f64 = 15000;

export function datagramTable(): DatagramTable {
  return changetype<DatagramTable>(map.datagramTable);
}

export function familyAt(family: u32): FragmentFamily {
  return changetype<FragmentFamily>(map.datagramTable + DATAGRAM_FAMILIES + <usize>(family * FAMILY_STRIDE));
}

/** Of frame `number`: 0 for IPv4, 1 for IPv6. */
export function familyOf(number: u32): u32 {
  return frameAt(number).network == NETWORK_IPV4 ? 0 : 1;
}

export function datagramAt(number: u32): Datagram {
  return changetype<Datagram>(map.datagrams + <usize>(number * DATAGRAM_STRIDE));
}

function nameOf(datagram: Datagram): Tuple {
  return changetype<Tuple>(changetype<usize>(datagram) + DATAGRAM_NAME);
}

export function lockDatagrams(): void {
  acquire(map.datagramTable, self.number);
}

export function unlockDatagrams(): void {
  release(map.datagramTable);
}

/**
 * Number + 1 of the datagram of that name in that round; 0: there is none. The rest of the file is for who has the
 * lock.
 */
export function findDatagram(name: Tuple, recirculation: u32): u32 {
  let at = bucketOf(name).bucket;
  while (at != 0 && !isDatagram(datagramAt(at - 1), name, recirculation)) at = datagramAt(at - 1).next;
  return at;
}

function isDatagram(datagram: Datagram, name: Tuple, recirculation: u32): bool {
  return datagram.recirculation == recirculation && isSameTuple(nameOf(datagram), name);
}

/** The record that has the head of a name's bucket. */
function bucketOf(name: Tuple): Datagram {
  return datagramAt(hashTuple(name) % map.fragmentLimit);
}

/** Makes a datagram of that name and round, of which nothing has come. Number + 1; 0: no record is free. */
export function beginDatagram(name: Tuple, recirculation: u32): u32 {
  const at = takeRecord();
  if (at == 0) return 0;
  const table = datagramTable();
  const datagram = datagramAt(at - 1);
  datagram.first = 0;
  datagram.bytes = 0;
  datagram.end = 0;
  datagram.failure = 0;
  datagram.recirculation = recirculation;
  datagram.expiresMs = self.nowMs + TIME_MS;
  copyTuple(nameOf(datagram), name);
  datagram.next = bucketOf(name).bucket;
  bucketOf(name).bucket = at;
  datagram.newer = 0;
  datagram.older = table.newest;
  if (table.newest == 0) table.oldest = at;
  else datagramAt(table.newest - 1).newer = at;
  table.newest = at;
  return at;
}

function takeRecord(): u32 {
  const table = datagramTable();
  const at = table.free;
  if (at != 0) table.free = datagramAt(at - 1).next;
  else if (table.everUsed < map.fragmentLimit) return ++table.everUsed;
  return at;
}

/** Removes a datagram that has no fragments. */
export function removeDatagram(at: u32): void {
  const table = datagramTable();
  const datagram = datagramAt(at - 1);
  if (datagram.older == 0) table.oldest = datagram.newer;
  else datagramAt(datagram.older - 1).newer = datagram.newer;
  if (datagram.newer == 0) table.newest = datagram.older;
  else datagramAt(datagram.newer - 1).older = datagram.older;
  const bucket = bucketOf(nameOf(datagram));
  if (bucket.bucket == at) {
    bucket.bucket = datagram.next;
  } else {
    let before = bucket.bucket;
    while (datagramAt(before - 1).next != at) before = datagramAt(before - 1).next;
    datagramAt(before - 1).next = datagram.next;
  }
  datagram.next = table.free;
  table.free = at;
}

/** The datagram whose time is over first, number + 1; 0: there is none. */
export function oldestDatagram(): u32 {
  return datagramTable().isBroken ? 0 : datagramTable().oldest;
}

/** Gives frame `number` to a datagram, behind its fragment `before`, or in front if that is 0. */
export function giveToDatagram(datagram: Datagram, number: u32, before: u32): void {
  const fragment = fragmentAt(number);
  if (before == 0) {
    fragment.next = datagram.first;
    datagram.first = number + 1;
  } else {
    fragment.next = fragmentAt(before - 1).next;
    fragmentAt(before - 1).next = number + 1;
  }
  datagram.bytes += fragment.length;
  familyAt(familyOf(number)).held++;
  frameAt(number).holder = HELD_BY_TABLE;
}

/** Takes all its fragments from a datagram: they are this thread's. Returns the first, number + 1. */
export function takeFromDatagram(datagram: Datagram): u32 {
  const first = datagram.first;
  for (let at = first; at != 0; at = fragmentAt(at - 1).next) {
    hold(frameAt(at - 1));
    familyAt(familyOf(at - 1)).held--;
  }
  datagram.first = 0;
  return first;
}

/** Releases the lock if `thread`, which is dead, holds it; whether it did. */
export function releaseDatagrams(thread: u32): bool {
  const lock = map.datagramTable;
  if (atomic.load<u32>(lock) == thread + 1) datagramTable().isBroken = 1;
  return releaseAfter(lock, thread);
}

/** Empties the table if it is broken. Its frames are nobody's then. All threads stand still. */
export function mendDatagrams(): void {
  const table = datagramTable();
  if (!table.isBroken) return;
  for (let number: u32 = 0; number < frameNumbers(); number++) {
    if (frameAt(number).holder == HELD_BY_TABLE) frameAt(number).holder = HELD_BY_NOBODY;
  }
  memory.fill(map.datagrams, 0, <usize>(map.fragmentLimit * DATAGRAM_STRIDE));
  memory.fill(map.datagramTable, 0, offsetof<DatagramTable>('most'));
  familyAt(0).held = 0;
  familyAt(1).held = 0;
}
