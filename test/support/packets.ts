/**
 * Builds packets from the inside out, every checksum and length right unless a field says otherwise:
 *
 *     ethernet({ vlan: 5 }, ipv4({ ttl: 3 }, tcp({ flags: SYN }, payload)))
 *
 * Numbers are in host order, addresses as they are written.
 */
import ipaddr from 'ipaddr.js';

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
export const CWR = 0x80;

export const MORE_FRAGMENTS = 0x2000;

const NOTHING = new Uint8Array();

/** What Ethernet carries. */
export interface Network {
  type: number;
  bytes: Uint8Array;
}

/** What IP carries. The checksum at `checksumAt` is filled in by the IP layer, which has the addresses. */
export interface Transport {
  protocol: number;
  bytes: Uint8Array;
  checksumAt?: number;
  /** Whether the checksum covers the pseudo-header over IPv4; over IPv6 it always does. */
  pseudoHeader?: boolean;
}

/** RFC 1071, the plain way: big-endian 16-bit words, an odd byte padded with zero. Not complemented. */
export function onesComplementSum(...parts: Uint8Array[]): number {
  let sum = 0;
  for (const bytes of parts) {
    for (let i = 0; i < bytes.length; i += 2) {
      sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
      if (sum > 0xffff) sum -= 0xffff;
    }
  }
  return sum;
}

export const checksumOf = (...parts: Uint8Array[]): number => onesComplementSum(...parts) ^ 0xffff;

