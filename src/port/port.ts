/**
 * What a port is, and what a port type must provide.
 *
 *     control side   PortType.open ─▶ Opening ─ openQueue(i) ─▶ OpenQueue ─ driver: plain data ┐
 *     thread         PortType.drive(datapath, driver) ─▶ Port: poll, transmit, sleep on  ◀────┘
 *
 * A port has one queue or several, each driven by one datapath thread. It is opened on the control side, where
 * errors can be told to whoever asked, and where it is closed whatever becomes of its threads. Opening a queue
 * yields plain data, from which its thread makes a driver; that thread alone calls the driver. Frames from
 * other threads reach it through a ring and join the same transmit queue.
 *
 * A new type is a file that exports these two functions, a line in `types.ts`, and its section in the schema of
 * the configuration.
 */
import type { Arena, Datapath, QueueAreas } from '../datapath.ts';
import type { KernelFrames } from './kernel-frames.ts';

/** What every port is given; a type's options are this and its own. */
export interface PortBasics {
  name: string;
  number: number;
  /** How many queues it has. */
  queues: number;
}

/** What the ports of a switch share. */
export interface PortContext {
  arena: Arena;
  areas: QueueAreas;
  kernelFrames: KernelFrames;
  /** When the switch clock began, since 1970. */
  epochMs: number;
  /** Has the threads of port `number` look at its queues. */
  ring(number: number): void;
}

export interface PortType<Options extends PortBasics, Spec extends DriverSpec> {
  /** Control side: finds out that there can be such a port. No queue is open yet. @throws Error saying why not. */
  open(options: Options, context: PortContext): Opening | Promise<Opening>;
  /** Thread's side: drives a queue. */
  drive(datapath: Datapath, spec: Spec): Port;
}

/** What a thread needs to drive a queue: structured-clonable. Each type adds its own. */
export interface DriverSpec {
  /** The port type's name. */
  type: string;
  /** The port's number. */
  number: number;
}

/** A port on its way to be open: what its queues have in common. */
export interface Opening {
  /** Opens queue `queue`, from 0; again, when the queue that was open has been closed. @throws Error. */
  openQueue(queue: number): OpenQueue;
  /** How things stand with the link. @throws Error when it is gone or down: the port cannot carry frames. */
  link(): Link;
  /** Lets go of what the queues shared; they are closed. */
  close(): void;
}

export interface Link {
  mtu: number;
  /** Longest frame that the port takes, in bytes from the Ethernet header on, a VLAN tag not counted. */
  maxLength: number;
  /** Whether somebody is at the other end; why not, where more can be said than that. */
  carrier: boolean;
  absence?: string;
}

/** A queue as the control side holds it. */
export interface OpenQueue {
  driver: DriverSpec;
  /** What the kernel counted at the queue since it was opened; absent: there is no kernel behind it. */
  counts?(): KernelCounts;
  /** Lets go of everything in the kernel. The driver must have stopped. */
  close(): void;
}

/** Frames that arrived and that the datapath never saw. */
export interface KernelCounts {
  /** For want of room: the thread was behind. */
  rxMissed: number;
  /** For another reason. */
  rxDropped: number;
}

export const NO_COUNTS: KernelCounts = { rxMissed: 0, rxDropped: 0 };

/** A driver: the thread's side of a queue. */
export interface Port {
  /** Descriptors that become readable when `poll` has work; the thread sleeps on them. */
  readonly descriptors: readonly number[];

  /** Receives at most one batch, runs it through the datapath, and returns how many frames it had. */
  poll(): number;

  /** Sends the frames that the datapath queued for this port. Called only when there are some. */
  transmit(): void;

  /** When `poll` will have work though no descriptor is ready, on the switch clock; Infinity: never. */
  dueMs(): number;

  /**
   * Lets go of what the thread's side holds, frames too. When the port goes while the switch runs, its kernel
   * side is closed already.
   */
  close(): void;
}
