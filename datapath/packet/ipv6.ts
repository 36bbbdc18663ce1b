/**
 * IPv6 (RFC 8200) with its extension headers, walked as Open vSwitch does:
 *
 *     hop-by-hop, routing, destination options    next, length in 8 bytes beyond the first 8 (§4.3 to §4.6)
 *     fragment                                    next, reserved, offset and M; always 8 bytes (§4.5)
 *     authentication                              next, length in 4 bytes beyond the first 8 (RFC 4302 §2.2)
 *
 * Whatever else comes is the transport, also no-next-header, mobility and what is encrypted. A later fragment
 * has nothing that could be told from its place, so its protocol in the key is the fragment header's own.
 *
 * While a routing header has segments left, the transport checksum is over the final destination, which the
 * IPv6 header does not name yet (§8.1): then a changed destination leaves it as it is.
 */
import {
  DROP_IPV6_BAD_LENGTH,
  DROP_IPV6_BAD_VERSION,
  DROP_IPV6_EXTENSION_TRUNCATED,
  DROP_IPV6_TOO_MANY_EXTENSIONS,
  DROP_IPV6_TRUNCATED,
  PARSED,
} from '../drop';
import { FRAGMENT_FIRST, FRAGMENT_LATER, Key } from '../flow/key';
import { Frame, NETWORK_IPV6, SHAPE_FRAGMENT, SHAPE_ROUTED } from './frame';
import {
  be16,
  IPV6_HEADER,
  PROTO_AH,
  PROTO_DESTINATION,
  PROTO_FRAGMENT,
  PROTO_HOP_BY_HOP,
  PROTO_ICMPV6,
  PROTO_ROUTING,
  setBytes,
} from './headers';
import { parseTransport, setPorts } from './transport';
import { updatePseudoHeader } from './transport-checksum';

/** §4.1 has an order for six, each once but for one that comes twice. */
export const MOST_EXTENSIONS: u32 = 8;
export const LEAST_EXTENSION: u32 = 8;
export const IPV6_FRAGMENT_OFFSET: u32 = 0xfff8;
export const IPV6_MORE_FRAGMENTS: u32 = 1;

/** Twenty bits of the first word, as loaded. */
const LABEL: u32 = 0xffff0f00;

const EXTENSIONS: u64 =
  (1 << (<u64>PROTO_HOP_BY_HOP)) |
  (1 << (<u64>PROTO_ROUTING)) |
  (1 << (<u64>PROTO_FRAGMENT)) |
  (1 << (<u64>PROTO_AH)) |
  (1 << (<u64>PROTO_DESTINATION));

export function isExtension(next: u8): bool {
  return next < 64 && ((EXTENSIONS >>> <u64>next) & 1) != 0;
}

/** Reads the header at `offset` and what it carries. */
export function parseIpv6(frame: Frame, key: Key, offset: u32): u32 {
  const room = frame.length - offset;
  if (room < IPV6_HEADER) return DROP_IPV6_TRUNCATED;
  const ip = frame.data + offset;
  const first = load<u32>(ip);
  if ((first & 0xf0) != 0x60) return DROP_IPV6_BAD_VERSION;
  const payload = be16(ip + 4);
  if (payload > room - IPV6_HEADER) return DROP_IPV6_BAD_LENGTH;
  frame.network = NETWORK_IPV6;
  frame.l3 = <u16>offset;
  key.nwTos = <u8>((first << 4) | ((first >>> 12) & 15)); // it straddles bytes 0 and 1
  key.nwTtl = load<u8>(ip + 7);
  key.ipv6Label = first & LABEL;
  const addresses = changetype<usize>(key) + offsetof<Key>('nwSrc');
  v128.store(addresses, v128.load(ip + 8));
  v128.store(addresses, v128.load(ip + 24), 16);
  const next = load<u8>(ip + 6);
  if (isExtension(next)) return parseExtensions(frame, key, next, payload);
  key.nwProto = next;
  frame.l4 = <u16>(offset + IPV6_HEADER);
  return parseTransport(frame, key, next, PROTO_ICMPV6, ip + IPV6_HEADER, payload);
}

/** Walks the extension headers, the first of which is a `next` and has `room` bytes with all that follows. */
function parseExtensions(frame: Frame, key: Key, next: u8, room: u32): u32 {
  let header = frame.data + frame.l3 + IPV6_HEADER;
  for (let i: u32 = 0; isExtension(next); i++) {
    if (i == MOST_EXTENSIONS) return DROP_IPV6_TOO_MANY_EXTENSIONS;
    if (room < LEAST_EXTENSION) return DROP_IPV6_EXTENSION_TRUNCATED;
    const length = extensionLength(next, header);
    if (length > room) return DROP_IPV6_EXTENSION_TRUNCATED;
    if (next == PROTO_FRAGMENT) {
      const fragment = be16(header + 2) & (IPV6_FRAGMENT_OFFSET | IPV6_MORE_FRAGMENTS);
      if (fragment != 0) {
        frame.shape |= SHAPE_FRAGMENT;
        key.nwFrag = FRAGMENT_FIRST;
      }
      if (fragment & IPV6_FRAGMENT_OFFSET) {
        key.nwFrag = FRAGMENT_LATER;
        key.nwProto = PROTO_FRAGMENT;
        return PARSED;
      }
    } else if (next == PROTO_ROUTING && load<u8>(header, 3) != 0) {
      frame.shape |= SHAPE_ROUTED;
    }
    next = load<u8>(header);
    header += length;
    room -= length;
  }
  key.nwProto = next;
  frame.l4 = <u16>(header - frame.data);
  return parseTransport(frame, key, next, PROTO_ICMPV6, header, room);
}

/** Bytes of the extension header at `header`, which is a `kind`. */
export function extensionLength(kind: u8, header: usize): u32 {
  if (kind == PROTO_FRAGMENT) return LEAST_EXTENSION;
  const units = <u32>load<u8>(header, 1);
  return LEAST_EXTENSION + (kind == PROTO_AH ? units << 2 : units << 3);
}

/** Sets key bytes `offset` on, and the checksums over them. */
export function setIpv6(frame: Frame, offset: u32, value: u32, mask: u32): void {
  const ip = frame.data + frame.l3;
  if (offset == offsetof<Key>('nwProto')) {
    // The traffic class straddles bytes 0 and 1; the hop limit is byte 7.
    const tos = (value >>> 8) & 0xff;
    const tosMask = (mask >>> 8) & 0xff;
    setBytes(ip, (tos >>> 4) | ((tos & 15) << 12), (tosMask >>> 4) | ((tosMask & 15) << 12));
    setBytes(ip + 4, (value << 8) & 0xff000000, (mask << 8) & 0xff000000);
  } else if (offset == offsetof<Key>('tpSrc')) {
    setPorts(frame, value, mask);
  } else if (offset >= offsetof<Key>('nwSrc') && offset < offsetof<Key>('ctState')) {
    setAddressWord(frame, offset, value, mask);
  } else if (offset == offsetof<Key>('ipv6Label')) {
    setBytes(ip, value & LABEL, mask & LABEL);
  }
}

function setAddressWord(frame: Frame, offset: u32, value: u32, mask: u32): void {
  const at = frame.data + frame.l3 + 8 + offset - offsetof<Key>('nwSrc');
  const before = load<u32>(at);
  setBytes(at, value, mask);
  const isDestination = offset >= offsetof<Key>('ipv6Dst');
  if (!(isDestination && frame.shape & SHAPE_ROUTED)) updatePseudoHeader(frame, before, load<u32>(at));
}
