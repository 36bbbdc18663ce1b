/**
 * Workers for threads. One is kept ready for a thread that dies: it has loaded its code and waits to be told which
 * thread it is (`worker.ts`). On a busy machine that is most of the time that a new worker takes.
 */
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { ThreadData } from './messages.ts';

/** A spare is made so long after it is needed: by then whoever needs the processor more has had it. */
const LATER_MS = 200;

export class Spares {
  #spare: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** A worker that becomes the thread that it is told to be: the spare, or a new one if there is none. */
  take(data: ThreadData): Worker {
    const worker = this.#spare ?? create();
    this.#spare = undefined;
    worker.removeAllListeners('error').removeAllListeners('exit');
    worker.ref();
    worker.postMessage(data, [data.mail]);
    return worker;
  }

  /** Sees to it that there will be a spare. */
  prepare(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#spare) return;
      this.#spare = create();
      this.#spare.unref();
      // One that cannot start is no spare; if a thread cannot either, it will say so itself.
      const forget = () => {
        this.#spare = undefined;
      };
      this.#spare.once('error', forget).once('exit', forget);
    }, LATER_MS).unref();
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer);
    const spare = this.#spare;
    if (!spare) return;
    spare.ref();
    spare.postMessage(null);
    await once(spare, 'exit');
  }
}

/**
 * A busy thread leaves some 150 KiB of garbage a second behind, numbers mostly. V8 comes for it when the first
 * generation is full, a megabyte otherwise; there is as little to keep then as with a small one.
 */
const FIRST_GENERATION_MIB = 16;

function create(): Worker {
  setFlagsFromString(`--min-semi-space-size=${FIRST_GENERATION_MIB}`);
  return new Worker(new URL('./worker.js', import.meta.url));
}
