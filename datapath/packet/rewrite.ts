/**
 * Changes header fields in place. The place is named by the flow key: `setWord` gives the header behind
 * four key bytes the value `old & ~mask | value` and keeps every checksum over it right: the IPv4 header's
 * and the transport's, which covers the addresses through its pseudo-header (RFC 9293 §3.1, RFC 768,
 * RFC 4443 §2.3), incrementally.
 *
 * A transport checksum that is still partial covers the pseudo-header only, so changed ports do not touch
 * it. UDP over IPv4 may have none (zero), which stays so; one that comes out zero is sent as all ones.
 */
import { Key } from '../flow/key';
import { update, updatePartial } from './checksum';
import { FRAME_PARTIAL, Frame } from './frame';
import {
  ETH_HEADER,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_TCP,
  PROTO_UDP,
  TYPE_ARP,
  TYPE_IPV4,
  TYPE_IPV6,
  VLAN_TAG,
} from './headers';

/** The EtherType in front of the network header, as stored. */
function networkType(frame: Frame): u16 {
  return frame.l3 == 0 ? 0 : load<u16>(frame.data + frame.l3 - 2);
}

export function setWord(frame: Frame, offset: u32, value: u32, mask: u32): void {
  if (offset < offsetof<Key>('ethDst')) setVlan(frame, value, mask);
  else if (offset < offsetof<Key>('nwProto'))
    setBytes(frame.data + offset - offsetof<Key>('ethDst'), value, mask);
  else {
    const type = networkType(frame);
    if (type == TYPE_IPV4) setIpv4(frame, offset, value, mask);
    else if (type == TYPE_IPV6) setIpv6(frame, offset, value, mask);
    else if (type == TYPE_ARP) setArp(frame.data + frame.l3, offset, value, mask);
  }
}

/** Sets four bytes that no checksum covers. */
function setBytes(at: usize, value: u32, mask: u32): void {
  store<u32>(at, (load<u32>(at) & ~mask) | value);
}

/** Key bytes 4 and 5 are the outer tag's, if there is one. The present bit is not its own. */
function setVlan(frame: Frame, value: u32, mask: u32): void {
  if (<u32>frame.l3 < ETH_HEADER + VLAN_TAG) return;
  const at = frame.data + 14;
  const tag = mask & 0xffef;
  store<u16>(at, <u16>((load<u16>(at) & ~tag) | (value & tag)));
}

function setIpv4(frame: Frame, offset: u32, value: u32, mask: u32): void {
  const ip = frame.data + frame.l3;
  if (offset == offsetof<Key>('nwProto')) {
    setHeaderWord(ip, ip, value & 0xff00, mask & 0xff00); // key byte 21 is header byte 1
    setHeaderWord(ip, ip + 8, (value >>> 16) & 0xff, (mask >>> 16) & 0xff); // key byte 22 is byte 8
  } else if (offset == offsetof<Key>('tpSrc')) {
    setPorts(frame, transportOf(load<u8>(ip + 9), PROTO_ICMP), value, mask);
  } else if (offset == offsetof<Key>('nwSrc') || offset == offsetof<Key>('nwDst')) {
    const at = ip + 12 + offset - offsetof<Key>('nwSrc');
    const before = load<u32>(at);
    setHeaderWord(ip, at, value, mask);
    updatePseudoHeader(frame, transportOf(load<u8>(ip + 9), PROTO_ICMP), before, load<u32>(at));
  }
}

/** Sets four bytes of the IPv4 header and its checksum (RFC 791 §3.1), at bytes 10 and 11. */
function setHeaderWord(ip: usize, at: usize, value: u32, mask: u32): void {
  const before = load<u32>(at);
  const after = (before & ~mask) | value;
  store<u32>(at, after);
  if (before != after) update(ip + 10, before, after);
}

