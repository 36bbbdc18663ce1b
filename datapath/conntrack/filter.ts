/**
 * Which connections somebody wants to see, or to flush: a value and a mask over the bytes of a record that tell
 * what it is, so that a full table is gone through with nothing copied but what is wanted.
 *
 *     record    │ lock … expiry │ mark, label, peers, both tuples │ counters …
 *     filter    │ states, …     │ value                           │ mask
 *               0               16                               144          272
 *
 * Zone, protocol, addresses, ports, mark and label are bits of a record like those of a megaflow's key; a bit of
 * the mask that is 0 lets any pass. What is no bit of the record has a word of its own at the beginning.
 * Written by TypeScript (src/table/connection-filter.ts) for each call; of the calling thread alone.
 */
import { Connection, ORIGINAL, peerOf, REPLY, tupleOf } from './connection';
import { isIcmp } from './tuple';

@unmanaged
export class ConnectionFilter {
  states: u32; // TCP connections only, and of them those in a state of this set, bit by number; 0: all
  portsOnly: u32; // not 0: no ICMP, which has other things where a tuple has its ports
}

/** First byte of a record that a filter looks at, and how many. */
export const FILTERED: usize = 16;
export const FILTERED_BYTES: usize = 128;

export const FILTER_VALUE: usize = 16;
export const FILTER_MASK: usize = 144;
export const FILTER_SIZE: u32 = 272;

const PROTO_TCP: u8 = 6;

/** Whether a connection, or a copy of one, is wanted. */
export function passes(connection: Connection, filter: ConnectionFilter): bool {
  const record = changetype<usize>(connection) + FILTERED;
  const value = changetype<usize>(filter) + FILTER_VALUE;
  const mask = changetype<usize>(filter) + FILTER_MASK;
  for (let at: usize = 0; at < FILTERED_BYTES; at += 16) {
    const difference = v128.xor(v128.load(record + at), v128.load(value + at));
    if (v128.any_true(v128.and(difference, v128.load(mask + at)))) return false;
  }
  const proto = tupleOf(connection, ORIGINAL).proto;
  if (filter.portsOnly != 0 && isIcmp(proto)) return false;
  if (filter.states == 0) return true;
  return proto == PROTO_TCP && ((filter.states >> tcpState(connection)) & 1) != 0;
}

/** One state for both ends of a TCP connection: that of the end which is further on. */
function tcpState(connection: Connection): u32 {
  return <u32>max(peerOf(connection, ORIGINAL).state, peerOf(connection, REPLY).state);
}
