/**
 * The checksum of what IP carries: over the transport's header and data, and for TCP, UDP and ICMPv6 over a
 * pseudo-header of addresses, protocol and length (RFC 9293 §3.1, RFC 768, RFC 8200 §8.1). SCTP has a CRC32c
 * (RFC 9260 §6.8).
 *
 * `frame.checksum` says what is known of it:
 *
 *     UNKNOWN ──verify──▶ GOOD or BAD          PARTIAL ──complete──▶ GOOD
 *
 * Ports set it: PARTIAL or GOOD when the kernel says so, else UNKNOWN. Rewriting changes the checksum by what
 * it changes under it (RFC 1624), so good stays good, bad stays bad and partial stays partial: a partial one
 * covers the pseudo-header alone. Cutting makes it anew, joining makes it partial.
 *
 * UDP over IPv4 may have none (zero), which stays so; one that comes out zero is sent as all ones. A fragment's
 * covers the whole datagram, which a sum does not mind and a CRC does: after other ports are set in an SCTP
 * first fragment the datagram's is wrong.
 */
import { COUNT_CHECKSUMS_COMPLETED, count } from '../counters';
import { fold, sum, update, updatePartial } from './checksum';
import { crc32c, crc32cZeros } from './crc32c';
import { CHECKSUM_BAD, CHECKSUM_GOOD, CHECKSUM_PARTIAL, CHECKSUM_UNKNOWN, Frame } from './frame';
import {
  be16,
  IPV6_HEADER,
  PROTO_ICMP,
  PROTO_SCTP,
  PROTO_TCP,
  PROTO_UDP,
  SCTP_HEADER,
  setBytes,
  UDP_HEADER,
} from './headers';

const TCP_CHECKSUM: u32 = 16;
const UDP_CHECKSUM: u32 = 6;
const SCTP_CHECKSUM: u32 = 8;
const ICMP_CHECKSUM: u32 = 2;

/** Offset of the checksum in the transport header. */
export function checksumPlace(transport: u8): u32 {
  if (transport == PROTO_TCP) return TCP_CHECKSUM;
  if (transport == PROTO_UDP) return UDP_CHECKSUM;
  return transport == PROTO_SCTP ? SCTP_CHECKSUM : ICMP_CHECKSUM;
}

/** Whether the header that the parser read at `l3` is IPv6's and not IPv4's. */
export function isIpv6(frame: Frame): bool {
  return load<u8>(frame.data + frame.l3) >>> 4 == 6;
}

/** Bytes of transport header and data, by IP's length and as far as they are in the frame. */
export function transportLength(frame: Frame): u32 {
  const l3 = <u32>frame.l3;
  const ip = frame.data + l3;
  const end = l3 + (isIpv6(frame) ? IPV6_HEADER + be16(ip + 4) : be16(ip + 2));
  const there = min(end, frame.length);
  const l4 = <u32>frame.l4;
  return there > l4 ? there - l4 : 0;
}

/** The sum that the checksum of `length` bytes begins with. */
export function pseudoHeader(frame: Frame, length: u32): u64 {
  if (frame.transport == PROTO_ICMP) return 0;
  const ip = frame.data + frame.l3;
  const addresses = isIpv6(frame) ? sum(ip + 8, 32) : sum(ip + 12, 8);
  return addresses + ((<u64>frame.transport) << 8) + <u64>bswap<u16>(<u16>length);
}

/** Whether the checksum of the transport that the parser read is partial, and not that of one inside. */
function isPartial(frame: Frame): bool {
  return frame.checksum == CHECKSUM_PARTIAL && frame.transport != 0 && frame.checksumStart == frame.l4;
}

/** Sets four bytes of the transport, a multiple of two from `l4`, to `old & ~mask | value`, and the checksum. */
export function setCovered(frame: Frame, at: usize, value: u32, mask: u32): void {
  const before = load<u32>(at);
  setBytes(at, value, mask);
  const after = load<u32>(at);
  if (before == after || isPartial(frame)) return;
  const l4 = frame.data + frame.l4;
  if (frame.transport == PROTO_SCTP) {
    const change = crc32cZeros(before ^ after, transportLength(frame) - <u32>(at - l4));
    store<u32>(l4, load<u32>(l4, SCTP_CHECKSUM) ^ change, SCTP_CHECKSUM);
  } else {
    updateSum(frame, before, after);
  }
}

/** Words that the sum covers, and whose own was `before`, have the sum `after` now. Not for SCTP. */
export function updateCovered(frame: Frame, before: u32, after: u32): void {
  if (before != after && !isPartial(frame)) updateSum(frame, before, after);
}

