/**
 * Connection tracking of one packet: what ct() does.
 *
 *     extract ─▶ look up ─┬─▶ hit    lock, advance the protocol, mark, translate
 *                         └─▶ miss   may it begin a connection? commit: make one, else only say so
 *
 * A hit takes the connection's own lock, once for a train of packets (train.ts), and nothing that others share. Making
 * one fills a record that nobody sees, chooses its translation, and publishes it; whoever finds that another thread was
 * first goes on with that thread's connection as with any hit.
 *
 * What becomes of the packet is noted in its frame (state.ts). A packet that comes to the same zone once more in
 * its way through the tables is told the same again, and its connection hears of it once.
 */
import { CT_COMMIT, CT_FORCE, CT_NAT } from '../action/opcode';
import { BATCH_ANSWER, BATCH_TRIAL, BATCH_TUPLE, batch } from '../batch';
import {
  COUNT_CT_FULL,
  COUNT_CT_INVALID,
  COUNT_CT_NAT_EXHAUSTED,
  COUNT_CT_ZONE_FULL,
  count,
} from '../counters';
import { NONE } from '../memory/arena';
import { self } from '../memory/thread';
import { Frame } from '../packet/frame';
import {
  CONNECTION_DNAT,
  CONNECTION_EXPECTED,
  CONNECTION_HELPED,
  CONNECTION_REPLIED,
  CONNECTION_SHIFTED,
  CONNECTION_SNAT,
  CONNECTION_STRIDE,
  Connection,
  connectionAt,
  connectionNumber,
  isLive,
  ORIGINAL,
  originOf,
  REPLY,
  setExpiry,
  tupleOf,
} from './connection';
import { abandon, admit, publish, TABLE_FULL, TUPLE_TAKEN, takeConnection } from './create';
import { EVENT_NEW, EVENT_UPDATE, noteEvent } from './events';
import { Expectation, findExpectation } from './expectation';
import { EXTRACT_ERROR, EXTRACT_INVALID, extract } from './extract';
import { expireAt } from './filing';
import { assist, giveHelper, noteExpected, relateTo } from './helper';
import { chooseTranslation, followParent, NatRequest } from './nat';
import { advanceConnection, beginConnection } from './protocol';
import { ownSegment, UPDATE_INVALID, UPDATE_NEW, UPDATE_TOLERATED, UPDATE_VALID_NEW } from './segment';
import { shiftBack } from './shift';
import {
  CT_DNAT,
  CT_ESTABLISHED,
  CT_INVALID,
  CT_NEW,
  CT_RELATED,
  CT_REPLY,
  CT_SNAT,
  CT_TRACKED,
  noteConnection,
  noteInvalid,
  noteState,
  stateIn,
} from './state';
import { generationOf, isOver, lookUp, REMOVED_FORCED, REMOVED_REPLACED, removeConnection } from './table';
import { timeoutOf } from './timeouts';
import { hold, letGo } from './train';
import { translate, translateError } from './translate';
import { copyTuple, hashTuple, isSameTuple, reverseTuple, Tuple } from './tuple';

/** What an action asks for, as it stands in a program behind OP_CT. */
@unmanaged
export class CtRequest {
  flags: u32; // CT_…
  zone: u32;
  mark: u32;
  markMask: u32;
}

/**
 * Tracks `frame` as `request` says. `label` is the address of what the connection's label becomes, 16 bytes and their
 * mask, and `nat` that of a NatRequest (nat.ts); each 0 when there is none. Within an epoch.
 */
export function track(frame: Frame, request: CtRequest, label: usize, nat: usize): void {
  const zone = <u16>request.zone;
  let before = stateIn(frame, zone);
  const tuple = changetype<Tuple>(batch() + BATCH_TUPLE);
  const kind = extract(frame, zone, tuple);
  if (kind == EXTRACT_INVALID) return invalid(frame, zone);
  let handle = find(tuple, before);
  if (kind == EXTRACT_ERROR) {
    if (handle == NONE || !relate(frame, request, handle, before, label)) invalid(frame, zone);
    return;
  }
  if (handle != NONE && request.flags & CT_FORCE && (handle & 1) == REPLY) {
    end(handle, REMOVED_FORCED);
    before = 0; // as it is now, perhaps translated, it may be another's
    handle = find(tuple, before);
  }
  while (true) {
    if (handle == NONE) handle = meet(frame, request, tuple, label, nat);
    if (handle == NONE || hit(frame, request, handle, before, label)) return;
    handle = NONE; // it has just ended
  }
}

/** What was looked up last, and the epoch in which: while that lasts, the number is no other connection's. */
let lastHandle: u32 = NONE;
let lastEpoch: u32 = 0;

