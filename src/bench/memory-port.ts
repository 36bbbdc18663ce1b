/** Memory port: what is sent to it comes in again. Its queue and its work are in the module. */
import type { Datapath } from '../datapath.ts';
import type { Port } from '../port/port.ts';

export class MemoryPort implements Port {
  readonly descriptors: readonly number[] = [];
  readonly #datapath: Datapath;
  readonly #number: number;
  readonly #area: number;

  /** Drives port `number`, whose queue's area is at `area`. */
  constructor(datapath: Datapath, number: number, area: number) {
    this.#datapath = datapath;
    this.#number = number;
    this.#area = area;
  }

  poll(): number {
    return this.#datapath.exports.memoryPoll(this.#number, this.#area);
  }

  transmit(): void {
    this.#datapath.exports.memoryTransmit(this.#number, this.#area);
  }

  dueMs(): number {
    return 0;
  }

  close(): void {}
}
