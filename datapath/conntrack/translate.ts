/**
 * Translates packets in place, as the two tuples of their connection say: addresses, ports, ICMP identifiers.
 *
 *     original   client ▶ service              reply   server ▶ outside address
 *
 *     a packet comes in as                     and leaves as
 *     original   client ▶ service              outside address ▶ server     the reply tuple, reversed
 *     reply      server ▶ outside address      service ▶ client             the original tuple, reversed
 *
 * An ICMP error is about a packet that went the other way, and has its beginning inside as it looked where the
 * error arose: after its translation. It gets back what its sender gave it, which is the other direction's tuple
 * as it stands, with the checksums of its own headers where they have not been cut off. An address outside is
 * translated where the connection translates that address: so the source of an error from a router out in the
 * world stays (RFC 5508 REQ-4), and a router inside does not show (REQ-5).
 *
 * Checksums change by what changes under them (transport-checksum.ts): wrong ones stay wrong, of the packet
 * inside too, which nobody can verify when it was cut short (REQ-3); of a checksum that was cut through, what is
 * left stays. A later fragment has only addresses.
 */
import { Key } from '../flow/key';
import { fold, sum } from '../packet/checksum';
import { Frame, NETWORK_IPV4, SHAPE_ROUTED } from '../packet/frame';
import {
  be16,
  ICMP_HEADER,
  IPV4_FRAGMENT_OFFSET,
  IPV4_HEADER,
  IPV6_HEADER,
  PROTO_FRAGMENT,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_ROUTING,
  PROTO_SCTP,
  PROTO_TCP,
  PROTO_UDP,
  SCTP_HEADER,
  setBytes,
  UDP_HEADER,
} from '../packet/headers';
import { setIpv4 } from '../packet/ipv4';
import { extensionLength, IPV6_FRAGMENT_OFFSET, isExtension, setIpv6 } from '../packet/ipv6';
import { setPorts } from '../packet/transport';
import { setCovered, transportLength, updateCovered } from '../packet/transport-checksum';
import { CONNECTION_DNAT, CONNECTION_SNAT, Connection, ORIGINAL, tupleOf } from './connection';
import { CT_DNAT, CT_SNAT } from './state';
import { isIcmp, Tuple } from './tuple';

const ALL: u32 = 0xffffffff;

const ICMP_ID: usize = 4; // behind type, code and checksum (RFC 792; RFC 4443 §4.1)
const PORTS: u32 = 4;
const TCP_TO_CHECKSUM: u32 = 18; // RFC 9293 §3.1

/** Translates a packet of `direction`, whose headers have been read. What was translated, as ct_state says it. */
export function translate(frame: Frame, connection: Connection, direction: u32): u32 {
  const state = stateOf(connection, direction);
  if (state == 0) return 0;
  const answer = tupleOf(connection, direction ^ 1);
  setAddresses(frame, destinationOf(answer), sourceOf(answer));
  setEnds(frame, rotl<u32>(portsOf(answer), 16), answer.tpSrc);
  return state;
}

/** The same for an ICMP error that goes in `direction`, about a packet of the other. */
export function translateError(frame: Frame, connection: Connection, direction: u32): u32 {
  const state = stateOf(connection, direction);
  if (state == 0) return 0;
  const about = tupleOf(connection, direction ^ 1);
  translateInside(frame, about);
  const own = tupleOf(connection, direction);
  const header = frame.data + frame.l3;
  const source = header + (frame.network == NETWORK_IPV4 ? 12 : 8);
  const destination = header + (frame.network == NETWORK_IPV4 ? 16 : 24);
  setAddresses(
    frame,
    isSameAddress(sourceOf(own), destinationOf(about)) ? source : destinationOf(about),
    isSameAddress(destinationOf(own), sourceOf(about)) ? destination : sourceOf(about),
  );
  return state;
}

/** Which ends of the packets of a direction are translated: the source of one is the destination of the other. */
function stateOf(connection: Connection, direction: u32): u32 {
  const flags = connection.flags;
  const isOriginal = direction == ORIGINAL;
  const source = (flags & (isOriginal ? CONNECTION_SNAT : CONNECTION_DNAT)) != 0;
  const destination = (flags & (isOriginal ? CONNECTION_DNAT : CONNECTION_SNAT)) != 0;
  return (source ? CT_SNAT : 0) | (destination ? CT_DNAT : 0);
}

function sourceOf(tuple: Tuple): usize {
  return changetype<usize>(tuple) + offsetof<Tuple>('srcLow');
}

function destinationOf(tuple: Tuple): usize {
  return changetype<usize>(tuple) + offsetof<Tuple>('dstLow');
}

/** Both ports, as they stand in a header. */
function portsOf(tuple: Tuple): u32 {
  return load<u32>(changetype<usize>(tuple), offsetof<Tuple>('tpSrc'));
}

function isSameAddress(a: usize, b: usize): bool {
  return !v128.any_true(v128.xor(v128.load(a), v128.load(b)));
}