/** The handle of the connection that a packet belongs to, which may have been translated already; or NONE. */
function find(tuple: Tuple, before: u32): u32 {
  if (!(before & (CT_SNAT | CT_DNAT))) {
    if (!isOfLast(tuple)) {
      lastHandle = lookUp(tuple, hashTuple(tuple));
      lastEpoch = self.epoch;
    }
    return lastHandle;
  }
  const answer = changetype<Tuple>(batch() + BATCH_ANSWER);
  reverseTuple(answer, tuple);
  const handle = lookUp(answer, hashTuple(answer));
  return handle == NONE ? NONE : handle ^ 1;
}

/** Whether a packet is of the connection and direction of the one before: they often come in trains. */
function isOfLast(tuple: Tuple): bool {
  if (lastHandle == NONE || lastEpoch != self.epoch) return false;
  const connection = connectionAt(lastHandle >>> 1);
  if (!isLive(generationOf(connection)) || isOver(connection)) return false;
  return isSameTuple(tuple, tupleOf(connection, lastHandle & 1));
}

function invalid(frame: Frame, zone: u16): void {
  noteInvalid(frame, zone);
  count(COUNT_CT_INVALID, 1);
}

/** Removes a connection, unless somebody else is first. */
function end(handle: u32, reason: u32): void {
  letGo();
  removeConnection(handle >>> 1, generationOf(connectionAt(handle >>> 1)), reason);
}

/** A packet of a connection. False, and nothing is done, when that has ended. */
function hit(frame: Frame, request: CtRequest, handle: u32, before: u32, label: usize): bool {
  const number = handle >>> 1;
  const connection = connectionAt(number);
  const direction = handle & 1;
  hold(connection);
  if (!isLive(connection.generation)) return false;
  let state = before & ~CT_TRACKED;
  const isNews = before == 0 || !isKnownTo(connection, frame);
  if (isNews) {
    if (connection.flags & CONNECTION_SHIFTED) shiftBack(connection, direction, ownSegment());
    const update = hear(connection, frame, direction);
    if (update == UPDATE_NEW) {
      end(handle, REMOVED_REPLACED);
      return false;
    }
    state =
      update == UPDATE_INVALID
        ? CT_INVALID
        : (before & (CT_SNAT | CT_DNAT)) | stateOf(connection, update, direction);
  }
  const isTranslating = (request.flags & CT_NAT) != 0 && !(state & (CT_SNAT | CT_DNAT));
  const concernsHelper = isNews || isTranslating;
  if (state == CT_INVALID || (concernsHelper && !isHelped(frame, connection, direction, isTranslating))) {
    invalid(frame, tupleOf(connection, ORIGINAL).zone);
  } else {
    if (request.flags & CT_COMMIT) setMark(connection, request, label);
    if (isTranslating) state |= translate(frame, connection, direction);
    noteConnection(frame, state | CT_TRACKED, connection);
  }
  return true;
}

/** Has the connection's helper look at the packet, if it has one. False: the packet must not go on. */
function isHelped(frame: Frame, connection: Connection, direction: u32, isTranslating: bool): bool {
  return !(connection.flags & CONNECTION_HELPED) || assist(frame, connection, direction, isTranslating);
}

/** Whether the connection has heard of the packet, in an earlier round. */
function isKnownTo(connection: Connection, frame: Frame): bool {
  return frame.connection == connectionNumber(connection) + 1 && frame.generation == connection.generation;
}

/** Has the connection's protocol look at the packet, and puts its end off. UPDATE_… */
function hear(connection: Connection, frame: Frame, direction: u32): u32 {
  const timeout = connection.timeout;
  const update = advanceConnection(connection, direction, ownSegment());
  if (update == UPDATE_INVALID || update == UPDATE_NEW) return update;
  countPacket(connection, frame, direction);
  if (direction == REPLY) connection.flags |= CONNECTION_REPLIED;
  if (update != UPDATE_TOLERATED) {
    const zone = tupleOf(connection, ORIGINAL).zone;
    expireAt(connection, self.nowMs + timeoutOf(zone, connection.timeout));
  }
  if (connection.timeout != timeout) noteEvent(connection, EVENT_UPDATE, 0);
  return update;
}

function countPacket(connection: Connection, frame: Frame, direction: u32): void {
  const origin = originOf(connection);
  if (direction == ORIGINAL) {
    origin.packets++;
    origin.bytes += <u64>frame.length;
  } else {
    origin.replyPackets++;
    origin.replyBytes += <u64>frame.length;
  }
}

function stateOf(connection: Connection, update: u32, direction: u32): u32 {
  const related = connection.flags & CONNECTION_EXPECTED ? CT_RELATED : 0;
  if (update == UPDATE_VALID_NEW) return CT_NEW | related;
  return CT_ESTABLISHED | (direction == REPLY ? CT_REPLY : 0) | related;
}

/** One that was expected keeps what it got from its parent. */
function setMark(connection: Connection, request: CtRequest, label: usize): void {
  if (connection.flags & CONNECTION_EXPECTED) return;
  connection.mark = (connection.mark & ~request.markMask) | request.mark;
  if (label == 0) return;
  connection.label = (connection.label & ~load<u64>(label, 16)) | load<u64>(label);
  connection.labelHigh = (connection.labelHigh & ~load<u64>(label, 24)) | load<u64>(label, 8);
}

