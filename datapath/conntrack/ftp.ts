/**
 * FTP: a control connection whose lines announce data connections (RFC 959, RFC 2428).
 *
 *     client                                         server
 *       │ PORT, EPRT: “I listen here” ──────────────▶ │      active: the data connection goes as replies do
 *       │ ◀────────────── 227, 229: “I listen here”   │      passive: as the client's packets
 *
 * Who announces must be who listens: its own address or the one that the other end knows it by, else the line is to
 * make a third host do something, and the packet is invalid. So it is when a line is not whole; sent again it mostly
 * is. Ports below 1024 are as good as any, as in Open vSwitch.
 *
 * Of a connection that is translated the other end is told the address that it knows, and a port that is expected from
 * nobody else there. That may make the segment longer or shorter, and moves the sequence numbers behind (shift.ts).
 */
import { COUNT_CT_REFUSED_LINES, count } from '../counters';
import { Frame } from '../packet/frame';
import { splice } from '../packet/splice';
import { CONNECTION_DNAT, CONNECTION_SHIFTED, CONNECTION_SNAT, Connection, tupleOf } from './connection';
import { expect } from './expectation';
import {
  Announcement,
  announcement,
  FORM_PORT,
  LINE_NONE,
  LINE_READ,
  newText,
  readLine,
  writeLine,
} from './ftp-line';
import { ownSegment } from './segment';
import { noteShift, shiftFrame } from './shift';
import { Tuple } from './tuple';

/** Looks at a packet of a control connection, whose lock is held, before it is translated, if it is. */
export function assistFtp(frame: Frame, connection: Connection, direction: u32, isTranslating: bool): bool {
  const isChanging = isTranslating && isTranslated(connection);
  const segment = ownSegment();
  const line = <u32>frame.l4 + headerLength(frame);
  const read = readLine(frame.data + line, segment.length, direction, frame.network);
  if (read == LINE_NONE) {
    if (isChanging && connection.flags & CONNECTION_SHIFTED) shiftFrame(frame, connection, direction);
    return true;
  }
  if (read == LINE_READ && announce(frame, connection, direction, isChanging, line)) return true;
  count(COUNT_CT_REFUSED_LINES, 1);
  return false;
}

function isTranslated(connection: Connection): bool {
  return (connection.flags & (CONNECTION_SNAT | CONNECTION_DNAT)) != 0;
}

function headerLength(frame: Frame): u32 {
  return (<u32>(load<u8>(frame.data + frame.l4, 12) >>> 4)) << 2;
}

/** Expects what the line at hand announces, and has it say that to the other end if `isChanging`. */
function announce(frame: Frame, connection: Connection, direction: u32, isChanging: bool, line: u32): bool {
  const known = tupleOf(connection, direction ^ 1);
  if (!isOwn(announcement(), tupleOf(connection, direction), known)) return false;
  const listens = bswap<u16>(announcement().port);
  const port = expect(connection, direction ^ 1, listens, listens, isTranslated(connection));
  return port != 0 && (!isChanging || rewrite(frame, connection, direction, line, port));
}

/** Has the line at hand say where the other end finds its sender. False: there is no room. */
function rewrite(frame: Frame, connection: Connection, direction: u32, line: u32, port: u16): bool {
  const said = announcement();
  const known = tupleOf(connection, direction ^ 1);
  let by: i32 = 0;
  if (!isSaid(said, known, port)) {
    const address = changetype<usize>(known) + offsetof<Tuple>('dstLow');
    const length = writeLine(address, bswap<u16>(port), frame.network);
    if (!splice(frame, line + said.from, line + said.to, newText(), length)) return false;
    by = <i32>(length - (said.to - said.from));
  }
  if (connection.flags & CONNECTION_SHIFTED) shiftFrame(frame, connection, direction);
  if (by != 0) noteShift(connection, direction, ownSegment().seq, by);
  return true;
}

/** Whether a line says an address of its sender, if any: its own, or the one that packets to it have. */
function isOwn(said: Announcement, own: Tuple, known: Tuple): bool {
  if (said.form == FORM_PORT) return true;
  return (
    (said.addressLow == own.srcLow && said.addressHigh == own.srcHigh) ||
    (said.addressLow == known.dstLow && said.addressHigh == known.dstHigh)
  );
}

/** Whether it already says what the other end is to be told. */
function isSaid(said: Announcement, known: Tuple, port: u16): bool {
  const isAddress =
    said.form == FORM_PORT || (said.addressLow == known.dstLow && said.addressHigh == known.dstHigh);
  return isAddress && said.port == bswap<u16>(port);
}
