/** Connections of tests: tuples as people write them, in records and requests of the arena. */
import ipaddr from 'ipaddr.js';
import { Connection, NatRequest, NETWORK_IPV4, NETWORK_IPV6, Tuple } from '../../src/datapath.ts';
import type { TestDatapath } from './module.ts';
import { address, get16, set16 } from './packets.ts';

/** A tuple; of ICMP `srcPort` is the identifier, `dstPort` type and code. */
export interface Ends {
  src: string;
  dst: string;
  srcPort: number;
  dstPort: number;
}

/** Where a connection's tuples stand (datapath/conntrack/connection.ts). */
const TUPLES = [64, 104];

const isIpv6 = (written: string): boolean => written.includes(':');

const answers = (typeAndCode: number): number =>
  ({ 2048: 0, 0: 0x0800, 32768: 0x8100, 33024: 0x8000 })[typeAndCode] ?? typeAndCode;

/** The tuple of the packets that answer those of `ends`. */
export function reverse(ends: Ends, protocol: number): Ends {
  const { src, dst, srcPort, dstPort } = ends;
  return protocol === 1 || protocol === 58
    ? { src: dst, dst: src, srcPort, dstPort: answers(dstPort) }
    : { src: dst, dst: src, srcPort: dstPort, dstPort: srcPort };
}

/** Writes the tuple of the packets that go in `direction`. */
export function writeTuple(
  { u8, u16 }: TestDatapath,
  connection: number,
  direction: number,
  { src, dst, srcPort, dstPort }: Ends,
  protocol: number,
): void {
  const at = connection + TUPLES[direction]!;
  u8.fill(0, at, at + Tuple.size);
  u8.set(address(src), at + Tuple.srcLow);
  u8.set(address(dst), at + Tuple.dstLow);
  set16(u8, at + Tuple.tpSrc, srcPort);
  set16(u8, at + Tuple.tpDst, dstPort);
  u8[at + Tuple.l3] = isIpv6(src) ? NETWORK_IPV6 : NETWORK_IPV4;
  u8[at + Tuple.proto] = protocol;
  u16[(at + Tuple.zone) >> 1] = 7;
}

export function readTuple({ u8 }: TestDatapath, connection: number, direction: number): Ends {
  const at = connection + TUPLES[direction]!;
  const bytes = u8[at + Tuple.l3] === NETWORK_IPV6 ? 16 : 4;
  const written = (from: number) => ipaddr.fromByteArray([...u8.subarray(from, from + bytes)]).toString();
  return {
    src: written(at + Tuple.srcLow),
    dst: written(at + Tuple.dstLow),
    srcPort: get16(u8, at + Tuple.tpSrc),
    dstPort: get16(u8, at + Tuple.tpDst),
  };
}

/** The connection's time is never over. */
export function keepAlive({ f64 }: TestDatapath, connection: number): void {
  f64[(connection + Connection.expiresMs) >> 3] = Number.MAX_VALUE;
}

export function setFlags({ u8 }: TestDatapath, connection: number, flags: number): void {
  u8[connection + Connection.flags] = flags;
}

export const flagsOf = ({ u8 }: TestDatapath, connection: number): number =>
  u8[connection + Connection.flags]!;

export interface Wish {
  flags: number;
  addresses?: [first: string, last: string];
  ports?: [first: number, last: number];
}

/** Writes what an action asks for to `at`. */
export function writeRequest(
  { u8, u16, u32 }: TestDatapath,
  at: number,
  { flags, addresses, ports }: Wish,
): void {
  u8.fill(0, at, at + NatRequest.size);
  u32[(at + NatRequest.flags) >> 2] = flags;
  if (addresses) {
    u8.set(address(addresses[0]), at + NatRequest.firstAddress);
    u8.set(address(addresses[1]), at + NatRequest.lastAddress);
  }
  if (ports) [u16[(at + NatRequest.firstPort) >> 1], u16[(at + NatRequest.lastPort) >> 1]] = ports;
}
