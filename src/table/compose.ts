/**
 * A frame for a key: the smallest that the parser reads as that packet. What the key does not say is zero. Of checksums
 * only that of the IPv4 header is there: the frame is to be taken for one whose transport is known to be right.
 */
import { FRAGMENT_FIRST, FRAGMENT_LATER, Key, VLAN_PRESENT } from '../datapath.ts';
import {
  ETH_IPV4,
  ETH_IPV6,
  ETH_MPLS,
  ETH_MPLS_MULTICAST,
  ICMP,
  ICMPV6,
  SCTP,
  TCP,
  UDP,
} from './protocols.ts';

const TAG = 0x8100;
/** What the parser says of frames that have a length in place of a type. */
const LLC = 0x05ff;
const ARP = 0x0806;
const RARP = 0x8035;
const FRAGMENT_HEADER = 44;
const NO_NEXT_HEADER = 59;
const [SOLICITATION, ADVERTISEMENT] = [135, 136];
const BOTTOM = 0x100; // of a label stack entry, RFC 3032 §2.1
/** Of the datagram, which fragments behind the first begin at. */
const LATER_OFFSET = 1;

const half = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
const word = (value: number): number[] => [...half(value >>> 16), ...half(value)];
const zeros = (n: number): number[] => Array<number>(n).fill(0);

class Composer {
  readonly #key: Uint8Array;
  readonly #view: DataView;
  readonly #icmpId: number;

  constructor(key: Uint8Array, icmpId: number) {
    this.#key = key;
    this.#view = new DataView(key.buffer, key.byteOffset, key.byteLength);
    this.#icmpId = icmpId;
  }

  frame(): number[] {
    const type = this.#half(Key.ethType);
    return [
      ...this.#bytes(Key.ethDst, 12),
      ...this.#tag(Key.vlanTci),
      ...this.#tag(Key.innerTci),
      ...half(type === LLC ? 0 : type),
      ...this.#network(type),
    ];
  }

  #bytes(from: number, count: number): number[] {
    return [...this.#key.subarray(from, from + count)];
  }

  #half(at: number): number {
    return this.#view.getUint16(at);
  }

  #tag(at: number): number[] {
    const tci = this.#half(at);
    return tci & VLAN_PRESENT ? [...half(TAG), ...half(tci & ~VLAN_PRESENT)] : [];
  }

  #network(type: number): number[] {
    switch (type) {
      case ETH_IPV4:
        return this.#ipv4();
      case ETH_IPV6:
        return this.#ipv6();
      case ARP:
      case RARP:
        return this.#arp();
      case ETH_MPLS:
      case ETH_MPLS_MULTICAST:
        return this.#labels();
      default:
        return [];
    }
  }

  #arp(): number[] {
    const addresses = [
      ...this.#bytes(Key.arpSha, 6),
      ...this.#bytes(Key.nwSrc, 4),
      ...this.#bytes(Key.arpTha, 6),
      ...this.#bytes(Key.nwDst, 4),
    ];
    return [...half(1), ...half(ETH_IPV4), 6, 4, ...half(this.#key[Key.nwProto]!), ...addresses];
  }

  /** Up to the bottom of the stack. */
  #labels(): number[] {
    const entries = [0, 4, 8].map((offset) => this.#view.getUint32(Key.nwSrc + offset));
    const bottom = entries.findIndex((entry) => entry & BOTTOM);
    return entries.slice(0, bottom < 0 ? entries.length : bottom + 1).flatMap(word);
  }

  #ipv4(): number[] {
    const payload = this.#transport();
    const fragment = this.#fragment();
    const header = [
      0x45,
      this.#key[Key.nwTos]!,
      ...half(20 + payload.length),
      ...half(0),
      ...half(fragment === FRAGMENT_FIRST ? 0x2000 : fragment === FRAGMENT_LATER ? LATER_OFFSET : 0),
      this.#key[Key.nwTtl]!,
      this.#key[Key.nwProto]!,
      ...half(0),
      ...this.#bytes(Key.nwSrc, 8),
    ];
    header.splice(10, 2, ...half(checksum(header)));
    return [...header, ...payload];
  }

  #ipv6(): number[] {
    const fragment = this.#fragment();
    const proto = this.#key[Key.nwProto]!;
    const next = fragment === FRAGMENT_LATER ? NO_NEXT_HEADER : proto;
    const offset = fragment === FRAGMENT_LATER ? LATER_OFFSET << 3 : 1;
    const extension = fragment === 0 ? [] : [next, 0, ...half(offset), ...word(0)];
    const payload = [...extension, ...this.#transport()];
    const label = this.#view.getUint32(Key.ipv6Label);
    return [
      ...word(((6 << 28) | (this.#key[Key.nwTos]! << 20) | label) >>> 0),
      ...half(payload.length),
      fragment === 0 ? proto : FRAGMENT_HEADER,
      this.#key[Key.nwTtl]!,
      ...this.#bytes(Key.nwSrc, 16),
      ...this.#bytes(Key.ipv6Dst, 16),
      ...payload,
    ];
  }

  #fragment(): number {
    return this.#key[Key.nwFrag]!;
  }

  #transport(): number[] {
    if (this.#fragment() === FRAGMENT_LATER) return zeros(8);
    const ports = this.#bytes(Key.tpSrc, 4);
    switch (this.#key[Key.nwProto]) {
      case TCP:
        return [
          ...ports,
          ...zeros(8),
          ...half((5 << 12) | this.#half(Key.tcpFlags)),
          ...half(0xffff),
          ...zeros(4),
        ];
      case UDP:
        return [...ports, ...half(8), ...half(0)];
      case SCTP:
        return [...ports, ...zeros(8), 0, 0, ...half(4)]; // a chunk of no data, RFC 9260 §3.2
      case ICMP:
        return this.#icmp();
      case ICMPV6:
        return [...this.#icmp(), ...this.#discovery()];
      default:
        return [];
    }
  }

  #icmp(): number[] {
    return [this.#key[Key.tpSrc + 1]!, this.#key[Key.tpDst + 1]!, 0, 0, ...half(this.#icmpId), 0, 0];
  }

  /** RFC 4861 §4.3, §4.4: the target, and the link-layer address as an option. */
  #discovery(): number[] {
    const type = this.#key[Key.tpSrc + 1]!;
    if ((type !== SOLICITATION && type !== ADVERTISEMENT) || this.#key[Key.tpDst + 1] !== 0) return [];
    const station = this.#bytes(type === SOLICITATION ? Key.ndSll : Key.ndTll, 6);
    const option = station.some((byte) => byte !== 0) ? [type === SOLICITATION ? 1 : 2, 1, ...station] : [];
    return [...this.#bytes(Key.ndTarget, 16), ...option];
  }
}

/** RFC 1071 */
function checksum(header: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < header.length; i += 2) sum += header[i]! * 256 + header[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** @param key KEY_SIZE bytes of a packet that comes in */
export function composeFrame(key: Uint8Array, icmpId = 0): Uint8Array {
  return Uint8Array.from(new Composer(key, icmpId).frame());
}
