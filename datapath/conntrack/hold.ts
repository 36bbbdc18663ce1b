/**
 * Holds fragments until their datagram is there, which is then tracked as one packet (reassemble.ts).
 *
 *     fragment ─┬─▶ not taken: too small, damaged, no room      it goes on, and is invalid
 *               ├─▶ one of several: held
 *               ├─▶ the last that was missing ─▶ all of them    whoever brought it goes on with all
 *               └─▶ it overlaps another ─▶ all dropped, and what else comes of the datagram
 *
 * An exact copy of one that is there is dropped alone (RFC 8200 §4.5). Otherwise overlap is an attempt to have one
 * thing looked at and another put together, so it ends the datagram (RFC 5722 §3, RFC 1858 §4). Small fragments are
 * not taken, because nobody needs many, but they fill the table.
 *
 * Before it looks for its datagram, a fragment sees to it that those whose time is over are gone (fragment-expiry.ts).
 */
import { BATCH_ANSWER, batch } from '../batch';
import {
  COUNT_FRAGMENTS_ACCEPTED,
  COUNT_FRAGMENTS_COMPLETED,
  COUNT_FRAGMENTS_NO_ROOM,
  COUNT_FRAGMENTS_OVERLAPPING,
  COUNT_FRAGMENTS_TOO_SMALL,
} from '../counters';
import { DROP_FRAGMENT_DUPLICATE, DROP_FRAGMENT_OVERLAP } from '../drop';
import { map, NONE } from '../memory/arena';
import { Frame, frameAt } from '../packet/frame';
import { drop } from '../transmit';
import {
  beginDatagram,
  Datagram,
  datagramAt,
  datagramTable,
  familyAt,
  familyOf,
  findDatagram,
  giveToDatagram,
  lockDatagrams,
  removeDatagram,
  takeFromDatagram,
  unlockDatagrams,
} from './datagrams';
import { endOf, fragmentAt, readFragment } from './fragment';
import { countFragment, dropFragments, sweepFragments } from './fragment-expiry';
import { Tuple } from './tuple';

// What `holdFragment` may answer beside the number of a datagram's first fragment.
export const FRAGMENT_GONE: u32 = 0xffffffff; // held or dropped
export const FRAGMENT_REFUSED: u32 = 0xfffffffe;

// What comes of a fragment at the table, beside reasons to drop it.
const HELD: u32 = NONE;
const COMPLETE: u32 = NONE - 1;
const NO_ROOM: u32 = NONE - 2;

/** The fragments that this thread has just taken out of the table: the first, number + 1. */
let taken: u32 = 0;

/**
 * Holds frame `number`, a fragment that is to be tracked in `zone`. When its datagram is complete, returns the first of
 * all its fragments, which are this thread's again; else a FRAGMENT_….
 */
export function holdFragment(number: u32, zone: u16): u32 {
  const name = changetype<Tuple>(batch() + BATCH_ANSWER);
  if (!isWanted(number) || !readFragment(number, zone, name)) return FRAGMENT_REFUSED;
  if (isTooSmall(number)) return refuse(number, COUNT_FRAGMENTS_TOO_SMALL);
  sweepFragments();
  lockDatagrams();
  const fate = file(number, name);
  unlockDatagrams();
  if (fate == NO_ROOM) return refuse(number, COUNT_FRAGMENTS_NO_ROOM);
  if (fate == HELD || fate == COMPLETE) countFragment(COUNT_FRAGMENTS_ACCEPTED, number);
  if (fate == HELD) return FRAGMENT_GONE;
  if (fate == COMPLETE) return completed();
  end(number, fate);
  return FRAGMENT_GONE;
}

/** Whether fragments of its kind are held at all. */
export function isWanted(number: u32): bool {
  return map.fragmentLimit != 0 && familyAt(familyOf(number)).isIgnored == 0;
}

