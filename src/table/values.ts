/**
 * How the values of fields are written: one reader and one printer for each kind of field.
 */
import ipaddr from 'ipaddr.js';
import { areEqual, fromNumber, ones, toNumber } from './bytes.ts';
import type { Field, Kind } from './fields.ts';
import { fail, parseLongNumber, parseNumber, part, suggestion, type Token, unquoted } from './syntax.ts';

/** A value and the bits of it that count, as they stand in the field's key bytes. */
export interface Masked {
  readonly value: Uint8Array;
  readonly mask: Uint8Array;
}

/** Port numbers by name, and names by number. */
export type PortNumbers = ReadonlyMap<string, number>;
export type PortNames = ReadonlyMap<number, { readonly name: string }>;

/** OpenFlow numbers above this stand for something other than a port. */
const PORT_MAX = 0xfeff;

/** The switch itself, and the controller, as ports that a packet can come from. */
export const LOCAL = 0xfffe;
export const CONTROLLER = 0xfffd;
const RESERVED = new Map([
  ['LOCAL', LOCAL],
  ['CONTROLLER', CONTROLLER],
]);
const reservedNames = new Map([...RESERVED].map(([name, number]) => [number, name]));

const FRAGMENTS = new Map<string, readonly [value: number, mask: number]>([
  ['no', [0, 3]],
  ['yes', [1, 1]],
  ['first', [1, 3]],
  ['later', [3, 3]],
  ['not_later', [0, 2]],
]);

/** Bit i of the TCP flags (RFC 9293 §3.1; `ns` is RFC 3540's) and of a connection's state. */
const FLAGS: Partial<Record<Kind, readonly string[]>> = {
  tcpFlags: ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr', 'ns', '[200]', '[400]', '[800]'],
  connection: ['new', 'est', 'rel', 'rpl', 'inv', 'trk', 'snat', 'dnat'],
};

/** @returns the number of a port given by number or name
 *  @throws FlowError */
export function parsePort(token: Token, ports: PortNumbers): number {
  const name = unquoted(token.text);
  const number = ports.get(name) ?? RESERVED.get(name.toUpperCase());
  if (/^\d/.test(token.text)) {
    const given = Number(token.text);
    return reservedNames.has(given) ? given : parseNumber(token, 'a port number', PORT_MAX);
  }
  if (number !== undefined) return number;
  const known = [...ports.keys()];
  const expected =
    known.length > 0 && known.length <= 8 ? `a number or one of ${known.join(', ')}` : 'a number';
  return fail(token, `no port "${name}"${suggestion(name, known)}`, expected);
}

/** A port of such a name can only be meant in quotes. */
const NO_PORTS = new Set(['local', 'controller', 'in_port', 'flood', 'all', 'normal', 'any']);

/** A port's name, quoted unless it is a letter followed by letters and digits; else its number. */
export function printPort(port: number, names: PortNames | undefined): string {
  const name = names?.get(port)?.name;
  if (name === undefined) return reservedNames.get(port) ?? String(port);
  return /^[a-z][a-z0-9]*$/i.test(name) && !NO_PORTS.has(name.toLowerCase()) ? name : `"${name}"`;
}

/** The field's number from and to its bytes, with the zeros at its right. */
const numberOf = (bytes: Uint8Array, { hostOrder }: Field): bigint => toNumber(bytes, hostOrder);
const bytesOf = (value: bigint, { bytes, hostOrder }: Field): Uint8Array =>
  fromNumber(value, bytes, hostOrder);

function parseFieldNumber(token: Token, field: Field): Uint8Array {
  const own = numberOf(field.bits, field);
  const shift = BigInt(field.shift);
  const value = parseLongNumber(token, field.name, own >> shift) << shift;
  const stray = value & ~own;
  if (stray) fail(token, `"${token.text}"`, `${field.name} without bits 0x${stray.toString(16)}`);
  return bytesOf(value, field);
}

