/** What the control side asks of the handler, and gets: plain data, so that it crosses threads. */
import type { FlowCommand, FlowRow, MacRow, MegaflowRow } from '../model.ts';

export interface PortName {
  number: number;
  name: string;
}

export interface HandlerOptions {
  ports: PortName[];
  /** In ovs-ofctl syntax; already found to be right. */
  flows: string;
  /** Addresses that NORMAL may know. */
  macs: number;
  macAgeingMs: number;
}

export type HandlerRequest =
  | { command: FlowCommand; text: string }
  | { command: 'flows' | 'megaflows' | 'macs' }
  /** What a handler that has just started must be asked to have the same tables. */
  | { command: 'snapshot' };

export type HandlerReply = string[] | FlowRow[] | MegaflowRow[] | MacRow[] | HandlerRequest[];
