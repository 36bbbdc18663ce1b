/**
 * UDP, SCTP, and every protocol without ports: a connection is established once both sides were heard, and of more
 * than that nothing is known. `state` of the side that began says for both:
 *
 *                       packet of the side that began    answer
 *     OTHER_FIRST       OTHER_AGAIN, new                 OTHER_BOTH, established
 *     OTHER_AGAIN       OTHER_AGAIN, new                 OTHER_BOTH, established
 *     OTHER_BOTH        OTHER_BOTH, established          OTHER_BOTH, established
 */
import { Connection, ORIGINAL, peerOf, REPLY } from './connection';
import { UPDATE_VALID, UPDATE_VALID_NEW } from './segment';
import { TIMEOUT_UDP_FIRST } from './timeouts';

// In the order of their timeouts: UDP_FIRST, UDP_SINGLE, UDP_MULTIPLE.
export const OTHER_FIRST: u8 = 0;
export const OTHER_AGAIN: u8 = 1;
export const OTHER_BOTH: u8 = 2;

export function beginOther(connection: Connection): bool {
  enter(connection, OTHER_FIRST);
  return true;
}

export function advanceOther(connection: Connection, direction: u32): u32 {
  const isBoth = direction == REPLY || peerOf(connection, ORIGINAL).state == OTHER_BOTH;
  enter(connection, isBoth ? OTHER_BOTH : OTHER_AGAIN);
  return isBoth ? UPDATE_VALID : UPDATE_VALID_NEW;
}

function enter(connection: Connection, state: u8): void {
  peerOf(connection, ORIGINAL).state = state;
  connection.timeout = TIMEOUT_UDP_FIRST + state;
}
