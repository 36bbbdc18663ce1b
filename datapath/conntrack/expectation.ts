/**
 * Expectations: connections that others, their parents, have announced (helper.ts), and that are let in as related to
 * them. They have the addresses of the parent in one of its directions, and a port that was announced; the port that
 * they come from may be any.
 *
 *                     goes as         from            to                     real port
 *     FTP, active     replies         server:any      client:announced       where the client listens
 *     FTP, passive    the original    client:any      server:announced       where the server listens
 *     TFTP            replies         server:any      client:its own port    where the client has asked
 *
 * A parent's addresses never change, so an expectation has its number and direction in their place. How a parent is
 * translated, so are the connections that it announces: with the addresses of its other direction. The port that is
 * announced may be another than the real one, when the real one is taken by a parent that is translated to the same
 * address.
 *
 *     table      lock, count, serial │ bucket heads │ the last that were made, as many as there may be kin (kin.ts)
 *     bucket ──▶ record ─▶ record          `next`, by slot
 *     parent ──▶ record ─▶ record          `newest` (kin.ts) and `elder`, by serial
 *
 * Each has a serial number, and the slot of its low bits: so the oldest is replaced first, and a serial number whose
 * slot has another one names what has been replaced, as has all that is older. An expectation lasts as long as its
 * parent; so it lets in more than one connection, as in Open vSwitch.
 *
 * All is changed under `lock`, which nobody takes but to make expectations, to remove them with their parent, and to
 * look for one behind a head that is not empty. A packet of no connection looks first at `count`, which is 0 where
 * nobody asks for a helper. Links are changed by one store each, so that what a dead thread leaves can be walked; then
 * all of them are made anew (recover.ts).
 */
import { BATCH_EXPECTATION, BATCH_EXPECTED, batch } from '../batch';
import { map } from '../memory/arena';
import { acquire, release, releaseAfter, tryAcquire } from '../memory/lock';
import { self } from '../memory/thread';
import { Connection, connectionAt, connectionNumber, isLive, tupleOf } from './connection';
import { kinOf, takeKin } from './kin';
import { generationOf, isOver } from './table';
import { copyTuple, hashTuple, Tuple } from './tuple';

@unmanaged
export class Expectations {
  lock: u32; // lock.ts
  count: u32; // how many are linked; read without the lock
  serial: u32; // of the last one
}

@unmanaged
export class Expectation {
  isLinked: u32;
  serial: u32;
  next: u32; // in its bucket: slot + 1
  elder: u32; // serial of the one that its parent had made before; 0: none
  bucket: u32;
  parent: u32;
  generation: u32; // the parent's
  direction: u32; // of the parent's, in which the connection goes
  port: u16; // of its destination, network order
  realPort: u16; // the same for whoever listens there
  mark: u32; // of the parent, when it announced it; the label too
  label: u64;
  labelHigh: u64;
}

export const EXPECTATION_HEADS: usize = 64; // behind a line
export const EXPECTATION_HEAD: u32 = 4; // one for each record
export const EXPECTATION_STRIDE: u32 = 64;

/** So many ports are tried for a connection to a translated address. */
const MOST_PORTS: u32 = 64;
const FIRST_LIKE_PORT: u32 = 1024;

function table(): Expectations {
  return changetype<Expectations>(map.expectations);
}

function countAt(): usize {
  return map.expectations + offsetof<Expectations>('count');
}

function headAt(bucket: u32): usize {
  return map.expectations + EXPECTATION_HEADS + <usize>(bucket * EXPECTATION_HEAD);
}

export function expectationAt(slot: u32): Expectation {
  return changetype<Expectation>(headAt(map.kinCount) + <usize>(slot * EXPECTATION_STRIDE));
}

function nextAt(expectation: Expectation): usize {
  return changetype<usize>(expectation) + offsetof<Expectation>('next');
}

/** That of the one with a serial number, unless it has been replaced. */
function recordOf(serial: u32): Expectation {
  return expectationAt(serial & (map.kinCount - 1));
}