function parseMac(token: Token): Uint8Array {
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(token.text)) {
    fail(token, `"${token.text}"`, 'an Ethernet address such as 00:11:22:33:44:55');
  }
  return Uint8Array.from(token.text.split(':'), (byte) => Number.parseInt(byte, 16));
}

/** @throws FlowError */
export function parseIpv4(token: Token): Uint8Array {
  if (!ipaddr.IPv4.isValidFourPartDecimal(token.text)) {
    fail(token, `"${token.text}"`, 'an IPv4 address such as 10.0.0.1');
  }
  return Uint8Array.from(ipaddr.IPv4.parse(token.text).toByteArray());
}

/** @throws FlowError */
export function parseIpv6(token: Token): Uint8Array {
  if (token.text.includes('%') || !ipaddr.IPv6.isValid(token.text)) {
    fail(token, `"${token.text}"`, 'an IPv6 address such as fe80::1');
  }
  return Uint8Array.from(ipaddr.IPv6.parse(token.text).toByteArray());
}

function parsePrefix(token: Token, bytes: number): Uint8Array {
  const length = parseNumber(token, 'a prefix length', bytes * 8);
  return Uint8Array.from({ length: bytes }, (_, i) => 0xff00 >> Math.min(8, Math.max(0, length - 8 * i)));
}

/** `+syn-ack` says which flags must be set or clear, `syn|ack` gives them all, and so does a number. */
function parseFlags(token: Token, field: Field, maskToken: Token | undefined): Masked {
  if (/^\d/.test(token.text)) return parseMasked(token, maskToken, field, parseFieldNumber);
  const names = FLAGS[field.kind]!;
  const flag = (name: string): bigint => {
    const bit = names.indexOf(name);
    if (bit < 0) {
      fail(token, `unknown flag "${name}" of ${field.name}${suggestion(name, names)}`, names.join(', '));
    }
    return 1n << BigInt(bit);
  };
  let value = 0n;
  let mask = 0n;
  if (/^[+-]/.test(token.text)) {
    for (const [, sign, name] of token.text.matchAll(/([+-])([^+-]*)/g)) {
      const bit = flag(name!);
      if (mask & bit) fail(token, `"${token.text}" with ${name} twice`, 'each flag once');
      mask |= bit;
      if (sign === '+') value |= bit;
    }
  } else {
    for (const name of token.text.split('|')) value |= flag(name);
    mask = ones(names.length);
  }
  return { value: bytesOf(value, field), mask: bytesOf(mask, field) };
}

function printFlags({ value, mask }: Masked, field: Field): string {
  const [flags, care] = [numberOf(value, field), numberOf(mask, field)];
  const named = FLAGS[field.kind]!.map((name, bit) => ({ name, bit: 1n << BigInt(bit) }));
  if (!areEqual(mask, field.bits)) {
    const cared = named.filter(({ bit }) => care & bit);
    return cared.map(({ name, bit }) => (flags & bit ? '+' : '-') + name).join('');
  }
  const set = named.filter(({ bit }) => flags & bit).map(({ name }) => name);
  return set.join('|') || '0';
}

type ReadBytes = (token: Token, field: Field) => Uint8Array;

function parseMasked(
  token: Token,
  mask: Token | undefined,
  field: Field,
  read: ReadBytes,
  readMask = read,
): Masked {
  const value = read(token, field);
  const bits = mask ? readMask(mask, field) : field.bits;
  return { value: value.map((byte, i) => byte & bits[i]!), mask: Uint8Array.from(bits) };
}

const addressMask =
  (read: ReadBytes): ReadBytes =>
  (token, field) =>
    /^\d+$/.test(token.text) ? parsePrefix(token, field.bytes) : read(token, field);

/**
 * Reads `VALUE` or `VALUE/MASK`. Bits of the value outside the mask are dropped.
 * @throws FlowError
 */
