/**
 * How many of the small frames AF_XDP queues may leave with the kernel to receive into. All of them together
 * get half; the other half is for frames on their way. A switch knows at start how many queues there will be
 * and deals evenly; of what remains, a queue that comes later gets half.
 */
const LEAST = 256;

export class KernelFrames {
  #left: number;
  #planned: number;

  /** Of `frames` in all, with `planned` queues to come. */
  constructor(frames: number, planned: number) {
    this.#left = frames >> 1;
    this.#planned = planned;
  }

  /** The share of a queue, at most `most`. @throws Error when too little is left. */
  take(most: number): number {
    const planned = Math.max(this.#planned, 1);
    const share = Math.min(Math.floor(this.#left / (planned + 1)), most);
    if (share < LEAST) {
      throw new Error(`found ${share} frames for another AF_XDP queue, expected ${LEAST} (limits.frames)`);
    }
    this.#planned = planned - 1;
    this.#left -= share;
    return share;
  }

  give(frames: number): void {
    this.#left += frames;
  }
}
