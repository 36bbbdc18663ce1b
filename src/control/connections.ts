/** Rows and events of connections and expectations, from copies of their records (datapath/conntrack). */
import {
  CONNECTION_DNAT,
  CONNECTION_FTP,
  CONNECTION_ORIGIN,
  CONNECTION_PEERS,
  CONNECTION_REPLIED,
  CONNECTION_SNAT,
  CONNECTION_STRIDE,
  CONNECTION_TFTP,
  CONNECTION_TUPLES,
  Connection,
  EVENT_CONNECTION,
  EVENT_STRIDE,
  EventRecord,
  EXPECTATION_COPY_SIZE,
  EXPECTATION_TUPLES,
  ExpectationCopy,
  NETWORK_IPV6,
  Origin,
  Peer,
  TUPLE_SIZE,
  Tuple,
} from '../datapath.ts';
import type {
  ConnectionEnds,
  ConnectionEvent,
  ConnectionRow,
  ConnectionTuple,
  ExpectationRow,
} from '../model.ts';
import { toNumber } from '../table/bytes.ts';
import { shownState, TCP_STATES } from '../table/connection-filter.ts';
import { ICMP, ICMPV6, TCP } from '../table/protocols.ts';
import { printIpv4, printIpv6 } from '../table/values.ts';

/** By the numbers EVENT_… and REMOVED_…. */
const KINDS = ['', 'new', 'update', 'destroy'] as const;
const REASONS = ['expired', 'replaced', 'flushed', 'forced'] as const;

/** Reads records that stand one after another; `nowMs` when they were copied. */
export function connectionRows(records: Uint8Array, nowMs: number): ConnectionRow[] {
  return cut(records, CONNECTION_STRIDE, (record) => connectionRow(record, nowMs));
}

/** The same for copies of expectations. */
export function expectationRows(copies: Uint8Array): ExpectationRow[] {
  return cut(copies, EXPECTATION_COPY_SIZE, (copy) => ({
    protocol: copy.getUint8(EXPECTATION_TUPLES + Tuple.proto),
    original: endsAt(copy, EXPECTATION_TUPLES),
    parent: endsAt(copy, EXPECTATION_TUPLES + TUPLE_SIZE),
    zone: copy.getUint16(EXPECTATION_TUPLES + Tuple.zone, true),
    mark: copy.getUint32(ExpectationCopy.mark, true),
    labels: labelsAt(copy, ExpectationCopy.label),
  }));
}

/** The same for records of events. */
export function connectionEvents(records: Uint8Array): ConnectionEvent[] {
  return cut(records, EVENT_STRIDE, (record) => {
    const atMs = record.getFloat64(EventRecord.atMs, true);
    const kind = KINDS[record.getUint32(EventRecord.kind, true)] as ConnectionEvent['kind'];
    const reason = REASONS[record.getUint32(EventRecord.reason, true)];
    const connection = new DataView(record.buffer, record.byteOffset + EVENT_CONNECTION, CONNECTION_STRIDE);
    return {
      kind,
      ...(kind === 'destroy' && reason && { reason }),
      atMs,
      connection: connectionRow(connection, atMs),
    };
  });
}

function cut<T>(
  { buffer, byteOffset, length }: Uint8Array,
  stride: number,
  read: (record: DataView) => T,
): T[] {
  return Array.from({ length: length / stride }, (_, i) =>
    read(new DataView(buffer, byteOffset + i * stride, stride)),
  );
}

function connectionRow(record: DataView, nowMs: number): ConnectionRow {
  const flags = record.getUint8(Connection.flags);
  const protocol = record.getUint8(CONNECTION_TUPLES + Tuple.proto);
  const startedS = record.getFloat32(CONNECTION_ORIGIN + Origin.startedS, true);
  return {
    protocol,
    original: tupleOf(record, 0),
    reply: tupleOf(record, 1),
    zone: record.getUint16(CONNECTION_TUPLES + Tuple.zone, true),
    mark: record.getUint32(Connection.mark, true),
    labels: labelsAt(record, Connection.label),
    ...(protocol === TCP && statesOf(record)),
    ...helperOf(flags),
    replied: (flags & CONNECTION_REPLIED) !== 0,
    snat: (flags & CONNECTION_SNAT) !== 0,
    dnat: (flags & CONNECTION_DNAT) !== 0,
    expiresSeconds: Math.max(record.getFloat64(Connection.expiresMs, true) - nowMs, 0) / 1000,
    ageSeconds: Math.max(nowMs / 1000 - startedS, 0),
  };
}

const labelsAt = (record: DataView, offset: number): string =>
  `0x${toNumber(bytesOf(record, offset, 16)).toString(16)}`;

function tupleOf(record: DataView, direction: number): ConnectionTuple {
  const counters = CONNECTION_ORIGIN + direction * Origin.replyPackets;
  return {
    ...endsAt(record, CONNECTION_TUPLES + direction * TUPLE_SIZE),
    packets: Number(record.getBigUint64(counters + Origin.packets, true)),
    bytes: Number(record.getBigUint64(counters + Origin.bytes, true)),
  };
}

/** What the tuple at `at` says. */
function endsAt(record: DataView, at: number): ConnectionEnds {
  const protocol = record.getUint8(at + Tuple.proto);
  const isIpv6 = record.getUint8(at + Tuple.l3) === NETWORK_IPV6;
  const address = (offset: number): string =>
    isIpv6 ? printIpv6(bytesOf(record, at + offset, 16)) : printIpv4(bytesOf(record, at + offset, 4));
  const port = (offset: number): number => record.getUint16(at + offset);
  return {
    src: address(Tuple.srcLow),
    dst: address(Tuple.dstLow),
    ...(protocol === ICMP || protocol === ICMPV6
      ? {
          id: port(Tuple.tpSrc),
          type: record.getUint8(at + Tuple.tpDst),
          code: record.getUint8(at + Tuple.tpDst + 1),
        }
      : { sport: port(Tuple.tpSrc), dport: port(Tuple.tpDst) }),
  };
}

function statesOf(record: DataView): Pick<ConnectionRow, 'state' | 'originalState' | 'replyState'> {
  const state = (direction: number) => record.getUint8(CONNECTION_PEERS + direction * Peer.size + Peer.state);
  return {
    state: shownState(Math.max(state(0), state(1))),
    originalState: TCP_STATES[state(0)]!,
    replyState: TCP_STATES[state(1)]!,
  };
}

function helperOf(flags: number): Pick<ConnectionRow, 'helper'> {
  if (flags & CONNECTION_FTP) return { helper: 'ftp' };
  return flags & CONNECTION_TFTP ? { helper: 'tftp' } : {};
}

const bytesOf = ({ buffer, byteOffset }: DataView, offset: number, length: number): Uint8Array =>
  new Uint8Array(buffer, byteOffset + offset, length);
