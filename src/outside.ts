/**
 * What the control side, which is no thread of the arena, does there: ports that come and go, who mirrors them,
 * the areas that their queues share with the kernel, and the sign that a thread has mail.
 */
import { type Arena, regionAddress } from './arena.ts';
import {
  ASLEEP_IN_POLL,
  ASLEEP_IN_WAIT,
  PORT_DOWN,
  PORT_NONE,
  PORT_SENDERS,
  PORT_STRIDE,
  PORT_UP,
  PortRecord,
  QUEUE_SIZE,
  THREAD_STRIDE,
  Thread,
} from './generated/layout.ts';

/** Ports that may mirror one direction of one port: each has a byte of a word. */
const MAX_MIRRORS = 4;

/** The ports as the datapath knows them, for the control side, which opens and closes them. */
export class PortTable {
  readonly #u8: Uint8Array;
  readonly #i32: Int32Array;
  readonly #ports: number;
  readonly #threads: number;
  readonly #portCount: number;

  constructor(arena: Arena) {
    this.#u8 = new Uint8Array(arena.memory.buffer);
    this.#i32 = new Int32Array(arena.memory.buffer);
    this.#ports = regionAddress(arena, 'ports');
    this.#threads = arena.limits.threads;
    this.#portCount = arena.limits.ports;
  }

  /**
   * Shows a port to the datapath: it takes frames up to `maxLength` bytes, and `owners` have its queues. Their
   * drivers must be there. Each other thread passes its frames to one of them.
   */
  open(port: number, owners: number | readonly number[], maxLength: number): void {
    const at = this.#at(port);
    const threads = [owners].flat();
    for (let thread = 0; thread < this.#threads; thread++) {
      const sender = threads.includes(thread) ? thread : threads[thread % threads.length]!;
      this.#u8[at + PORT_SENDERS + thread] = sender;
    }
    this.setMaxLength(port, maxLength);
    Atomics.store(this.#i32, (at + PortRecord.state) >> 2, PORT_UP);
  }

  /** The longest frame that a port takes has changed. */
  setMaxLength(port: number, bytes: number): void {
    Atomics.store(this.#i32, (this.#at(port) + PortRecord.maxLength) >> 2, bytes);
  }

  /** The port cannot carry frames at present: those for it are dropped, and counted at the port. */
  takeDown(port: number): void {
    Atomics.store(this.#i32, (this.#at(port) + PortRecord.state) >> 2, PORT_DOWN);
  }

  /** There is no such port any more, and nothing mirrors it. */
  close(port: number): void {
    this.mirror(port, { in: [], out: [] });
    Atomics.store(this.#i32, (this.#at(port) + PortRecord.state) >> 2, PORT_NONE);
  }

  /**
   * Copies what comes in at a port, and what is sent to it, to other ports: up to four each, in place of those
   * before. What is left out stays as it is.
   * @throws RangeError when a port is not one that there may be, is the port itself, or there are too many.
   */
  mirror(
    port: number,
    { in: received, out: sent }: { in?: readonly number[]; out?: readonly number[] },
  ): void {
    const at = this.#at(port);
    const [toReceived, toSent] = [received, sent].map((to) => to && this.#mirrors(port, to));
    if (toReceived !== undefined) Atomics.store(this.#i32, (at + PortRecord.mirrorIn) >> 2, toReceived);
    if (toSent !== undefined) Atomics.store(this.#i32, (at + PortRecord.mirrorOut) >> 2, toSent);
  }

  /** Port numbers as the bytes of a word. */
  #mirrors(port: number, to: readonly number[]): number {
    if (to.length > MAX_MIRRORS) {
      throw new RangeError(`${to.length} mirrors of port ${port}; at most ${MAX_MIRRORS} are possible`);
    }
    for (const mirror of to) {
      if (mirror < 1 || mirror >= this.#portCount || mirror === port) {
        throw new RangeError(
          `port ${port} cannot be mirrored to ${mirror}; expected another port, 1 to ${this.#portCount - 1}`,
        );
      }
    }
    return to.reduce((word, mirror, i) => word | (mirror << (8 * i)), 0);
  }

  isUp(port: number): boolean {
    return Atomics.load(this.#i32, (this.#at(port) + PortRecord.state) >> 2) === PORT_UP;
  }

  /** The errno for which a driver cannot go on with the port, forgotten once it has been told; 0: none. */
  takeFailure(port: number): number {
    return Atomics.exchange(this.#i32, (this.#at(port) + PortRecord.failure) >> 2, 0);
  }

  #at(port: number): number {
    return this.#ports + port * PORT_STRIDE;
  }
}

/** Which areas of the arena queues of ports have: QUEUE_SIZE bytes each, to share with the kernel. */
export class QueueAreas {
  readonly #free: number[];

  constructor(arena: Arena) {
    const first = regionAddress(arena, 'queues');
    this.#free = Array.from({ length: arena.limits.queues }, (_, i) => first + i * QUEUE_SIZE).reverse();
  }

  /** Addresses of `count` areas. @throws Error when there are not so many left. */
  take(count: number): number[] {
    if (count > this.#free.length) {
      throw new Error(`found room for ${this.#free.length} more queues, expected ${count} (limits.queues)`);
    }
    return Array.from({ length: count }, () => this.#free.pop()!);
  }

  give(areas: readonly number[]): void {
    this.#free.push(...areas);
  }
}

/**
 * Tells thread `thread` that there is mail for it.
 * True when it sleeps in `poll()`: then its doorbell must be rung as well.
 */
export function noteMail(arena: Arena, thread: number): boolean {
  const i32 = new Int32Array(arena.memory.buffer);
  const at = regionAddress(arena, 'threads') + thread * THREAD_STRIDE;
  Atomics.store(i32, (at + Thread.mail) >> 2, 1);
  const sleeping = Atomics.load(i32, (at + Thread.sleeping) >> 2);
  if (sleeping === ASLEEP_IN_WAIT) {
    Atomics.add(i32, (at + Thread.rung) >> 2, 1);
    Atomics.notify(i32, (at + Thread.rung) >> 2);
  }
  return sleeping === ASLEEP_IN_POLL;
}
