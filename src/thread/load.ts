/**
 * How busy a thread is: the share of a recent second that it spent in rounds that had something to do. Going
 * round in vain and sleeping is idle time, however much of the processor it takes.
 */
import type { Datapath } from '../datapath.ts';

/** A thread looks at least so often, since it sleeps no longer (sleeper.ts). */
const WINDOW_MS = 1000;

export class Load {
  readonly #datapath: Datapath;
  #lastMs: number;
  #busyMs = 0;
  #windowMs: number;
  #busyBeforeMs = 0;

  constructor(datapath: Datapath) {
    this.#datapath = datapath;
    const { nowMs } = datapath;
    this.#lastMs = nowMs;
    this.#windowMs = nowMs;
    datapath.noteStart(nowMs);
  }

  /** The thread begins a round, and had work, or not, in the last. */
  note(hadWork: boolean): void {
    const nowMs = this.#datapath.now[0]!;
    if (hadWork) this.#busyMs += nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    const elapsedMs = nowMs - this.#windowMs;
    if (elapsedMs < WINDOW_MS) return;
    this.#datapath.noteLoad(this.#busyMs, (this.#busyMs - this.#busyBeforeMs) / elapsedMs);
    this.#windowMs = nowMs;
    this.#busyBeforeMs = this.#busyMs;
  }
}
