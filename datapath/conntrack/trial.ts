/**
 * What ct() would make of a packet, found out without doing it: no connection hears of it, none is made or ended, and
 * nothing is taken.
 *
 *     extract ─▶ look up ─┬─▶ hit    the packet is held against a copy of the connection
 *                         └─▶ miss   a record that nobody sees becomes the connection that would be made
 *
 * The packet alone is changed: it is translated, and told what it is, as by track.ts. A packet may have been made up from
 * what a flow says of it; that has no sequence numbers, and gets such as fit. Of helpers nothing is tried: lines are not
 * rewritten, and a connection that is expected is not translated as its parent.
 */
import { CT_COMMIT, CT_FORCE, CT_NAT } from '../action/opcode';
import { BATCH_TRIAL, BATCH_TUPLE, batch } from '../batch';
import { NONE } from '../memory/arena';
import { release, tryAcquire } from '../memory/lock';
import { self } from '../memory/thread';
import { Frame, frameAt, SHAPE_FRAGMENT } from '../packet/frame';
import { PROTO_TCP } from '../packet/headers';
import {
  CONNECTION_SHIFTED,
  CONNECTION_STRIDE,
  Connection,
  connectionAt,
  isLive,
  ORIGINAL,
  peerOf,
  REPLY,
  tupleOf,
} from './connection';
import { peekExpectation } from './expectation';
import { EXTRACT_ERROR, EXTRACT_INVALID, extract } from './extract';
import { setMark, stateOf } from './hear';
import { giveHelper, noteExpected } from './helper';
import { isWanted } from './hold';
import { fill, mayBegin } from './meet';
import { NatRequest, tryTranslation } from './nat';
import { advanceConnection } from './protocol';
import { CtRequest } from './request';
import {
  ownSegment,
  TCP_FLAG_ACK,
  TCP_FLAG_SYN,
  UPDATE_INVALID,
  UPDATE_NEW,
  UPDATE_VALID_NEW,
} from './segment';
import { shiftBack } from './shift';
import {
  CT_DNAT,
  CT_NEW,
  CT_SNAT,
  CT_TRACKED,
  noteConnection,
  noteInvalid,
  noteState,
  stateIn,
} from './state';
import { find, isKnownTo, relateTo } from './track';
import { translate } from './translate';
import { Tuple } from './tuple';

// What would become of the packet.
export const TRIAL_INVALID: u32 = 0; // it belongs to no connection, and begins none
export const TRIAL_NEW: u32 = 1; // it belongs to none, and none is made
export const TRIAL_MADE: u32 = 2; // one is made
export const TRIAL_FOUND: u32 = 3; // it belongs to one
export const TRIAL_HELD: u32 = 4; // it is a fragment, and waits for the rest of its datagram

const FAR: u32 = 0x80000000; // from any sequence number

/**
 * Tries `request` on frame `number`; `label` and `nat` are as for `track`. `isMade`: its sequence numbers count for
 * nothing. The record `shown` becomes the connection, as it is if there is one, else as it would be made. Within an
 * epoch.
 */
export function tryTrack(
  number: u32,
  request: CtRequest,
  label: usize,
  nat: usize,
  isMade: bool,
  shown: Connection,
): u32 {
  const frame = frameAt(number);
  if (frame.shape & SHAPE_FRAGMENT && isWanted(number)) return TRIAL_HELD;
  const zone = <u16>request.zone;
  const before = stateIn(frame, zone);
  const tuple = changetype<Tuple>(batch() + BATCH_TUPLE);
  const kind = extract(frame, zone, tuple);
  if (kind == EXTRACT_INVALID) return invalid(frame, zone);
  const handle = find(tuple, before);
  const isThere = handle != NONE && copyLive(connectionAt(handle >>> 1), shown);
  const trial = changetype<Connection>(batch() + BATCH_TRIAL);
  memory.copy(changetype<usize>(trial), changetype<usize>(shown), CONNECTION_STRIDE);
  if (kind == EXTRACT_ERROR) {
    const isRelated = isThere && relateTo(frame, request, trial, handle & 1, before, label);
    if (!isRelated) return invalid(frame, zone);
  } else if (!isThere) {
    return begin(frame, request, tuple, label, nat, isMade, shown, NONE);
  } else if (request.flags & CT_FORCE && (handle & 1) == REPLY) {
    return begin(frame, request, tuple, label, nat, isMade, shown, handle);
  } else {
    const update = join(frame, request, trial, handle, before, label, isMade);
    if (update == UPDATE_NEW) return begin(frame, request, tuple, label, nat, isMade, shown, handle);
    if (update == UPDATE_INVALID) return invalid(frame, zone);
  }
  frame.connection = (handle >>> 1) + 1;
  return TRIAL_FOUND;
}

