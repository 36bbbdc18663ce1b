/**
 * Reads a frame's headers in place into a flow key, and notes in the frame where they are. A frame whose
 * headers do not fit it is malformed; the result is then the reason to drop it.
 *
 *     Ethernet ─▶ up to two tags ─┬─▶ IPv4 ─────────────────────────┬─▶ TCP, UDP, SCTP, ICMP
 *                                 ├─▶ IPv6 ─▶ extension headers ────┴─▶ ICMPv6 ─▶ neighbour discovery
 *                                 ├─▶ ARP, RARP
 *                                 └─▶ up to three label stack entries
 *
 * Each protocol's file reads its header and rewrites it. What is not known is no error: the key then has the
 * EtherType or the IP protocol, and zeros. Bytes behind the length that IP names are padding, never headers.
 */
import { DROP_ETH_TRUNCATED, DROP_VLAN_TRUNCATED, PARSED } from '../drop';
import { KEY_SIZE, Key, VLAN_PRESENT } from '../flow/key';
import { parseArp } from './arp';
import { Frame, forgetHeaders } from './frame';
import {
  ETH_HEADER,
  ETH_TYPE_MIN,
  isMplsType,
  isTagType,
  TYPE_ARP,
  TYPE_IPV4,
  TYPE_IPV6,
  TYPE_LLC,
  TYPE_RARP,
  VLAN_TAG,
} from './headers';
import { parseIpv4 } from './ipv4';
import { parseIpv6 } from './ipv6';
import { parseMpls } from './mpls';

/** Fills `key` from `frame`, whose `port` is where it came in. Returns PARSED or the reason to drop it. */
export function parse(frame: Frame, key: Key): u32 {
  const at = changetype<usize>(key);
  for (let i: usize = 0; i < KEY_SIZE; i += 16) v128.store(at + i, i64x2.splat(0));
  key.inPort = <u16>frame.port;
  forgetHeaders(frame);

  const data = frame.data;
  const length = frame.length;
  if (length < ETH_HEADER) return DROP_ETH_TRUNCATED;
  store<u64>(at + offsetof<Key>('ethDst'), load<u64>(data));
  store<u32>(at + offsetof<Key>('ethSrcLow'), load<u32>(data + 8));

  let offset: u32 = ETH_HEADER;
  let type = load<u16>(data + 12);
  if (isTagType(type)) {
    if (length < ETH_HEADER + VLAN_TAG) return DROP_VLAN_TRUNCATED;
    key.vlanTci = load<u16>(data + 14) | bswap<u16>(VLAN_PRESENT);
    type = load<u16>(data + 16);
    offset += VLAN_TAG;
    if (isTagType(type)) {
      if (length < ETH_HEADER + 2 * VLAN_TAG) return DROP_VLAN_TRUNCATED;
      key.innerTci = load<u16>(data + 18) | bswap<u16>(VLAN_PRESENT);
      type = load<u16>(data + 20);
      offset += VLAN_TAG;
    }
  }
  key.ethType = type;
  if (type == TYPE_IPV4) return parseIpv4(frame, key, offset);
  if (type == TYPE_IPV6) return parseIpv6(frame, key, offset);
  if (type == TYPE_ARP || type == TYPE_RARP) return parseArp(frame, key, offset);
  if (isMplsType(type)) return parseMpls(frame, key, offset);
  if (<u32>bswap<u16>(type) < ETH_TYPE_MIN) key.ethType = TYPE_LLC;
  return PARSED;
}
