/** What the control side asks of the handler, and gets: plain data, so that it crosses threads. */
import type { FlowCommand, FlowRow, MacRow, MegaflowRow } from '../model.ts';

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
  /** In ovs-ofctl syntax; already found to be right. */
  flows: string;
  /** Addresses that NORMAL may know. */
  macs: number;
  macAgeingMs: number;
}

/** `ports`: these are the ports now; answered when nothing that goes by the ones before is under way there. */
export type HandlerRequest =
  | { command: FlowCommand; text: string }
  | { command: 'ports'; ports: PortName[] }
  | { command: 'flows' | 'megaflows' | 'macs' }
  /** What a handler that has just started must be asked to have the same tables. */
  | { command: 'snapshot' };

export type HandlerReply = string[] | FlowRow[] | MegaflowRow[] | MacRow[] | HandlerRequest[];
