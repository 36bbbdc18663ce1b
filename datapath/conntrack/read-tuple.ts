/**
 * Headers read into a tuple: of a packet, and of one that an ICMP error quotes. The latter nobody has looked at
 * before and it may be cut short anywhere, so nothing is read at or behind `end`.
 */
import { NETWORK_IPV4 } from '../packet/frame';
import {
  be16,
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
} from '../packet/headers';
import {
  extensionLength,
  IPV6_FRAGMENT_OFFSET,
  isExtension,
  LEAST_EXTENSION,
  MOST_EXTENSIONS,
} from '../packet/ipv6';
import { ownSegment } from './segment';
import { setName, Tuple } from './tuple';

/** What names a connection stands in the first bytes of the transport, and an error quotes so many (RFC 792). */
const NAMING: u32 = 8;

const IPV4_QUERIES: u32 = (1 << 0) | (1 << 8) | (1 << 13) | (1 << 14) | (1 << 15) | (1 << 16);
const IPV4_ERRORS: u32 = (1 << 3) | (1 << 4) | (1 << 5) | (1 << 11) | (1 << 12);
const ECHO_REQUEST_V6: u8 = 128; // RFC 4443 §4
const ECHO_REPLY_V6: u8 = 129;

/**
 * Reads addresses and protocol of the IP header at `ip`. Returns where what it carries begins, or 0: there is no whole
 * header of this kind, or the packet is a later fragment. Notes in the segment that it is routed, if so.
 */
export function readNetwork(tuple: Tuple, network: u8, ip: usize, end: usize): usize {
  tuple.l3 = network;
  return network == NETWORK_IPV4 ? readIpv4(tuple, ip, end) : readIpv6(tuple, ip, end);
}

function readIpv4(tuple: Tuple, ip: usize, end: usize): usize {
  if (ip + IPV4_HEADER > end) return 0;
  const first = <u32>load<u8>(ip);
  const header = (first & 15) << 2;
  if (first >>> 4 != 4 || header < IPV4_HEADER || ip + header > end) return 0;
  if (be16(ip + 6) & IPV4_FRAGMENT_OFFSET) return 0;
  const addresses = changetype<usize>(tuple);
  v128.store(addresses, v128.load_zero<u32>(ip, 12));
  v128.store(addresses, v128.load_zero<u32>(ip, 16), 16);
  tuple.proto = load<u8>(ip, 9);
  return ip + header;
}

function readIpv6(tuple: Tuple, ip: usize, end: usize): usize {
  if (ip + IPV6_HEADER > end || load<u8>(ip) >>> 4 != 6) return 0;
  const addresses = changetype<usize>(tuple);
  v128.store(addresses, v128.load(ip, 8));
  v128.store(addresses, v128.load(ip, 24), 16);
  let next = load<u8>(ip, 6);
  let at = ip + IPV6_HEADER;
  for (let i: u32 = 0; isExtension(next); i++) {
    if (i == MOST_EXTENSIONS || at + LEAST_EXTENSION > end) return 0;
    if (next == PROTO_ROUTING && load<u8>(at, 3) != 0) ownSegment().isRouted = true;
    if (next == PROTO_FRAGMENT && be16(at + 2) & IPV6_FRAGMENT_OFFSET) return 0;
    const length = extensionLength(next, at);
    next = load<u8>(at);
    at += length;
  }
  tuple.proto = next;
  return at <= end ? at : 0;
}

/**
 * Reads ports, or identifier, type and code, at `l4`; the tuple has all else already, and is then whole. False when they
 * do not name a connection: a port is 0, which none has (RFC 6335 §6, RFC 9260 §3.1); ICMP is no query or not that
 * of its IP.
 */
export function readTransport(tuple: Tuple, l4: usize, end: usize): bool {
  const proto = tuple.proto;
  const isV4 = tuple.l3 == NETWORK_IPV4;
  if (proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP) {
    if (l4 + NAMING > end || load<u16>(l4) == 0 || load<u16>(l4, 2) == 0) return false;
    setName(tuple, load<u32>(l4));
  } else if (proto == PROTO_ICMP || proto == PROTO_ICMPV6) {
    if (isV4 != (proto == PROTO_ICMP) || l4 + NAMING > end || !isQuery(proto, l4)) return false;
    setName(tuple, <u32>load<u16>(l4, 4) | ((<u32>load<u16>(l4)) << 16));
  } else {
    setName(tuple, 0);
  }
  return true;
}

/** Echo, timestamp and information, request or reply (RFC 792); of ICMPv6 echo (RFC 4443). All have code 0. */
function isQuery(proto: u8, icmp: usize): bool {
  const type = load<u8>(icmp);
  if (load<u8>(icmp, 1) != 0) return false;
  if (proto == PROTO_ICMPV6) return type == ECHO_REQUEST_V6 || type == ECHO_REPLY_V6;
  return type < 32 && ((IPV4_QUERIES >>> type) & 1) != 0;
}

/**
 * Whether ICMP of this type quotes a packet: unreachable, quench, redirect, time exceeded, parameter problem (RFC 792);
 * of ICMPv6 unreachable, too big, time exceeded, parameter problem (RFC 4443 §3).
 */
export function isError(proto: u8, type: u8): bool {
  if (proto == PROTO_ICMPV6) return type >= 1 && type <= 4;
  return type < 32 && ((IPV4_ERRORS >>> type) & 1) != 0;
}
