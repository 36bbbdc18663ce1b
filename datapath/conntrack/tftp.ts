/**
 * TFTP (RFC 1350): a request to a port that is known, and an answer from another (§4).
 *
 *     client:5000 ──── read this file ────▶ server:69        the parent
 *     client:5000 ◀─────── block 1 ──────── server:any       expected, as replies go
 */
import { Frame } from '../packet/frame';
import { be16, UDP_HEADER } from '../packet/headers';
import { transportLength } from '../packet/transport-checksum';
import { Connection, ORIGINAL, REPLY, tupleOf } from './connection';
import { expect } from './expectation';

// RFC 1350 §5
const READ: u32 = 1;
const WRITE: u32 = 2;

/** Looks at a packet of a connection whose lock is held. */
export function assistTftp(frame: Frame, connection: Connection, direction: u32): void {
  if (direction != ORIGINAL || transportLength(frame) < UDP_HEADER + 2) return;
  const operation = be16(frame.data + frame.l4 + UDP_HEADER);
  if (operation != READ && operation != WRITE) return;
  expect(connection, REPLY, tupleOf(connection, REPLY).tpDst, tupleOf(connection, ORIGINAL).tpSrc, false);
}
