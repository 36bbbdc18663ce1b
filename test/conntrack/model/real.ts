/** The datapath in the model's terms: packets as bytes through ct(), and what is then known of them. */
import assert from 'node:assert/strict';
import { connectionRows } from '../../../src/control/connections.ts';
import {
  CONNECTION_STRIDE,
  CT_COMMIT,
  CT_FORCE,
  CT_NAT,
  CtRequest,
  FRAME_TRACKED,
  Frame,
  Key,
  NAT_DESTINATION,
  NAT_HAS_ADDRESS,
  NAT_HAS_PORTS,
  NAT_HASH,
  NAT_PERSISTENT,
  NAT_RANDOM,
  NAT_SOURCE,
  NatRequest,
  NONE,
  regionAddress,
} from '../../../src/datapath.ts';
import type { ConnectionEvent, ConnectionRow } from '../../../src/model.ts';
import { parseConnectionFilter } from '../../../src/table/connection-filter.ts';
import type { TestDatapath } from '../../support/module.ts';
import { TIMEOUTS } from '../../support/one-connection.ts';
import { address, set16, set32 } from '../../support/packets.ts';
import { Rig } from '../../support/rig.ts';
import { takeEvents } from '../records.ts';
import type { Call, Told } from './call.ts';
import { isIcmp, type Tuple } from './packet.ts';
import type { Nat } from './translation.ts';

/** What is told of a packet stands in the second line of its frame's record as in the key's. */
const LINE = 64;

export class Real {
  readonly #rig: Rig;
  /** Two threads take turns. */
  #datapath: TestDatapath;
  readonly #request: number;
  readonly #label: number;
  readonly #nat: number;
  readonly #expected = new Uint8Array(LINE);
  #frame = 0;

  constructor(connections: number) {
    this.#rig = new Rig({ threads: 3, connections });
    this.#datapath = this.#rig.datapath;
    this.#request = regionAddress(this.#rig.arena, 'queues');
    this.#label = this.#request + 64;
    this.#nat = this.#request + 128;
  }

  // Packets

  /** The packets until `endBatch` are this thread's. */
  beginBatch(thread: number): void {
    this.#datapath = this.#rig.threads[thread]!;
    this.#datapath.exports.enter();
  }

  /** The thread has nothing to do any more, and nobody waits for it. */
  endBatch(): void {
    this.#datapath.exports.letGo();
    this.#datapath.exports.leave();
  }

  receive(packet: Uint8Array): void {
    this.#frame = this.#rig.frame(packet, 0, this.#datapath);
    this.parse();
  }

  /** As after a recirculation. */
  parse(): void {
    assert.equal(this.#datapath.exports.parse(this.#frame, this.#rig.keyAddress()), -1, 'parsed');
  }

  ct(call: Call): void {
    const { u32, exports } = this.#datapath;
    const { label, nat } = call;
    const at = this.#request;
    u32[(at + CtRequest.flags) >> 2] =
      (call.commit ? CT_COMMIT : 0) | (call.force ? CT_FORCE : 0) | (nat ? CT_NAT : 0);
    u32[(at + CtRequest.zone) >> 2] = call.zone;
    u32[(at + CtRequest.mark) >> 2] = call.mark.value;
    u32[(at + CtRequest.markMask) >> 2] = call.mark.mask;
    if (label) this.#putLabel(label);
    const isRange = nat !== undefined && nat !== 'as committed';
    if (isRange) this.#putNat(nat);
    exports.track(this.#frame, at, label ? this.#label : 0, isRange ? this.#nat : 0);
  }

  #putLabel({ value, mask }: NonNullable<Call['label']>): void {
    const hex = (bits: bigint) => bits.toString(16).padStart(32, '0');
    this.#datapath.u8.set(Buffer.from(hex(value) + hex(mask), 'hex'), this.#label);
  }

  #putNat({ end, addresses, ports, choice, persistent }: Nat): void {
    const { u8, u16, u32 } = this.#datapath;
    const at = this.#nat;
    u8.fill(0, at, at + NatRequest.size);
    u32[(at + NatRequest.flags) >> 2] =
      (end === 'src' ? NAT_SOURCE : NAT_DESTINATION) |
      (addresses.length > 0 ? NAT_HAS_ADDRESS : 0) |
      (ports ? NAT_HAS_PORTS : 0) |
      (choice === 'hash' ? NAT_HASH : choice === 'random' ? NAT_RANDOM : 0) |
      (persistent ? NAT_PERSISTENT : 0);
    if (addresses.length > 0) {
      u8.set(address(addresses[0]!), at + NatRequest.firstAddress);
      u8.set(address(addresses.at(-1)!), at + NatRequest.lastAddress);
    }
    if (ports) [u16[(at + NatRequest.firstPort) >> 1], u16[(at + NatRequest.lastPort) >> 1]] = ports;
  }

  /** ct_clear */
  clear(): void {
    this.#datapath.exports.forgetTracking(this.#frame);
  }

