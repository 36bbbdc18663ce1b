/** Packets as plain fields: what they are as bytes, which tuple they have, and how one reads them. */
import type { TcpSegment } from '../../support/naive-tcp.ts';
import {
  concat,
  ethernet,
  extension,
  get16,
  icmp,
  ipv4,
  ipv6,
  type Network,
  sctp,
  set16,
  type Transport,
  tcp,
  udp,
} from '../../support/packets.ts';

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;
export const SCTP = 132;

export interface Packet {
  src: string;
  dst: string;
  protocol: number;
  /** Ports. `sport` of an ICMP query is its identifier. */
  sport: number;
  dport: number;
  /** Bytes of payload. */
  length: number;
  tcp?: TcpSegment;
  icmp?: Icmp;
  wrong?: Wrong;
  /** It has a VLAN tag. */
  tagged?: boolean;
  /** It has IP options, or an extension header of IPv6. */
  hasOptions?: boolean;
  /** Bytes behind all that IP tells of. */
  padding?: number;
}

export interface Icmp {
  type: number;
  code: number;
  /** An error quotes the packet that it is about, and that many bytes of what IP carries in it. */
  quoted?: Packet;
  bytes?: number;
}

/** A checksum or length that is not right, or no checksum at all, which is right for UDP over IPv4 alone. */
export type Wrong = 'IP checksum' | 'checksum' | 'no checksum' | 'length';

export const isV6 = (address: string): boolean => address.includes(':');
export const isIcmp = (protocol: number): boolean => protocol === ICMP || protocol === ICMPV6;
export const hasPorts = (protocol: number): boolean =>
  protocol === TCP || protocol === UDP || protocol === SCTP;

// As bytes

/** Nothing, to be read as what it takes to fill the room. */
const IPV4_OPTIONS = Uint8Array.of(1, 1, 1, 1);
const IPV6_OPTIONS = extension(60, Uint8Array.of(1, 4, 0, 0, 0, 0));

const headerBytes = ({ src, hasOptions }: Packet): number =>
  isV6(src) ? (hasOptions ? 48 : 40) : hasOptions ? 24 : 20;

export function encode(packet: Packet): Uint8Array {
  const { wrong, tagged, padding = 0 } = packet;
  const bytes = ethernet({ vlan: tagged ? 5 : undefined, padding }, network(packet));
  const ip = tagged ? 18 : 14;
  if (wrong === 'IP checksum') bytes[ip + 8]! ^= 1;
  if (wrong === 'checksum') spoil(bytes, ip + headerBytes(packet) + checksumAt(packet));
  return bytes;
}

function network(packet: Packet): Network {
  const { src, dst, hasOptions } = packet;
  return isV6(src)
    ? ipv6({ src, dst, extensions: hasOptions ? [IPV6_OPTIONS] : [] }, transport(packet))
    : ipv4({ src, dst, ...(hasOptions && { options: IPV4_OPTIONS }) }, transport(packet));
}

function transport(packet: Packet): Transport {
  const { protocol, sport: src, dport: dst, wrong } = packet;
  const payload = new Uint8Array(packet.length);
  switch (protocol) {
    case TCP: {
      const { seq, ack, flags, window } = packet.tcp!;
      return tcp({ src, dst, seq, ack, flags, window, options: options(packet.tcp!) }, payload);
    }
    case UDP: {
      const length = wrong === 'length' ? { length: 7, checksum: 0 } : {};
      return udp({ src, dst, ...length, ...(wrong === 'no checksum' && { checksum: 0 }) }, payload);
    }
    case SCTP:
      // The first chunk is empty, or longer than the packet.
      return sctp({ src, dst }, concat(Uint8Array.of(0, 3, wrong === 'length' ? 99 : 0, 4), payload));
    case ICMP:
    case ICMPV6: {
      const { type, code, quoted, bytes } = packet.icmp!;
      const body = quoted ? network(quoted).bytes.slice(0, headerBytes(quoted) + bytes!) : payload;
      return icmp({ protocol, type, code, rest: quoted ? 0 : src * 65536 + 7 }, body);
    }
    default:
      return { protocol, bytes: payload };
  }
}

/** Window scale, if there is one, and something in front of it. */
const options = ({ scale }: TcpSegment): Uint8Array =>
  scale === undefined ? new Uint8Array() : Uint8Array.of(1, 3, 3, scale);

const checksumAt = ({ protocol }: Packet): number => ({ [TCP]: 16, [UDP]: 6, [SCTP]: 8 })[protocol] ?? 2;

/** Makes a checksum wrong, and not 0, which might mean that there is none. */
function spoil(bytes: Uint8Array, at: number): void {
  const right = get16(bytes, at);
  set16(bytes, at, right === 1 ? 2 : right ^ 1);
}

