/** What a system under measurement is: something that forwards between the two ports of a topology. */
import type { Offload, Topology } from '../topology.ts';

export interface System {
  readonly name: string;
  /** Which ends of the cables have offloads; with those of the hosts, 64 KiB segments pass whole. */
  readonly offload: Offload;
  /** No ports: the hosts are cabled to each other. */
  readonly direct?: boolean;
  /** Why it cannot be measured on this machine, or undefined. */
  unavailable(): Promise<string | undefined>;
  /** Joins the ports; resolves when it forwards. A failure leaves nothing behind. */
  start(topology: Topology): Promise<Running>;
}

/** A system that forwards. */
export interface Running {
  /** The process whose CPU time and memory are the system's; undefined when the kernel forwards. */
  readonly processId?: number;
  /** What a reader of its figures must know, for instance the mode that the driver chose. */
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
  /** Ends it and removes what it made. */
  stop(): Promise<void>;
}
