/** What the control side and the threads say to each other: plain data over a MessagePort. */
import type { MessagePort } from 'node:worker_threads';
import type { Arena } from '../datapath.ts';
import type { DriverSpec } from '../port/port.ts';
import type { WrittenChange } from '../upcall/change.ts';
import type { HandlerReply, HandlerRequest } from '../upcall/request.ts';
import type { WrittenTold } from '../upcall/told.ts';
import type { Doorbells } from './sleeper.ts';

export type RoleName = 'datapath' | 'handler' | 'revalidator';

/** Given to every thread when it starts. */
export interface ThreadData {
  arena: Arena;
  thread: number;
  clockOrigin: number;
  doorbells: Doorbells;
  /** Requests come in here, each answered by one reply. */
  mail: MessagePort;
  role: { name: 'datapath'; drivers: DriverSpec[] } | SlowRole;
}

/** `index`: which of its kind it is, from 0; `tables`: all that there is when it starts. */
export interface SlowRole {
  name: 'handler' | 'revalidator';
  index: number;
  macAgeingMs: number;
  tables: WrittenChange;
}

/**
 * `drain`: take nothing more in, and answer when all that is there has been passed on. A datapath thread
 * goes on sending for others until `finish`, which ends any thread. `follow`: answered when what comes in from then on
 * goes by the changed tables. `round`: of the first revalidator, answered when every flow has been credited with what
 * it had counted and goes by the tables that there were when it was asked. The others are as in `Engine`.
 */
export type ThreadRequest =
  | { type: 'drain' }
  | { type: 'finish' }
  | { type: 'attach'; driver: DriverSpec }
  | { type: 'detach' | 'release'; number: number }
  | { type: 'settle' }
  | { type: 'follow'; change: WrittenChange }
  | { type: 'round' }
  | { type: 'ask'; request: HandlerRequest };

/** `told` comes unasked, and is no answer. */
export type ThreadReply =
  | { ok: HandlerReply }
  | { error: { name: string; message: string } }
  | { told: WrittenTold };
