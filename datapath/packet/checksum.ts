/**
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624), in the machine's byte order:
 * the sum of 16-bit words is the same in either order but for a swap of the result's bytes (RFC 1071 §2 B),
 * so loads and stores need no swapping.
 */
import { IPV4_HEADER } from './headers';

/** Folds a sum of 16-bit words into 16 bits. */
export function fold(sum: u64): u32 {
  sum = (sum & 0xffffffff) + (sum >>> 32);
  sum = (sum & 0xffffffff) + (sum >>> 32);
  const both = <u32>sum;
  return (both + rotl<u32>(both, 16)) >>> 16; // the lower halves' carry goes up into the upper halves' sum
}

/** The unfolded one's complement sum of `length` bytes, 65,535 at most. */
export function sum(at: usize, length: u32): u64 {
  let total: u64 = 0;
  const words = at + (length & ~7);
  for (; at < words; at += 8) {
    const word = load<u64>(at);
    total += (word & 0xffffffff) + (word >>> 32);
  }
  if (length & 4) {
    total += <u64>load<u32>(at);
    at += 4;
  }
  if (length & 2) {
    total += <u64>load<u16>(at);
    at += 2;
  }
  if (length & 1) total += <u64>load<u8>(at);
  return total;
}

/** The same of the IPv4 header at `ip`, `length` bytes; nearly all have no options, and so five words. */
export function headerSum(ip: usize, length: u32): u64 {
  if (length != IPV4_HEADER) return sum(ip, length);
  return (
    <u64>load<u32>(ip) +
    <u64>load<u32>(ip, 4) +
    <u64>load<u32>(ip, 8) +
    <u64>load<u32>(ip, 12) +
    <u64>load<u32>(ip, 16)
  );
}

/** RFC 1624 §3, equation 3: the checksum at `at` after the 32 bits `before` under it became `after`. */
export function update(at: usize, before: u32, after: u32): void {
  const old = <u32>load<u16>(at) ^ 0xffff;
  store<u16>(at, <u16>(fold(<u64>old + <u64>(before ^ 0xffffffff) + <u64>after) ^ 0xffff));
}

/** The same for a partial checksum, which is a sum that has not been complemented. */
export function updatePartial(at: usize, before: u32, after: u32): void {
  store<u16>(at, <u16>fold(<u64>load<u16>(at) + <u64>(before ^ 0xffffffff) + <u64>after));
}
