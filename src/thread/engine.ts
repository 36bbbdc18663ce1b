/**
 * What runs a switch: threads of their own (`threads.ts`), or one after another on this one (`inline.ts`).
 */
import type { HandlerReply, HandlerRequest } from '../upcall/request.ts';

export interface Engine {
  /** Milliseconds since the switch was opened, on its own clock. */
  nowMs(): number;
  ask(request: HandlerRequest): Promise<HandlerReply>;
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
