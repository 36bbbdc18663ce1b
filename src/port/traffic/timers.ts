/**
 * Deadlines of many things, the earliest first: a binary heap in which each thing knows its own place, so
 * that moving or removing a deadline costs O(log n) and nothing stale stays behind.
 *
 * Invariants: `heap[i].dueMs >= heap[(i - 1) >> 1].dueMs`, and `heap[i].heapIndex === i`. What is not in the
 * heap has `heapIndex` -1. Which of two equal deadlines goes first depends only on the calls made before.
 */

/** Whoever waits for an answer asks again after this long, then twice as long, and so on. */
const RETRY_MS = 200;
/** How often anything is sent before it is given up: at 0, 200, 600, 1400 and 3000 ms; over at 6200 ms. */
export const MAX_TRIES = 5;

/** How long to wait after having sent something for the `tries`-th time, counted from 1. */
export const retryDelayMs = (tries: number): number => RETRY_MS * 2 ** (tries - 1);

export interface Timed {
  /** When it is due; meaningful, and written by `Timers` only, while it is in the heap. */
  dueMs: number;
  /** -1 from the start; written by `Timers` only. */
  heapIndex: number;
  /** The deadline has passed; it is out of the heap and may be set again, to later than `nowMs`. */
  expire(nowMs: number): void;
}

export class Timers {
  private readonly heap: Timed[] = [];

  /** The earliest deadline; Infinity when there is none. */
  dueMs(): number {
    return this.heap.length === 0 ? Infinity : this.heap[0].dueMs;
  }

  /** Sets or moves the deadline of `timed`. */
  set(timed: Timed, dueMs: number): void {
    if (timed.heapIndex < 0) timed.heapIndex = this.heap.push(timed) - 1;
    timed.dueMs = dueMs;
    this.settle(timed);
  }

  /** Forgets the deadline of `timed`, if it has one. */
  cancel(timed: Timed): void {
    const index = timed.heapIndex;
    if (index < 0) return;
    timed.heapIndex = -1;
    const last = this.heap.pop()!;
    if (last === timed) return;
    this.put(last, index);
    this.settle(last);
  }

  /** Expires everything that is due, in order of deadline. */
  run(nowMs: number): void {
    while (this.heap.length > 0 && this.heap[0].dueMs <= nowMs) {
      const first = this.heap[0];
      this.cancel(first);
      first.expire(nowMs);
    }
  }

  private put(timed: Timed, index: number): void {
    this.heap[index] = timed;
    timed.heapIndex = index;
  }

  /** Moves one whose deadline changed to where it belongs: towards the top, or else towards the leaves. */
  private settle(timed: Timed): void {
    const index = timed.heapIndex;
    this.rise(timed);
    if (timed.heapIndex === index) this.sink(timed);
  }

  private rise(timed: Timed): void {
    let index = timed.heapIndex;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (this.heap[above].dueMs <= timed.dueMs) break;
      this.put(this.heap[above], index);
      index = above;
    }
    this.put(timed, index);
  }

  private sink(timed: Timed): void {
    const { heap } = this;
    let index = timed.heapIndex;
    for (;;) {
      let below = 2 * index + 1;
      if (below + 1 < heap.length && heap[below + 1].dueMs < heap[below].dueMs) below++;
      if (below >= heap.length || heap[below].dueMs >= timed.dueMs) break;
      this.put(heap[below], index);
      index = below;
    }
    this.put(timed, index);
  }
}