function slotOf(expectation: Expectation): u32 {
  return <u32>((changetype<usize>(expectation) - headAt(map.kinCount)) / EXPECTATION_STRIDE);
}

function bucketOf(key: Tuple): u32 {
  return hashTuple(key) & (map.kinCount - 1);
}

/** The tuple that is looked for: this thread's own. */
function ownKey(): Tuple {
  return changetype<Tuple>(batch() + BATCH_EXPECTED);
}

// Looking

/**
 * A copy of the expectation that the first packet of a connection meets, until this thread looks again; null: none.
 * Within an epoch.
 */
export function findExpectation(tuple: Tuple): Expectation | null {
  if (atomic.load<u32>(countAt()) == 0) return null;
  const key = ownKey();
  copyTuple(key, tuple);
  key.tpSrc = 0;
  const bucket = bucketOf(key);
  if (atomic.load<u32>(headAt(bucket)) == 0) return null;
  const copy = batch() + BATCH_EXPECTATION;
  acquire(map.expectations, self.number);
  const found = findIn(bucket, key);
  if (found != null) memory.copy(copy, changetype<usize>(found), EXPECTATION_STRIDE);
  release(map.expectations);
  return found != null ? changetype<Expectation>(copy) : null;
}

/**
 * The same for one who only wants to know: nothing is taken out, and nobody is waited for; null, too, while somebody else
 * has the lock.
 */
export function peekExpectation(tuple: Tuple): Expectation | null {
  if (atomic.load<u32>(countAt()) == 0 || !tryAcquire(map.expectations, self.number)) return null;
  const key = ownKey();
  copyTuple(key, tuple);
  key.tpSrc = 0;
  const copy = batch() + BATCH_EXPECTATION;
  let link = load<u32>(headAt(bucketOf(key)));
  while (link != 0 && !(hasParent(expectationAt(link - 1)) && isFor(expectationAt(link - 1), key))) {
    link = expectationAt(link - 1).next;
  }
  if (link != 0) memory.copy(copy, changetype<usize>(expectationAt(link - 1)), EXPECTATION_STRIDE);
  release(map.expectations);
  return link != 0 ? changetype<Expectation>(copy) : null;
}

/** Those of parents whose time is over are taken out on the way. Under the lock, as all below. */
function findIn(bucket: u32, key: Tuple): Expectation | null {
  for (let link = load<u32>(headAt(bucket)); link != 0; ) {
    const expectation = expectationAt(link - 1);
    link = expectation.next;
    if (!hasParent(expectation)) unlink(expectation);
    else if (isFor(expectation, key)) return expectation;
  }
  return null;
}

export function hasParent(expectation: Expectation): bool {
  const parent = connectionAt(expectation.parent);
  return generationOf(parent) == expectation.generation && !isOver(parent);
}

function isFor(expectation: Expectation, key: Tuple): bool {
  const like = tupleOf(connectionAt(expectation.parent), expectation.direction);
  return (
    expectation.port == key.tpDst &&
    like.srcLow == key.srcLow &&
    like.srcHigh == key.srcHigh &&
    like.dstLow == key.dstLow &&
    like.dstHigh == key.dstHigh &&
    like.zone == key.zone &&
    like.proto == key.proto &&
    like.l3 == key.l3
  );
}

// Making

/**
 * Expects a connection that `parent`, whose lock is held, has announced: it goes in `direction` of the parent, to `port`,
 * and to whoever listens at `realPort`. Returns the port. With `mayMove` that may be another one, where this one is
 * expected of another parent; without, it is expected of this one from now on. 0: there is no room, or no port left. All in network order.
 */
export function expect(parent: Connection, direction: u32, port: u16, realPort: u16, mayMove: bool): u16 {
  const key = ownKey();
  copyTuple(key, tupleOf(parent, direction));
  key.tpSrc = 0;
  key.tpDst = port;
  acquire(map.expectations, self.number);
  const isMade =
    isLive(generationOf(parent)) && takeKin(parent) && enter(parent, direction, key, realPort, mayMove);
  release(map.expectations);
  return isMade ? key.tpDst : 0;
}

