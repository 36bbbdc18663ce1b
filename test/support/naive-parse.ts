/**
 * The parser's naive twin: reads a packet into a flow key the plain way, from the description of the key
 * (`datapath/flow/key.ts`) and of the drop reasons (`datapath/drop.ts`) alone.
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
  DROP_IPV6_EXTENSION_TRUNCATED,
  DROP_IPV6_TOO_MANY_EXTENSIONS,
  DROP_IPV6_TRUNCATED,
  DROP_MPLS_TRUNCATED,
  DROP_ND_BAD_OPTION,
  DROP_ND_TRUNCATED,
  DROP_SCTP_TRUNCATED,
  DROP_TCP_BAD_OFFSET,
  DROP_TCP_TRUNCATED,
  DROP_UDP_TRUNCATED,
  DROP_VLAN_TRUNCATED,
  FRAGMENT_FIRST,
  FRAGMENT_LATER,
  KEY_SIZE,
} from '../../src/datapath.ts';
import { get16 } from './packets.ts';

export interface Parsed {
  key: Uint8Array;
  /** Where the ARP or IP header and what IP carries begin; 0: none. */
  l3: number;
  l4: number;
  /** The protocol whose header is at `l4`, if it is one that has fields in the key; else 0. */
  transport: number;
  /** Whether a routing header has segments left. */
  routed: boolean;
}

/** A reason to drop, thrown so that each layer can say it at once. */
class Malformed {
  readonly reason: number;

  constructor(reason: number) {
    this.reason = reason;
  }
}

function need(condition: boolean, reason: number): void {
  if (!condition) throw new Malformed(reason);
}

/** The key and where the headers are, or the reason to drop the packet. */
export function naiveParse(packet: Uint8Array, inPort: number): Parsed | number {
  try {
    return parseEthernet(packet, inPort);
  } catch (error) {
    if (error instanceof Malformed) return error.reason;
    throw error;
  }
}

function parseEthernet(packet: Uint8Array, inPort: number): Parsed {
  const result: Parsed = { key: new Uint8Array(KEY_SIZE), l3: 0, l4: 0, transport: 0, routed: false };
  const { key } = result;
  new DataView(key.buffer).setUint16(0, inPort, true);
  need(packet.length >= 14, DROP_ETH_TRUNCATED);
  key.set(packet.subarray(0, 12), 8);
  let at = 12;
  for (const field of [4, 30]) {
    if (![0x8100, 0x88a8].includes(get16(packet, at))) break;
    need(packet.length >= at + 6, DROP_VLAN_TRUNCATED);
    key.set([packet[at + 2]! | 0x10, packet[at + 3]!], field);
    at += 4;
  }
  const type = get16(packet, at);
  key.set(type < 0x600 ? [0x05, 0xff] : packet.subarray(at, at + 2), 6);
  const network = packet.subarray(at + 2);
  if (type === 0x0806 || type === 0x8035) parseArp(network, result, at + 2);
  if (type === 0x0800) parseIpv4(network, result, at + 2);
  if (type === 0x86dd) parseIpv6(network, result, at + 2);
  if (type === 0x8847 || type === 0x8848) parseMpls(network, result);
  return result;
}

function parseArp(arp: Uint8Array, result: Parsed, at: number): void {
  need(arp.length >= 28, DROP_ARP_TRUNCATED);
  if (![0, 1, 8, 0, 6, 4].every((byte, i) => arp[i] === byte)) return;
  result.l3 = at;
  result.key[20] = arp[7]!;
  result.key.set(arp.subarray(8, 14), 40);
  result.key.set(arp.subarray(14, 18), 32);
  result.key.set(arp.subarray(18, 24), 46);
  result.key.set(arp.subarray(24, 28), 36);
}

function parseMpls(stack: Uint8Array, { key }: Parsed): void {
  for (let at = 0; at < 12; at += 4) {
    need(stack.length >= at + 4, DROP_MPLS_TRUNCATED);
    key.set(stack.subarray(at, at + 4), 32 + at);
    if (stack[at + 2]! % 2 === 1) return;
  }
}

function parseIpv4(ip: Uint8Array, result: Parsed, at: number): void {
  const { key } = result;
  need(ip.length >= 20, DROP_IPV4_TRUNCATED);
  const header = (ip[0]! % 16) * 4;
  need(ip[0]! >> 4 === 4 && header >= 20, DROP_IPV4_BAD_VERSION);
  need(header <= ip.length, DROP_IPV4_TRUNCATED);
  const end = get16(ip, 2);
  need(end >= header && end <= ip.length, DROP_IPV4_BAD_LENGTH);
  const isLater = get16(ip, 6) % 0x2000 !== 0;
  const isFirst = !isLater && (ip[6]! & 0x20) !== 0;
  key.set([ip[9]!, ip[1]!, ip[8]!, isLater ? FRAGMENT_LATER : isFirst ? FRAGMENT_FIRST : 0], 20);
  key.set(ip.subarray(12, 20), 32);
  result.l3 = at;
  if (isLater) return;
  result.l4 = at + header;
  parseTransport(ip[9]!, ip.subarray(header, end), result, false);
}