function setIpv6(frame: Frame, offset: u32, value: u32, mask: u32): void {
  const ip = frame.data + frame.l3;
  if (offset == offsetof<Key>('nwProto')) {
    // RFC 8200 §3: the traffic class straddles bytes 0 and 1; the hop limit is byte 7.
    const tos = (value >>> 8) & 0xff;
    const tosMask = (mask >>> 8) & 0xff;
    setBytes(ip, (tos >>> 4) | ((tos & 15) << 12), (tosMask >>> 4) | ((tosMask & 15) << 12));
    setBytes(ip + 4, (value << 8) & 0xff000000, (mask << 8) & 0xff000000);
  } else if (offset == offsetof<Key>('tpSrc')) {
    setPorts(frame, transportOf(load<u8>(ip + 6), PROTO_ICMPV6), value, mask);
  } else if (offset >= offsetof<Key>('nwSrc')) {
    const at = ip + 8 + offset - offsetof<Key>('nwSrc');
    const before = load<u32>(at);
    setBytes(at, value, mask);
    updatePseudoHeader(frame, transportOf(load<u8>(ip + 6), PROTO_ICMPV6), before, load<u32>(at));
  }
}

/** The protocol, if the parser reads its header: TCP, UDP, or the ICMP of this network protocol. Else 0. */
function transportOf(protocol: u8, icmp: u8): u8 {
  return protocol == PROTO_TCP || protocol == PROTO_UDP || protocol == icmp ? protocol : 0;
}

/** TCP and UDP ports, or ICMP type and code, which stand in the key's words as two 16-bit numbers. */
function setPorts(frame: Frame, protocol: u8, value: u32, mask: u32): void {
  if (frame.l4 == 0 || protocol == 0) return;
  const l4 = frame.data + frame.l4;
  if (protocol != PROTO_TCP && protocol != PROTO_UDP) {
    value = ((value >>> 8) & 0xff) | ((value >>> 16) & 0xff00);
    mask = ((mask >>> 8) & 0xff) | ((mask >>> 16) & 0xff00);
  }
  const before = load<u32>(l4);
  setBytes(l4, value, mask);
  if (!(frame.flags & FRAME_PARTIAL)) updateTransport(frame, protocol, before, load<u32>(l4));
}

/** Offset of the checksum in the transport header. */
function checksumPlace(protocol: u8): u32 {
  if (protocol == PROTO_TCP) return 16;
  return protocol == PROTO_UDP ? 6 : 2;
}

function updateTransport(frame: Frame, protocol: u8, before: u32, after: u32): void {
  if (before == after) return;
  const at = frame.data + frame.l4 + checksumPlace(protocol);
  if (protocol == PROTO_UDP && load<u16>(at) == 0) return;
  update(at, before, after);
  if (protocol == PROTO_UDP && load<u16>(at) == 0) store<u16>(at, 0xffff);
}

/** An address changed: so does every transport checksum but ICMP's (RFC 792 has no pseudo-header). */
function updatePseudoHeader(frame: Frame, protocol: u8, before: u32, after: u32): void {
  if (frame.l4 == 0 || protocol == 0 || protocol == PROTO_ICMP) return;
  if (!(frame.flags & FRAME_PARTIAL)) updateTransport(frame, protocol, before, after);
  else updatePartial(frame.data + frame.checksumStart + frame.checksumOffset, before, after);
}

/** RFC 826. The protocol addresses are words of the key; the hardware addresses lie across three. */
function setArp(arp: usize, offset: u32, value: u32, mask: u32): void {
  if (offset == offsetof<Key>('nwProto')) setBytes(arp + 4, value << 24, mask << 24);
  else if (offset == offsetof<Key>('nwSrc')) setBytes(arp + 14, value, mask);
  else if (offset == offsetof<Key>('nwDst')) setBytes(arp + 24, value, mask);
  else if (offset == offsetof<Key>('arpSha')) setBytes(arp + 8, value, mask);
  else if (offset == offsetof<Key>('arpShaLow')) {
    setBytes(arp + 12, value & 0xffff, mask & 0xffff);
    setBytes(arp + 16, value & 0xffff0000, mask & 0xffff0000);
  } else if (offset == offsetof<Key>('ipv6Dst')) setBytes(arp + 20, value, mask);
}