/** Expects a connection with `key`, or if it may move with one like it, which `key` is then. */
function enter(parent: Connection, direction: u32, key: Tuple, realPort: u16, mayMove: bool): bool {
  for (let tries = MOST_PORTS; tries != 0; tries--) {
    const bucket = bucketOf(key);
    const other = findIn(bucket, key);
    if (other != null && isThat(other, parent, realPort)) return true;
    if (other == null || !mayMove) {
      if (other != null) unlink(other);
      make(parent, direction, key.tpDst, realPort, bucket);
      return true;
    }
    key.tpDst = bswap<u16>(portAfter(bswap<u16>(key.tpDst)));
  }
  return false;
}

/** Whether it has been announced before. */
function isThat(expectation: Expectation, parent: Connection, realPort: u16): bool {
  return expectation.parent == connectionNumber(parent) && expectation.realPort == realPort;
}

function portAfter(port: u16): u16 {
  return port == 0xffff ? <u16>FIRST_LIKE_PORT : port + 1;
}

/** In the slot of the oldest. It is told of where it may be looked for before it is linked. */
function make(parent: Connection, direction: u32, port: u16, realPort: u16, bucket: u32): void {
  const serial = table().serial + 1;
  const expectation = recordOf(serial);
  if (expectation.isLinked != 0) unlink(expectation);
  const kin = kinOf(parent);
  expectation.serial = serial;
  expectation.elder = kin.newest;
  expectation.bucket = bucket;
  expectation.parent = connectionNumber(parent);
  expectation.generation = generationOf(parent);
  expectation.direction = direction;
  expectation.port = port;
  expectation.realPort = realPort;
  expectation.mark = parent.mark;
  expectation.label = parent.label;
  expectation.labelHigh = parent.labelHigh;
  table().serial = serial;
  kin.newest = serial;
  link(expectation);
}

function link(expectation: Expectation): void {
  const head = headAt(expectation.bucket);
  expectation.next = load<u32>(head);
  expectation.isLinked = 1;
  atomic.store<u32>(head, slotOf(expectation) + 1);
  atomic.store<u32>(countAt(), table().count + 1);
}

/** It may not be in its bucket, when a thread has died between marking it and linking it. */
function unlink(expectation: Expectation): void {
  const own = slotOf(expectation) + 1;
  let at = headAt(expectation.bucket);
  while (load<u32>(at) != own && load<u32>(at) != 0) at = nextAt(expectationAt(load<u32>(at) - 1));
  if (load<u32>(at) == own) atomic.store<u32>(at, expectation.next);
  expectation.isLinked = 0;
  atomic.store<u32>(countAt(), table().count - 1);
}

// Removing

/** Removes the expectations of a connection that has just been removed. */
export function forgetExpectations(parent: Connection): void {
  acquire(map.expectations, self.number);
  for (let serial = parent.kin != 0 ? kinOf(parent).newest : 0; serial != 0; ) {
    const expectation = recordOf(serial);
    if (expectation.serial != serial) break;
    if (expectation.isLinked != 0) unlink(expectation);
    serial = expectation.elder;
  }
  release(map.expectations);
}

// After a death

/** Releases the lock if `thread`, which is dead, holds it; whether it did. */
export function releaseExpectations(thread: u32): bool {
  return releaseAfter(map.expectations, thread);
}

/** Links anew the expectations whose parents live on, while all threads stand still. */
export function renewExpectations(): void {
  for (let bucket: u32 = 0; bucket < map.kinCount; bucket++) store<u32>(headAt(bucket), 0);
  table().count = 0;
  for (let slot: u32 = 0; slot < map.kinCount; slot++) {
    const expectation = expectationAt(slot);
    const isWhole = expectation.isLinked != 0 && hasParent(expectation);
    expectation.isLinked = 0;
    if (isWhole) link(expectation);
  }
}
