/** What a measure is: something done once to a running system, with one or more figures as its result. */
import type { Running } from '../systems/system.ts';
import type { Topology } from '../topology.ts';

export interface Trial {
  readonly topology: Topology;
  readonly running: Running;
  /** How long load is applied. */
  readonly seconds: number;
  /** Aborts when the whole benchmark is to end. */
  readonly signal: AbortSignal;
}

export interface Reading {
  readonly name: string;
  readonly unit: string;
  /** Undefined when the system failed at this; `failure` says how. */
  readonly value?: number;
  readonly failure?: string;
  readonly parameters?: Readonly<Record<string, string | number | boolean>>;
}

export interface Measure {
  readonly name: string;
  /** Programs that it runs. */
  readonly tools: readonly string[];
  /** No readings: the measure does not apply to this system. */
  take(trial: Trial): Promise<Reading[]>;
}