/** Gives the packet the addresses that stand at `source` and `destination`. */
export function setAddresses(frame: Frame, source: usize, destination: usize): void {
  if (frame.network == NETWORK_IPV4) {
    setIpv4(frame, offsetof<Key>('nwSrc'), load<u32>(source), ALL);
    setIpv4(frame, offsetof<Key>('nwDst'), load<u32>(destination), ALL);
  } else {
    for (let i: u32 = 0; i < 16; i += 4) {
      setIpv6(frame, offsetof<Key>('nwSrc') + i, load<u32>(source + i), ALL);
      setIpv6(frame, offsetof<Key>('ipv6Dst') + i, load<u32>(destination + i), ALL);
    }
  }
}

/** Gives it the ports, or if it is ICMP the identifier. */
function setEnds(frame: Frame, ports: u32, id: u16): void {
  if (isIcmp(frame.transport)) setCovered(frame, frame.data + frame.l4 + ICMP_ID, id, 0xffff);
  else setPorts(frame, ports, ALL);
}

/**
 * Makes the packet inside the error what `sent` says. While it is rewritten, the frame's record tells of it and
 * not of the error; to the error's checksum it is then so many bytes whose sum has changed.
 */
function translateInside(frame: Frame, sent: Tuple): void {
  const start = <u32>frame.l4 + ICMP_HEADER;
  const end = <u32>frame.l4 + transportLength(frame);
  if (end < start) return;
  const before = fold(sum(frame.data + start, end - start));
  const outside = load<u64>(changetype<usize>(frame), offsetof<Frame>('l3'));
  const length = frame.length;
  frame.length = ALL; // its CRC covers also what was cut off, as long as its own header says it was
  if (lookInside(frame, start, end)) {
    setAddresses(frame, sourceOf(sent), destinationOf(sent));
    if (frame.transport != 0) setEnds(frame, portsOf(sent), sent.tpSrc);
    else if (frame.l4 != 0) setBytes(frame.data + frame.l4, portsOf(sent), ALL);
  }
  frame.length = length;
  store<u64>(changetype<usize>(frame), outside, offsetof<Frame>('l3'));
  updateCovered(frame, before, fold(sum(frame.data + start, end - start)));
}

/**
 * Makes the frame's record tell of the packet from `start` to `end`: `l4` if it has its ports, and `transport`
 * if it has the checksum over them too. False: not even the network header is there.
 */
function lookInside(frame: Frame, start: u32, end: u32): bool {
  const isIpv4 = frame.network == NETWORK_IPV4;
  if (start + (isIpv4 ? IPV4_HEADER : IPV6_HEADER) > end) return false;
  frame.l3 = <u16>start;
  frame.l4 = 0;
  frame.transport = 0;
  frame.shape = 0;
  if (isIpv4) lookInsideIpv4(frame, start, end);
  else lookInsideIpv6(frame, start, end);
  return true;
}

function lookInsideIpv4(frame: Frame, start: u32, end: u32): void {
  const ip = frame.data + start;
  if (be16(ip + 6) & IPV4_FRAGMENT_OFFSET) return;
  noteTransport(frame, load<u8>(ip, 9), PROTO_ICMP, start + ((<u32>load<u8>(ip) & 15) << 2), end);
}

/** Steps over extension headers as parseIpv6 does (ipv6.ts). */
function lookInsideIpv6(frame: Frame, start: u32, end: u32): void {
  let next = load<u8>(frame.data + start, 6);
  let at = start + IPV6_HEADER;
  while (isExtension(next)) {
    if (at + 8 > end) return;
    const header = frame.data + at;
    if (next == PROTO_FRAGMENT && be16(header + 2) & IPV6_FRAGMENT_OFFSET) return;
    if (next == PROTO_ROUTING && load<u8>(header, 3) != 0) frame.shape = SHAPE_ROUTED;
    at += extensionLength(next, header);
    next = load<u8>(header);
  }
  noteTransport(frame, next, PROTO_ICMPV6, at, end);
}

function noteTransport(frame: Frame, protocol: u8, icmp: u8, at: u32, end: u32): void {
  const toChecksum = bytesToChecksum(protocol, icmp);
  if (toChecksum == 0 || at + PORTS > end) return;
  const hasChecksum = at + toChecksum <= end;
  if (protocol == icmp && !hasChecksum) return;
  frame.l4 = <u16>at;
  if (hasChecksum) frame.transport = protocol;
}

/** Bytes of the header up to the end of its ports or identifier and its checksum; 0: it has none. */
function bytesToChecksum(protocol: u8, icmp: u8): u32 {
  if (protocol == PROTO_TCP) return TCP_TO_CHECKSUM;
  if (protocol == PROTO_UDP) return UDP_HEADER;
  if (protocol == PROTO_SCTP) return SCTP_HEADER;
  return protocol == icmp ? ICMP_HEADER : 0;
}
