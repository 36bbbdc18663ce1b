/**
 * What runs a switch: threads of their own (`threads.ts`), or one after another on this one (`inline.ts`).
 */
import type { DriverSpec } from '../port/port.ts';
import type { SlowReply, SlowRequest } from '../upcall/request.ts';

export interface Engine {
  /** Milliseconds since the switch was opened, on its own clock. */
  nowMs(): number;
  ask(request: SlowRequest): Promise<SlowReply>;
  /**
   * Lets datapath thread `thread` drive a queue of a port that is not up yet. `driver` tells what drives it when
   * the thread is there to take it. Rejects when it cannot, or with what `driver` throws.
   */
  attach(thread: number, driver: () => DriverSpec): Promise<void>;
  /** The thread takes nothing more in from its queue of port `number`, which is down. */
  detach(thread: number, number: number): Promise<void>;
  /** What the detached queue had in the kernel is closed: the thread lets go of the rest. */
  release(thread: number, number: number): Promise<void>;
  /** Resolves when every datapath thread has sent, or dropped, what others had put there for it. */
  settle(): Promise<void>;
  /** Wakes thread `thread` if it sleeps: there may be something to do. */
  ring(thread: number): void;
  /** Resolves when nothing more will happen by itself; rejects when a thread fails. */
  readonly finished: Promise<void>;
  /** Ends a thread at once, as a crash would; from 0. */
  kill(thread: number): void;
  /** Sends on what is queued and ends. */
  stop(): Promise<void>;
}

/** Rebuilds an error that crossed threads. */
export function errorFrom({ name, message }: { name: string; message: string }): Error {
  const error = new Error(message);
  error.name = name;
  return error;
}
