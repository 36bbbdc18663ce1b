/**
 * Connections and what happens to them, a line each: as Open vSwitch's `dump-conntrack` has them (`ovs`), or as
 * Linux's `conntrack -L` and `-E` have them (`linux`). Tools read these lines, so not a blank is ours.
 */
import type {
  ConnectionEnds,
  ConnectionEvent,
  ConnectionRow,
  ConnectionTuple,
  ExpectationRow,
} from '../model.ts';

export const CONNECTION_FORMATS = ['ovs', 'linux'] as const;
export type ConnectionFormat = (typeof CONNECTION_FORMATS)[number];

export interface LineStyle {
  format: ConnectionFormat;
  /** With what was counted, and in the format of Open vSwitch when it expires. */
  stats?: boolean;
}

const OVS_PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'icmp',
  2: 'igmp',
  6: 'tcp',
  17: 'udp',
  33: 'dccp',
  58: 'icmpv6',
  132: 'sctp',
  136: 'udplite',
};

const LINUX_PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  33: 'dccp',
  47: 'gre',
  58: 'icmpv6',
  132: 'sctp',
  136: 'udplite',
};
const LINUX_WITH_PORTS: readonly number[] = [6, 17, 33, 132, 136];

/** Linux has one state for a connection, under names of its own. */
const LINUX_STATES: Readonly<Record<string, string>> = { CLOSED: 'CLOSE', CLOSING: 'FIN_WAIT' };

export function connectionLine(row: ConnectionRow, { format, stats = false }: LineStyle): string {
  return format === 'ovs' ? ovsLine(row, stats) : linuxLine(row, stats, true);
}

function ovsLine(row: ConnectionRow, stats: boolean): string {
  const { protocol, original, reply, zone, mark, labels, state, helper } = row;
  return [
    OVS_PROTOCOLS[protocol] ?? String(protocol),
    `orig=(${ovsTuple(original, stats)})`,
    `reply=(${ovsTuple(reply, stats)})`,
    zone !== 0 && `zone=${zone}`,
    stats && `timeout=${Math.floor(row.expiresSeconds)}`,
    mark !== 0 && `mark=${mark}`,
    labels !== '0x0' && `labels=${labels}`,
    state !== undefined && `protoinfo=(state=${state})`,
    helper !== undefined && `helper=${helper}`,
  ]
    .filter(Boolean)
    .join(',');
}

function ovsTuple(tuple: ConnectionTuple, stats: boolean): string {
  const { packets, bytes } = tuple;
  const counted = stats && (packets > 0 || bytes > 0) ? `,packets=${packets},bytes=${bytes}` : '';
  return `${ovsEnds(tuple)}${counted}`;
}

function ovsEnds({ src, dst, sport, dport, id, type, code }: ConnectionEnds): string {
  const rest = id === undefined ? `sport=${sport},dport=${dport}` : `id=${id},type=${type},code=${code}`;
  return `src=${src},dst=${dst},${rest}`;
}

/** A connection that is expected, as `dump-conntrack-exp` writes it. */
export function expectationLine({ protocol, original, parent, zone, mark, labels }: ExpectationRow): string {
  return [
    OVS_PROTOCOLS[protocol],
    `orig=(${ovsEnds(original)})`,
    `parent=(${ovsEnds(parent)})`,
    zone !== 0 && `zone=${zone}`,
    mark !== 0 && `mark=${mark}`,
    labels !== '0x0' && `labels=${labels}`,
  ]
    .filter(Boolean)
    .join(',');
}

/** What has ended has neither time left nor state. */
function linuxLine(row: ConnectionRow, stats: boolean, isThere: boolean): string {
  const { protocol, original, reply, zone, mark, state, helper, replied } = row;
  return [
    `${(LINUX_PROTOCOLS[protocol] ?? 'unknown').padEnd(8)} ${protocol}`,
    isThere && Math.floor(row.expiresSeconds),
    isThere && state !== undefined && linuxState({ ...row, state }),
    linuxTuple(protocol, original, stats),
    !replied && '[UNREPLIED]',
    linuxTuple(protocol, reply, stats),
    isAssured(row) && '[ASSURED]',
    `mark=${mark}`,
    zone !== 0 && `zone=${zone}`,
    helper !== undefined && `helper=${helper}`,
    'use=1',
  ]
    .filter((part) => part !== false)
    .join(' ');
}

function linuxTuple(protocol: number, tuple: ConnectionTuple, stats: boolean): string {
  const { src, dst, sport, dport, id, type, code, packets, bytes } = tuple;
  return [
    `src=${src} dst=${dst}`,
    id !== undefined && `type=${type} code=${code} id=${id}`,
    LINUX_WITH_PORTS.includes(protocol) && `sport=${sport} dport=${dport}`,
    stats && `packets=${packets} bytes=${bytes}`,
  ]
    .filter((part) => part !== false)
    .join(' ');
}

function linuxState(row: ConnectionRow & { state: string }): string {
  if (row.state === 'ESTABLISHED' && isOpening(row)) return 'SYN_RECV';
  return LINUX_STATES[row.state] ?? row.state;
}

/** Whether the handshake is not over: what one of the ends began with is not acknowledged. */
function isOpening({ originalState = '', replyState = '' }: ConnectionRow): boolean {
  return [originalState, replyState].some((state) => state === 'CLOSED' || state === 'SYN_SENT');
}

/** What Linux keeps when its table is full: connections that have been answered and are not just opening. */
function isAssured(row: ConnectionRow): boolean {
  return row.replied && row.original.id === undefined && !isOpening(row);
}

const OVS_KINDS = { new: 'new', update: 'updated', destroy: 'destroyed' } as const;
const LINUX_KINDS = { new: '[NEW]', update: '[UPDATE]', destroy: '[DESTROY]' } as const;

export function connectionEventLine(event: ConnectionEvent, { format, stats = false }: LineStyle): string {
  const { kind, reason, atMs, connection } = event;
  if (format === 'linux') {
    return `${LINUX_KINDS[kind].padStart(9)} ${linuxLine(connection, stats, kind !== 'destroy')}`;
  }
  const why = reason === undefined ? '' : ` reason=${reason}`;
  return `${(atMs / 1000).toFixed(3)}s ${OVS_KINDS[kind]}${why}: ${ovsLine(connection, stats)}`;
}
