/** What a packet does to the connection that it belongs to. Under the connection's lock, or before anybody sees it. */
import { self } from '../memory/thread';
import { Frame } from '../packet/frame';
import {
  CONNECTION_EXPECTED,
  CONNECTION_REPLIED,
  Connection,
  ORIGINAL,
  originOf,
  REPLY,
  tupleOf,
} from './connection';
import { EVENT_UPDATE, noteEvent } from './events';
import { expireAt } from './filing';
import { CtRequest } from './request';
import { UPDATE_TOLERATED, UPDATE_VALID_NEW } from './segment';
import { CT_ESTABLISHED, CT_NEW, CT_RELATED, CT_REPLY } from './state';
import { timeoutOf } from './timeouts';

/**
 * The connection hears of a packet that its protocol has taken, as `update` says: the packet counts, and puts the
 * connection's end off. `before` was its timeout up to then.
 */
export function hear(connection: Connection, frame: Frame, direction: u32, update: u32, before: u8): void {
  countPacket(connection, frame, direction);
  const timeout = connection.timeout;
  if (update != UPDATE_TOLERATED) {
    expireAt(connection, self.nowMs + timeoutOf(tupleOf(connection, ORIGINAL).zone, timeout));
  }
  if (timeout != before) noteEvent(connection, EVENT_UPDATE, 0);
}

/** Counts a packet that goes in `direction`, and notes the first reply. */
export function countPacket(connection: Connection, frame: Frame, direction: u32): void {
  const origin = originOf(connection);
  if (direction == ORIGINAL) {
    origin.packets++;
    origin.bytes += <u64>frame.length;
  } else {
    connection.flags |= CONNECTION_REPLIED;
    origin.replyPackets++;
    origin.replyBytes += <u64>frame.length;
  }
}

/** The bits that a packet has after UPDATE_…, but for those of its translation. */
export function stateOf(connection: Connection, update: u32, direction: u32): u32 {
  const related = connection.flags & CONNECTION_EXPECTED ? CT_RELATED : 0;
  if (update == UPDATE_VALID_NEW) return CT_NEW | related;
  return CT_ESTABLISHED | (direction == REPLY ? CT_REPLY : 0) | related;
}

/** Sets mark and label as an action asks. One that was expected keeps what it got from its parent. */
export function setMark(connection: Connection, request: CtRequest, label: usize): void {
  if (connection.flags & CONNECTION_EXPECTED) return;
  connection.mark = (connection.mark & ~request.markMask) | request.mark;
  if (label == 0) return;
  connection.label = (connection.label & ~load<u64>(label, 16)) | load<u64>(label);
  connection.labelHigh = (connection.labelHigh & ~load<u64>(label, 24)) | load<u64>(label, 8);
}
