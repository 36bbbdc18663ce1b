/**
 * What the parser of actions knows where an action stands: of the packets that come there, and of what may
 * stand there.
 */
import type { Action } from './action.ts';
import { type Field, fieldNames, fieldOnWire, fieldsNamed } from './fields.ts';
import type { Match } from './match.ts';
import { meets, type PacketKind, PROTOCOLS, type Prerequisite } from './protocols.ts';
import { fail, type Item, suggestion, type Token, withoutValue } from './syntax.ts';
import type { PortNumbers } from './values.ts';

/** What is said of packets' protocols. `isAny`: nothing is, and whoever lacks a field is left alone. */
export type Known = { -readonly [key in keyof PacketKind]: PacketKind[key] } & { readonly isAny?: boolean };

export interface Context extends Known {
  readonly ports: PortNumbers;
  /** A flow's list has instructions, in order; a nested list and a bucket have actions alone. */
  readonly place: 'flow' | 'actionSet' | 'nested' | 'bucket';
  /** The packets are such as cannot belong to a connection. */
  readonly isInvalid?: boolean;
  /** Inside ct, where a connection's mark and label are set, and nothing else. */
  readonly isInCt?: boolean;
  /** The flow's. */
  readonly table: number;
  /** Lists around this one. */
  readonly depth: number;
  /** Tags that the packet is known to have. */
  tags: number;
}

/** Reads one action. What it does to packets is noted in the context, for the actions behind it. */
export type ActionParser = (item: Item, context: Context) => Action;

/** For an action that is one word. */
export const plain =
  (action: Action): ActionParser =>
  (item) => {
    withoutValue(item);
    return action;
  };

const UNKNOWN: Known = { ethType: undefined, nwProto: undefined, icmpType: undefined, hasConnection: false };

/** For the actions of a flow. */
export function flowContext(match: Match, table: number, isTagged: boolean, ports: PortNumbers): Context {
  const { ethType, nwProto, icmpType, hasConnection, isInvalid } = match;
  const known = { ethType, nwProto, icmpType, hasConnection, isInvalid };
  return { ...known, ports, table, place: 'flow', depth: 0, tags: isTagged ? 1 : 0 };
}

/** For the actions of a group's bucket, which any packet may reach. */
export const bucketContext = (ports: PortNumbers): Context => ({
  ...UNKNOWN,
  isAny: true,
  ports,
  table: 0,
  place: 'bucket',
  depth: 0,
  tags: 1,
});

/** For a list inside an action; what happens there changes nothing for the actions behind it. */
export const nestedContext = (around: Context, place: 'actionSet' | 'nested'): Context => ({
  ...around,
  place,
  depth: around.depth + 1,
});

/** A flow to be learned, of which nothing is said yet. */
export const unknownPacket = (): Known => ({ ...UNKNOWN });

const mayMeet = (known: Known, requires: Prerequisite | undefined): boolean =>
  known.isAny === true || meets(requires, known);

/** @throws FlowError when nothing says that packets are what `name` requires */
export function requireKind(name: Token, requires: Prerequisite | undefined, known: Known): void {
  const needed = requires?.name;
  if (!mayMeet(known, requires)) fail(name, `"${name.text}" without ${needed}`, `${needed} in the match`);
}

/** @throws FlowError when nothing says that packets have the field */
export function requireField(name: Token, { requires }: Field, known: Known): void {
  requireKind(name, requires, known);
}

/** Fields of OVS that have no meaning here: tunnels' headers, and its own state. */
const LATER = /^(tun_\w+|nsh_\w+|packet_type|recirc_id|dp_hash|skb_priority)$/;

/** What else may stand before `actions=`; only for suggestions. */
const PROPERTIES = [
  'table',
  'priority',
  'cookie',
  'actions',
  'idle_timeout',
  'hard_timeout',
  'importance',
  'send_flow_rem',
  'check_overlap',
  'reset_counts',
  'out_port',
  'out_group',
];

/**
 * The field that a name means for packets of which this is known.
 * @throws FlowError when there is no such field, or nothing says that packets have it
 */
export function resolveField(name: Token, known: Known): Field {
  const candidates = fieldsNamed(name.text);
  if (candidates.length === 0) {
    const protocols = PROTOCOLS.flatMap(({ names }) => names);
    if (LATER.test(name.text)) fail(name, `"${name.text}" is not supported`, 'another field');
    const meant = fieldOnWire(name.text.replace(/\[\]$/, ''))?.name;
    const near = meant
      ? `; did you mean ${meant}?`
      : suggestion(name.text, [...fieldNames(), ...protocols, ...PROPERTIES]);
    fail(name, `unknown field "${name.text}"${near}`, 'a match field or "actions="');
  }
  const needed = [...new Set(candidates.map((field) => field.requires?.name))].join(' or ');
  return (
    candidates.find(({ requires }) => mayMeet(known, requires)) ??
    fail(name, `"${name.text}" without ${needed}`, `${needed} in the match`)
  );
}
