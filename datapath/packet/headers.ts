/** Constants of the protocols that the packet path reads, and network byte order. */

export const ETH_HEADER: u32 = 14;
export const VLAN_TAG: u32 = 4;
export const ARP_LENGTH: u32 = 28; // RFC 826, Ethernet and IPv4
export const IPV4_HEADER: u32 = 20; // RFC 791 §3.1
export const IPV6_HEADER: u32 = 40; // RFC 8200 §3
export const TCP_HEADER: u32 = 20; // RFC 9293 §3.1
export const UDP_HEADER: u32 = 8; // RFC 768
export const SCTP_HEADER: u32 = 12; // RFC 9260 §3.1
export const ICMP_HEADER: u32 = 8; // RFC 792; RFC 4443 §2.1 needs four, every message has eight
export const ND_HEADER: u32 = 24; // RFC 4861 §4.3, §4.4: ICMPv6 header and target
export const MPLS_ENTRY: u32 = 4; // RFC 3032 §2.1

// EtherTypes as a little-endian load of the two bytes sees them.
export const TYPE_IPV4: u16 = 0x0008;
export const TYPE_ARP: u16 = 0x0608;
export const TYPE_RARP: u16 = 0x3580;
export const TYPE_IPV6: u16 = 0xdd86;
export const TYPE_MPLS: u16 = 0x4788;
export const TYPE_MPLS_MULTICAST: u16 = 0x4888; // RFC 5332: also the label assigned upstream
export const TYPE_VLAN: u16 = 0x0081; // IEEE 802.1Q
export const TYPE_SVLAN: u16 = 0xa888; // IEEE 802.1ad

/** Below this the field is a length (IEEE 802.3); the key then says TYPE_LLC, as OVS does. */
export const ETH_TYPE_MIN: u32 = 0x0600;
export const TYPE_LLC: u16 = 0xff05;

export const PROTO_HOP_BY_HOP: u8 = 0;
export const PROTO_ICMP: u8 = 1;
export const PROTO_TCP: u8 = 6;
export const PROTO_UDP: u8 = 17;
export const PROTO_ROUTING: u8 = 43;
export const PROTO_FRAGMENT: u8 = 44;
export const PROTO_AH: u8 = 51;
export const PROTO_ICMPV6: u8 = 58;
export const PROTO_DESTINATION: u8 = 60;
export const PROTO_SCTP: u8 = 132;

export const IPV4_MORE_FRAGMENTS: u32 = 0x2000;
export const IPV4_FRAGMENT_OFFSET: u32 = 0x1fff;

/** Whether the EtherType, as loaded, announces a VLAN tag. */
export function isTagType(type: u16): bool {
  return type == TYPE_VLAN || type == TYPE_SVLAN;
}

/** Whether the EtherType, as loaded, announces a label stack. */
export function isMplsType(type: u16): bool {
  return type == TYPE_MPLS || type == TYPE_MPLS_MULTICAST;
}

/** Sets four bytes that no checksum covers to `old & ~mask | value`. */
export function setBytes(at: usize, value: u32, mask: u32): void {
  store<u32>(at, (load<u32>(at) & ~mask) | value);
}

/** The big-endian 16-bit number at `at`. */
export function be16(at: usize): u32 {
  return ((<u32>load<u8>(at)) << 8) | <u32>load<u8>(at, 1);
}

/** Stores `value` big-endian at `at`. */
export function putBe16(at: usize, value: u32): void {
  store<u16>(at, bswap<u16>(<u16>value));
}

/** The big-endian 32-bit number at `at`. */
export function be32(at: usize): u32 {
  return bswap<u32>(load<u32>(at));
}

export function putBe32(at: usize, value: u32): void {
  store<u32>(at, bswap<u32>(value));
}
