/** A queue of frames as memory ports have it (datapath/port/memory.ts), in TypeScript: its thread's own. */
import { type Datapath, MEMORY_SLOTS, MemoryQueue, NONE } from '../datapath.ts';

export class FrameQueue {
  readonly #u32: Uint32Array;
  readonly #at: number;

  constructor(datapath: Datapath, address: number) {
    this.#u32 = datapath.u32;
    this.#at = address >> 2;
  }

  /** The frame that was put first, or NONE. */
  take(): number {
    const tail = this.#u32[this.#at + (MemoryQueue.tail >> 2)]!;
    if (tail === this.#u32[this.#at + (MemoryQueue.head >> 2)]) return NONE;
    this.#u32[this.#at + (MemoryQueue.tail >> 2)] = tail + 1;
    return this.#u32[this.#slot(tail)]!;
  }

  put(frame: number): void {
    const head = this.#u32[this.#at + (MemoryQueue.head >> 2)]!;
    this.#u32[this.#slot(head)] = frame;
    this.#u32[this.#at + (MemoryQueue.head >> 2)] = head + 1;
  }

  #slot(place: number): number {
    return this.#at + (MemoryQueue.size >> 2) + (place & (MEMORY_SLOTS - 1));
  }
}
