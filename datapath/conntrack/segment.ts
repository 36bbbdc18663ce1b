/**
 * What a packet says to its connection beyond its tuple, and what comes of it.
 *
 * Each thread has one record, in its batch: `extract` fills it for a packet (extract.ts), the protocol reads it
 * (protocol.ts), translation what it says of ICMP errors. The fields of TCP are there for TCP alone, those of
 * errors for errors; the others keep what an earlier packet left in them.
 */
import { BATCH_SEGMENT, batch } from '../batch';
import { be16, be32, TCP_HEADER } from '../packet/headers';

@unmanaged
export class Segment {
  // TCP; numbers in host order.
  seq: u32;
  ack: u32;
  length: u32; // bytes of payload, of all segments that the frame stands for
  window: u16; // as it stands in the header
  windowScale: u8; // what a SYN announces: 0 or WINDOW_SCALED + shift
  flags: u8; // TCP_FLAG_…
  // ICMP errors: the packet that is quoted in them.
  innerL3: u16; // offset of its IP header from the frame's data
  innerL4: u16; // … of what it carries: eight bytes are there at least, if its protocol is one with ports
  isRouted: bool; // … over IPv6 it has segments left to go, so its checksum covers another destination
  isMisdirected: bool; // the error goes to another address than the quoted packet came from
}

// RFC 9293 §3.1.
export const TCP_FLAG_FIN: u8 = 1;
export const TCP_FLAG_SYN: u8 = 2;
export const TCP_FLAG_RST: u8 = 4;
export const TCP_FLAG_PSH: u8 = 8;
export const TCP_FLAG_ACK: u8 = 16;
export const TCP_FLAG_URG: u8 = 32;

/** `windowScale`: how far this end's windows are to be shifted is known, and stands in the low four bits. */
export const WINDOW_SCALED: u8 = 0x80;
export const WINDOW_SHIFT: u8 = 0x0f;
/** RFC 7323 §2.3 */
export const MAX_WINDOW_SHIFT: u8 = 14;

// What a packet did to its connection.
export const UPDATE_INVALID: u32 = 0; // nothing: it cannot belong to it
export const UPDATE_VALID: u32 = 1; // it belongs to it, and the connection's time begins anew
export const UPDATE_TOLERATED: u32 = 2; // it may belong to it; the connection's time goes on running out
export const UPDATE_VALID_NEW: u32 = 3; // as UPDATE_VALID, but the connection is not established
export const UPDATE_NEW: u32 = 4; // the connection is over, and the packet begins another with the same tuple

// RFC 9293 §3.2.
export const OPTION_END: u8 = 0;
export const OPTION_NONE: u8 = 1;
const OPTION_WINDOW_SCALE: u8 = 3; // RFC 7323 §2.2

/** The record of this thread. */
export function ownSegment(): Segment {
  return changetype<Segment>(batch() + BATCH_SEGMENT);
}

/** Reads the TCP header at `tcp`, which has `length` bytes with its payload. */
export function readSegment(segment: Segment, tcp: usize, length: u32): void {
  const header = (<u32>(load<u8>(tcp, 12) >>> 4)) << 2;
  const flags = load<u8>(tcp, 13);
  segment.seq = be32(tcp + 4);
  segment.ack = be32(tcp + 8);
  segment.length = length - header;
  segment.window = <u16>be16(tcp + 14);
  segment.flags = flags;
  segment.windowScale = flags & TCP_FLAG_SYN ? announcedScale(tcp + TCP_HEADER, tcp + header) : 0;
}

/** The window scale among the options from `at` to `end`; what is malformed ends them. */
function announcedScale(at: usize, end: usize): u8 {
  while (at < end) {
    const kind = load<u8>(at);
    if (kind == OPTION_END) return 0;
    if (kind == OPTION_NONE) {
      at++;
      continue;
    }
    if (at + 2 > end) return 0;
    const length = <usize>load<u8>(at, 1);
    if (length < 2 || at + length > end) return 0;
    if (kind == OPTION_WINDOW_SCALE && length == 3) {
      return WINDOW_SCALED | min<u8>(load<u8>(at, 2), MAX_WINDOW_SHIFT);
    }
    at += length;
  }
  return 0;
}
