/**
 * Runs jobs on threads of their own over one arena. A test file is its own worker: it ends with
 *
 *     if (isMainThread) tests(); else work({ producer, consumer });
 *
 * and its tests call `crew(import.meta.url, …)`. Jobs begin together; when one fails all are stopped.
 */
import { parentPort, Worker, workerData } from 'node:worker_threads';
import type { Arena } from '../../src/datapath.ts';
import { TestDatapath } from './module.ts';

/** What jobs share beside the arena. */
export type Shared = Int32Array<SharedArrayBuffer>;

/** Runs on a thread of the arena; what it returns goes back to the test. */
export type Job = (datapath: TestDatapath, shared: Shared, seed: number) => unknown;

interface CrewData {
  arena: Arena;
  thread: number;
  job: string;
  shared: Shared;
  seed: number;
  begin: Shared;
}

export const shared = (words: number): Shared => new Int32Array(new SharedArrayBuffer(4 * words));

/** Runs `jobs[i]` as thread `i`; resolves with what they return. */
export async function crew(
  url: string,
  arena: Arena,
  jobs: readonly string[],
  common: Shared,
  seed: number,
): Promise<unknown[]> {
  const begin = shared(1);
  const workers = jobs.map((job, thread) => {
    const data: CrewData = { arena, thread, job, shared: common, seed: seed + thread, begin };
    return new Worker(new URL(url), { workerData: data });
  });
  try {
    return await Promise.all(
      workers.map(
        (worker) =>
          new Promise((resolve, reject) => {
            worker.once('message', resolve).once('error', reject);
          }),
      ),
    );
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** The worker's side. */
export function work(jobs: Record<string, Job>): void {
  const { arena, thread, job, shared: common, seed, begin } = workerData as CrewData;
  const datapath = new TestDatapath(arena, thread);
  Atomics.add(begin, 0, 1);
  Atomics.notify(begin, 0);
  for (let here = 0; here < arena.limits.threads; here = Atomics.load(begin, 0)) {
    Atomics.wait(begin, 0, here, 100);
  }
  parentPort!.postMessage(jobs[job]!(datapath, common, seed));
}
