/** TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260), ICMP (RFC 792) and ICMPv6 (RFC 4443). */
import {
  DROP_ICMP_TRUNCATED,
  DROP_SCTP_TRUNCATED,
  DROP_TCP_BAD_OFFSET,
  DROP_TCP_TRUNCATED,
  DROP_UDP_TRUNCATED,
  PARSED,
} from '../drop';
import { Key } from '../flow/key';
import { Frame } from './frame';
import {
  ICMP_HEADER,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_SCTP,
  PROTO_TCP,
  PROTO_UDP,
  SCTP_HEADER,
  TCP_HEADER,
  UDP_HEADER,
} from './headers';
import { isNeighbour, parseNeighbour } from './neighbour';
import { setCovered } from './transport-checksum';

/**
 * Reads the header of `protocol` at `l4`, which has `room` bytes; `icmp` is the network protocol's own ICMP.
 * A first fragment must have all of it too (RFC 1858, RFC 7112): what is cut short there is cut on purpose.
 */
export function parseTransport(frame: Frame, key: Key, protocol: u8, icmp: u8, l4: usize, room: u32): u32 {
  const ports = changetype<usize>(key) + offsetof<Key>('tpSrc');
  if (protocol == PROTO_TCP) {
    if (room < TCP_HEADER) return DROP_TCP_TRUNCATED;
    const header = (<u32>(load<u8>(l4 + 12) >>> 4)) << 2;
    if (header < TCP_HEADER) return DROP_TCP_BAD_OFFSET;
    if (header > room) return DROP_TCP_TRUNCATED;
    store<u32>(ports, load<u32>(l4));
    key.tcpFlags = load<u16>(l4 + 12) & 0xff0f; // RFC 9293 §3.1: twelve bits behind the data offset
  } else if (protocol == PROTO_UDP) {
    if (room < UDP_HEADER) return DROP_UDP_TRUNCATED;
    store<u32>(ports, load<u32>(l4));
  } else if (protocol == PROTO_SCTP) {
    if (room < SCTP_HEADER) return DROP_SCTP_TRUNCATED;
    store<u32>(ports, load<u32>(l4));
  } else if (protocol == icmp) {
    if (room < ICMP_HEADER) return DROP_ICMP_TRUNCATED;
    key.tpSrc = (<u16>load<u8>(l4)) << 8;
    key.tpDst = (<u16>load<u8>(l4 + 1)) << 8;
    frame.transport = protocol;
    return protocol == PROTO_ICMPV6 && isNeighbour(l4) ? parseNeighbour(key, l4, room) : PARSED;
  } else {
    return PARSED;
  }
  frame.transport = protocol;
  return PARSED;
}

/** Sets the ports, or ICMP's type and code, which stand in the key's word as two 16-bit numbers. */
export function setPorts(frame: Frame, value: u32, mask: u32): void {
  if (frame.transport == 0) return;
  if (frame.transport == PROTO_ICMP || frame.transport == PROTO_ICMPV6) {
    value = ((value >>> 8) & 0xff) | ((value >>> 16) & 0xff00);
    mask = ((mask >>> 8) & 0xff) | ((mask >>> 16) & 0xff00);
  }
  setCovered(frame, frame.data + frame.l4, value, mask);
}
