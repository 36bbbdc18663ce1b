/** Whole numbers from and to the bytes of a key, in network order or, for some fields, the machine's. */

export function toNumber(bytes: Uint8Array, hostOrder = false): bigint {
  const ordered = hostOrder ? bytes.toReversed() : bytes;
  return ordered.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/** @param value bits beyond the bytes are dropped */
export function fromNumber(value: bigint, bytes: number, hostOrder = false): Uint8Array {
  const written = Uint8Array.from({ length: bytes }, (_, i) =>
    Number((value >> BigInt(8 * (bytes - 1 - i))) & 0xffn),
  );
  return hostOrder ? written.reverse() : written;
}

export const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
export const areEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

/** So many one bits. */
export const ones = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

/** A half word or word of memory from and to network order. */
export const swap16 = (half: number): number => ((half & 0xff) << 8) | ((half >> 8) & 0xff);
export const swap32 = (word: number): number => ((swap16(word & 0xffff) << 16) | swap16(word >>> 16)) >>> 0;
