/** What the control side and the threads say to each other: plain data over a MessagePort. */
import type { MessagePort } from 'node:worker_threads';
import type { Arena } from '../datapath.ts';
import type { DriverSpec } from '../port/port.ts';
import type { HandlerOptions, HandlerReply, HandlerRequest } from '../upcall/request.ts';
import type { Doorbells } from './sleeper.ts';

/** Given to every thread when it starts. */
export interface ThreadData {
  arena: Arena;
  thread: number;
  clockOrigin: number;
  doorbells: Doorbells;
  /** Requests come in here, each answered by one reply. */
  mail: MessagePort;
  role:
    | { name: 'datapath'; drivers: DriverSpec[] }
    /** `journal`: what it is to do before it begins, in place of one that died. */
    | { name: 'handler'; options: HandlerOptions; journal?: readonly HandlerRequest[] };
}

/**
 * `drain`: take nothing more in, and answer when all that is there has been passed on. A datapath thread
 * goes on sending for others until `finish`, which ends any thread. The others are as in `Engine`.
 */
export type ThreadRequest =
  | { type: 'drain' }
  | { type: 'finish' }
  | { type: 'attach'; driver: DriverSpec }
  | { type: 'detach' | 'release'; number: number }
  | { type: 'settle' }
  | { type: 'handler'; request: HandlerRequest };

export type ThreadReply = { ok: HandlerReply } | { error: { name: string; message: string } };
