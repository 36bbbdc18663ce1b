/** What flows ask of ct(), what it tells of a packet, and both as text. */
import type { Connection } from './connection.ts';
import type { Direction } from './conversation.ts';
import type { Packet, Tuple } from './packet.ts';
import type { Nat } from './translation.ts';

/** One ct() of a flow. */
export interface Call {
  zone: number;
  commit: boolean;
  force: boolean;
  /** `nat`, or `nat(…)`. */
  nat?: 'as committed' | Nat;
  mark: { value: number; mask: number };
  label?: { value: bigint; mask: bigint };
}

/** What ct() has told of a packet. */
export interface Told {
  zone: number;
  /** CT_… */
  state: number;
  mark: number;
  label: bigint;
  /** None: the packet is invalid. */
  original?: Tuple;
  /** The one that it belongs to, and which way it goes. */
  connection?: Connection;
  direction: Direction;
}

/** A packet on its way through ct()s. */
export interface Passing {
  packet: Packet;
  /** Its length on the wire. */
  bytes: number;
  told: Told | undefined;
}

// As text

const STATE_NAMES = ['new', 'est', 'rel', 'rpl', 'inv', 'trk', 'snat', 'dnat'];

export const stateText = (state: number): string =>
  STATE_NAMES.filter((_, bit) => state & (1 << bit)).join('|') || 'none';

export function callText({ zone, commit, force, nat, mark, label }: Call): string {
  const set = [
    mark.mask && `ct_mark ${mark.value}/${mark.mask}`,
    label && `ct_label ${label.value}/${label.mask}`,
  ].filter(Boolean);
  const words = [commit && 'commit', force && 'force', `zone=${zone}`, nat && natText(nat), ...set];
  return `ct(${words.filter(Boolean).join(',')})`;
}

function natText(nat: 'as committed' | Nat): string {
  if (nat === 'as committed') return 'nat';
  const { end, addresses, ports, choice, persistent } = nat;
  const range = `${addresses.join('-')}${ports ? `:${ports.join('-')}` : ''}`;
  return `nat(${[`${end}=${range}`, choice, persistent && 'persistent'].filter(Boolean).join(',')})`;
}
