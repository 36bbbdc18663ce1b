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
  DROP_IPV6_TRUNCATED,
  DROP_SCTP_TRUNCATED,
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
  /** Where the network and transport headers begin; 0: none. */
  l3: number;
  l4: number;
}

/** The key and the header offsets, or the reason to drop the packet. */
export function naiveParse(packet: Uint8Array, inPort: number): Parsed | number {
  const key = new Uint8Array(KEY_SIZE);
  new DataView(key.buffer).setUint32(0, inPort, true);
  const put = (at: number, from: Uint8Array) => key.set(from, at);

  if (packet.length < 14) return DROP_ETH_TRUNCATED;
  put(8, packet.subarray(0, 12));
  let l3 = 14;
  if ([0x8100, 0x88a8].includes(get16(packet, 12))) {
    if (packet.length < 18) return DROP_VLAN_TRUNCATED;
    put(4, Uint8Array.of(packet[14]! | 0x10, packet[15]!));
    l3 = 18;
  }
  const type = get16(packet, l3 - 2);
  put(6, type < 0x600 ? Uint8Array.of(0x05, 0xff) : packet.subarray(l3 - 2, l3));
  const network = packet.subarray(l3);

  if (type === 0x0806) {
    if (network.length < 28) return DROP_ARP_TRUNCATED;
    const isEthernetIpv4 = [0, 1, 8, 0, 6, 4].every((byte, i) => network[i] === byte);
    if (isEthernetIpv4) {
      put(20, network.subarray(7, 8));
      put(40, network.subarray(8, 14));
      put(32, network.subarray(14, 18));
      put(46, network.subarray(18, 24));
      put(36, network.subarray(24, 28));
    }
    return { key, l3, l4: 0 };
  }

  let header: number;
  let end: number;
  let protocol: number;
  if (type === 0x0800) {
    if (network.length < 20) return DROP_IPV4_TRUNCATED;
    header = (network[0]! % 16) * 4;
    if (network[0]! >> 4 !== 4 || header < 20) return DROP_IPV4_BAD_VERSION;
    if (header > network.length) return DROP_IPV4_TRUNCATED;
    end = get16(network, 2);
    if (end < header || end > network.length) return DROP_IPV4_BAD_LENGTH;
    protocol = network[9]!;
    const isLater = get16(network, 6) % 0x2000 !== 0;
    const isFirst = !isLater && (network[6]! & 0x20) !== 0;
    const fragment = isLater ? FRAGMENT_LATER : isFirst ? FRAGMENT_FIRST : 0;
    put(20, Uint8Array.of(protocol, network[1]!, network[8]!, fragment));
    put(32, network.subarray(12, 20));
    if (isLater) return { key, l3, l4: 0 };
  } else if (type === 0x86dd) {
    if (network.length < 40) return DROP_IPV6_TRUNCATED;
    if (network[0]! >> 4 !== 6) return DROP_IPV6_BAD_VERSION;
    header = 40;
    end = 40 + get16(network, 4);
    if (end > network.length) return DROP_IPV6_BAD_LENGTH;
    protocol = network[6]!;
    put(20, Uint8Array.of(protocol, (get16(network, 0) >> 4) % 256, network[7]!));
    put(32, network.subarray(8, 40));
  } else {
    return { key, l3, l4: 0 };
  }

  const transport = network.subarray(header, end);
  if (protocol === 6) {
    if (transport.length < 20 || transport[12]! >> 4 < 5 || (transport[12]! >> 4) * 4 > transport.length)
      return DROP_TCP_TRUNCATED;
    put(24, transport.subarray(0, 4));
    put(28, Uint8Array.of(transport[12]! % 16, transport[13]!));
  } else if (protocol === 132) {
    if (transport.length < 12) return DROP_SCTP_TRUNCATED;
    put(24, transport.subarray(0, 4));
  } else if (protocol === 17) {
    if (transport.length < 8) return DROP_UDP_TRUNCATED;
    put(24, transport.subarray(0, 4));
  } else if (protocol === (type === 0x0800 ? 1 : 58)) {
    if (transport.length < 8) return DROP_ICMP_TRUNCATED;
    put(24, Uint8Array.of(0, transport[0]!, 0, transport[1]!));
  }
  return { key, l3, l4: l3 + header };
}
