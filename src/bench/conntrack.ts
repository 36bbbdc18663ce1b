/**
 * Bench `conntrack`: what `ovstest test-conntrack benchmark` of Open vSwitch measures, and that program itself in
 * turn. Each thread tracks a batch of identical packets of a connection of its own again and again, in zone 0 and
 * with commit, at a clock that does not move; so all but the first hit a connection which has seen no reply.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Arena, BATCH } from '../datapath.ts';
import { Crew } from './crew.ts';
import { Sweeper } from './sweeper.ts';
import { trackingArena } from './tracking.ts';

export interface ConntrackOptions {
  threads: number;
  /** Of each thread. */
  packets: number;
  /** Packets that are tracked at a time. */
  batch: number;
  /** 1: to destination port 3 instead of 2. */
  change: number;
}

/** What a worker is told. It answers with the milliseconds that it took. */
export interface WorkerData {
  arena: Arena;
  thread: number;
  batch: number;
  change: number;
}
export interface MeasureRequest {
  packets: number;
}

/** Packets that can be tracked at a time. */
export const BATCH_MOST = BATCH;

/** One connection a thread; a pool has to be larger than what its threads keep at hand. */
const CONNECTIONS = 10_000;
/** Of each thread, so that what is measured is compiled. */
const WARM_UP_PACKETS = 1_000_000;

export class ConntrackBench {
  readonly #options: ConntrackOptions;
  readonly #sweeper: Sweeper;
  readonly #crew: Crew<WorkerData, MeasureRequest, number>;

  constructor(options: ConntrackOptions) {
    this.#options = options;
    const { threads, batch, change } = options;
    const arena = trackingArena(threads, CONNECTIONS);
    this.#sweeper = new Sweeper(arena);
    const data = Array.from({ length: threads }, (_, thread) => ({ arena, thread, batch, change }));
    this.#crew = new Crew(new URL('./conntrack-worker.js', import.meta.url), data);
  }

  async warmUp(): Promise<void> {
    await this.#run(WARM_UP_PACKETS);
  }

  /** Milliseconds until the slowest thread was done. */
  measure(): Promise<number> {
    return this.#run(this.#options.packets);
  }

  async #run(packets: number): Promise<number> {
    const elapsed = await this.#sweeper.beside(this.#crew.measure(this.#options.threads, { packets }));
    return Math.max(...elapsed);
  }

  async end(): Promise<void> {
    await this.#crew.end();
  }
}

/** Milliseconds that the `ovstest` at `path` says it takes for the same. */
export async function measurePeer(path: string, options: ConntrackOptions): Promise<number> {
  const { threads, packets, batch, change } = options;
  const counts = [threads, packets, batch, change].map(String);
  const { stdout } = await promisify(execFile)(path, ['test-conntrack', 'benchmark', ...counts]);
  const ms = /^conntrack: +(\d+) ms$/m.exec(stdout);
  if (!ms) throw new Error(`${path}: found ${JSON.stringify(stdout)}, expected "conntrack: N ms"`);
  return Number(ms[1]);
}
