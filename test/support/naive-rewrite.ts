/**
 * The rewriter's naive twin: sets header fields byte by byte, by a table of where each byte of the flow key
 * stands in a packet, and computes every checksum from scratch.
 */
import { isNeighbour, linkAddresses, type Parsed } from './naive-parse.ts';
import { checksumOf, crc32cOf, get16, onesComplementSum, pseudoHeader, set16 } from './packets.ts';

/** How the transport checksum is kept: whole, or of the pseudo-header alone (virtio's NEEDS_CSUM), or not at all. */
export type Checksum = 'whole' | 'partial' | 'none';

/** Key bytes from `key` on stand in the packet from `at` on. */
type Place = [key: number, at: number, bytes: number];

const isIpv4 = (packet: Uint8Array, l3: number): boolean => l3 !== 0 && get16(packet, l3 - 2) === 0x0800;
const isIpv6 = (packet: Uint8Array, l3: number): boolean => l3 !== 0 && get16(packet, l3 - 2) === 0x86dd;
const isArp = (packet: Uint8Array, l3: number): boolean =>
  l3 !== 0 && [0x0806, 0x8035].includes(get16(packet, l3 - 2));

function places(packet: Uint8Array, { l3, l4, transport, key }: Parsed): Place[] {
  const result: Place[] = [[8, 0, 12]];
  if (isArp(packet, l3)) {
    result.push([20, l3 + 7, 1], [40, l3 + 8, 6], [32, l3 + 14, 4], [46, l3 + 18, 6], [36, l3 + 24, 4]);
  }
  if (isIpv4(packet, l3)) result.push([21, l3 + 1, 1], [22, l3 + 8, 1], [32, l3 + 12, 8]);
  if (isIpv6(packet, l3)) result.push([22, l3 + 7, 1], [32, l3 + 8, 32], [78, l3 + 2, 2]);
  if ([6, 17, 132].includes(transport)) result.push([24, l4, 4]);
  if (transport === 1 || transport === 58) {
    result.push([25, l4, 1], [27, l4 + 1, 1]);
    const message = packet.subarray(l4, endOf(packet, l3));
    if (transport === 58 && isNeighbour(message) && message.length >= 24) {
      result.push([96, l4 + 8, 16]);
      for (const [kind, at] of linkAddresses(message).places)
        result.push([kind === 1 ? 112 : 118, l4 + at, 6]);
    }
  }
  if (get16(key, 6) === 0x8847 || get16(key, 6) === 0x8848) {
    const stack = 14 + (key[4] === 0 ? 0 : 4) + (key[30] === 0 ? 0 : 4);
    const bottom = [0, 4, 8].find((at) => packet[stack + at + 2]! % 2 === 1) ?? 8;
    result.push([32, stack, bottom + 4]);
  }
  return result;
}

/** Where the IP packet ends. */
export const endOf = (packet: Uint8Array, l3: number): number =>
  l3 + (isIpv4(packet, l3) ? get16(packet, l3 + 2) : 40 + get16(packet, l3 + 4));

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
  const { l3, key } = parsed;
  const merge = (at: number, byte: number, bits: number) => {
    result[at] = (result[at]! & ~bits) | byte;
  };
  for (let i = 0; i < 4; i++) {
    const byte = offset + i;
    for (const [first, at, bytes] of places(packet, parsed)) {
      if (byte >= first && byte < first + bytes) merge(at + byte - first, value[i]!, mask[i]!);
    }
    // The CFI bit of the key says that there is a tag; it is not the packet's.
    if (byte === 4 && key[4] !== 0) merge(14, value[i]! & 0xef, mask[i]! & 0xef);
    if (byte === 5 && key[4] !== 0) merge(15, value[i]!, mask[i]!);
    if (!isIpv6(packet, l3)) continue;
    if (byte === 21) {
      merge(l3, value[i]! >> 4, mask[i]! >> 4);
      merge(l3 + 1, (value[i]! << 4) & 0xf0, (mask[i]! << 4) & 0xf0);
    }
    if (byte === 77) merge(l3 + 1, value[i]! & 15, mask[i]! & 15);
  }
  fixChecksums(result, parsed, checksum);
  return result;
}

/** Offset of the checksum in the transport header. */
export const checksumPlace = (transport: number): number =>
  ({ 1: 2, 58: 2, 6: 16, 17: 6, 132: 8 })[transport]!;

/** The addresses that the transport's checksum covers: a routing header's last one is the destination. */
function coveredAddresses(packet: Uint8Array, l3: number): Uint8Array {
  if (isIpv4(packet, l3)) return packet.subarray(l3 + 12, l3 + 20);
  const addresses = packet.slice(l3 + 8, l3 + 40);
  let next = packet[l3 + 6]!;
  for (let at = l3 + 40; [0, 43, 44, 51, 60].includes(next); ) {
    const units = packet[at + 1]!;
    const length = next === 44 ? 8 : next === 51 ? (units + 2) * 4 : (units + 1) * 8;
    if (next === 43 && packet[at + 3] !== 0)
      addresses.set(packet.subarray(at + length - 16, at + length), 16);
    next = packet[at]!;
    at += length;
  }
  return addresses;
}

/** Computes a whole packet's checksums anew. */
export function fixChecksums(packet: Uint8Array, { l3, l4, transport }: Parsed, checksum: Checksum): void {
  if (isIpv4(packet, l3)) {
    const header = packet.subarray(l3, l3 + (packet[l3]! % 16) * 4);
    set16(header, 10, 0);
    set16(header, 10, checksumOf(header));
  }
  if (transport === 0 || checksum === 'none') return;
  const bytes = packet.subarray(l4, endOf(packet, l3));
  const place = checksumPlace(transport);
  if (transport === 132) {
    bytes.fill(0, 8, 12);
    if (checksum === 'whole')
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(8, crc32cOf(bytes), true);
    return;
  }
  const pseudo =
    transport === 1 ? new Uint8Array() : pseudoHeader(coveredAddresses(packet, l3), transport, bytes.length);
  if (checksum === 'partial') {
    set16(bytes, place, onesComplementSum(pseudo));
    return;
  }
  set16(bytes, place, 0);
  const sum = checksumOf(pseudo, bytes);
  set16(bytes, place, transport === 17 && sum === 0 ? 0xffff : sum);
}
