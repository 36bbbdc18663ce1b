/**
 * How the values of fields are written: one reader and one printer for each kind of field.
 */
import ipaddr from 'ipaddr.js';
import type { Field, Kind } from './fields.ts';
import { fail, parseNumber, part, suggestion, type Token, unquoted } from './syntax.ts';

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

const FRAGMENTS = new Map<string, readonly [value: number, mask: number]>([
  ['no', [0, 3]],
  ['yes', [1, 1]],
  ['first', [1, 3]],
  ['later', [3, 3]],
  ['not_later', [0, 2]],
]);

/** Bit i of the TCP flags (RFC 9293 §3.1; `ns` is RFC 3540's). */
const TCP_FLAGS = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr', 'ns', '[200]', '[400]', '[800]'];

/** @returns the number of a port given by number or name
 *  @throws FlowError */
export function parsePort(token: Token, ports: PortNumbers): number {
  if (/^\d/.test(token.text)) return parseNumber(token, 'a port number', PORT_MAX);
  const name = unquoted(token.text);
  const number = ports.get(name);
  if (number !== undefined) return number;
  const known = [...ports.keys()];
  const expected =
    known.length > 0 && known.length <= 8 ? `a number or one of ${known.join(', ')}` : 'a number';
  return fail(token, `no port "${name}"${suggestion(name, known)}`, expected);
}

/** A port's name, quoted unless it is a letter followed by letters and digits; else its number. */
export function printPort(port: number, names: PortNames | undefined): string {
  const name = names?.get(port)?.name;
  if (name === undefined) return String(port);
  return /^[a-z][a-z0-9]*$/i.test(name) ? name : `"${name}"`;
}

/** Number from and to the bytes of a field of at most four bytes. */
const toNumber = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum * 256 + byte, 0);
const fromNumber = (value: number, bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** (bytes - 1 - i)));

const widest = (field: Field): number => Math.floor(toNumber(field.bits) / 2 ** field.shift);

function parseFieldNumber(token: Token, field: Field): Uint8Array {
  const value = parseNumber(token, field.name, widest(field)) * 2 ** field.shift;
  const stray = value & ~toNumber(field.bits);
  if (stray) fail(token, `"${token.text}"`, `${field.name} without bits 0x${stray.toString(16)}`);
  return fromNumber(value, field.bytes);
}

function parseMac(token: Token): Uint8Array {
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(token.text)) {
    fail(token, `"${token.text}"`, 'an Ethernet address such as 00:11:22:33:44:55');
  }
  return Uint8Array.from(token.text.split(':'), (byte) => Number.parseInt(byte, 16));
}

function parseIpv4(token: Token): Uint8Array {
  if (!ipaddr.IPv4.isValidFourPartDecimal(token.text)) {
    fail(token, `"${token.text}"`, 'an IPv4 address such as 10.0.0.1');
  }
  return Uint8Array.from(ipaddr.IPv4.parse(token.text).toByteArray());
}

function parseIpv6(token: Token): Uint8Array {
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
function parseTcpFlags(token: Token, field: Field, maskToken: Token | undefined): Masked {
  let value = 0;
  let mask = 0;
  if (/^\d/.test(token.text)) return parseMasked(token, maskToken, field, parseFieldNumber);
  const flag = (name: string): number => {
    const bit = TCP_FLAGS.indexOf(name);
    if (bit < 0)
      fail(token, `unknown TCP flag "${name}"${suggestion(name, TCP_FLAGS)}`, TCP_FLAGS.join(', '));
    return 1 << bit;
  };
  if (/^[+-]/.test(token.text)) {
    for (const [, sign, name] of token.text.matchAll(/([+-])([^+-]*)/g)) {
      const bit = flag(name!);
      mask |= bit;
      if (sign === '+') value |= bit;
    }
  } else {
    for (const name of token.text.split('|')) value |= flag(name);
    mask = 0xfff;
  }
  return { value: fromNumber(value, 2), mask: fromNumber(mask, 2) };
}

function printTcpFlags({ value, mask }: Masked): string {
  const [flags, care] = [toNumber(value), toNumber(mask)];
  const named = TCP_FLAGS.map((name, bit) => ({ name, bit: 1 << bit }));
  if (care !== 0xfff) {
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
      return parseTcpFlags(value, field, mask);
    case 'port':
      // The key has the port in host order, which is WebAssembly's little-endian.
      return { value: fromNumber(parsePort(value, ports), 4).reverse(), mask: field.bits };
    case 'fragment': {
      const pair = FRAGMENTS.get(value.text);
      if (!pair || mask) fail(token, `"${token.text}"`, `one of ${[...FRAGMENTS.keys()].join(', ')}`);
      return { value: Uint8Array.of(pair[0]), mask: Uint8Array.of(pair[1]) };
    }
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i]);

const printMac = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
const printIpv4 = (bytes: Uint8Array): string => bytes.join('.');
const printIpv6 = (bytes: Uint8Array): string => new ipaddr.IPv6([...bytes]).toRFC5952String();
const printHex = (value: number): string => `0x${value.toString(16).padStart(4, '0')}`;

/** The length of a mask that is a prefix, else undefined. */
function prefixLength(mask: Uint8Array): number | undefined {
  const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, '0')).join('');
  const length = bits.indexOf('0');
  return length < 0 ? bits.length : bits.indexOf('1', length) < 0 ? length : undefined;
}

const printers: Readonly<Record<Kind, (value: Uint8Array, field: Field) => string>> = {
  decimal: (value, field) => String(toNumber(value) / 2 ** field.shift),
  hex: (value) => printHex(toNumber(value)),
  mac: printMac,
  ipv4: printIpv4,
  ipv6: printIpv6,
  port: (value) => String(toNumber(value.toReversed())),
  fragment: (value) => String(value[0]),
  tcpFlags: (value) => String(toNumber(value)),
};

/** Prints what `parseValue` reads: the value alone when the mask is the whole field. */
export function printValue(masked: Masked, field: Field, names?: PortNames): string {
  const { value, mask } = masked;
  if (field.kind === 'port') return printPort(toNumber(value.toReversed()), names);
  if (field.kind === 'tcpFlags') return printTcpFlags(masked);
  if (field.kind === 'fragment') {
    const known = [...FRAGMENTS].find(([, pair]) => pair[0] === value[0] && pair[1] === mask[0]);
    if (known) return known[0];
  }
  const print = (bytes: Uint8Array) => printers[field.kind](bytes, field);
  if (same(mask, field.bits)) return print(value);
  if (field.kind === 'decimal') return `0x${toNumber(value).toString(16)}/0x${toNumber(mask).toString(16)}`;
  const prefix = field.kind === 'ipv4' || field.kind === 'ipv6' ? prefixLength(mask) : undefined;
  return `${print(value)}/${prefix ?? print(mask)}`;
}
