/**
 * A tracked connection: 192 bytes, three lines. A hit writes the first and the counters.
 *
 *     line 0      lock, generation, expiry, mark, label, what the protocol remembers of both ends
 *     line 1, 2   original tuple, reply tuple, counters, start, links
 *
 * Life: a number from POOL_CONNECTIONS. Who took it fills the record and inserts it under its tuples (create.ts);
 * `generation` is odd from when readers may use it until it is removed, and never falls. A reference is a number
 * and the generation that it was seen with.
 *
 * Who writes, and how others see it:
 * - `expiresMs`: whoever holds `lock`, one store; read by all, with one load. A connection whose time is over is
 *   none, whether it has been removed or not.
 * - `generation`: odd to even by compare-and-exchange: of all that would remove a connection, that one wins.
 * - the rest of line 0, and the counters: whoever holds `lock`. Who reads them in a list takes it too.
 * - tuples, start: written before the insertion, never after.
 * - `filed`, `next`: filing.ts. `admission`: zones.ts. `kin`: kin.ts.
 *
 * Lock order: connection, then one shard of the table, then nothing.
 */
import { map } from '../memory/arena';
import { Tuple } from './tuple';

/** What is remembered of one end of a TCP connection; others use `state` alone (tcp.ts, other.ts, icmp.ts). */
@unmanaged
export class Peer {
  seqLow: u32; // host order, as all here
  seqHigh: u32;
  maxWindow: u16; // unscaled
  windowScale: u8;
  state: u8;
}

@unmanaged
export class Connection {
  lock: u32; // lock.ts
  generation: u32;
  expiresMs: f64; // by the switch clock
  mark: u32;
  timeout: u8; // which of its zone's timeouts is in force (timeouts.ts)
  flags: u8; // CONNECTION_…
  kin: u16; // its record in another table; 0: none (kin.ts)
  label: u64; // as in the flow key: network order
  labelHigh: u64;
  // 40: Peer of the side that began, 52: Peer of the other
}

/** Line 1 and 2 behind the two tuples. */
@unmanaged
export class Origin {
  packets: u64; // of the original direction; then of the reply's
  bytes: u64; // on the wire, Ethernet header included
  replyPackets: u64;
  replyBytes: u64;
  startedS: f32; // seconds by the switch clock
  filed: u32; // filing.ts: whether it is in the queue to the sweeper
  next: u32; // filing.ts: link in that queue
  admission: u32; // of its zone's limit, under which it is counted (zones.ts)
}

export const CONNECTION_STRIDE: u32 = 192;
export const CONNECTION_PEERS: usize = 40;
export const CONNECTION_TUPLES: usize = 64;
export const CONNECTION_ORIGIN: usize = 144;

export const CONNECTION_REPLIED: u8 = 1; // a packet of the reply was seen
export const CONNECTION_SNAT: u8 = 2; // packets of the original direction get another source
export const CONNECTION_DNAT: u8 = 4; // … another destination
export const CONNECTION_REVERSED: u8 = 8; // has an entry of its own for the reply tuple: it is not the original's reverse
export const CONNECTION_FTP: u8 = 16; // a helper looks at its packets (helper.ts)
export const CONNECTION_TFTP: u8 = 32;
export const CONNECTION_HELPED: u8 = 48; // either
export const CONNECTION_EXPECTED: u8 = 64; // such a connection announced it: its parent
export const CONNECTION_SHIFTED: u8 = 128; // ends count sequence numbers differently (shift.ts)

/** Direction of a packet, relative to its connection. */
export const ORIGINAL: u32 = 0;
export const REPLY: u32 = 1;

export function connectionAt(number: u32): Connection {
  return changetype<Connection>(map.connections + <usize>number * CONNECTION_STRIDE);
}

export function connectionNumber(connection: Connection): u32 {
  return <u32>((changetype<usize>(connection) - map.connections) / CONNECTION_STRIDE);
}

export function peerOf(connection: Connection, direction: u32): Peer {
  return changetype<Peer>(changetype<usize>(connection) + CONNECTION_PEERS + <usize>direction * 12);
}

/** The tuple of the packets that go in a direction: of the reply as they come in, before translation. */
export function tupleOf(connection: Connection, direction: u32): Tuple {
  return changetype<Tuple>(changetype<usize>(connection) + CONNECTION_TUPLES + <usize>direction * 40);
}

export function originOf(connection: Connection): Origin {
  return changetype<Origin>(changetype<usize>(connection) + CONNECTION_ORIGIN);
}

export function isLive(generation: u32): bool {
  return (generation & 1) != 0;
}

/** Not as an atomic operation: eight bytes, aligned, are never torn, and what is read is used once. */
export function expiryOf(connection: Connection): f64 {
  return connection.expiresMs;
}

/**
 * Nor this, which would cost more than all else that a hit writes; where the sweeper has to see it `file` comes behind
 * it, whose exchange the store cannot pass (filing.ts).
 */
export function setExpiry(connection: Connection, expiresMs: f64): void {
  connection.expiresMs = expiresMs;
}
