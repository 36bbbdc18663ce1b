/**
 * A packet of no connection, which may begin one.
 *
 *     may it? ─▶ expected by another? ─▶ commit? ─▶ record ─▶ limits ─▶ translation ─▶ publish
 *
 * Up to its publication nobody else sees the record, and no lock is held but for a moment in a table. What cannot be
 * had on the way (room, a tuple) is counted, and the packet goes on, new and tracked, as one that nobody wanted kept.
 */
import { CT_COMMIT, CT_NAT } from '../action/opcode';
import { BATCH_TRIAL, batch } from '../batch';
import { COUNT_CT_FULL, COUNT_CT_NAT_EXHAUSTED, COUNT_CT_ZONE_FULL, count } from '../counters';
import { NONE } from '../memory/arena';
import { self } from '../memory/thread';
import { Frame } from '../packet/frame';
import {
  CONNECTION_HELPED,
  CONNECTION_STRIDE,
  Connection,
  connectionAt,
  ORIGINAL,
  originOf,
  REPLY,
  setExpiry,
  tupleOf,
} from './connection';
import { abandon, admit, publish, TABLE_FULL, TUPLE_TAKEN, takeConnection } from './create';
import { EVENT_NEW, noteEvent } from './events';
import { Expectation, findExpectation } from './expectation';
import { countPacket, setMark, stateOf } from './hear';
import { assist, giveHelper, noteExpected, relateTo } from './helper';
import { chooseTranslation, followParent, NatRequest } from './nat';
import { beginConnection } from './protocol';
import { CtRequest } from './request';
import { ownSegment, UPDATE_VALID_NEW } from './segment';
import { CT_NEW, CT_TRACKED, noteConnection, noteInvalid, noteState } from './state';
import { timeoutOf } from './timeouts';
import { hold, letGo } from './train';
import { translate } from './translate';
import { copyTuple, reverseTuple, Tuple } from './tuple';

/**
 * A packet of no connection: begins one if it may and is to. NONE when all is done; else the handle of the connection
 * that another thread has just made for such a packet.
 */
export function meet(frame: Frame, request: CtRequest, tuple: Tuple, label: usize, nat: usize): u32 {
  if (!mayBegin(tuple)) {
    noteInvalid(frame, tuple.zone);
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
  if (connection.flags & CONNECTION_HELPED) assist(frame, connection, ORIGINAL, isTranslating);
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
export function mayBegin(tuple: Tuple): bool {
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
export function fill(connection: Connection, frame: Frame, tuple: Tuple): void {
  copyTuple(tupleOf(connection, ORIGINAL), tuple);
  reverseTuple(tupleOf(connection, REPLY), tuple);
  beginConnection(connection, ownSegment());
  setExpiry(connection, self.nowMs + timeoutOf(tuple.zone, connection.timeout));
  countPacket(connection, frame, ORIGINAL);
  originOf(connection).startedS = <f32>(self.nowMs / 1000);
}