/** An ICMP error about a packet of a connection; false: it has ended, or the error is not from its path. */
function relate(frame: Frame, request: CtRequest, handle: u32, before: u32, label: usize): bool {
  const connection = connectionAt(handle >>> 1);
  const direction = handle & 1;
  hold(connection);
  const isTranslated = (connection.flags & (CONNECTION_SNAT | CONNECTION_DNAT)) != 0;
  const isRelated = isLive(connection.generation) && (isTranslated || !ownSegment().isMisdirected);
  if (isRelated) {
    let state = CT_RELATED | (direction == REPLY ? CT_REPLY : 0) | (before & (CT_SNAT | CT_DNAT));
    if (request.flags & CT_COMMIT) setMark(connection, request, label);
    if (request.flags & CT_NAT && !(state & (CT_SNAT | CT_DNAT)))
      state |= translateError(frame, connection, direction);
    noteConnection(frame, state | CT_TRACKED, connection);
  }
  return isRelated;
}

/**
 * A packet of no connection: begins one if it may and is to. NONE when all is done; else the handle of the connection
 * that another thread has just made for such a packet.
 */
function meet(frame: Frame, request: CtRequest, tuple: Tuple, label: usize, nat: usize): u32 {
  if (!mayBegin(tuple)) {
    invalid(frame, tuple.zone);
    return NONE;
  }
  const expectation = findExpectation(tuple);
  if (expectation != null) noteExpected(frame, expectation);
  else noteState(frame, CT_NEW | CT_TRACKED, tuple);
  if (!(request.flags & CT_COMMIT)) return NONE;
  letGo();
  const number = takeConnection();
  if (number == NONE) {
    count(COUNT_CT_FULL, 1);
    return NONE;
  }
  const connection = connectionAt(number);
  fill(connection, frame, tuple);
  if (!settle(connection, request, label, expectation)) return giveUp(number, COUNT_CT_FULL);
  if (!admit(number)) return giveUp(number, COUNT_CT_ZONE_FULL);
  if (!findTranslation(number, request, nat, expectation)) return giveUp(number, COUNT_CT_NAT_EXHAUSTED);
  const other = publish(number);
  if (other == TABLE_FULL || other == TUPLE_TAKEN) return giveUp(number, COUNT_CT_FULL);
  if (other != NONE) {
    abandon(number);
    return other;
  }
  hold(connection);
  noteEvent(connection, EVENT_NEW, 0);
  const isTranslating = (request.flags & CT_NAT) != 0;
  isHelped(frame, connection, ORIGINAL, isTranslating);
  const translated = isTranslating ? translate(frame, connection, ORIGINAL) : 0;
  const state = stateOf(connection, UPDATE_VALID_NEW, ORIGINAL) | translated;
  noteConnection(frame, state | CT_TRACKED, connection);
  return NONE;
}

/** Gives a new connection what the action asks for, or what its parent leaves it. False: there is no room for that. */
function settle(
  connection: Connection,
  request: CtRequest,
  label: usize,
  expectation: Expectation | null,
): bool {
  if (expectation != null) return relateTo(connection, expectation);
  giveHelper(connection, request.flags);
  setMark(connection, request, label);
  return true;
}

/** Gives a new connection the translation of its parent, or that which is asked for. False: there is none left. */
function findTranslation(number: u32, request: CtRequest, nat: usize, expectation: Expectation | null): bool {
  if (expectation == null) return nat == 0 || chooseTranslation(number, changetype<NatRequest>(nat));
  return !(request.flags & CT_NAT) || followParent(number, expectation);
}

/** Whether the packet may begin a connection: tried on a record that nobody sees. */
function mayBegin(tuple: Tuple): bool {
  const trial = batch() + BATCH_TRIAL;
  memory.fill(trial, 0, CONNECTION_STRIDE);
  copyTuple(tupleOf(changetype<Connection>(trial), ORIGINAL), tuple);
  return beginConnection(changetype<Connection>(trial), ownSegment());
}

/** Takes back a connection that nobody has seen, for a reason that is counted. NONE. */
function giveUp(number: u32, why: u32): u32 {
  abandon(number);
  count(why, 1);
  return NONE;
}

/** Makes a record, which is this thread's and zeroed, the connection that begins with this packet. */
function fill(connection: Connection, frame: Frame, tuple: Tuple): void {
  copyTuple(tupleOf(connection, ORIGINAL), tuple);
  reverseTuple(tupleOf(connection, REPLY), tuple);
  beginConnection(connection, ownSegment());
  setExpiry(connection, self.nowMs + timeoutOf(tuple.zone, connection.timeout));
  countPacket(connection, frame, ORIGINAL);
  originOf(connection).startedS = <f32>(self.nowMs / 1000);
}
