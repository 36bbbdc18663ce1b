/**
 * The sweeper of a bench: the arena's last thread, here on the main one. It takes connections whose time is over
 * while workers measure, on a clock that is never ahead of theirs.
 */
import {
  type Arena,
  Datapath,
  Observer,
  POOL_CONNECTIONS,
  regionAddress,
  THREAD_STRIDE,
  Thread,
} from '../datapath.ts';

/** Between two looks. */
const SWEEP_MS = 1;
/** Connections that may be swept at one look. */
const BUDGET = 65_536;
/** After so long by the switch clock the time of every connection is over that a bench leaves behind. */
const FORGET_MS = 600_000;
/** Sweeping that goes on for longer has failed. */
const PATIENCE_MS = 30_000;

export class Sweeper {
  readonly #datapath: Datapath;
  readonly #observer: Observer;
  readonly #clocks: readonly number[];

  constructor(arena: Arena) {
    const workers = arena.limits.threads - 1;
    this.#datapath = new Datapath(arena, workers);
    this.#observer = new Observer(arena);
    const threads = regionAddress(arena, 'threads');
    this.#clocks = Array.from(
      { length: workers },
      (_, thread) => (threads + thread * THREAD_STRIDE + Thread.nowMs) >> 3,
    );
  }

  /** Where the workers' clocks begin next. */
  get nowMs(): number {
    return this.#datapath.nowMs;
  }

  /** Connections that there are. */
  get connections(): number {
    return this.#observer.pool(POOL_CONNECTIONS).used;
  }

  /** Sweeps until `work` is done. */
  async beside<Result>(work: Promise<Result>): Promise<Result> {
    const timer = setInterval(() => this.#sweep(), SWEEP_MS);
    try {
      return await work;
    } finally {
      clearInterval(timer);
      this.#sweep();
    }
  }

  /** Lets the time of all connections pass, and sweeps until there is none. The workers have stopped. */
  clear(): void {
    this.#sweep();
    this.#datapath.setClock(this.nowMs + FORGET_MS);
    const startMs = performance.now();
    while (this.connections > 0) {
      this.#sweep();
      if (performance.now() - startMs < PATIENCE_MS) continue;
      throw new Error(`found ${this.connections} connections after their time was over, expected none`);
    }
  }

  #sweep(): void {
    const { f64 } = this.#datapath;
    const slowestMs = Math.min(...this.#clocks.map((clock) => f64[clock]!));
    this.#datapath.setClock(Math.max(this.nowMs, slowestMs));
    this.#datapath.exports.sweep(BUDGET);
  }
}
