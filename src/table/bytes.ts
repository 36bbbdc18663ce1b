/** Whole numbers from and to the bytes of a key, in network order or, for some fields, the machine's. */

/** So many bytes at a time are one number that is no bigint: those take long. */
const PART = 6;

export function toNumber(bytes: Uint8Array, hostOrder = false): bigint {
  const { length } = bytes;
  let sum = 0n;
  for (let from = 0; from < length; from += PART) {
    const end = Math.min(from + PART, length);
    let part = 0;
    for (let i = from; i < end; i++) part = part * 256 + bytes[hostOrder ? length - 1 - i : i]!;
    sum = from === 0 ? BigInt(part) : (sum << BigInt(8 * (end - from))) | BigInt(part);
  }
  return sum;
}

/** @param value bits beyond the bytes are dropped */
export function fromNumber(value: bigint, bytes: number, hostOrder = false): Uint8Array {
  const written = new Uint8Array(bytes);
  let left = value;
  for (let from = 0; from < bytes; from += PART) {
    let part = Number(BigInt.asUintN(8 * PART, left));
    for (let i = from; i < Math.min(from + PART, bytes); i++) {
      written[hostOrder ? i : bytes - 1 - i] = part % 256;
      part = Math.floor(part / 256);
    }
    left >>= BigInt(8 * PART);
  }
  return written;
}

export const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
export const areEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/** So many one bits. */
export const ones = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

/** A half word or word of memory from and to network order. */
export const swap16 = (half: number): number => ((half & 0xff) << 8) | ((half >> 8) & 0xff);
export const swap32 = (word: number): number => ((swap16(word & 0xffff) << 16) | swap16(word >>> 16)) >>> 0;
