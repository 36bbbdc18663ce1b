/**
 * The role of a datapath thread: collect what other threads want sent through its queues, poll each queue, send.
 * The same code runs on a thread of its own and inline.
 */
import { type Datapath, STAGE_RECEIVE, STAGE_TRANSMIT } from '../datapath.ts';
import type { Port } from '../port/port.ts';

/** One batch in so many is timed: its cost is lost among the others'. */
const TIMED_EVERY = 64;
/**
 * A round collects at least a quarter of what a full ring holds, of datapath threads, then of handlers, in two looks at
 * most (`collect`); so this many empty both.
 */
const ROUNDS_TO_SETTLE = 10;

export class Forwarder {
  readonly #datapath: Datapath;
  /** By port number, and in the order in which they are polled. */
  readonly #byNumber = new Map<number, Port>();
  #ports: Port[] = [];
  /** Batches until the next one that is timed. */
  #untilTimed = TIMED_EVERY;
  /** Those that are polled no more and have not been closed yet. */
  readonly #leaving = new Map<number, Port>();
  /** Which of the ports is polled next. */
  #turn = 0;

  constructor(datapath: Datapath) {
    this.#datapath = datapath;
  }

  attach(number: number, port: Port): void {
    this.#byNumber.set(number, port);
    this.#ports = [...this.#byNumber.values()];
  }

  /** Polls a port no more. It is down, so the datapath asks for no transmission either. */
  detach(number: number): void {
    const port = this.#byNumber.get(number);
    if (!port) return;
    this.#byNumber.delete(number);
    this.#ports = [...this.#byNumber.values()];
    this.#leaving.set(number, port);
  }

  /** Closes a port that was detached; its kernel side is closed. Throws what closing throws. */
  release(number: number): void {
    const port = this.#leaving.get(number);
    this.#leaving.delete(number);
    port?.close();
  }

  /** Descriptors to sleep on. */
  get descriptors(): number[] {
    return this.#ports.flatMap((port) => port.descriptors);
  }

  /**
   * Moves frames once around; returns how much there was to do. Nothing is taken in while another thread has no
   * room for what there is for it.
   */
  round(): number {
    let moved = this.finish();
    for (let i = 0; i < this.#ports.length && !this.#datapath.isHeldUp(); i++) {
      this.#turn = (this.#turn + 1) % this.#ports.length;
      const port = this.#ports[this.#turn]!;
      moved += this.#untilTimed > 0 ? this.#serve(port) : this.#serveTimed(port);
    }
    return moved;
  }

  /** Takes a batch in at `port` and sees it out. Returns how many frames it had. */
  #serve(port: Port): number {
    const n = port.poll();
    if (n === 0) return 0;
    this.transmit();
    this.#untilTimed--;
    return n;
  }

  /** The same, with an eye on the clock. */
  #serveTimed(port: Port): number {
    const datapath = this.#datapath;
    const insideMs = datapath.insideMs;
    datapath.timing = true;
    const beganMs = performance.now();
    const n = port.poll();
    const polledMs = performance.now();
    datapath.timing = false;
    if (n === 0) return 0;
    this.transmit();
    datapath.noteStage(STAGE_TRANSMIT, n, performance.now() - polledMs);
    datapath.noteStage(STAGE_RECEIVE, n, polledMs - beganMs - (datapath.insideMs - insideMs));
    this.#untilTimed = TIMED_EVERY;
    return n;
  }

  /** Sends what is there to be sent, and takes nothing in; returns how much there was to do. */
  finish(): number {
    const collected = this.#datapath.exports.collect();
    const isHeldUp = this.#datapath.isHeldUp();
    if (collected > 0 || isHeldUp) this.transmit();
    return collected + (isHeldUp ? 1 : this.#resume());
  }

  /** Sees those frames out that have waited for their turn, and returns how many. */
  #resume(): number {
    let resumed = 0;
    while (!this.#datapath.isHeldUp()) {
      const n = this.#datapath.exports.resume();
      if (n === 0) break;
      this.transmit();
      resumed += n;
    }
    return resumed;
  }

  /** Sends on what other threads had for this one when this was called. */
  settle(): void {
    for (let i = 0; i < ROUNDS_TO_SETTLE; i++) this.finish();
  }

  /** Sends what this thread has queued, and passes on what others are to send. */
  transmit(): void {
    const ready = this.#datapath.exports.flush();
    for (let i = 0; i < ready; i++) this.#byNumber.get(this.#datapath.readyPort(i))!.transmit();
    if (ready > 0) this.#datapath.clearReadyPorts();
  }

  /** When `round` has something to do though no descriptor is ready. */
  dueMs(): number {
    let due = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#ports.length; i++) due = Math.min(due, this.#ports[i]!.dueMs());
    return due;
  }

  /** Closes every port, whatever becomes of the others; throws the first error that there was. */
  close(): void {
    const errors: unknown[] = [];
    for (const port of [...this.#ports, ...this.#leaving.values()]) {
      try {
        port.close();
      } catch (error) {
        errors.push(error);
      }
    }
    this.#byNumber.clear();
    this.#leaving.clear();
    this.#ports = [];
    if (errors.length > 0) throw errors[0];
  }
}
