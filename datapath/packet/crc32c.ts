/**
 * CRC32c (RFC 9260 §6.8, appendix A), which SCTP has in place of a sum. Bits are reflected: a register's lowest
 * bit is the polynomial's highest power.
 *
 * A CRC is linear: of two messages of one length, the XOR of the registers is the register of their XOR. So a
 * changed word needs no second look at the message: what it changes is its own difference, moved along by as
 * many bits as the message goes on.
 */

const POLYNOMIAL: u32 = 0x82f63b78;

/** The register `crc` after `length` bytes more. A message begins with all ones and ends complemented. */
export function crc32c(crc: u32, at: usize, length: u32): u32 {
  for (const end = at + length; at < end; at++) {
    const byte = (crc ^ load<u8>(at)) & 0xff;
    crc =
      (crc >>> 8) ^
      nibble(byte, 0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf) ^
      nibble(byte >>> 4, 0x105ec76f, 0x20bd8ede, 0x417b1dbc, POLYNOMIAL);
  }
  return crc;
}

/** The sum of those of four registers whose bit is set. */
function nibble(bits: u32, one: u32, two: u32, four: u32, eight: u32): u32 {
  const low = (one & -(bits & 1)) ^ (two & -((bits >>> 1) & 1));
  return low ^ (four & -((bits >>> 2) & 1)) ^ (eight & -((bits >>> 3) & 1));
}

/** The register `crc` after `bytes` zeros: times x to the power of their bits, by squaring. */
export function crc32cZeros(crc: u32, bytes: u32): u32 {
  const bits = bytes << 3;
  let power: u32 = 0x80000000; // one
  for (let bit = 32 - clz(bits); bit != 0; bit--) {
    power = multiply(power, power);
    if ((bits >>> (bit - 1)) & 1) power = timesX(power);
  }
  return multiply(crc, power);
}

function timesX(a: u32): u32 {
  return (a >>> 1) ^ (POLYNOMIAL & -(a & 1));
}

/** The product of two polynomials, reduced. */
function multiply(a: u32, b: u32): u32 {
  let product: u32 = 0;
  for (; b != 0; b <<= 1) {
    if (b >>> 31) product ^= a;
    a = timesX(a);
  }
  return product;
}
