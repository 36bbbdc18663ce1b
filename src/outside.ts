/**
 * What the control side, which is no thread of the arena, writes there: ports that come and go, who mirrors them,
 * and the sign that a thread has mail.
 */
import { type Arena, regionAddress } from './arena.ts';
import {
  ASLEEP_IN_POLL,
  ASLEEP_IN_WAIT,
  PORT_NONE,
  PORT_STRIDE,
  PORT_UP,
  PortRecord,
  THREAD_STRIDE,
  Thread,
} from './generated/layout.ts';

/** Ports that may mirror one direction of one port: each has a byte of a word. */
const MAX_MIRRORS = 4;

/** The ports as the datapath knows them, for the control side, which opens and closes them. */
export class PortTable {
  readonly #i32: Int32Array;
  readonly #ports: number;
  readonly #portCount: number;

  constructor(arena: Arena) {
    this.#i32 = new Int32Array(arena.memory.buffer);
    this.#ports = regionAddress(arena, 'ports');
    this.#portCount = arena.limits.ports;
  }

  /**
   * Shows a port to the datapath: thread `owner` drives it, it takes frames up to `maxLength` bytes, and nothing
   * mirrors it.
   */
  open(port: number, owner: number, maxLength: number): void {
    const at = this.#at(port);
    this.#i32[(at + PortRecord.owner) >> 2] = owner;
    this.#i32[(at + PortRecord.maxLength) >> 2] = maxLength;
    Atomics.store(this.#i32, (at + PortRecord.mirrorIn) >> 2, 0);
    Atomics.store(this.#i32, (at + PortRecord.mirrorOut) >> 2, 0);
    Atomics.store(this.#i32, (at + PortRecord.state) >> 2, PORT_UP);
  }

  /** Hides it; frames on their way to it are dropped. */
  close(port: number): void {
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

  #at(port: number): number {
    return this.#ports + port * PORT_STRIDE;
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