function parseIpv6(ip: Uint8Array, result: Parsed, at: number): void {
  const { key } = result;
  need(ip.length >= 40, DROP_IPV6_TRUNCATED);
  need(ip[0]! >> 4 === 6, DROP_IPV6_BAD_VERSION);
  const end = 40 + get16(ip, 4);
  need(end <= ip.length, DROP_IPV6_BAD_LENGTH);
  key.set([(get16(ip, 0) >> 4) % 256, ip[7]!], 21);
  key.set(ip.subarray(8, 40), 32);
  key.set([0, ip[1]! % 16, ip[2]!, ip[3]!], 76);
  result.l3 = at;

  let next = ip[6]!;
  let rest = ip.subarray(40, end);
  for (let seen = 1; [0, 43, 44, 51, 60].includes(next); seen++) {
    need(seen <= 8, DROP_IPV6_TOO_MANY_EXTENSIONS);
    need(rest.length >= 8, DROP_IPV6_EXTENSION_TRUNCATED);
    const length = next === 44 ? 8 : next === 51 ? (rest[1]! + 2) * 4 : (rest[1]! + 1) * 8;
    need(rest.length >= length, DROP_IPV6_EXTENSION_TRUNCATED);
    if (next === 43 && rest[3] !== 0) result.routed = true;
    if (next === 44) {
      const offset = get16(rest, 2) >> 3;
      if (offset !== 0) {
        key[20] = 44;
        key[23] = FRAGMENT_LATER;
        return;
      }
      if (rest[3]! % 2 === 1) key[23] = FRAGMENT_FIRST;
    }
    next = rest[0]!;
    rest = rest.subarray(length);
  }
  key[20] = next;
  result.l4 = at + end - rest.length;
  parseTransport(next, rest, result, true);
}

function parseTransport(protocol: number, bytes: Uint8Array, result: Parsed, v6: boolean): void {
  const { key } = result;
  if (protocol === 6) {
    need(bytes.length >= 20, DROP_TCP_TRUNCATED);
    need(bytes[12]! >> 4 >= 5, DROP_TCP_BAD_OFFSET);
    need((bytes[12]! >> 4) * 4 <= bytes.length, DROP_TCP_TRUNCATED);
    key.set([bytes[12]! % 16, bytes[13]!], 28);
  } else if (protocol === 132) {
    need(bytes.length >= 12, DROP_SCTP_TRUNCATED);
  } else if (protocol === 17) {
    need(bytes.length >= 8, DROP_UDP_TRUNCATED);
  } else if (protocol === (v6 ? 58 : 1)) {
    need(bytes.length >= 8, DROP_ICMP_TRUNCATED);
    key.set([0, bytes[0]!, 0, bytes[1]!], 24);
    if (v6 && isNeighbour(bytes)) parseNeighbour(bytes, key);
  } else {
    return;
  }
  if (protocol !== 1 && protocol !== 58) key.set(bytes.subarray(0, 4), 24);
  result.transport = protocol;
}

export const isNeighbour = (icmp6: Uint8Array): boolean =>
  (icmp6[0] === 135 || icmp6[0] === 136) && icmp6[1] === 0;

/**
 * Where the link-layer address of either kind (1 source, 2 target) stands in the message first, up to what is
 * malformed; and whether something is.
 */
export function linkAddresses(message: Uint8Array): { places: Map<number, number>; malformed: boolean } {
  const places = new Map<number, number>();
  let repeated = false;
  for (let at = 24; at < message.length; at += message[at + 1]! * 8) {
    const length = message.length - at < 8 ? 0 : message[at + 1]! * 8;
    if (length === 0 || at + length > message.length) return { places, malformed: true };
    if (length !== 8 || (message[at] !== 1 && message[at] !== 2)) continue;
    if (places.has(message[at]!)) repeated = true;
    else places.set(message[at]!, at + 2);
  }
  return { places, malformed: repeated };
}

function parseNeighbour(message: Uint8Array, key: Uint8Array): void {
  need(message.length >= 24, DROP_ND_TRUNCATED);
  key.set(message.subarray(8, 24), 96);
  const { places, malformed } = linkAddresses(message);
  need(!malformed, DROP_ND_BAD_OPTION);
  for (const [kind, at] of places) key.set(message.subarray(at, at + 6), kind === 1 ? 112 : 118);
}
