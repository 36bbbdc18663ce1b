/**
 * Packets of IPv4 in one line each, so that a test can say what comes in and what leaves:
 *
 *     udp 10.0.0.2:5000 > 198.51.100.1:53
 *     icmp 203.0.113.9 > 192.0.2.1 3/1 about udp 192.0.2.1:5000 > 198.51.100.1:53
 */
import {
  concat,
  ethernet,
  get16,
  type Ipv4Fields,
  icmp,
  ipv4,
  type Network,
  onesComplementSum,
  pseudoHeader,
  type TcpFields,
  type Transport,
  tcp,
  udp,
} from '../support/packets.ts';

const ETHERNET = 14;
const NAMES: Record<number, string> = { 1: 'icmp', 6: 'tcp', 17: 'udp' };
const HAS_IDENTIFIER = [0, 8, 13, 14, 15, 16, 17, 18]; // RFC 792, RFC 950

/** The address and port of `10.0.0.2:5000`. */
function endOf(written: string): [address: string, port: number] {
  const [address, port] = written.split(':') as [string, string | undefined];
  return [address, Number(port ?? 0)];
}

function between(from: string, to: string, transport: Transport, fields: Ipv4Fields): Network {
  return ipv4({ src: endOf(from)[0], dst: endOf(to)[0], ...fields }, transport);
}

export function datagram(
  from: string,
  to: string,
  payload = new Uint8Array(32).fill(7),
  fields: Ipv4Fields = {},
): Network {
  return between(from, to, udp({ src: endOf(from)[1], dst: endOf(to)[1] }, payload), fields);
}

export function segment(from: string, to: string, fields: TcpFields, payload = new Uint8Array()): Network {
  return between(from, to, tcp({ src: endOf(from)[1], dst: endOf(to)[1], ...fields }, payload), {});
}

/** An ICMP query with this identifier; an echo request if nothing else is said. */
export function query(from: string, to: string, id: number, type = 8): Network {
  return between(from, to, icmp({ type, rest: id * 65536 + 1 }, new Uint8Array(20)), {});
}

export interface ErrorFields {
  type?: number;
  code?: number;
  /** The four bytes behind the checksum. */
  rest?: number;
  checksum?: number;
  /** How much of the packet is quoted. */
  quoted?: number;
  /** Behind what is quoted. */
  more?: Uint8Array;
  ip?: Ipv4Fields;
}

/** An ICMP error, port unreachable if nothing else is said, about a packet. */
export function error(from: string, to: string, about: Network, fields: ErrorFields = {}): Network {
  const { type = 3, code = 3, rest = 0, checksum, quoted = 28, more = new Uint8Array(), ip = {} } = fields;
  const body = concat(about.bytes.subarray(0, quoted), more);
  return between(
    from,
    to,
    icmp({ type, code, rest, ...(checksum === undefined ? {} : { checksum }) }, body),
    ip,
  );
}

/** A packet as it is on the wire. */
export const frame = (packet: Network): Uint8Array => ethernet({}, packet);

/** A frame in one line. A checksum that is wrong is said to be, where all that it covers is there. */
export const written = (bytes: Uint8Array): string => writtenIp(bytes.subarray(ETHERNET));

function writtenIp(ip: Uint8Array): string {
  const header = ip.subarray(0, (ip[0]! & 15) * 4);
  const protocol = ip[9]!;
  const rest = ip.subarray(header.length, get16(ip, 2));
  const [src, dst] = [12, 16].map((at) => ip.subarray(at, at + 4).join('.')) as [string, string];
  const isWhole = ip.length >= get16(ip, 2);
  const complaints = [
    ...(onesComplementSum(header) === 0xffff ? [] : [' (IP checksum wrong)']),
    ...(!isWhole || isRight(protocol, ip.subarray(12, 20), rest) ? [] : [' (checksum wrong)']),
  ];
  const what =
    protocol === 1
      ? `${src} > ${dst} ${writtenIcmp(rest)}`
      : `${src}:${get16(rest, 0)} > ${dst}:${get16(rest, 2)}`;
  return `${NAMES[protocol]} ${what}${complaints.join('')}`;
}

function writtenIcmp(message: Uint8Array): string {
  const [type, code] = message;
  const about = HAS_IDENTIFIER.includes(type!)
    ? `id ${get16(message, 4)}`
    : `about ${writtenIp(message.subarray(8))}`;
  return `${type}/${code} ${about}`;
}

function isRight(protocol: number, addresses: Uint8Array, transport: Uint8Array): boolean {
  const pseudo = protocol === 1 ? new Uint8Array() : pseudoHeader(addresses, protocol, transport.length);
  return onesComplementSum(pseudo, transport) === 0xffff;
}
