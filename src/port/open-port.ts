/** An open port as the control side holds it: its queues, each of which can be opened anew by itself. */
import {
  type DriverSpec,
  type KernelCounts,
  type Link,
  NO_COUNTS,
  type Opening,
  type OpenQueue,
} from './port.ts';

/** A queue and what is remembered of it. */
interface Held {
  queue: OpenQueue | undefined;
  /** What the queues that stood here before counted. */
  before: KernelCounts;
  /** What this one had counted when it was last asked with success. */
  counted: KernelCounts;
}

export class OpenPort {
  readonly #opening: Opening;
  readonly #held: Held[] = [];

  /** Opens `queues` queues, or none. @throws what opening them throws. */
  constructor(opening: Opening, queues: number) {
    this.#opening = opening;
    try {
      for (let queue = 0; queue < queues; queue++) {
        this.#held.push({ queue: opening.openQueue(queue), before: NO_COUNTS, counted: NO_COUNTS });
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What threads need to drive the queues, in their order. */
  get drivers(): DriverSpec[] {
    return this.#held.map(({ queue }) => queue!.driver);
  }

  /** How things stand with the link. @throws Error when the port cannot carry frames. */
  link(): Link {
    return this.#opening.link();
  }

  /** What the kernel has counted, as far as it says so. */
  counts(): KernelCounts {
    return this.#held.map((held) => sumCounts(held.before, look(held))).reduce(sumCounts, NO_COUNTS);
  }

  /**
   * Closes queue `queue`, whose driver has stopped or died, and opens it anew, with fresh kernel objects in the
   * same area of the arena. The other queues go on. Returns what the next driver needs.
   * @throws Error when it cannot be opened; then it stays closed.
   */
  reopen(queue: number): DriverSpec {
    this.closeQueue(queue);
    const opened = this.#opening.openQueue(queue);
    this.#held[queue]!.queue = opened;
    return opened.driver;
  }

  /** Closes queue `queue`, whose driver has stopped or died; the other queues go on. */
  closeQueue(queue: number): void {
    const held = this.#held[queue]!;
    held.before = sumCounts(held.before, look(held));
    held.counted = NO_COUNTS;
    held.queue?.close();
    held.queue = undefined;
  }

  /** Lets go of everything. The drivers must have stopped. */
  close(): void {
    for (const { queue } of this.#held) queue?.close();
    this.#opening.close();
  }
}

function look(held: Held): KernelCounts {
  try {
    held.counted = held.queue?.counts?.() ?? held.counted;
  } catch {
    // The kernel knows nothing of an interface that is gone.
  }
  return held.counted;
}

export function sumCounts(a: KernelCounts, b: KernelCounts): KernelCounts {
  return { rxMissed: a.rxMissed + b.rxMissed, rxDropped: a.rxDropped + b.rxDropped };
}
