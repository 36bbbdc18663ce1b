/** What the control side asks of the handler, and gets: plain data, so that it crosses threads. */
import type {
  FlowRow,
  LimitRow,
  RuleCommand,
  RuleKind,
  TableRow,
  TimeoutRow,
  TraceQuestion,
  Watched,
  ZoneAction,
  ZoneSetting,
} from '../model.ts';
import type { RuleLimits } from '../table/tables.ts';
import type { EventSlice } from './connection-events.ts';
import type { ConnectionSlice, FlushSlice } from './connections.ts';
import type { MacSlice } from './macs.ts';
import type { MegaflowSlice } from './megaflows.ts';
import type { TraceReply } from './trace.ts';

/** A port as the tables know it. */
export interface PortName {
  number: number;
  name: string;
  /** Whether it can carry frames; one that cannot is still known. */
  up: boolean;
  /** Whether it is only for copies that mirrors make: NORMAL and floods leave it out. Default: no. */
  forMirrors?: boolean;
}

/** What the slow path of a switch is. */
export interface SlowOptions {
  ports: PortName[];
  /** A bundle, as in `parse-bundle.ts`; already found to be right. */
  flows: string;
  rules: RuleLimits;
  /** NORMAL forgets a station that was not heard for so long. */
  macAgeingMs: number;
}

/** What is asked about rules; `text` as `SwitchControl.rules` says. */
export interface RuleRequest {
  command: 'rules';
  kind: RuleKind;
  action: RuleCommand;
  text: string;
}

/**
 * What the owner of the tables is asked. `ports`: these are the ports now. `wait`: until every flow has been seen to;
 * `purge`: for a round in which every flow goes.
 */
export type OwnerRequest =
  | RuleRequest
  | { command: 'ports'; ports: PortName[] }
  | { command: 'flows' | 'tables' | 'wait' | 'purge' };

const OWNED: Readonly<Record<OwnerRequest['command'], true>> = {
  rules: true,
  ports: true,
  flows: true,
  tables: true,
  wait: true,
  purge: true,
};

/** Whether it is the owner of the tables who answers. */
export const isForOwner = (request: SlowRequest): request is OwnerRequest => request.command in OWNED;

export type OwnerReply = string[] | FlowRow[] | TableRow[];

/** What a handler is asked. */
export type HandlerRequest =
  /** Asked again and again, by each monitor under a number of its own. */
  | { command: 'watch' | 'unwatch'; monitor: number }
  /** The same for what happens to connections; `unwatch` ends it as well. */
  | { command: 'events'; monitor: number; filter: readonly string[] }
  /** A slice of them; asked again with `from` where the last one says to go on. */
  | { command: 'connections' | 'flush'; filter: readonly string[]; from: number }
  | { command: 'changeZones'; setting: ZoneSetting; action: ZoneAction; text: string }
  | { command: 'sequenceChecking'; on?: boolean | undefined }
  | { command: 'megaflows' | 'macs'; from: number }
  | { command: 'trace'; question: TraceQuestion }
  | { command: 'expectations' | ZoneSetting };

/** What the switch is asked that its slow path answers, whoever in it that is. */
export type SlowRequest = OwnerRequest | HandlerRequest;
export type SlowReply = OwnerReply | HandlerReply;

export type HandlerReply =
  | string[]
  | MegaflowSlice
  | MacSlice
  | LimitRow[]
  | TimeoutRow[]
  /** Copies of expectations. */
  | Uint8Array
  | Watched
  | TraceReply
  | ConnectionSlice
  | FlushSlice
  | EventSlice;
