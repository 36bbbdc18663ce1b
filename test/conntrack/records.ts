/** Connections written by hand into their region, as if they had been tracked; nothing leads to them. */
import { connectionEvents } from '../../src/control/connections.ts';
import {
  type Arena,
  CONNECTION_ORIGIN,
  CONNECTION_PEERS,
  CONNECTION_REPLIED,
  CONNECTION_STRIDE,
  CONNECTION_TUPLES,
  Connection,
  NETWORK_IPV4,
  NETWORK_IPV6,
  Origin,
  Peer,
  POOL_CONNECTIONS,
  regionAddress,
  TUPLE_SIZE,
  Tuple,
} from '../../src/datapath.ts';
import type { ConnectionEvent } from '../../src/model.ts';
import type { TestDatapath } from '../support/module.ts';

export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;

/** One direction; `dport` of ICMP is type × 256 + code. */
export interface Way {
  src: readonly number[];
  dst: readonly number[];
  sport: number;
  dport: number;
  packets?: number;
  bytes?: number;
}

export interface Fake {
  /** Of a live one 3, 7, 11, …; default 3. */
  generation?: number;
  protocol: number;
  original: Way;
  reply: Way;
  zone?: number;
  mark?: number;
  /** The lower half. */
  label?: bigint;
  /** Of both ends, by number. */
  states?: readonly [number, number];
  expiresMs?: number;
  replied?: boolean;
}

/** Makes record `number` be this connection; the address of the record. */
export function putConnection(arena: Arena, number: number, fake: Fake): number {
  const record = regionAddress(arena, 'connections') + number * CONNECTION_STRIDE;
  const view = new DataView(arena.memory.buffer, record, CONNECTION_STRIDE);
  const { generation = 3, expiresMs = 60_000, mark = 0, label = 0n, states = [0, 0] } = fake;
  view.setUint32(Connection.generation, generation, true);
  view.setFloat64(Connection.expiresMs, expiresMs, true);
  view.setUint32(Connection.mark, mark, true);
  view.setBigUint64(Connection.labelHigh, label);
  view.setUint8(Connection.flags, fake.replied ? CONNECTION_REPLIED : 0);
  [fake.original, fake.reply].forEach((way, direction) => {
    view.setUint8(CONNECTION_PEERS + direction * Peer.size + Peer.state, states[direction]!);
    putTuple(view, CONNECTION_TUPLES + direction * TUPLE_SIZE, way, fake);
    const counters = CONNECTION_ORIGIN + direction * Origin.replyPackets;
    view.setBigUint64(counters + Origin.packets, BigInt(way.packets ?? 0), true);
    view.setBigUint64(counters + Origin.bytes, BigInt(way.bytes ?? 0), true);
  });
  return record;
}

function putTuple(view: DataView, at: number, way: Way, { protocol, zone = 0 }: Fake): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, TUPLE_SIZE);
  bytes.fill(0).set(way.src, Tuple.srcLow);
  bytes.set(way.dst, Tuple.dstLow);
  view.setUint16(at + Tuple.tpSrc, way.sport);
  view.setUint16(at + Tuple.tpDst, way.dport);
  view.setUint8(at + Tuple.l3, way.src.length === 4 ? NETWORK_IPV4 : NETWORK_IPV6);
  view.setUint8(at + Tuple.proto, protocol);
  view.setUint16(at + Tuple.zone, zone, true);
}

/** Takes the numbers from 0 up to `count` at least, so that what is written there is looked at. */
export function takeNumbers({ exports, thread }: TestDatapath, count: number): void {
  for (let i = 0; i < count; i++) exports.take(thread, POOL_CONNECTIONS);
}

/** All events that wait, oldest first. */
export function takeEvents(datapath: TestDatapath): ConnectionEvent[] {
  const events: ConnectionEvent[] = [];
  for (let event = datapath.nextEvent(); event; event = datapath.nextEvent()) {
    events.push(...connectionEvents(event.slice()));
    datapath.exports.endEvent();
  }
  return events;
}
