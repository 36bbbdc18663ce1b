/** Memory port: what is sent to it comes in again. Its queue and its work are in the module. */
import type { Datapath } from '../datapath.ts';
import type { Port } from '../port/port.ts';

export class MemoryPort implements Port {
  readonly descriptors: readonly number[] = [];
  readonly #datapath: Datapath;
  readonly #number: number;

  constructor(datapath: Datapath, number: number) {
    this.#datapath = datapath;
    this.#number = number;
  }

  poll(): number {
    return this.#datapath.exports.memoryPoll(this.#number);
  }

  transmit(): void {
    this.#datapath.exports.memoryTransmit(this.#number);
  }

  dueMs(): number {
    return 0;
  }

  close(): void {}
}
