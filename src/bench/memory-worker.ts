/** A thread of bench `memory`: runs the loops it is told to, and says how long each took. */
import { parentPort, workerData } from 'node:worker_threads';
import { instantiate, type MeasureRequest, type WorkerData } from './memory.ts';

const { arena, thread, arrived } = workerData as WorkerData;
const exports = instantiate(arena);
exports.attach(thread);

parentPort!.on('message', ({ loop, threads, times, barrier }: MeasureRequest) => {
  Atomics.add(arrived, 0, 1);
  while (Atomics.load(arrived, 0) < barrier);
  const startMs = performance.now();
  exports[loop]!(times, threads);
  parentPort!.postMessage((performance.now() - startMs) * 1e6);
});
