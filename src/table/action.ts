/**
 * What a rule does with a packet: a list of actions, carried out in order. An empty list drops.
 */
import type { Field, Subfield } from './fields.ts';
import type { Masked } from './values.ts';

/** Sets a field of packets that have it. `spelling` is how it was written and is printed. */
export interface SetAction extends Masked {
  readonly kind: 'set';
  readonly spelling: string;
  readonly field: Field;
}

/** Why a packet goes to a controller. */
export const REASONS = ['no_match', 'action', 'invalid_ttl', 'action_set', 'group', 'packet_out'] as const;

export interface ControllerAction {
  readonly kind: 'controller';
  readonly reason: (typeof REASONS)[number];
  /** At most so many bytes of the packet go there. */
  readonly maxLength: number;
  readonly id: number;
  readonly userdata?: Uint8Array;
  readonly pause?: boolean;
  readonly meter?: number;
}

export interface SampleAction {
  readonly kind: 'sample';
  /** Of 65535. */
  readonly probability: number;
  readonly collectorSet: number;
  readonly domain: number;
  readonly point: number;
  readonly samplingPort?: number;
  readonly direction?: 'ingress' | 'egress';
}

/**
 * Adds a flow, made from the packet. Times are in seconds, 0: none. `limit` is how many flows may be in
 * force that this action made, 0: any number; with `result`, that bit says afterwards whether there was room.
 */
export interface LearnAction {
  readonly kind: 'learn';
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly idleTimeoutS: number;
  readonly hardTimeoutS: number;
  readonly finIdleTimeoutS: number;
  readonly finHardTimeoutS: number;
  readonly sendFlowRemoved: boolean;
  readonly deleteLearned: boolean;
  readonly limit: number;
  readonly result?: Subfield;
  readonly specs: readonly LearnSpec[];
}

/** A number, or what the packet has in these bits; as many bits as the target. */
export type LearnSource = bigint | Subfield;

/** What the learned flow matches (`match`) or does (`load`, `output`). */
export type LearnSpec =
  | { readonly kind: 'match' | 'load'; readonly source: LearnSource; readonly to: Subfield }
  | { readonly kind: 'output'; readonly source: Subfield };

/** How a new connection is translated; without `end` only as it was when it was new. */
export interface Nat {
  /** Whose address and port are replaced. */
  readonly end?: 'src' | 'dst';
  /** The addresses to choose from, of 4 or 16 bytes; none: the packet's own. */
  readonly addresses?: { readonly first: Uint8Array; readonly last: Uint8Array };
  readonly ports?: { readonly first: number; readonly last: number };
  /** The same host always gets the same address. */
  readonly persistent?: boolean;
  /** How the port is chosen. */
  readonly choice?: 'hash' | 'random';
}

/** Protocols whose connections announce others, and have them let in as related. */
export const HELPERS = ['ftp', 'tftp'] as const;
export type Helper = (typeof HELPERS)[number];

/** Has the packet's connection found. `zone`: among those of which; connections of different zones are strangers. */
export interface CtAction {
  readonly kind: 'ct';
  /** A packet that begins a connection makes it. */
  readonly commit: boolean;
  /** A packet that answers begins a connection of its own. */
  readonly force: boolean;
  readonly zone: number | Subfield;
  /** Where the packet is looked up when its connection is known. Beside that, it goes on here without. */
  readonly table?: number;
  readonly nat?: Nat;
  /** Who looks at the packets of a connection that is made. */
  readonly helper?: Helper;
  /** Actions that set mark and label. */
  readonly exec: readonly Action[];
}

/** Looks the packet up again, in `table` (default: the same one), as if it had come in on `port`. */
export interface ResubmitAction {
  readonly kind: 'resubmit';
  readonly port: number | undefined;
  readonly table: number | undefined;
  /** With the addresses and ports of the first packet of its connection; not at all when it has none. */
  readonly asFirst?: boolean;
}

export type Action =
  | { readonly kind: 'output'; readonly port: number; readonly maxLength?: number }
  | { readonly kind: 'outputField'; readonly source: Subfield }
  | { readonly kind: 'inPort'; readonly maxLength?: number }
  | { readonly kind: 'local'; readonly maxLength?: number }
  | { readonly kind: 'flood' | 'all' | 'normal' }
  | ControllerAction
  | SetAction
  | { readonly kind: 'load'; readonly value: bigint; readonly to: Subfield }
  | { readonly kind: 'move'; readonly from: Subfield; readonly to: Subfield }
  /** The stack of the packet's way through the tables: 128 bits an entry. */
  | { readonly kind: 'push' | 'pop'; readonly what: Subfield }
  | { readonly kind: 'pushVlan'; readonly tpid: number }
  | { readonly kind: 'popVlan' }
  | { readonly kind: 'pushMpls' | 'popMpls'; readonly ethType: number }
  /** A packet whose time to live is up goes to these controllers; none are named: to controller 0. */
  | { readonly kind: 'decTtl'; readonly controllers: readonly number[] }
  | { readonly kind: 'decMplsTtl' }
  | ResubmitAction
  | { readonly kind: 'goto'; readonly table: number }
  | { readonly kind: 'writeMetadata'; readonly value: bigint; readonly mask: bigint }
  | { readonly kind: 'writeActions' | 'clone'; readonly actions: readonly Action[] }
  | { readonly kind: 'clearActions' }
  | { readonly kind: 'meter'; readonly meter: number }
  | { readonly kind: 'group'; readonly group: number }
  | SampleAction
  | LearnAction
  | CtAction
  /** The packet is as if its connection had never been asked for. */
  | { readonly kind: 'ctClear' }
  /** This flow is alternative for clause `clause` (from 1) of conjunction `id`, which has `of` clauses. */
  | { readonly kind: 'conjunction'; readonly id: number; readonly clause: number; readonly of: number }
  | { readonly kind: 'note'; readonly bytes: Uint8Array }
  /** Once a packet ends a TCP connection, the flow's time-outs are these at most; in seconds, 0: as they are. */
  | { readonly kind: 'finTimeout'; readonly idleTimeoutS: number; readonly hardTimeoutS: number }
  | { readonly kind: 'exit' };

/** The `mod_vlan_…` actions and setting the whole TCI tag a packet that has no tag. */
export const addsTag = ({ spelling, field }: SetAction): boolean =>
  spelling !== 'set_field' || field.name === 'vlan_tci';

/** Whether a list, or one inside it, has an action as wanted. */
export const includesAction = (actions: readonly Action[], wanted: (action: Action) => boolean): boolean =>
  actions.some((action) => wanted(action) || ('actions' in action && includesAction(action.actions, wanted)));
