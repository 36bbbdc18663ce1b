/**
 * Sequence numbers behind bytes that were put into a stream, or taken out of it (ftp.ts).
 *
 *     the sender's       ──────────┤ PORT 10,0,0,2,8,1 ├──────────▶
 *     the receiver's     ──────────┤ PORT 192,0,2,100,8,1 ├───────────▶
 *                         + before └ position             + after
 *
 * What one end sends is moved forth, what the other acknowledges is moved back: its acknowledgement, and the edges of
 * the blocks that it has received out of order (RFC 2018 §3). All are compared modulo 2³² (RFC 9293 §3.4). The segment
 * that changes in length is at `position` and is itself moved by `before`, as it is when it is sent again.
 *
 * One change is remembered for each direction, the last, and what all before it add up to. A segment from before
 * that one's would be moved wrongly; the ends of a control connection take turns, so none is under way by then.
 *
 * The connection itself counts each end's numbers as that end does. So what acknowledges is moved back also before the
 * connection hears of it.
 */
import { fold, sum } from '../packet/checksum';
import { Frame } from '../packet/frame';
import { be32, putBe32, TCP_HEADER } from '../packet/headers';
import { updateCovered } from '../packet/transport-checksum';
import { CONNECTION_SHIFTED, Connection } from './connection';
import { Shift, shiftOf } from './kin';
import { OPTION_END, OPTION_NONE, Segment, TCP_FLAG_ACK } from './segment';

const OPTION_SACK: u8 = 5; // RFC 2018 §3
const SEQ: usize = 4;
const ACK: usize = 8;

function isAfter(a: u32, b: u32): bool {
  return <i32>(a - b) > 0;
}

/** The receiver's number for one of the sender's. */
function forth(shift: Shift, seq: u32): u32 {
  return seq + (isAfter(seq, shift.position) ? shift.after : shift.before);
}

/** The sender's number for one of the receiver's. */
function back(shift: Shift, ack: u32): u32 {
  const seq = ack - shift.before;
  return isAfter(seq, shift.position) ? ack - shift.after : seq;
}

/** Notes that the segment at `seq`, as its sender counts, has `by` bytes more for its receiver. Not twice. */
export function noteShift(connection: Connection, direction: u32, seq: u32, by: i32): void {
  const shift = shiftOf(connection, direction);
  if (shift.before != shift.after && !isAfter(seq, shift.position)) return;
  shift.position = seq;
  shift.before = shift.after;
  shift.after += by;
  connection.flags |= CONNECTION_SHIFTED;
}

/** Makes what a packet of `direction` acknowledges what the other end has sent. */
export function shiftBack(connection: Connection, direction: u32, segment: Segment): void {
  segment.ack = back(shiftOf(connection, direction ^ 1), segment.ack);
}

/** Gives the TCP segment in a frame, of `direction`, the numbers that its receiver knows. */
export function shiftFrame(frame: Frame, connection: Connection, direction: u32): void {
  const tcp = frame.data + frame.l4;
  const header = (<u32>(load<u8>(tcp, 12) >>> 4)) << 2;
  const before = fold(sum(tcp, header));
  putBe32(tcp + SEQ, forth(shiftOf(connection, direction), be32(tcp + SEQ)));
  const sent = shiftOf(connection, direction ^ 1);
  if (load<u8>(tcp, 13) & TCP_FLAG_ACK) putBe32(tcp + ACK, back(sent, be32(tcp + ACK)));
  shiftBlocks(sent, tcp + TCP_HEADER, tcp + header);
  updateCovered(frame, before, fold(sum(tcp, header)));
}

/** The edges of blocks among the options from `at` to `end`; what is malformed ends them. */
function shiftBlocks(sent: Shift, at: usize, end: usize): void {
  while (at < end && load<u8>(at) != OPTION_END) {
    if (load<u8>(at) == OPTION_NONE) {
      at++;
      continue;
    }
    const next = at + (at + 1 < end ? <usize>load<u8>(at, 1) : 0);
    if (next < at + 2 || next > end) return;
    if (load<u8>(at) == OPTION_SACK) {
      for (let edge = at + 2; edge + 4 <= next; edge += 4) putBe32(edge, back(sent, be32(edge)));
    }
    at = next;
  }
}