/** By the bytes of the frame, padding not counted, as Open vSwitch measures. */
function isTooSmall(number: u32): bool {
  const fragment = fragmentAt(number);
  const bytes = <u32>fragment.payload + fragment.length;
  return !fragment.isLast && bytes < familyAt(familyOf(number)).leastBytes;
}

function refuse(number: u32, why: u32): u32 {
  countFragment(why, number);
  return FRAGMENT_REFUSED;
}

/** Counts what was taken from the table as complete. */
function completed(): u32 {
  for (let at = taken; at != 0; at = fragmentAt(at - 1).next)
    countFragment(COUNT_FRAGMENTS_COMPLETED, at - 1);
  return taken - 1;
}

/** Drops a fragment, and with it those that were taken out because of it. */
function end(number: u32, reason: u32): void {
  countFragment(COUNT_FRAGMENTS_OVERLAPPING, number);
  drop(number, reason);
  dropFragments(taken, reason);
}

/** Finds a fragment its place in the table, whose lock this thread has. HELD, COMPLETE, NO_ROOM, or why it is dropped. */
function file(number: u32, name: Tuple): u32 {
  taken = 0;
  const recirculation = roundOf(frameAt(number));
  let at = findDatagram(name, recirculation);
  if (!hasRoom(at == 0)) return NO_ROOM;
  if (at == 0) at = beginDatagram(name, recirculation);
  if (at == 0) return NO_ROOM;
  const datagram = datagramAt(at - 1);
  if (datagram.failure != 0) return datagram.failure;
  const fate = place(datagram, number);
  if (fate == HELD || fate == DROP_FRAGMENT_DUPLICATE) return fate;
  taken = takeFromDatagram(datagram);
  if (fate == COMPLETE) removeDatagram(at);
  else datagram.failure = fate;
  return fate;
}

/** The number under which a packet goes round; 0: it has just come in. */
function roundOf(frame: Frame): u32 {
  return frame.rounds == 0 ? 0 : frame.recirculation;
}

/** The last quarter of the room is for datagrams that have begun, or none would be completed when all is full. */
function hasRoom(isFirst: bool): bool {
  const table = datagramTable();
  const most = isFirst ? table.most - table.most / 4 : table.most;
  return familyAt(0).held + familyAt(1).held < most && !table.isBroken;
}

/** Puts a fragment among those of its datagram that are there. HELD, COMPLETE, or why it cannot be. */
function place(datagram: Datagram, number: u32): u32 {
  const fragment = fragmentAt(number);
  let before: u32 = 0;
  let behind = datagram.first;
  while (behind != 0 && fragmentAt(behind - 1).start < fragment.start) {
    before = behind;
    behind = fragmentAt(behind - 1).next;
  }
  if (behind != 0 && isCopy(number, behind - 1)) return DROP_FRAGMENT_DUPLICATE;
  if (before != 0 && endOf(fragmentAt(before - 1)) > fragment.start) return DROP_FRAGMENT_OVERLAP;
  if (behind != 0 && endOf(fragment) > fragmentAt(behind - 1).start) return DROP_FRAGMENT_OVERLAP;
  if (datagram.end != 0 && (fragment.isLast || endOf(fragment) > datagram.end)) return DROP_FRAGMENT_OVERLAP;
  if (fragment.isLast && behind != 0) return DROP_FRAGMENT_OVERLAP;
  if (fragment.isLast) datagram.end = endOf(fragment);
  giveToDatagram(datagram, number, before);
  return datagram.bytes == datagram.end ? COMPLETE : HELD;
}

/** Whether two fragments have the same bytes of their datagram. */
function isCopy(number: u32, other: u32): bool {
  const a = fragmentAt(number);
  const b = fragmentAt(other);
  if (a.start != b.start || a.length != b.length || a.isLast != b.isLast) return false;
  return memory.compare(frameAt(number).data + a.payload, frameAt(other).data + b.payload, a.length) == 0;
}
