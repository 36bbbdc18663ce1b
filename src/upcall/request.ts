/** What the control side asks of the handler, and gets: plain data, so that it crosses threads. */
import type {
  FlowRow,
  LimitRow,
  MacRow,
  MegaflowRow,
  RuleCommand,
  RuleKind,
  TimeoutRow,
  Watched,
  ZoneAction,
  ZoneSetting,
} from '../model.ts';
import type { RuleLimits } from '../table/tables.ts';
import type { EventSlice } from './connection-events.ts';
import type { ConnectionSlice, FlushSlice } from './connections.ts';

/** A port as the tables know it. */
export interface PortName {
  number: number;
  name: string;
  /** Whether it can carry frames; one that cannot is still known. */
  up: boolean;
  /** Whether it is only for copies that mirrors make: NORMAL and floods leave it out. Default: no. */
  forMirrors?: boolean;
}

export interface HandlerOptions {
  ports: PortName[];
  /** A bundle, as in `parse-bundle.ts`; already found to be right. */
  flows: string;
  rules: RuleLimits;
  /** Addresses that NORMAL may know. */
  macs: number;
  macAgeingMs: number;
}

/** What is asked about rules; `text` as `SwitchControl.rules` says. */
export interface RuleRequest {
  command: 'rules';
  kind: RuleKind;
  action: RuleCommand;
  text: string;
}

/** `ports`: these are the ports now; answered when nothing that goes by the ones before is under way there. */
export type HandlerRequest =
  | RuleRequest
  /** Asked again and again, by each monitor under a number of its own. */
  | { command: 'watch' | 'unwatch'; monitor: number }
  /** The same for what happens to connections; `unwatch` ends it as well. */
  | { command: 'events'; monitor: number; filter: readonly string[] }
  /** A slice of them; asked again with `from` where the last one says to go on. */
  | { command: 'connections' | 'flush'; filter: readonly string[]; from: number }
  | { command: 'changeZones'; setting: ZoneSetting; action: ZoneAction; text: string }
  | { command: 'sequenceChecking'; on?: boolean | undefined }
  | { command: 'ports'; ports: PortName[] }
  | { command: 'flows' | 'megaflows' | 'macs' | 'expectations' | ZoneSetting }
  /** What a handler that has just started must be asked to have the same tables. */
  | { command: 'snapshot' };

export type HandlerReply =
  | string[]
  | FlowRow[]
  | MegaflowRow[]
  | MacRow[]
  | LimitRow[]
  | TimeoutRow[]
  /** Copies of expectations. */
  | Uint8Array
  | HandlerRequest[]
  | Watched
  | ConnectionSlice
  | FlushSlice
  | EventSlice;
