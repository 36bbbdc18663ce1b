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
import { EXTRACT_ERROR, EXTRACT_INVALID, extract, namesRead } from './extract';
import { hear, setMark, stateOf } from './hear';
import { assist } from './helper';
import { meet } from './meet';
import { advanceConnection } from './protocol';
import { CtRequest } from './request';
import { ownSegment, UPDATE_INVALID, UPDATE_NEW } from './segment';
import { shiftBack } from './shift';
import {
  CT_DNAT,
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
import { hashTuple, reverseTuple, Tuple } from './tuple';

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
  let handle = findNext(tuple, before);
  if (kind == EXTRACT_ERROR) {
    if (handle == NONE || !relate(frame, request, handle, before, label)) noteInvalid(frame, zone);
    return;
  }
  if (request.flags & CT_FORCE && endReplied(handle)) {
    before = 0; // as it is now, perhaps translated, it may be another's
    handle = lookUp(tuple, hashTuple(tuple));
  }
  if (handle != NONE && hit(frame, request, handle, before, label)) return;
  // It is of none, or that has just ended; unless another thread now makes one for such a packet.
  do handle = meet(frame, request, tuple, label, nat);
  while (handle != NONE && !hit(frame, request, handle, before, label));
}

/** What was found last, and the epoch in which: while that lasts, the number is no other connection's. */
let lastHandle: u32 = NONE;
let lastEpoch: u32 = 0;
let lastName: u32 = 0; // what `namesRead` was

/** The handle of the connection that a packet belongs to, which may have been translated already; or NONE. */
export function find(tuple: Tuple, before: u32): u32 {
  if (!(before & (CT_SNAT | CT_DNAT))) return lookUp(tuple, hashTuple(tuple));
  const answer = changetype<Tuple>(batch() + BATCH_ANSWER);
  reverseTuple(answer, tuple);
  const handle = lookUp(answer, hashTuple(answer));
  return handle == NONE ? NONE : handle ^ 1;
}

/** The same for the packet that was read last. */
function findNext(tuple: Tuple, before: u32): u32 {
  if (before & (CT_SNAT | CT_DNAT)) return find(tuple, before);
  if (isOfLast()) return lastHandle;
  const handle = find(tuple, before);
  if (handle == NONE) return NONE;
  lastHandle = handle;
  lastEpoch = self.epoch;
  lastName = namesRead;
  return handle;
}

/** Whether a packet is of the connection and direction of the one before: they often come in trains. */
function isOfLast(): bool {
  if (lastName != namesRead) return false;
  if (lastEpoch != self.epoch) return false;
  const connection = connectionAt(lastHandle >>> 1);
  if (isOver(connection)) return false;
  return isLive(connection.generation); // as it was before, in this epoch: so what was read of it is its own
}

/** Removes a connection, unless somebody else is first. */
function end(handle: u32, reason: u32): void {
  letGo();
  removeConnection(handle >>> 1, generationOf(connectionAt(handle >>> 1)), reason);
}

/** Removes the connection that a packet answers; whether there is one. */
function endReplied(handle: u32): bool {
  if (handle == NONE || (handle & 1) != REPLY) return false;
  end(handle, REMOVED_FORCED);
  return true;
}

/** A packet of a connection. False, and nothing is done, when that has ended. */
function hit(frame: Frame, request: CtRequest, handle: u32, before: u32, label: usize): bool {
  const number = handle >>> 1;
  const connection = connectionAt(number);
  const direction = handle & 1;
  hold(connection);
  if (!isLive(connection.generation)) return false;
  let state = before & ~CT_TRACKED;
  let isKnown = false;
  if (before != 0) isKnown = isKnownTo(connection, frame);
  if (!isKnown) {
    if (connection.flags & CONNECTION_SHIFTED) shiftBack(connection, direction, ownSegment());
    const timeout = connection.timeout;
    const update = advanceConnection(connection, direction, ownSegment());
    if (update == UPDATE_INVALID) return refuse(frame, connection);
    if (update == UPDATE_NEW) {
      end(handle, REMOVED_REPLACED);
      return false;
    }
    hear(connection, frame, direction, update, timeout);
    state = (before & (CT_SNAT | CT_DNAT)) | stateOf(connection, update, direction);
  }
  let isTranslating = false;
  if (request.flags & CT_NAT) isTranslating = !(state & (CT_SNAT | CT_DNAT));
  if (connection.flags & CONNECTION_HELPED) {
    if ((!isKnown || isTranslating) && !assist(frame, connection, direction, isTranslating))
      return refuse(frame, connection);
  }
  if (request.flags & CT_COMMIT) setMark(connection, request, label);
  if (isTranslating) state |= translate(frame, connection, direction);
  noteConnection(frame, state | CT_TRACKED, connection);
  return true;
}

/** The connection does not take the packet. True: that is all. */
function refuse(frame: Frame, connection: Connection): bool {
  noteInvalid(frame, tupleOf(connection, ORIGINAL).zone);
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