/** An address became `after`: so does every transport checksum with a pseudo-header. */
export function updatePseudoHeader(frame: Frame, before: u32, after: u32): void {
  const transport = frame.transport;
  if (before == after || transport == 0 || transport == PROTO_ICMP || transport == PROTO_SCTP) return;
  if (isPartial(frame)) updatePartial(frame.data + frame.l4 + checksumPlace(transport), before, after);
  else updateSum(frame, before, after);
}

function updateSum(frame: Frame, before: u32, after: u32): void {
  const at = frame.data + frame.l4 + checksumPlace(frame.transport);
  const isUdp = frame.transport == PROTO_UDP;
  if (isUdp && load<u16>(at) == 0) return;
  update(at, before, after);
  if (isUdp && load<u16>(at) == 0) store<u16>(at, 0xffff);
}

/**
 * Whether the transport checksum is not wrong; the answer is remembered. A partial one is right, for it was on
 * no wire yet. Nothing is wrong with a frame that has none, or that does not show all that it covers.
 */
export function verifyChecksum(frame: Frame): bool {
  if (frame.checksum == CHECKSUM_UNKNOWN && frame.transport != 0 && frame.shape == 0) {
    frame.checksum = isGood(frame) ? CHECKSUM_GOOD : CHECKSUM_BAD;
  }
  return frame.checksum != CHECKSUM_BAD;
}

function isGood(frame: Frame): bool {
  const l4 = frame.data + frame.l4;
  const length = transportLength(frame);
  if (frame.transport == PROTO_SCTP) {
    return length >= SCTP_HEADER && load<u32>(l4, SCTP_CHECKSUM) == sctpChecksum(l4, length);
  }
  if (frame.transport == PROTO_UDP) return udpGood(frame, l4, length);
  return fold(pseudoHeader(frame, length) + sum(l4, length)) == 0xffff;
}

/** UDP says its own length. Over IPv6 it must have a checksum (RFC 8200 §8.1). */
function udpGood(frame: Frame, l4: usize, room: u32): bool {
  if (load<u16>(l4, UDP_CHECKSUM) == 0) return !isIpv6(frame);
  const length = be16(l4 + 4);
  if (length < UDP_HEADER || length > room) return false;
  return fold(pseudoHeader(frame, length) + sum(l4, length)) == 0xffff;
}

/** CRC32c with zeros where the checksum stands, as it is stored: the lowest byte first. */
function sctpChecksum(l4: usize, length: u32): u32 {
  const before = crc32cZeros(crc32c(0xffffffff, l4, SCTP_CHECKSUM), 4);
  return ~crc32c(before, l4 + SCTP_HEADER, length - SCTP_HEADER);
}

/** Completes a partial checksum; one that is said to be beyond the frame, or was cut off, is left alone. */
export function completeChecksum(frame: Frame): void {
  const isOurs = isPartial(frame);
  frame.checksum = CHECKSUM_UNKNOWN;
  if (!(isOurs && frame.transport == PROTO_SCTP ? completeSctp(frame) : completeSum(frame))) return;
  if (isOurs) frame.checksum = CHECKSUM_GOOD;
  count(COUNT_CHECKSUMS_COMPLETED, 1);
}

function completeSctp(frame: Frame): bool {
  const l4 = frame.data + frame.l4;
  const length = transportLength(frame);
  if (length < SCTP_HEADER) return false;
  store<u32>(l4, sctpChecksum(l4, length), SCTP_CHECKSUM);
  return true;
}

/** The field holds the pseudo-header's sum, so summing over it covers both. */
function completeSum(frame: Frame): bool {
  const start = <u32>frame.checksumStart;
  const place = start + <u32>frame.checksumOffset;
  if (place + 2 > frame.length) return false;
  storeSum(frame.data + place, sum(frame.data + start, frame.length - start), frame.checksumOffset);
  return true;
}

/** Makes the whole checksum of a TCP or UDP packet anew. */
export function makeChecksum(frame: Frame): void {
  const l4 = frame.data + frame.l4;
  const length = transportLength(frame);
  const place = checksumPlace(frame.transport);
  store<u16>(l4 + place, 0);
  storeSum(l4 + place, pseudoHeader(frame, length) + sum(l4, length), place);
  frame.checksum = CHECKSUM_GOOD;
}

/** Zero would say that UDP has none. */
function storeSum(at: usize, total: u64, place: u32): void {
  const checksum = fold(total) ^ 0xffff;
  store<u16>(at, <u16>(checksum == 0 && place == UDP_CHECKSUM ? 0xffff : checksum));
}
