/**
 * Helpers: for protocols whose connections announce others. A connection gets one when an action that makes it asks for
 * it, whatever its ports; without that, nothing is looked at. What they announce becomes an expectation
 * (expectation.ts), and a connection that meets one is related to its parent:
 *
 *     rel          in its ct_state, with new and later with est
 *     first tuple  as packets are told it: the parent's
 *     mark, label  the parent's when it was announced; it keeps them, whatever later actions set
 *     addresses    translated as the parent's, if the action that makes it has nat
 */
import { CT_FTP, CT_TFTP } from '../action/opcode';
import { Frame } from '../packet/frame';
import { PROTO_TCP, PROTO_UDP } from '../packet/headers';
import {
  CONNECTION_EXPECTED,
  CONNECTION_FTP,
  CONNECTION_TFTP,
  Connection,
  connectionAt,
  ORIGINAL,
  tupleOf,
} from './connection';
import { Expectation } from './expectation';
import { assistFtp } from './ftp';
import { parentTuple, takeKin } from './kin';
import { CT_NEW, CT_RELATED, CT_TRACKED, noteMarked } from './state';
import { assistTftp } from './tftp';
import { copyTuple } from './tuple';

/** Gives a connection that is being made the helper that `flags`, CT_…, ask for. */
export function giveHelper(connection: Connection, flags: u32): void {
  const proto = tupleOf(connection, ORIGINAL).proto;
  if (flags & CT_FTP && proto == PROTO_TCP) connection.flags |= CONNECTION_FTP;
  else if (flags & CT_TFTP && proto == PROTO_UDP) connection.flags |= CONNECTION_TFTP;
}

/** The packet is the first of a connection that is expected. */
export function noteExpected(frame: Frame, expectation: Expectation): void {
  const original = tupleOf(connectionAt(expectation.parent), ORIGINAL);
  const label = changetype<usize>(expectation) + offsetof<Expectation>('label');
  noteMarked(frame, CT_NEW | CT_RELATED | CT_TRACKED, original, expectation.mark, label);
}

/** Makes a connection that is being made the one that was expected; false: there is no room for what it has to keep. */
export function relateTo(connection: Connection, expectation: Expectation): bool {
  if (!takeKin(connection)) return false;
  connection.flags |= CONNECTION_EXPECTED;
  connection.mark = expectation.mark;
  connection.label = expectation.label;
  connection.labelHigh = expectation.labelHigh;
  copyTuple(parentTuple(connection), tupleOf(connectionAt(expectation.parent), ORIGINAL));
  return true;
}

/**
 * Has the helper of a connection, whose lock is held, look at a packet that it has not heard of, or that is about to be
 * translated. False: the packet must not go on.
 */
export function assist(frame: Frame, connection: Connection, direction: u32, isTranslating: bool): bool {
  if (connection.flags & CONNECTION_FTP) return assistFtp(frame, connection, direction, isTranslating);
  assistTftp(frame, connection, direction);
  return true;
}