// Tuples

/** What names the packets of one direction. Of ICMP queries `sport` is the identifier, `dport` type and code. */
export interface Tuple {
  zone: number;
  protocol: number;
  src: string;
  dst: string;
  sport: number;
  dport: number;
}

export const tupleOf = ({ protocol, src, dst, sport, dport, icmp }: Packet, zone: number): Tuple => ({
  zone,
  protocol,
  src,
  dst,
  sport,
  dport: icmp ? icmp.type * 256 + icmp.code : dport,
});

const ANSWERS: Readonly<Record<number, number>> = {
  8: 0,
  0: 8,
  13: 14,
  14: 13,
  15: 16,
  16: 15,
  128: 129,
  129: 128,
};

export function reverse({ zone, protocol, src, dst, sport, dport }: Tuple): Tuple {
  return isIcmp(protocol)
    ? { zone, protocol, src: dst, dst: src, sport, dport: ANSWERS[dport >> 8]! * 256 + (dport & 255) }
    : { zone, protocol, src: dst, dst: src, sport: dport, dport: sport };
}

export const nameOf = ({ zone, protocol, src, dst, sport, dport }: Tuple): string =>
  `zone ${zone} protocol ${protocol} ${src}:${sport} > ${dst}:${dport}`;

/** The packet with the addresses and ports of a tuple. */
export const withTuple = (packet: Packet, { src, dst, sport, dport }: Tuple): Packet => ({
  ...packet,
  src,
  dst,
  sport,
  dport: packet.icmp ? packet.dport : dport,
});

// Validity

/** Why a packet has no tuple, as it is counted. */
export function whyUntrackable(packet: Packet): string | undefined {
  const { src, wrong, icmp } = packet;
  if (wrong === 'IP checksum') return 'ctIpv4Checksum';
  if (wrong === 'checksum') return 'ctChecksum';
  if (wrong === 'no checksum' && isV6(src)) return 'ctChecksum';
  if (wrong === 'length') return 'wrong length';
  if (!icmp) return namesNothing(packet) ? 'port 0' : undefined;
  if (!icmp.quoted) return namesNothing(packet) ? 'no query' : undefined;
  const needed = hasPorts(icmp.quoted.protocol) || isIcmp(icmp.quoted.protocol) ? 8 : 0;
  return icmp.bytes! < needed || namesNothing(icmp.quoted) ? 'quotes nothing' : undefined;
}

/** Whether a packet has no ports though it should, or is ICMP that asks and answers nothing. */
function namesNothing({ protocol, src, sport, dport, icmp }: Packet): boolean {
  if (isIcmp(protocol)) {
    const queries = isV6(src) ? [128, 129] : [0, 8, 13, 14, 15, 16];
    return icmp!.code !== 0 || isV6(src) !== (protocol === ICMPV6) || !queries.includes(icmp!.type);
  }
  return hasPorts(protocol) && (sport === 0 || dport === 0);
}

// As text

const PROTOCOLS: Readonly<Record<number, string>> = {
  [ICMP]: 'icmp',
  [TCP]: 'tcp',
  [UDP]: 'udp',
  [ICMPV6]: 'icmpv6',
  [SCTP]: 'sctp',
};

export const protocolName = (protocol: number): string => PROTOCOLS[protocol] ?? `protocol ${protocol}`;

export function describe(packet: Packet): string {
  const { src, dst, protocol, sport, dport, length, wrong } = packet;
  const ends = hasPorts(protocol) ? `${src}:${sport} > ${dst}:${dport}` : `${src} > ${dst}`;
  const more = packet.tcp ? segment(packet.tcp) : packet.icmp ? query(packet) : '';
  const odd = [
    packet.hasOptions && 'with options',
    packet.tagged && 'tagged',
    packet.padding && 'padded',
    wrong && `wrong ${wrong}`,
  ];
  return [`${protocolName(protocol)} ${ends}${more} length ${length}`, ...odd].filter(Boolean).join(', ');
}

const FLAGS = 'FSRPAU';

function segment({ flags, seq, ack, window, scale }: TcpSegment): string {
  const letters = [...FLAGS].filter((_, bit) => flags & (1 << bit)).join('');
  return ` [${letters}] seq ${seq} ack ${ack} win ${window}${scale === undefined ? '' : ` wscale ${scale}`}`;
}

function query({ icmp, sport }: Packet): string {
  const { type, code, quoted, bytes } = icmp!;
  const what = quoted ? `about (${describe(quoted)}), ${bytes} bytes of it` : `id ${sport}`;
  return ` type ${type} code ${code} ${what}`;
}
