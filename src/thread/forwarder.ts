/**
 * The role of a datapath thread: collect what other threads have for its ports, poll each port, send.
 * The same code runs on a thread of its own and inline.
 */
import { type Datapath, STAGE_RECEIVE, STAGE_TRANSMIT } from '../datapath.ts';
import type { Port } from '../port/port.ts';

/** One batch in so many is timed: its cost is lost among the others'. */
const TIMED_EVERY = 64;

export class Forwarder {
  readonly #datapath: Datapath;
  /** By port number, and in the order in which they are polled. */
  readonly #byNumber = new Map<number, Port>();
  #ports: Port[] = [];
  /** Batches until the next one that is timed. */
  #untilTimed = TIMED_EVERY;

  constructor(datapath: Datapath) {
    this.#datapath = datapath;
  }

  attach(number: number, port: Port): void {
    this.#byNumber.set(number, port);
    this.#ports = [...this.#byNumber.values()];
  }

  /** Descriptors to sleep on. */
  get descriptors(): number[] {
    return this.#ports.flatMap((port) => port.descriptors);
  }

  /** Moves frames once around; returns how many came in. */
  round(nowMs: number): number {
    this.#datapath.setClock(nowMs);
    let moved = this.finish(nowMs);
    for (const port of this.#ports) {
      moved += this.#untilTimed > 0 ? this.#serve(port, nowMs) : this.#serveTimed(port, nowMs);
    }
    return moved;
  }

  /** Takes a batch in at `port` and sees it out. Returns how many frames it had. */
  #serve(port: Port, nowMs: number): number {
    const n = port.poll(nowMs);
    if (n === 0) return 0;
    this.transmit(nowMs);
    this.#untilTimed--;
    return n;
  }

  /** The same, with an eye on the clock. */
  #serveTimed(port: Port, nowMs: number): number {
    const datapath = this.#datapath;
    const insideMs = datapath.insideMs;
    datapath.timing = true;
    const beganMs = performance.now();
    const n = port.poll(nowMs);
    const polledMs = performance.now();
    datapath.timing = false;
    if (n === 0) return 0;
    this.transmit(nowMs);
    datapath.noteStage(STAGE_TRANSMIT, n, performance.now() - polledMs);
    datapath.noteStage(STAGE_RECEIVE, n, polledMs - beganMs - (datapath.insideMs - insideMs));
    this.#untilTimed = TIMED_EVERY;
    return n;
  }

  /** Sends what other threads have for this one's ports, and takes nothing in; returns how many frames. */
  finish(nowMs: number): number {
    const collected = this.#datapath.exports.collect();
    if (collected > 0) this.transmit(nowMs);
    return collected;
  }

  /** Sends what this thread has queued for its ports, and passes on what it has for others'. */
  transmit(nowMs: number): void {
    const ready = this.#datapath.exports.flush();
    for (let i = 0; i < ready; i++) this.#byNumber.get(this.#datapath.readyPort(i))!.transmit(nowMs);
    if (ready > 0) this.#datapath.clearReadyPorts();
  }

  /** When `round` has something to do though no descriptor is ready. */
  dueMs(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const port of this.#ports) due = Math.min(due, port.dueMs());
    return due;
  }

  /** Closes every port, whatever becomes of the others; throws the first error that there was. */
  close(): void {
    const errors: unknown[] = [];
    for (const port of this.#ports) {
      try {
        port.close();
      } catch (error) {
        errors.push(error);
      }
    }
    this.#byNumber.clear();
    this.#ports = [];
    if (errors.length > 0) throw errors[0];
  }
}
