/**
 * Numbers and addresses as text: read from a place that moves on, up to an end, and written. Who fails to read something
 * leaves the place anywhere. The place is this thread's own.
 */
import { be16, putBe16 } from '../packet/headers';

/** In place of a number or a byte. */
export const BAD: u32 = 0xffffffff;

export const BLANK: u8 = 0x20;
export const COMMA: u8 = 0x2c;
export const DOT: u8 = 0x2e;
const ZERO: u8 = 0x30;
const COLON: u8 = 0x3a;
const LETTER_A: u8 = 0x61;
const LOWER: u8 = 0x20;

let at: usize = 0;
let end: usize = 0;

/** Reads from `from` on, up to `to`. */
export function beginText(from: usize, to: usize): void {
  at = from;
  end = to;
}

export function textAt(): usize {
  return at;
}

function isDigit(byte: u8): bool {
  return byte >= ZERO && byte < ZERO + 10;
}

/** Whether `byte` comes next; then it has been read. */
export function skip(byte: u8): bool {
  if (at == end || load<u8>(at) != byte) return false;
  at++;
  return true;
}

/** Goes behind the first `byte`; to the end when there is none. */
export function skipBehind(byte: u8): void {
  while (at < end && load<u8>(at++) != byte) {}
}

export function skipToDigit(): void {
  while (at < end && !isDigit(load<u8>(at))) at++;
}

/** A byte that can be seen and is no digit; or BAD. */
export function readMark(): u32 {
  if (at == end) return BAD;
  const byte = load<u8>(at++);
  return byte > BLANK && byte < 127 && !isDigit(byte) ? byte : BAD;
}

/** A decimal number of up to `most`, behind which there is something else; or BAD. */
export function readNumber(most: u32): u32 {
  const first = at;
  let number: u32 = 0;
  for (; at < end && isDigit(load<u8>(at)); at++) {
    number = number * 10 + load<u8>(at) - ZERO;
    if (number > most) return BAD;
  }
  return at == first || at == end ? BAD : number;
}

/** Reads four numbers, with `between` between them, to `address`; whether they are an address. */
export function readIpv4(address: usize, between: u8): bool {
  for (let i: usize = 0; i < 4; i++) {
    if (i != 0 && !skip(between)) return false;
    const number = readNumber(255);
    if (number == BAD) return false;
    store<u8>(address + i, <u8>number);
  }
  return true;
}

/** RFC 4291 §2.2, but for a dotted end: no host has such an address. */
export function readIpv6(address: usize): bool {
  let groups: u32 = 0;
  let gap = skipGap() ? 0 : BAD; // groups in front of `::`
  while (true) {
    const group = readGroup();
    if (group == BAD) {
      if (groups != gap) return false;
      break;
    }
    if (groups == 8) return false;
    putBe16(address + (groups << 1), group);
    groups++;
    if (skipGap()) {
      if (gap != BAD) return false;
      gap = groups;
    } else if (!skip(COLON)) break;
  }
  if (gap == BAD) return groups == 8;
  if (groups == 8) return false;
  widen(address, gap, groups);
  return true;
}

function skipGap(): bool {
  if (at + 2 > end || load<u8>(at) != COLON || load<u8>(at, 1) != COLON) return false;
  at += 2;
  return true;
}

/** Puts zeros behind the first `gap` of so many groups. */
function widen(address: usize, gap: u32, groups: u32): void {
  const from = address + (gap << 1);
  const behind = (groups - gap) << 1;
  memory.copy(address + 16 - behind, from, behind);
  memory.fill(from, 0, (8 - groups) << 1);
}

/** Up to four hexadecimal digits; or BAD. */
function readGroup(): u32 {
  const first = at;
  let group: u32 = 0;
  for (; at < end && at < first + 4; at++) {
    const digit = hexDigit(load<u8>(at));
    if (digit == BAD) break;
    group = (group << 4) | digit;
  }
  return at == first ? BAD : group;
}

function hexDigit(byte: u8): u32 {
  if (isDigit(byte)) return byte - ZERO;
  const letter = byte | LOWER;
  return letter >= LETTER_A && letter < LETTER_A + 6 ? letter - LETTER_A + 10 : BAD;
}

// Writing. Each returns where it goes on.

export function putNumber(to: usize, number: u32): usize {
  if (number >= 10) to = putNumber(to, number / 10);
  store<u8>(to, <u8>(ZERO + (number % 10)));
  return to + 1;
}

export function putIpv4(to: usize, address: usize, between: u8): usize {
  for (let i: usize = 0; i < 4; i++) {
    if (i != 0) store<u8>(to++, between);
    to = putNumber(to, load<u8>(address + i));
  }
  return to;
}

/** All eight groups. */
export function putIpv6(to: usize, address: usize): usize {
  for (let i: usize = 0; i < 16; i += 2) {
    if (i != 0) store<u8>(to++, COLON);
    to = putHex(to, be16(address + i));
  }
  return to;
}

function putHex(to: usize, number: u32): usize {
  if (number >= 16) to = putHex(to, number >>> 4);
  const digit = <u8>(number & 15);
  store<u8>(to, digit < 10 ? ZERO + digit : LETTER_A + digit - 10);
  return to + 1;
}