export function parseValue(token: Token, field: Field, ports: PortNumbers): Masked {
  const slash = token.text.indexOf('/');
  const value = slash < 0 ? token : part(token, 0, slash);
  const mask = slash < 0 ? undefined : part(token, slash + 1);
  if (mask && !field.maskable) fail(mask, `mask "${mask.text}"`, `${field.name} without a mask`);
  switch (field.kind) {
    case 'decimal':
    case 'hex':
      return parseMasked(value, mask, field, parseFieldNumber);
    case 'mac':
      return parseMasked(value, mask, field, parseMac);
    case 'ipv4':
      return parseMasked(value, mask, field, parseIpv4, addressMask(parseIpv4));
    case 'ipv6':
      return parseMasked(value, mask, field, parseIpv6, addressMask(parseIpv6));
    case 'tcpFlags':
    case 'connection':
      return parseFlags(value, field, mask);
    case 'port':
      return { value: bytesOf(BigInt(parsePort(value, ports)), field), mask: field.bits };
    case 'fragment': {
      const pair = FRAGMENTS.get(value.text);
      if (!pair || mask) fail(token, `"${token.text}"`, `one of ${[...FRAGMENTS.keys()].join(', ')}`);
      return { value: Uint8Array.of(pair[0]), mask: Uint8Array.of(pair[1]) };
    }
  }
}

const printMac = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
export const printIpv4 = (bytes: Uint8Array): string => bytes.join('.');
export const printIpv6 = (bytes: Uint8Array): string => new ipaddr.IPv6([...bytes]).toRFC5952String();

/** In hexadecimal, of at least so many digits; without any, zero is just that. */
export const printHex = (value: bigint, digits = 0): string =>
  value === 0n && digits === 0 ? '0' : `0x${value.toString(16).padStart(digits, '0')}`;

/** The length of a mask that is a prefix, else undefined. */
function prefixLength(mask: Uint8Array): number | undefined {
  const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, '0')).join('');
  const length = bits.indexOf('0');
  return length < 0 ? bits.length : bits.indexOf('1', length) < 0 ? length : undefined;
}

const printNumber = (value: Uint8Array, field: Field): string =>
  String(numberOf(value, field) >> BigInt(field.shift));

const printers: Readonly<Record<Kind, (value: Uint8Array, field: Field, digits: number) => string>> = {
  decimal: printNumber,
  hex: (value, field, digits) => printHex(numberOf(value, field), digits),
  mac: printMac,
  ipv4: printIpv4,
  ipv6: printIpv6,
  port: printNumber,
  fragment: printNumber,
  tcpFlags: printNumber,
  connection: printNumber,
};

/**
 * Prints what `parseValue` reads: the value alone when the mask is the whole field.
 * @param inMatch where some numbers have leading zeros, and ports with a mask are hexadecimal
 */
export function printValue(masked: Masked, field: Field, names?: PortNames, inMatch = false): string {
  const { value, mask } = masked;
  if (field.kind === 'port') return printPort(Number(numberOf(value, field)), names);
  if (FLAGS[field.kind]) return printFlags(masked, field);
  if (field.kind === 'fragment') {
    const known = [...FRAGMENTS].find(([, pair]) => pair[0] === value[0] && pair[1] === mask[0]);
    if (known) return known[0];
  }
  const print = (bytes: Uint8Array) => printers[field.kind](bytes, field, inMatch ? field.digits : 0);
  if (areEqual(mask, field.bits)) return print(value);
  if (field.kind === 'decimal') {
    const hex = (bytes: Uint8Array) => `0x${numberOf(bytes, field).toString(16)}`;
    return `${inMatch ? hex(value) : print(value)}/${hex(mask)}`;
  }
  const prefix = field.kind === 'ipv4' || field.kind === 'ipv6' ? prefixLength(mask) : undefined;
  return `${print(value)}/${prefix ?? print(mask)}`;
}

/** The same as it is printed in a match. */
export const printMatchValue = (masked: Masked, field: Field, names?: PortNames): string =>
  printValue(masked, field, names, true);
