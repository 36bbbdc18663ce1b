/**
 * What reading and writing frames have in common: protocol numbers, addresses in memory, the Internet checksum.
 * Everything on the wire is big-endian, as DataView reads and writes it.
 */
import type { Address } from './addresses.ts';

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_IPV6 = 0x86dd;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMPV6 = 58;

export const ETHERNET_BYTES = 14;
export const VLAN_BYTES = 4;
export const IPV4_BYTES = 20;
export const IPV6_BYTES = 40;

/** The largest IP packet that these hosts send. */
export const MTU = 1500;
export const MAX_FRAME_BYTES = ETHERNET_BYTES + VLAN_BYTES + MTU;

/** In a MAC address's first byte: broadcast and multicast have it. */
export const GROUP_BIT = 0x01;

/** A MAC address is a number below 2^48 here, so that it compares and adds like one. */
export const readMac = (view: DataView, at: number): number =>
  view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2);

export function writeMac(view: DataView, at: number, mac: number): void {
  view.setUint16(at, mac / 2 ** 32);
  view.setUint32(at + 2, mac % 2 ** 32);
}

export function readIpv6(view: DataView, at: number, into: Address): void {
  into.set(view.getInt32(at), view.getInt32(at + 4), view.getInt32(at + 8), view.getInt32(at + 12));
}

export function writeIpv6(view: DataView, at: number, address: Address): void {
  view.setInt32(at, address.a);
  view.setInt32(at + 4, address.b);
  view.setInt32(at + 8, address.c);
  view.setInt32(at + 12, address.d);
}

/**
 * Adds up `length` bytes as 32-bit words, the last one padded with zeros, on top of `sum`; `fold` makes a
 * checksum of it. Since 2^32 and 2^16 are both 1 modulo 2^16 - 1, wide words give the same result as RFC 1071's
 * 16-bit ones; a double holds the sum of two million of them exactly.
 */
export function sumBytes(view: DataView, at: number, length: number, sum: number): number {
  const words = at + (length & ~3);
  for (; at < words; at += 4) sum += view.getUint32(at);
  if (length & 2) {
    sum += view.getUint16(at) * 2 ** 16;
    at += 2;
  }
  if (length & 1) sum += view.getUint8(at) * (length & 2 ? 2 ** 8 : 2 ** 24);
  return sum;
}

/** The ones' complement sum in 16 bits; 0xffff over anything that includes its right checksum. */
export function fold(sum: number): number {
  const low = sum >>> 0;
  const high = (sum - low) / 2 ** 32;
  let folded = (low & 0xffff) + (low >>> 16) + high;
  folded = (folded & 0xffff) + (folded >>> 16);
  return (folded & 0xffff) + (folded >>> 16);
}

/**
 * The sum of the pseudo-header that TCP, UDP and ICMPv6 checksums begin with (RFC 9293 §3.1, RFC 8200 §8.1).
 * The prefix ::ffff of a mapped IPv4 address adds 0xffff, which is nothing in ones' complement; so one formula
 * serves both. ICMP over IPv4 has no pseudo-header.
 */
export function pseudoHeaderSum(
  source: Address,
  destination: Address,
  protocol: number,
  length: number,
): number {
  if (protocol === PROTOCOL_ICMP) return 0;
  return addressSum(source) + addressSum(destination) + protocol + length;
}

const addressSum = (address: Address): number =>
  (address.a >>> 0) + (address.b >>> 0) + (address.c >>> 0) + (address.d >>> 0);