  bytes(): Uint8Array {
    const { u8, u32 } = this.#datapath;
    const data = u32[(this.#frame + Frame.data) >> 2]!;
    return u8.subarray(data, data + u32[(this.#frame + Frame.length) >> 2]!);
  }

  /** Whether that and no more is told of the packet. */
  tells(told: Told): boolean {
    const { u8, u32 } = this.#datapath;
    if (!(u32[(this.#frame + Frame.flags) >> 2]! & FRAME_TRACKED)) return false;
    this.#write(told);
    return Buffer.compare(this.#expected, u8.subarray(this.#frame + LINE, this.#frame + 2 * LINE)) === 0;
  }

  /** The same in hexadecimal, for people. */
  toldBytes(told: Told): { is: string; should: string } {
    const { u8 } = this.#datapath;
    this.#write(told);
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    return { is: hex(u8.subarray(this.#frame + LINE, this.#frame + 2 * LINE)), should: hex(this.#expected) };
  }

  #write({ state, zone, mark, label, original }: Told): void {
    const line = this.#expected.fill(0);
    line[Key.ctState - LINE] = state;
    new DataView(line.buffer).setUint16(Key.ctZone - LINE, zone, true);
    new DataView(line.buffer).setUint32(Key.ctMark - LINE, mark, true);
    for (let word = 0; word < 4; word++) {
      set32(line, Key.ctLabel - LINE + 4 * word, Number((label >> BigInt(96 - 32 * word)) & 0xffffffffn));
    }
    if (!original) return;
    const { protocol, src, dst, sport, dport } = original;
    line[Key.ctNwProto - LINE] = protocol;
    set16(line, Key.ctTpSrc - LINE, isIcmp(protocol) ? dport >> 8 : sport);
    set16(line, Key.ctTpDst - LINE, isIcmp(protocol) ? dport & 255 : dport);
    line.set(address(src), Key.ndTarget - LINE);
    line.set(address(dst), Key.ndSll - LINE);
  }

  /** The packet's connection; undefined: it has none. */
  row(): ConnectionRow | undefined {
    const { u8, u32 } = this.#datapath;
    const number = u32[(this.#frame + Frame.connection) >> 2]! - 1;
    if (number < 0) return undefined;
    const at = regionAddress(this.#rig.arena, 'connections') + number * CONNECTION_STRIDE;
    return connectionRows(u8.slice(at, at + CONNECTION_STRIDE), this.#datapath.nowMs)[0];
  }

  replyTuple(zone: number): Tuple | undefined {
    const row = this.row();
    if (!row) return undefined;
    const { protocol, reply } = row;
    const { src, dst, sport = reply.id!, dport = reply.type! * 256 + reply.code! } = reply;
    return { zone, protocol, src, dst, sport, dport };
  }

  end(): void {
    this.#datapath.exports.giveFrame(this.#rig.read(this.#frame).number);
  }

  // Everything else

  setClock(nowMs: number): void {
    for (const thread of this.#rig.threads) thread.setClock(nowMs);
  }

  sweep(): void {
    const { exports } = this.#rig.handler;
    while (exports.sweep(1000) === 1000);
    this.#rig.reclaim();
  }

  rows(): ConnectionRow[] {
    const { handler } = this.#rig;
    const filter = parseConnectionFilter([]);
    const rows: ConnectionRow[] = [];
    for (let from = 0; from !== NONE; ) {
      const { records, next } = handler.listConnections(from, 100, filter);
      rows.push(...connectionRows(records.slice(), handler.nowMs));
      from = next;
    }
    return rows;
  }

  flush(...words: string[]): number {
    const filter = parseConnectionFilter(words);
    let flushed = 0;
    for (let from = 0; from !== NONE; ) {
      const { count, next } = this.#rig.handler.flushConnections(from, 100, filter);
      flushed += count;
      from = next;
    }
    return flushed;
  }

  count(): number {
    return this.#rig.handler.exports.connectionCount();
  }

  countOf(zone: number): number {
    return this.#rig.handler.exports.zoneCount(zone);
  }

  counters(): Readonly<Record<string, number>> {
    return this.#rig.observer.totals() as unknown as Record<string, number>;
  }

  setTimeout(zone: number, name: string, ms: number): void {
    const which = TIMEOUTS.findIndex(([other]) => other === name);
    this.#rig.handler.exports.setTimeoutOf(zone, which, ms);
  }

  deleteTimeouts(zone: number): void {
    this.#rig.handler.exports.deleteTimeouts(zone);
  }

  setLimit(zone: number, most: number | undefined): void {
    const { exports } = this.#rig.handler;
    if (most === undefined) exports.deleteZoneLimit(zone);
    else exports.setZoneLimit(zone, most);
  }

  setDefaultLimit(most: number): void {
    this.#rig.handler.exports.setDefaultLimit(most);
  }

  setConnectionLimit(most: number): void {
    this.#rig.handler.exports.setConnectionLimit(most);
  }

  set checksSequence(checks: boolean) {
    this.#rig.handler.exports.setSequenceChecking(checks);
  }

  watch(isWatching: boolean): void {
    this.#rig.handler.exports.watchEvents(isWatching);
  }

  events(): ConnectionEvent[] {
    assert.equal(this.#rig.handler.exports.takeLostEvents(), 0, 'lost events');
    return takeEvents(this.#rig.handler);
  }
}
