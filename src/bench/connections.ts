/**
 * Bench `connections`: what connections cost that come and go, where bench `conntrack` has one a thread. All figures
 * of a round are taken in one arena:
 *
 *     setup    connections from packets that differ     ─▶  lookup   their packets, in random order
 *     snat     the same, their sources translated to few addresses
 *     lives    TCP connections from the first packet to the last, on a clock that moves so fast that about half
 *              as many as the table is for wait for their time to be over; the sweeper takes them beside
 *
 * Between these the time of all connections passes and the table is empty. Each thread has connections of its own;
 * only `lookup` draws from all.
 */
import { type Arena, BATCH } from '../datapath.ts';
import { Crew } from './crew.ts';
import { Sweeper } from './sweeper.ts';
import { trackingArena } from './tracking.ts';

/** The figures, with their units. */
export const FIGURES = {
  setup: 'connections/s',
  lookup: 'ns/packet',
  snat: 'connections/s',
  lives: 'lives/s',
  bytesPerConnection: 'bytes',
} as const;
export type Figure = keyof typeof FIGURES;
/** Those that are measured. */
export type Work = Exclude<Figure, 'bytesPerConnection'>;

export const CONNECTIONS: readonly number[] = [10_000, 1_000_000];
export const THREADS: readonly number[] = [1, 2];

export interface WorkerData {
  arena: Arena;
  thread: number;
  threads: number;
  connections: number;
}
export interface MeasureRequest {
  work: Work;
  /** Where the clock begins. */
  nowMs: number;
}
export interface MeasureReply {
  /** Connections, packets or lives. */
  done: number;
  elapsedMs: number;
}

/** Measures `threads` threads with `connections` connections, round by round. Throws when tracking was wrong. */
export async function benchConnections(
  connections: number,
  threads: number,
  rounds: number,
): Promise<Record<Figure, number>[]> {
  const bench = new ConnectionsBench(connections, threads);
  const bytesPerConnection = bench.bytesPerConnection();
  const measured: Record<Figure, number>[] = [];
  try {
    await bench.round(); // until the packet path is compiled and the arena's pages have been touched
    for (let i = 0; i < rounds; i++) measured.push({ ...(await bench.round()), bytesPerConnection });
  } finally {
    await bench.end();
  }
  return measured;
}

class ConnectionsBench {
  readonly #connections: number;
  readonly #threads: number;
  readonly #arena: Arena;
  readonly #sweeper: Sweeper;
  readonly #crew: Crew<WorkerData, MeasureRequest, MeasureReply>;

  constructor(connections: number, threads: number) {
    this.#connections = connections;
    this.#threads = threads;
    const arena = trackingArena(threads, room(connections));
    this.#arena = arena;
    this.#sweeper = new Sweeper(arena);
    const data = Array.from({ length: threads }, (_, thread) => ({ arena, thread, threads, connections }));
    this.#crew = new Crew(new URL('./connections-worker.js', import.meta.url), data);
  }

  async round(): Promise<Record<Work, number>> {
    const setup = await this.#perSecond('setup');
    this.#expectAll();
    const lookup = (1e9 * this.#threads) / (await this.#perSecond('lookup'));
    this.#sweeper.clear();
    const snat = await this.#perSecond('snat');
    this.#expectAll();
    this.#sweeper.clear();
    const lives = await this.#perSecond('lives');
    this.#sweeper.clear();
    return { setup, lookup, snat, lives };
  }

  /** How many of what `work` does all threads together do in a second. */
  async #perSecond(work: Work): Promise<number> {
    const { nowMs } = this.#sweeper;
    const replies = await this.#sweeper.beside(this.#crew.measure(this.#threads, { work, nowMs }));
    return replies.reduce((sum, { done, elapsedMs }) => sum + (1000 * done) / elapsedMs, 0);
  }

  #expectAll(): void {
    const { connections } = this.#sweeper;
    if (connections !== this.#connections) {
      throw new Error(`found ${connections} connections, expected ${this.#connections}`);
    }
  }

  /** What the arena has more than one for a tenth of the connections, by connection. */
  bytesPerConnection(): number {
    const [all, fewer] = [room(this.#connections), room(this.#connections / 10)];
    return (bytesOf(this.#arena) - bytesOf(trackingArena(this.#threads, fewer))) / (all - fewer);
  }

  async end(): Promise<void> {
    await this.#crew.end();
  }
}

/** An eighth more than there will be: threads keep some at hand, and swept ones wait for their epoch. */
function room(connections: number): number {
  return Math.ceil((connections * 9) / 8 / BATCH) * BATCH;
}

function bytesOf({ regions }: Arena): number {
  return regions.reduce((sum, { records, recordBytes }) => sum + records * recordBytes, 0);
}
