/**
 * What the control side, which is no thread of the arena, writes there: ports that come and go, the sign that
 * a thread has mail, and the one that it is to stand still.
 */
import { type Arena, regionAddress } from './arena.ts';
import {
  ASLEEP_IN_POLL,
  ASLEEP_IN_WAIT,
  AWAKE,
  MAIL_HALT,
  MAIL_MESSAGE,
  PORT_NONE,
  PORT_STRIDE,
  PORT_UP,
  PortRecord,
  THREAD_STRIDE,
  Thread,
} from './generated/layout.ts';

/** The ports as the datapath knows them, for the control side, which opens and closes them. */
export class PortTable {
  readonly #i32: Int32Array;
  readonly #ports: number;

  constructor(arena: Arena) {
    this.#i32 = new Int32Array(arena.memory.buffer);
    this.#ports = regionAddress(arena, 'ports');
  }

  /** Shows a port to the datapath: thread `owner` drives it, and it takes frames up to `maxLength` bytes. */
  open(port: number, owner: number, maxLength: number): void {
    const at = this.#at(port);
    this.#i32[(at + PortRecord.owner) >> 2] = owner;
    this.#i32[(at + PortRecord.maxLength) >> 2] = maxLength;
    Atomics.store(this.#i32, (at + PortRecord.state) >> 2, PORT_UP);
  }

  /** Hides it; frames on their way to it are dropped. */
  close(port: number): void {
    Atomics.store(this.#i32, (this.#at(port) + PortRecord.state) >> 2, PORT_NONE);
  }

  isUp(port: number): boolean {
    return Atomics.load(this.#i32, (this.#at(port) + PortRecord.state) >> 2) === PORT_UP;
  }

  #at(port: number): number {
    return this.#ports + port * PORT_STRIDE;
  }
}

/**
 * Tells thread `thread` that there is a message for it.
 * True when it sleeps in `poll()`: then its doorbell must be rung as well.
 */
export function noteMail(arena: Arena, thread: number): boolean {
  const i32 = new Int32Array(arena.memory.buffer);
  Atomics.or(i32, mailOf(arena, thread), MAIL_MESSAGE);
  return wake(arena, thread);
}

/** Wakes a thread that waits. True when it sleeps in `poll()`: then its doorbell must be rung. */
function wake(arena: Arena, thread: number): boolean {
  const i32 = new Int32Array(arena.memory.buffer);
  const sleeping = Atomics.load(i32, threadWord(arena, thread, Thread.sleeping));
  if (sleeping === ASLEEP_IN_WAIT) {
    const rung = threadWord(arena, thread, Thread.rung);
    Atomics.add(i32, rung, 1);
    Atomics.notify(i32, rung);
  }
  return sleeping === ASLEEP_IN_POLL;
}

/**
 * Makes threads stand still between two of their rounds, or asleep, and blocks until they do. False when that
 * takes longer than `withinMs`; `resume` ends it in either case.
 */
export function halt(arena: Arena, threads: readonly number[], withinMs: number): boolean {
  const i32 = new Int32Array(arena.memory.buffer);
  const endMs = performance.now() + withinMs;
  for (const thread of threads) Atomics.or(i32, mailOf(arena, thread), MAIL_HALT);
  return threads.every((thread) => {
    const sleeping = threadWord(arena, thread, Thread.sleeping);
    // One that goes to sleep meanwhile finds that it is to stand still, and says so.
    while (Atomics.load(i32, sleeping) === AWAKE) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return false;
      Atomics.wait(i32, sleeping, AWAKE, leftMs);
    }
    return true;
  });
}

/**
 * Lets them go on, and wakes those that sleep: whoever should have done so may have died before. Returns those
 * that sleep in `poll()`, whose doorbells must be rung.
 */
export function resume(arena: Arena, threads: readonly number[]): number[] {
  const i32 = new Int32Array(arena.memory.buffer);
  for (const thread of threads) {
    Atomics.and(i32, mailOf(arena, thread), ~MAIL_HALT);
    Atomics.notify(i32, mailOf(arena, thread));
  }
  return threads.filter((thread) => wake(arena, thread));
}

function threadWord(arena: Arena, thread: number, field: number): number {
  return (regionAddress(arena, 'threads') + thread * THREAD_STRIDE + field) >> 2;
}

const mailOf = (arena: Arena, thread: number): number => threadWord(arena, thread, Thread.mail);