/** RFC 9293 §3.1 and RFC 8200 §8.1; the lengths differ in width, the sum does not. */
export function pseudoHeader(addresses: Uint8Array, protocol: number, length: number): Uint8Array {
  return concat(addresses, Uint8Array.of(0, protocol, length >>> 8, length));
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export const get16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

export function set16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export const get32 = (bytes: Uint8Array, at: number): number =>
  get16(bytes, at) * 0x10000 + get16(bytes, at + 2);

export function set32(bytes: Uint8Array, at: number, value: number): void {
  set16(bytes, at, value >>> 16);
  set16(bytes, at + 2, value);
}

export const mac = remembered((text) => Uint8Array.from(text.split(':'), (byte) => parseInt(byte, 16)));

export const address = remembered((text) => Uint8Array.from(ipaddr.parse(text).toByteArray()));

/** The same bytes each time, for packets by the million: nobody changes them. */
function remembered(parse: (text: string) => Uint8Array): (text: string) => Uint8Array {
  const parsed = new Map<string, Uint8Array>();
  return (text) => {
    const known = parsed.get(text);
    if (known) return known;
    const bytes = parse(text);
    parsed.set(text, bytes);
    return bytes;
  };
}

export interface EthernetFields {
  dst?: string;
  src?: string;
  type?: number;
  /** TCI of a tag; none without. */
  vlan?: number | undefined;
  tpid?: number;
  /** TCI of a second tag, 802.1Q. */
  innerVlan?: number | undefined;
  /** Bytes behind the network packet. */
  padding?: number;
}

export function ethernet(fields: EthernetFields, network: Network | Uint8Array): Uint8Array {
  const inner = network instanceof Uint8Array ? { type: 0x88b5, bytes: network } : network;
  const {
    dst = '02:00:00:00:00:02',
    src = '02:00:00:00:00:01',
    type = inner.type,
    tpid = 0x8100,
    padding = 0,
  } = fields;
  const end = Uint8Array.of(type >>> 8, type);
  const tags = concat(tag(tpid, fields.vlan), tag(0x8100, fields.innerVlan));
  return concat(mac(dst), mac(src), tags, end, inner.bytes, new Uint8Array(padding));
}

function tag(tpid: number, tci: number | undefined): Uint8Array {
  if (tci === undefined) return NOTHING;
  const bytes = new Uint8Array(4);
  set16(bytes, 0, tpid);
  set16(bytes, 2, tci);
  return bytes;
}

/** One label stack entry, as a number. */
export const labelEntry = (label: number, bottom: boolean, tc = 0, ttl = 64): number =>
  ((label << 12) | (tc << 9) | (Number(bottom) << 8) | ttl) >>> 0;

/** A label stack, as the entries say, with anything behind it. */
export function mpls(entries: readonly number[], payload: Uint8Array = NOTHING, type = 0x8847): Network {
  const stack = new Uint8Array(4 * entries.length);
  for (const [i, entry] of entries.entries()) set32(stack, 4 * i, entry);
  return { type, bytes: concat(stack, payload) };
}

export interface ArpFields {
  type?: number;
  hardware?: number;
  protocol?: number;
  hardwareLength?: number;
  protocolLength?: number;
  operation?: number;
  sha?: string;
  spa?: string;
  tha?: string;
  tpa?: string;
}

export function arp(fields: ArpFields = {}): Network {
  const { hardware = 1, protocol = 0x0800, hardwareLength = 6, protocolLength = 4, operation = 1 } = fields;
  const { sha = '02:00:00:00:00:01', spa = '10.0.0.1', tha = '00:00:00:00:00:00', tpa = '10.0.0.2' } = fields;
  const start = new Uint8Array(8);
  set16(start, 0, hardware);
  set16(start, 2, protocol);
  start[4] = hardwareLength;
  start[5] = protocolLength;
  set16(start, 6, operation);
  return {
    type: fields.type ?? 0x0806,
    bytes: concat(start, mac(sha), address(spa), mac(tha), address(tpa)),
  };
}

export interface Ipv4Fields {
  version?: number;
  /** In 32-bit words. */
  headerLength?: number;
  tos?: number;
  totalLength?: number;
  id?: number;
  /** Flags and offset, the 16 bits as they stand. */
  fragment?: number;
  ttl?: number;
  protocol?: number;
  checksum?: number;
  src?: string;
  dst?: string;
  /** A multiple of four bytes. */
  options?: Uint8Array;
}

export function ipv4(fields: Ipv4Fields, inner: Transport | Uint8Array): Network {
  const transport = inner instanceof Uint8Array ? { protocol: 253, bytes: inner } : inner;
  const { options = NOTHING, src = '10.0.0.1', dst = '10.0.0.2' } = fields;
  const addresses = concat(address(src), address(dst));
  const body = withChecksum(transport, transport.pseudoHeader ? addresses : undefined);
  const header = concat(new Uint8Array(12), addresses, options);
  header[0] = ((fields.version ?? 4) << 4) | (fields.headerLength ?? header.length / 4);
  header[1] = fields.tos ?? 0;
  set16(header, 2, fields.totalLength ?? header.length + body.length);
  set16(header, 4, fields.id ?? 0);
  set16(header, 6, fields.fragment ?? 0);
  header[8] = fields.ttl ?? 64;
  header[9] = fields.protocol ?? transport.protocol;
  set16(header, 10, fields.checksum ?? checksumOf(header));
  return { type: 0x0800, bytes: concat(header, body) };
}

export interface Ipv6Fields {
  version?: number;
  trafficClass?: number;
  flowLabel?: number;
  payloadLength?: number;
  nextHeader?: number;
  hopLimit?: number;
  src?: string;
  dst?: string;
  /** The destination that the checksum covers, when a routing header has segments left. */
  finalDst?: string;
  extensions?: readonly Extension[];
}

/** An extension header whose first byte, the next header, is still to be filled in. */
export interface Extension {
  protocol: number;
  bytes: Uint8Array;
}

/** Hop-by-hop (0), routing (43), destination options (60) or authentication (51), with `body` behind the length. */
export function extension(protocol: number, body: Uint8Array, length?: number): Extension {
  const bytes = concat(new Uint8Array(2), body);
  bytes[1] = length ?? (protocol === 51 ? bytes.length / 4 - 2 : bytes.length / 8 - 1);
  return { protocol, bytes };
}

/** A fragment header; `offset` in bytes. */
export function fragmentHeader(offset: number, more: boolean, id = 1): Extension {
  const bytes = new Uint8Array(8);
  set16(bytes, 2, offset | Number(more));
  set32(bytes, 4, id);
  return { protocol: 44, bytes };
}

/** A routing header (type 0) by the given addresses. */
export function routingHeader(segmentsLeft: number, ...addresses: string[]): Extension {
  return extension(43, concat(Uint8Array.of(0, segmentsLeft, 0, 0, 0, 0), ...addresses.map(address)));
}

export function ipv6(fields: Ipv6Fields, inner: Transport | Uint8Array): Network {
  const transport = inner instanceof Uint8Array ? { protocol: 253, bytes: inner } : inner;
  const { version = 6, trafficClass = 0, flowLabel = 0, src = 'fd00::1', dst = 'fd00::2' } = fields;
  const addresses = concat(address(src), address(dst));
  const upper = withChecksum(transport, concat(address(src), address(fields.finalDst ?? dst)));
  const { extensions = [] } = fields;
  const chain = [...extensions.map(({ protocol }) => protocol), transport.protocol];
  const headers = extensions.map(({ bytes }, i) => concat(Uint8Array.of(chain[i + 1]!), bytes.subarray(1)));
  const body = concat(...headers, upper);
  const start = new Uint8Array(8);
  set32(start, 0, version * 2 ** 28 + trafficClass * 2 ** 20 + flowLabel);
  set16(start, 4, fields.payloadLength ?? body.length);
  start[6] = fields.nextHeader ?? chain[0]!;
  start[7] = fields.hopLimit ?? 64;
  return { type: 0x86dd, bytes: concat(start, addresses, body) };
}

/** The transport's bytes with the checksum filled in, unless it has none or brings its own. */
function withChecksum(transport: Transport, addresses?: Uint8Array): Uint8Array {
  const { protocol, bytes, checksumAt } = transport;
  if (checksumAt === undefined) return bytes;
  const pseudo = addresses ? pseudoHeader(addresses, protocol, bytes.length) : NOTHING;
  const whole = bytes.slice();
  const checksum = checksumOf(pseudo, whole);
  set16(whole, checksumAt, protocol === 17 && checksum === 0 ? 0xffff : checksum);
  return whole;
}

/** A transport whose field at `at` holds `checksum`, or is to be filled in when that is undefined. */
function transport(protocol: number, bytes: Uint8Array, at: number, checksum: number | undefined): Transport {
  if (checksum === undefined) return { protocol, bytes, checksumAt: at, pseudoHeader: protocol !== 1 };
  set16(bytes, at, checksum);
  return { protocol, bytes };
}

export interface TcpFields {
  src?: number;
  dst?: number;
  seq?: number;
  ack?: number;
  /** In 32-bit words. */
  dataOffset?: number;
  /** All twelve bits behind the data offset. */
  flags?: number;
  window?: number;
  checksum?: number;
  options?: Uint8Array;
}

export function tcp(fields: TcpFields = {}, payload: Uint8Array = NOTHING): Transport {
  const { options = NOTHING, src = 1000, dst = 80, seq = 1, ack = 0, flags = ACK, window = 8192 } = fields;
  const header = concat(new Uint8Array(20), options);
  set16(header, 0, src);
  set16(header, 2, dst);
  set32(header, 4, seq);
  set32(header, 8, ack);
  set16(header, 12, ((fields.dataOffset ?? header.length / 4) << 12) | flags);
  set16(header, 14, window);
  return transport(6, concat(header, payload), 16, fields.checksum);
}

export interface UdpFields {
  src?: number;
  dst?: number;
  length?: number;
  /** Zero: none. */
  checksum?: number;
}

export function udp(fields: UdpFields = {}, payload: Uint8Array = NOTHING): Transport {
  const header = new Uint8Array(8);
  set16(header, 0, fields.src ?? 1000);
  set16(header, 2, fields.dst ?? 53);
  set16(header, 4, fields.length ?? header.length + payload.length);
  return transport(17, concat(header, payload), 6, fields.checksum);
}

export interface SctpFields {
  src?: number;
  dst?: number;
  tag?: number;
  checksum?: number;
}

export function sctp(fields: SctpFields = {}, payload: Uint8Array = NOTHING): Transport {
  const bytes = concat(new Uint8Array(12), payload);
  set16(bytes, 0, fields.src ?? 1000);
  set16(bytes, 2, fields.dst ?? 2905);
  set32(bytes, 4, fields.tag ?? 0x01020304);
  // RFC 9260, appendix A: stored with the lowest byte first.
  new DataView(bytes.buffer).setUint32(8, fields.checksum ?? crc32cOf(bytes), true);
  return { protocol: 132, bytes };
}

/** CRC32c, a bit at a time. */
export function crc32cOf(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

export interface IcmpFields {
  /** 1 is ICMP, 58 ICMPv6. */
  protocol?: number;
  type?: number;
  code?: number;
  /** The four bytes behind the checksum. */
  rest?: number;
  checksum?: number;
}

export function icmp(fields: IcmpFields = {}, payload: Uint8Array = NOTHING): Transport {
  const header = new Uint8Array(8);
  header[0] = fields.type ?? 8;
  header[1] = fields.code ?? 0;
  set32(header, 4, fields.rest ?? 0x00010001);
  return transport(fields.protocol ?? 1, concat(header, payload), 2, fields.checksum);
}

export const icmp6 = (fields: IcmpFields = {}, payload?: Uint8Array): Transport =>
  icmp({ protocol: 58, type: 128, ...fields }, payload);

/** A neighbour solicitation (135) or advertisement (136). */
export const neighbour = (type: number, target: string, ...options: Uint8Array[]): Transport =>
  icmp6({ type, rest: 0 }, concat(address(target), ...options));

/** An option with a link-layer address: source (1) or target (2). */
export const linkOption = (kind: number, text: string): Uint8Array =>
  concat(Uint8Array.of(kind, 1), mac(text));
