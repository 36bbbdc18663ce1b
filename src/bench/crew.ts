/**
 * The workers of a bench. Each is told what to measure, waits until all have heard it, and begins with the others.
 *
 *     bench ──request──▶ worker 0 ──┐
 *           ──request──▶ worker 1 ──┴── all have arrived ──▶ measure ──reply──▶ bench
 */
import { once } from 'node:events';
import { parentPort, Worker, workerData } from 'node:worker_threads';

/** What a worker is made with. */
interface Enlisted<Data> {
  data: Data;
  /** How many have arrived at any barrier so far. */
  arrived: Int32Array;
}

interface Order<Request> {
  request: Request;
  /** `arrived` when all have come. */
  barrier: number;
}

export class Crew<Data, Request, Reply> {
  readonly #workers: Worker[];
  readonly #arrived = new Int32Array(new SharedArrayBuffer(4));
  #barrier = 0;

  /** Starts a worker for each of `data`, which runs the module at `script`. */
  constructor(script: URL, data: readonly Data[]) {
    this.#workers = data.map((data) => {
      const workerData: Enlisted<Data> = { data, arrived: this.#arrived };
      return new Worker(script, { workerData });
    });
  }

  /** Lets the first `threads` workers measure, all at the same time. */
  async measure(threads: number, request: Request): Promise<Reply[]> {
    this.#barrier += threads;
    const order: Order<Request> = { request, barrier: this.#barrier };
    return Promise.all(
      this.#workers.slice(0, threads).map(async (worker) => {
        worker.postMessage(order);
        const [reply] = await once(worker, 'message');
        return reply as Reply;
      }),
    );
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** In a worker: makes of its data what measures, and does so for each request. */
export function serve<Data, Request, Reply>(prepare: (data: Data) => (request: Request) => Reply): void {
  const { data, arrived } = workerData as Enlisted<Data>;
  const measure = prepare(data);
  parentPort!.on('message', ({ request, barrier }: Order<Request>) => {
    Atomics.add(arrived, 0, 1);
    while (Atomics.load(arrived, 0) < barrier);
    parentPort!.postMessage(measure(request));
  });
}
