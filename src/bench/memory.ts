/**
 * Bench `memory`: what one operation of each structure that threads share costs, alone and between two
 * threads. The loops are in the module (`datapath/bench.ts`), so no call from JavaScript is measured.
 */
import { readFileSync } from 'node:fs';
import { type Arena, BENCH_SCRATCH, createArena, QUEUE_SIZE } from '../datapath.ts';
import { Crew } from './crew.ts';

/** The loops of the module, by the name of the structure they try. */
export const STRUCTURES = {
  lock: 'take, add one to a word, release',
  sequence: 'copy 32 bytes',
  epoch: 'begin a batch',
  'cuckoo-find': 'find one of 300,000 entries',
  'cuckoo-change': 'insert or remove, under a lock',
  mpsc: 'push and take',
  ring: 'put and get',
  pool: 'take or give',
  tally: 'count',
  barrier: 'pass',
  doorbell: 'ring a thread that is awake (1 thread); wake one (2)',
} as const;
export type Structure = keyof typeof STRUCTURES;

export interface BenchExports {
  attach(thread: number): void;
  setUp(): void;
  [loop: string]: (times: number, threads: number) => void;
}

export interface WorkerData {
  arena: Arena;
  thread: number;
}
export interface MeasureRequest {
  loop: string;
  threads: number;
  times: number;
}

/** Threads that are compared. */
export const THREADS: readonly number[] = [1, 2];

/** A thread's instance of the bench module. */
export function instantiate(arena: Arena): BenchExports {
  const { memory, module } = arena;
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as BenchExports;
}

export class MemoryBench {
  readonly #crew: Crew<WorkerData, MeasureRequest, number>;

  constructor() {
    const url = new URL('../../../build/heddle-bench.wasm', import.meta.url);
    const threads = Math.max(...THREADS);
    const limits = {
      threads,
      ports: 1,
      queues: BENCH_SCRATCH / QUEUE_SIZE,
      flows: 4096,
      rules: 0,
      frames: 1024,
      largeFrames: 0,
      macs: 16,
      connections: 0,
    };
    const arena = createArena(new WebAssembly.Module(readFileSync(url)), limits, 1);
    const exports = instantiate(arena);
    exports.attach(0);
    exports.setUp();
    const data = Array.from({ length: threads }, (_, thread) => ({ arena, thread }));
    this.#crew = new Crew(new URL('./memory-worker.js', import.meta.url), data);
  }

  /** Nanoseconds that one operation takes each of `threads` threads at once, over about `seconds`. */
  async measure(structure: Structure, threads: number, seconds: number): Promise<number> {
    const loop = structure.replace(/-(.)/, (_, letter: string) => letter.toUpperCase());
    for (let times = 1000; ; ) {
      const elapsedNs = Math.max(...(await this.#crew.measure(threads, { loop, threads, times })));
      if (elapsedNs >= seconds * 0.5e9) return elapsedNs / times;
      times = Math.ceil(times * Math.min(100, (seconds * 1e9) / elapsedNs));
    }
  }

  async end(): Promise<void> {
    await this.#crew.end();
  }
}
