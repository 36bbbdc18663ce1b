/**
 * The rewriter's naive twin: sets header fields byte by byte, by a table of where each byte of the flow key
 * stands in a packet, and computes every checksum from scratch.
 */
import type { Parsed } from './naive-parse.ts';
import { checksumOf, get16, onesComplementSum, pseudoHeader, set16 } from './packets.ts';

/** How the transport checksum is kept: whole, or of the pseudo-header alone (virtio's NEEDS_CSUM), or not at all. */
export type Checksum = 'whole' | 'partial' | 'none';

/** Key bytes from `key` on stand in the packet from `at` on. */
type Place = [key: number, at: number, bytes: number];

function places(packet: Uint8Array, { l3, l4 }: Parsed): Place[] {
  const type = get16(packet, l3 - 2);
  const result: Place[] = [[8, 0, 12]];
  if (type === 0x0806) {
    result.push([20, l3 + 7, 1], [40, l3 + 8, 6], [32, l3 + 14, 4], [46, l3 + 18, 6], [36, l3 + 24, 4]);
  }
  if (type === 0x0800) result.push([21, l3 + 1, 1], [22, l3 + 8, 1], [32, l3 + 12, 8]);
  if (type === 0x86dd) result.push([22, l3 + 7, 1], [32, l3 + 8, 32]);
  if (l4 !== 0) {
    const protocol = protocolOf(packet, l3);
    if (protocol === 6 || protocol === 17) result.push([24, l4, 4]);
    if (isIcmp(packet, l3)) result.push([25, l4, 1], [27, l4 + 1, 1]);
  }
  return result;
}

const isIpv4 = (packet: Uint8Array, l3: number): boolean => get16(packet, l3 - 2) === 0x0800;
const isIpv6 = (packet: Uint8Array, l3: number): boolean => get16(packet, l3 - 2) === 0x86dd;

export const protocolOf = (packet: Uint8Array, l3: number): number =>
  packet[l3 + (isIpv4(packet, l3) ? 9 : 6)]!;

const isIcmp = (packet: Uint8Array, l3: number): boolean =>
  protocolOf(packet, l3) === (isIpv4(packet, l3) ? 1 : 58);

/** Gives key bytes `offset` to `offset + 3` the value `old & ~mask | value`. */
export function naiveSet(
  packet: Uint8Array,
  parsed: Parsed,
  checksum: Checksum,
  offset: number,
  value: Uint8Array,
  mask: Uint8Array,
): Uint8Array {
  const result = packet.slice();
  const { l3, l4 } = parsed;
  const merge = (at: number, byte: number, bits: number) => {
    result[at] = (result[at]! & ~bits) | byte;
  };
  for (let i = 0; i < 4; i++) {
    const key = offset + i;
    for (const [first, at, bytes] of places(packet, parsed)) {
      if (key >= first && key < first + bytes) merge(at + key - first, value[i]!, mask[i]!);
    }
    // The CFI bit of the key says that there is a tag; it is not the packet's.
    if (key === 4 && l3 >= 18) merge(14, value[i]! & 0xef, mask[i]! & 0xef);
    if (key === 5 && l3 >= 18) merge(15, value[i]!, mask[i]!);
    if (key === 21 && isIpv6(packet, l3)) {
      merge(l3, value[i]! >> 4, mask[i]! >> 4);
      merge(l3 + 1, (value[i]! << 4) & 0xf0, (mask[i]! << 4) & 0xf0);
    }
  }
  fixChecksums(result, l3, l4, checksum);
  return result;
}

/** Computes a whole packet's checksums anew. */
export function fixChecksums(packet: Uint8Array, l3: number, l4: number, checksum: Checksum): void {
  const v4 = isIpv4(packet, l3);
  if (!v4 && !isIpv6(packet, l3)) return;
  if (v4) {
    const header = packet.subarray(l3, l3 + (packet[l3]! % 16) * 4);
    set16(header, 10, 0);
    set16(header, 10, checksumOf(header));
  }
  const protocol = protocolOf(packet, l3);
  const place = protocol === 6 ? 16 : protocol === 17 ? 6 : isIcmp(packet, l3) ? 2 : undefined;
  if (l4 === 0 || place === undefined || checksum === 'none') return;
  const end = v4 ? l3 + get16(packet, l3 + 2) : l3 + 40 + get16(packet, l3 + 4);
  const transport = packet.subarray(l4, end);
  const addresses = v4 ? packet.subarray(l3 + 12, l3 + 20) : packet.subarray(l3 + 8, l3 + 40);
  const pseudo = protocol === 1 ? new Uint8Array() : pseudoHeader(addresses, protocol, transport.length);
  if (checksum === 'partial') {
    set16(transport, place, onesComplementSum(pseudo));
    return;
  }
  set16(transport, place, 0);
  const sum = checksumOf(pseudo, transport);
  set16(transport, place, protocol === 17 && sum === 0 ? 0xffff : sum);
}
