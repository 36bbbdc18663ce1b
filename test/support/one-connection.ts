/**
 * Connection tracking reduced to one connection: what the protocols say of each packet of a conversation, and when
 * the connection's time is over. The connection that is lost sight of is forgotten.
 */
import assert from 'node:assert/strict';
import {
  CONNECTION_STRIDE,
  Connection,
  EXTRACT_ERROR,
  EXTRACT_INVALID,
  ORIGINAL,
  Peer,
  REPLY,
  regionAddress,
  TUPLE_SIZE,
  UPDATE_INVALID,
  UPDATE_NEW,
  UPDATE_TOLERATED,
  UPDATE_VALID,
  UPDATE_VALID_NEW,
} from '../../src/datapath.ts';
import type { Rig } from './rig.ts';

/** By the numbers TIMEOUT_…, with the seconds that are the default in Open vSwitch. */
export const TIMEOUTS: readonly [name: string, seconds: number][] = [
  ['TCP_SYN_SENT', 30],
  ['TCP_SYN_RECV', 30],
  ['TCP_ESTABLISHED', 86_400],
  ['TCP_FIN_WAIT', 900],
  ['TCP_TIME_WAIT', 45],
  ['TCP_CLOSE', 30],
  ['UDP_FIRST', 60],
  ['UDP_SINGLE', 60],
  ['UDP_MULTIPLE', 30],
  ['ICMP_FIRST', 60],
  ['ICMP_REPLY', 30],
];

const ZONE = 5;
const ORIGINAL_TUPLE = 64;
const REPLY_TUPLE = 104;

export class OneConnection {
  /** Seconds by the clock that decides when its time is over. */
  now = 0;
  readonly address: number;
  readonly #rig: Rig;
  readonly #tuple: number;
  #expires = Number.NEGATIVE_INFINITY;

  constructor(rig: Rig) {
    this.#rig = rig;
    this.address = regionAddress(rig.arena, 'queues');
    this.#tuple = this.address + CONNECTION_STRIDE;
  }

  set checksSequence(checks: boolean) {
    this.#rig.datapath.exports.setSequenceChecking(checks);
  }

  /** What would be the packet's ct_state, but for `trk`. */
  packet(packet: Uint8Array): string {
    const { exports } = this.#rig.datapath;
    const frame = this.#rig.frame(packet);
    assert.equal(exports.parse(frame, this.#rig.keyAddress()), -1, 'parsed');
    const extracted = exports.extract(frame, ZONE, this.#tuple);
    this.#rig.give(frame);
    if (extracted === EXTRACT_INVALID) return 'inv';
    const direction = this.#direction();
    if (extracted === EXTRACT_ERROR) return direction === undefined ? 'inv' : `rel${suffix(direction)}`;
    return direction === undefined ? this.#begin() : this.#advance(direction);
  }

  get timeout(): string {
    return TIMEOUTS[this.#rig.datapath.u8[this.address + Connection.timeout]!]![0];
  }

  /** TCP_…, OTHER_… or ICMP_… of one end. */
  state(direction: number): number {
    return this.#rig.datapath.u8[this.peer(direction) + Peer.state]!;
  }

  peer(direction: number): number {
    return this.address + Connection.size + direction * Peer.size;
  }

  /** As nobody has touched it. */
  clear(): void {
    this.#rig.datapath.u8.fill(0, this.address, this.address + CONNECTION_STRIDE);
  }

  /** Direction of the tuple at hand in the connection, if that is still alive. */
  #direction(): number | undefined {
    if (this.now >= this.#expires) return undefined;
    const { u8 } = this.#rig.datapath;
    const is = (at: number) =>
      Buffer.compare(
        u8.subarray(this.#tuple, this.#tuple + TUPLE_SIZE),
        u8.subarray(this.address + at, this.address + at + TUPLE_SIZE),
      ) === 0;
    return is(ORIGINAL_TUPLE) ? ORIGINAL : is(REPLY_TUPLE) ? REPLY : undefined;
  }

  #begin(): string {
    const { exports, u8 } = this.#rig.datapath;
    this.clear();
    u8.copyWithin(this.address + ORIGINAL_TUPLE, this.#tuple, this.#tuple + TUPLE_SIZE);
    exports.reverseTuple(this.address + REPLY_TUPLE, this.#tuple);
    this.#expires = Number.NEGATIVE_INFINITY;
    if (!exports.beginConnection(this.address, exports.ownSegment())) return 'inv';
    this.#refresh();
    return 'new';
  }

  #advance(direction: number): string {
    const { exports } = this.#rig.datapath;
    const update = exports.advanceConnection(this.address, direction, exports.ownSegment());
    switch (update) {
      case UPDATE_INVALID:
        return 'inv';
      case UPDATE_NEW:
        return this.#begin();
      case UPDATE_TOLERATED:
        return `est${suffix(direction)}`;
      case UPDATE_VALID:
      case UPDATE_VALID_NEW:
        this.#refresh();
        return `${update === UPDATE_VALID ? 'est' : 'new'}${suffix(direction)}`;
      default:
        throw new Error(`update ${update}`);
    }
  }

  #refresh(): void {
    this.#expires = this.now + TIMEOUTS[this.#rig.datapath.u8[this.address + Connection.timeout]!]![1];
  }
}

const suffix = (direction: number): string => (direction === REPLY ? ' rpl' : '');
