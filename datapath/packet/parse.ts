/**
 * Reads a frame's headers in place into a flow key, and notes in the frame where they begin.
 * A frame whose headers do not fit it is malformed; the result is then the reason to drop it.
 */
import {
  DROP_ARP_TRUNCATED,
  DROP_ETH_TRUNCATED,
  DROP_ICMP_TRUNCATED,
  DROP_IPV4_BAD_LENGTH,
  DROP_IPV4_BAD_VERSION,
  DROP_IPV4_TRUNCATED,
  DROP_IPV6_BAD_LENGTH,
  DROP_IPV6_BAD_VERSION,
  DROP_IPV6_TRUNCATED,
  DROP_SCTP_TRUNCATED,
  DROP_TCP_TRUNCATED,
  DROP_UDP_TRUNCATED,
  DROP_VLAN_TRUNCATED,
} from '../drop';
import { FRAGMENT_FIRST, FRAGMENT_LATER, KEY_SIZE, Key, VLAN_PRESENT } from '../flow/key';
import { Frame } from './frame';
import {
  ARP_LENGTH,
  be16,
  ETH_HEADER,
  ETH_TYPE_MIN,
  ICMP_HEADER,
  IPV4_FRAGMENT_OFFSET,
  IPV4_HEADER,
  IPV4_MORE_FRAGMENTS,
  IPV6_HEADER,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_SCTP,
  PROTO_TCP,
  PROTO_UDP,
  SCTP_HEADER,
  TCP_HEADER,
  TYPE_ARP,
  TYPE_IPV4,
  TYPE_IPV6,
  TYPE_LLC,
  TYPE_SVLAN,
  TYPE_VLAN,
  UDP_HEADER,
  VLAN_TAG,
} from './headers';

/** What `parse` returns for a frame that is well formed. */
export const PARSED: u32 = 0xffffffff;

/** Fills `key` from `frame`, whose `port` is where it came in. Returns PARSED or the reason to drop it. */
export function parse(frame: Frame, key: Key): u32 {
  const at = changetype<usize>(key);
  for (let i: usize = 0; i < KEY_SIZE; i += 16) v128.store(at + i, i64x2.splat(0));
  key.inPort = frame.port;
  frame.l3 = 0;
  frame.l4 = 0;

  const data = frame.data;
  const length = frame.length;
  if (length < ETH_HEADER) return DROP_ETH_TRUNCATED;
  store<u64>(at + offsetof<Key>('ethDst'), load<u64>(data));
  store<u32>(at + offsetof<Key>('ethSrcLow'), load<u32>(data + 8));

  let l3: u32 = ETH_HEADER;
  let type = load<u16>(data + 12);
  if (type == TYPE_VLAN || type == TYPE_SVLAN) {
    if (length < ETH_HEADER + VLAN_TAG) return DROP_VLAN_TRUNCATED;
    key.vlanTci = load<u16>(data + 14) | bswap<u16>(VLAN_PRESENT);
    type = load<u16>(data + 16);
    l3 += VLAN_TAG;
  }
  frame.l3 = <u16>l3;
  if (type == TYPE_IPV4) {
    key.ethType = type;
    return parseIpv4(frame, key, data + l3, length - l3);
  }
  if (type == TYPE_IPV6) {
    key.ethType = type;
    return parseIpv6(frame, key, data + l3, length - l3);
  }
  key.ethType = <u32>bswap<u16>(type) < ETH_TYPE_MIN ? TYPE_LLC : type;
  return type == TYPE_ARP ? parseArp(key, data + l3, length - l3) : PARSED;
}

/** RFC 791 §3.1. Options are stepped over; bytes behind the total length are padding. */
function parseIpv4(frame: Frame, key: Key, ip: usize, room: u32): u32 {
  if (room < IPV4_HEADER) return DROP_IPV4_TRUNCATED;
  const first = <u32>load<u8>(ip);
  const header = (first & 15) << 2;
  if (first >>> 4 != 4 || header < IPV4_HEADER) return DROP_IPV4_BAD_VERSION;
  if (header > room) return DROP_IPV4_TRUNCATED;
  const total = be16(ip + 2);
  if (total < header || total > room) return DROP_IPV4_BAD_LENGTH;
  key.nwTos = load<u8>(ip + 1);
  key.nwTtl = load<u8>(ip + 8);
  const protocol = load<u8>(ip + 9);
  key.nwProto = protocol;
  store<u64>(changetype<usize>(key) + offsetof<Key>('nwSrc'), load<u64>(ip + 12));

  const fragment = be16(ip + 6) & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET);
  if (fragment != 0) {
    key.nwFrag = fragment & IPV4_FRAGMENT_OFFSET ? FRAGMENT_LATER : FRAGMENT_FIRST;
    if (key.nwFrag == FRAGMENT_LATER) return PARSED;
  }
  frame.l4 = frame.l3 + <u16>header;
  return parseTransport(key, protocol, PROTO_ICMP, ip + header, total - header);
}

/** RFC 8200 §3. The next header is taken as the transport's. */
function parseIpv6(frame: Frame, key: Key, ip: usize, room: u32): u32 {
  if (room < IPV6_HEADER) return DROP_IPV6_TRUNCATED;
  const first = be16(ip);
  if (first >>> 12 != 6) return DROP_IPV6_BAD_VERSION;
  const payload = be16(ip + 4);
  if (payload > room - IPV6_HEADER) return DROP_IPV6_BAD_LENGTH;
  key.nwTos = <u8>(first >>> 4);
  key.nwTtl = load<u8>(ip + 7);
  const protocol = load<u8>(ip + 6);
  key.nwProto = protocol;
  const addresses = changetype<usize>(key) + offsetof<Key>('nwSrc');
  v128.store(addresses, v128.load(ip + 8));
  v128.store(addresses, v128.load(ip + 24), 16);
  frame.l4 = frame.l3 + <u16>IPV6_HEADER;
  return parseTransport(key, protocol, PROTO_ICMPV6, ip + IPV6_HEADER, payload);
}

function parseTransport(key: Key, protocol: u8, icmp: u8, l4: usize, room: u32): u32 {
  const ports = changetype<usize>(key) + offsetof<Key>('tpSrc');
  if (protocol == PROTO_TCP) {
    if (room < TCP_HEADER) return DROP_TCP_TRUNCATED;
    const header = (<u32>(load<u8>(l4 + 12) >>> 4)) << 2;
    if (header < TCP_HEADER || header > room) return DROP_TCP_TRUNCATED;
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
  }
  return PARSED;
}

/** RFC 826. Other hardware or protocol types than Ethernet and IPv4 leave the addresses zero. */
function parseArp(key: Key, arp: usize, room: u32): u32 {
  if (room < ARP_LENGTH) return DROP_ARP_TRUNCATED;
  if (load<u32>(arp) != 0x00080100 || load<u16>(arp + 4) != 0x0406) return PARSED;
  const at = changetype<usize>(key);
  key.nwProto = load<u8>(arp + 7);
  store<u32>(at + offsetof<Key>('arpSha'), load<u32>(arp + 8));
  store<u16>(at + offsetof<Key>('arpShaLow'), load<u16>(arp + 12));
  store<u32>(at + offsetof<Key>('nwSrc'), load<u32>(arp + 14));
  store<u16>(at + offsetof<Key>('arpTha'), load<u16>(arp + 18));
  store<u32>(at + offsetof<Key>('ipv6Dst'), load<u32>(arp + 20));
  store<u32>(at + offsetof<Key>('nwDst'), load<u32>(arp + 24));
  return PARSED;
}
