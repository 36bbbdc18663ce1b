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
import { BATCH_ANSWER, BATCH_TUPLE, batch } from '../batch';
import { NONE } from '../memory/arena';
import { self } from '../memory/thread';
import { Frame } from '../packet/frame';
import {
  CONNECTION_DNAT,
  CONNECTION_HELPED,
  CONNECTION_SHIFTED,
  CONNECTION_SNAT,
  Connection,
  connectionAt,
  connectionNumber,
  isLive,
  ORIGINAL,
  REPLY,
  tupleOf,
} from './connection';
import { EXTRACT_ERROR, EXTRACT_INVALID, extract } from './extract';
import { hear, setMark, stateOf } from './hear';
import { assist } from './helper';
import { meet } from './meet';
import { CtRequest } from './request';
import { ownSegment, UPDATE_INVALID, UPDATE_NEW } from './segment';
import { shiftBack } from './shift';
import {
  CT_DNAT,
  CT_INVALID,
  CT_RELATED,
  CT_REPLY,
  CT_SNAT,
  CT_TRACKED,
  noteConnection,
  noteInvalid,
  stateIn,
} from './state';
import { generationOf, isOver, lookUp, REMOVED_FORCED, REMOVED_REPLACED, removeConnection } from './table';
import { hold, letGo } from './train';
import { translate, translateError } from './translate';
import { hashTuple, isSameTuple, reverseTuple, Tuple } from './tuple';

/**
 * Tracks `frame` as `request` says. `label` is the address of what the connection's label becomes, 16 bytes and their
 * mask, and `nat` that of a NatRequest (nat.ts); each 0 when there is none. Within an epoch.
 */
export function track(frame: Frame, request: CtRequest, label: usize, nat: usize): void {
  const zone = <u16>request.zone;
  let before = stateIn(frame, zone);
  const tuple = changetype<Tuple>(batch() + BATCH_TUPLE);
  const kind = extract(frame, zone, tuple);
  if (kind == EXTRACT_INVALID) return noteInvalid(frame, zone);
  let handle = find(tuple, before);
  if (kind == EXTRACT_ERROR) {
    if (handle == NONE || !relate(frame, request, handle, before, label)) noteInvalid(frame, zone);
    return;
  }
  if (handle != NONE && request.flags & CT_FORCE && (handle & 1) == REPLY) {
    end(handle, REMOVED_FORCED);
    before = 0; // as it is now, perhaps translated, it may be another's
    handle = lookUp(tuple, hashTuple(tuple));
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
export function find(tuple: Tuple, before: u32): u32 {
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
  const isHelped = (connection.flags & CONNECTION_HELPED) != 0 && (isNews || isTranslating);
  if (state == CT_INVALID || (isHelped && !assist(frame, connection, direction, isTranslating))) {
    noteInvalid(frame, tupleOf(connection, ORIGINAL).zone);
  } else {
    if (request.flags & CT_COMMIT) setMark(connection, request, label);
    if (isTranslating) state |= translate(frame, connection, direction);
    noteConnection(frame, state | CT_TRACKED, connection);
  }
  return true;
}

/** Whether the connection has heard of the packet, in an earlier round. */
export function isKnownTo(connection: Connection, frame: Frame): bool {
  return frame.connection == connectionNumber(connection) + 1 && frame.generation == connection.generation;
}

/** An ICMP error about a packet of a connection; false: it has ended, or the error is not from its path. */
function relate(frame: Frame, request: CtRequest, handle: u32, before: u32, label: usize): bool {
  const connection = connectionAt(handle >>> 1);
  hold(connection);
  return relateTo(frame, request, connection, handle & 1, before, label);
}

/** The same for a connection that nobody else changes meanwhile. */
export function relateTo(
  frame: Frame,
  request: CtRequest,
  connection: Connection,
  direction: u32,
  before: u32,
  label: usize,
): bool {
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
