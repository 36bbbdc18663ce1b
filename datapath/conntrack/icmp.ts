/**
 * ICMP and ICMPv6 queries: the first is a request, never an answer to one that was not seen. Once it was answered
 * the connection is established. `state` of the side that asked says for both.
 */
import { PROTO_ICMPV6 } from '../packet/headers';
import { Connection, ORIGINAL, peerOf, REPLY, tupleOf } from './connection';
import { UPDATE_VALID, UPDATE_VALID_NEW } from './segment';
import { TIMEOUT_ICMP_FIRST } from './timeouts';

// In the order of their timeouts: ICMP_FIRST, ICMP_REPLY.
export const ICMP_ASKED: u8 = 0;
export const ICMP_ANSWERED: u8 = 1;

// RFC 792; RFC 4443 §4.1.
const ECHO: u8 = 8;
const TIMESTAMP: u8 = 13;
const INFORMATION: u8 = 15;
const ECHO_V6: u8 = 128;

export function beginIcmp(connection: Connection): bool {
  const tuple = tupleOf(connection, ORIGINAL);
  if (!isRequest(tuple.proto, <u8>tuple.tpDst)) return false;
  enter(connection, ICMP_ASKED);
  return true;
}

function isRequest(proto: u8, type: u8): bool {
  if (proto == PROTO_ICMPV6) return type == ECHO_V6;
  return type == ECHO || type == TIMESTAMP || type == INFORMATION;
}

export function advanceIcmp(connection: Connection, direction: u32): u32 {
  const isAnswered = direction == REPLY || peerOf(connection, ORIGINAL).state == ICMP_ANSWERED;
  enter(connection, isAnswered ? ICMP_ANSWERED : ICMP_ASKED);
  return isAnswered ? UPDATE_VALID : UPDATE_VALID_NEW;
}

function enter(connection: Connection, state: u8): void {
  peerOf(connection, ORIGINAL).state = state;
  connection.timeout = TIMEOUT_ICMP_FIRST + state;
}
