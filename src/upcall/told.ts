/**
 * What packets tell those who translate them, and the owner of the tables is to know: flows that learn actions make,
 * and rules with `fin_timeout` whose connection has ended.
 */
import { type Flow, parseFlow } from '../table/parse.ts';
import { printFlow } from '../table/print.ts';

export interface LearnedFlow {
  readonly flow: Flow;
  /** So many that the action made may be in force; 0: any number. */
  readonly limit: number;
  /** When the packet came. */
  readonly heardMs: number;
}

export interface Told {
  readonly learned: readonly LearnedFlow[];
  /** Numbers of rules. */
  readonly ended: readonly number[];
}

/** The same as it crosses threads: flows as text. */
export interface WrittenTold extends Omit<Told, 'learned'> {
  readonly learned: readonly { text: string; limit: number; heardMs: number }[];
}

export const writeTold = ({ learned, ended }: Told): WrittenTold => ({
  learned: learned.map(({ flow, ...rest }) => ({ text: printFlow(flow), ...rest })),
  ended,
});

export const readTold = ({ learned, ended }: WrittenTold): Told => ({
  learned: learned.map(({ text, ...rest }) => ({ flow: parseFlow(text), ...rest })),
  ended,
});