function invalid(frame: Frame, zone: u16): u32 {
  noteInvalid(frame, zone);
  return TRIAL_INVALID;
}

/** Copies a connection, under its lock when that is free, and nobody is waited for. False: it has just ended. */
function copyLive(connection: Connection, to: Connection): bool {
  const lock = changetype<usize>(connection);
  const isMine = tryAcquire(lock, self.number);
  memory.copy(changetype<usize>(to), lock, CONNECTION_STRIDE);
  if (isMine) release(lock);
  return isLive(to.generation);
}

/** A packet of a connection, of which `trial` is a copy. UPDATE_… */
function join(
  frame: Frame,
  request: CtRequest,
  trial: Connection,
  handle: u32,
  before: u32,
  label: usize,
  isMade: bool,
): u32 {
  const direction = handle & 1;
  let update = UPDATE_VALID_NEW;
  let state = before & ~CT_TRACKED;
  if (before == 0 || !isKnownTo(connectionAt(handle >>> 1), frame)) {
    if (isMade) fit(trial, direction);
    else if (trial.flags & CONNECTION_SHIFTED) shiftBack(trial, direction, ownSegment());
    update = advanceConnection(trial, direction, ownSegment());
    if (update == UPDATE_INVALID || update == UPDATE_NEW) return update;
    state = (before & (CT_SNAT | CT_DNAT)) | stateOf(trial, update, direction);
  }
  if (request.flags & CT_COMMIT) setMark(trial, request, label);
  if (request.flags & CT_NAT && !(state & (CT_SNAT | CT_DNAT))) state |= translate(frame, trial, direction);
  noteConnection(frame, state | CT_TRACKED, trial);
  return update;
}

/** Gives the segment at hand the numbers that the connection's ends expect; not to a SYN, which has one of its own. */
function fit(connection: Connection, direction: u32): void {
  if (tupleOf(connection, ORIGINAL).proto != PROTO_TCP) return;
  const segment = ownSegment();
  const src = peerOf(connection, direction);
  if (segment.flags == 0) segment.flags = TCP_FLAG_ACK;
  const isFirst = (segment.flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
  segment.seq = isFirst ? src.seqLow + FAR : src.seqLow;
  segment.ack = peerOf(connection, direction ^ 1).seqLow;
  segment.window = src.maxWindow;
  segment.length = 0;
}

/**
 * A packet of no connection, or of one that it ends, whose handle `ended` is then; the record becomes the one that would
 * be made.
 */
function begin(
  frame: Frame,
  request: CtRequest,
  tuple: Tuple,
  label: usize,
  nat: usize,
  isMade: bool,
  record: Connection,
  ended: u32,
): u32 {
  // What a connection that is only tried has translated is told the same again.
  if (ended == NONE && stateIn(frame, tuple.zone) & (CT_SNAT | CT_DNAT)) return TRIAL_NEW;
  if (isMade && tuple.proto == PROTO_TCP && ownSegment().flags == 0) ownSegment().flags = TCP_FLAG_SYN;
  if (!mayBegin(tuple)) return invalid(frame, tuple.zone);
  const expectation = peekExpectation(tuple);
  if (expectation != null) noteExpected(frame, expectation);
  else noteState(frame, CT_NEW | CT_TRACKED, tuple);
  if (!(request.flags & CT_COMMIT)) return TRIAL_NEW;
  memory.fill(changetype<usize>(record), 0, CONNECTION_STRIDE);
  fill(record, frame, tuple);
  if (expectation != null) return TRIAL_MADE;
  giveHelper(record, request.flags);
  setMark(record, request, label);
  if (nat != 0 && !tryTranslation(record, changetype<NatRequest>(nat), ended == NONE ? NONE : ended >>> 1))
    return TRIAL_NEW;
  const translated = request.flags & CT_NAT ? translate(frame, record, ORIGINAL) : 0;
  noteConnection(frame, stateOf(record, UPDATE_VALID_NEW, ORIGINAL) | translated | CT_TRACKED, record);
  frame.connection = 0;
  return TRIAL_MADE;
}
