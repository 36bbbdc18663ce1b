/** Connections by number, as tests make them and look at them; `expireAt` of the module takes their address. */
import {
  CONNECTION_REVERSED,
  CONNECTION_STRIDE,
  CONNECTION_TUPLES,
  Connection,
  NONE,
  regionAddress,
  TUPLE_SIZE,
  Tuple,
} from '../../src/datapath.ts';
import type { TestDatapath } from './module.ts';

/** Of UDP over IPv4, in one word each. */
export interface Ends {
  src: number;
  dst: number;
  srcPort: number;
  dstPort: number;
  zone: number;
}

export const ORIGINAL = 0;
export const REPLY = 1;

export const reverse = ({ src, dst, srcPort, dstPort, zone }: Ends): Ends => ({
  src: dst,
  dst: src,
  srcPort: dstPort,
  dstPort: srcPort,
  zone,
});

export class Connections {
  readonly datapath: TestDatapath;
  readonly #records: number;
  readonly #scratch: number;

  constructor(datapath: TestDatapath) {
    this.datapath = datapath;
    this.#records = regionAddress(datapath.arena, 'connections');
    this.#scratch = regionAddress(datapath.arena, 'queues') + 4096 * datapath.thread;
  }

  address(number: number): number {
    return this.#records + number * CONNECTION_STRIDE;
  }

  generation(number: number): number {
    return Atomics.load(this.datapath.u32, (this.address(number) + Connection.generation) >> 2);
  }

  isLive(number: number): boolean {
    return (this.generation(number) & 1) === 1;
  }

  expiresMs(number: number): number {
    return this.datapath.f64[(this.address(number) + Connection.expiresMs) >> 3]!;
  }

  isReversed(number: number): boolean {
    return (this.datapath.u8[this.address(number) + Connection.flags]! & CONNECTION_REVERSED) !== 0;
  }

  tupleAddress(number: number, direction: number): number {
    return this.address(number) + CONNECTION_TUPLES + direction * TUPLE_SIZE;
  }

  /** Writes a connection that was taken; `reply` only if it is not the original's reverse. */
  fill(number: number, original: Ends, reply: Ends | undefined, expiresMs: number): void {
    const { u8, f64 } = this.datapath;
    const at = this.address(number);
    f64[(at + Connection.expiresMs) >> 3] = expiresMs;
    u8[at + Connection.flags] = reply ? CONNECTION_REVERSED : 0;
    this.#write(this.tupleAddress(number, ORIGINAL), original);
    this.#write(this.tupleAddress(number, REPLY), reply ?? reverse(original));
  }

  /** The handle of the connection of packets with this tuple, or NONE. */
  lookUp(tuple: Ends): number {
    const { exports } = this.datapath;
    this.#write(this.#scratch, tuple);
    return exports.lookUp(this.#scratch, exports.hashTuple(this.#scratch)) >>> 0;
  }

  hash(tuple: Ends): number {
    this.#write(this.#scratch, tuple);
    return this.datapath.exports.hashTuple(this.#scratch) >>> 0;
  }

  /** Makes a connection and publishes it; returns its number, or NONE if something refuses it. */
  create(original: Ends, expiresMs: number, reply?: Ends): number {
    const { exports } = this.datapath;
    const number = exports.takeConnection() >>> 0;
    if (number === NONE) return NONE;
    this.fill(number, original, reply, expiresMs);
    const isRefused =
      !exports.admit(number) ||
      (reply !== undefined && !exports.reserve(number)) ||
      exports.publish(number) >>> 0 !== NONE;
    if (isRefused) exports.abandon(number);
    return isRefused ? NONE : number;
  }

  #write(at: number, { src, dst, srcPort, dstPort, zone }: Ends): void {
    const { u8, u16, u32 } = this.datapath;
    u8.fill(0, at, at + TUPLE_SIZE);
    u32[(at + Tuple.srcLow) >> 2] = src;
    u32[(at + Tuple.dstLow) >> 2] = dst;
    u16[(at + Tuple.tpSrc) >> 1] = srcPort;
    u16[(at + Tuple.tpDst) >> 1] = dstPort;
    u8[at + Tuple.l3] = 4;
    u8[at + Tuple.proto] = 17;
    u16[(at + Tuple.zone) >> 1] = zone;
  }
}
