/**
 * The switch on this thread: the same roles, one after the other, on a virtual clock that jumps to when
 * something is due. Nothing depends on how fast it runs, so equal input gives equal output.
 */
import { type Arena, Datapath } from '../datapath.ts';
import type { DriverSpec } from '../port/port.ts';
import { createDriver } from '../port/types.ts';
import type { SlowOptions, SlowReply, SlowRequest } from '../upcall/request.ts';
import { SlowPath } from '../upcall/slow-path.ts';
import type { Engine } from './engine.ts';
import { Forwarder } from './forwarder.ts';

/** Work between two looks at the event loop. */
const SLICE_MS = 20;

export class Inline implements Engine {
  readonly finished: Promise<void>;
  readonly #datapath: Datapath;
  readonly #forwarder: Forwarder;
  readonly #slow: SlowPath;
  readonly #endMs: number;
  #nowMs = 0;
  #stopped = false;

  private constructor(datapath: Datapath, forwarder: Forwarder, slow: SlowPath, endMs: number) {
    this.#datapath = datapath;
    this.#forwarder = forwarder;
    this.#slow = slow;
    this.#endMs = endMs;
    this.finished = this.#run();
    this.finished.catch(() => {});
  }

  /** Starts; ends by itself at `endMs` on the virtual clock, or when nothing is due any more. */
  static async start(
    arena: Arena,
    drivers: DriverSpec[],
    options: SlowOptions,
    endMs: number,
  ): Promise<Inline> {
    const datapath = new Datapath(arena, 0);
    const forwarder = new Forwarder(datapath);
    try {
      for (const spec of drivers) forwarder.attach(spec.number, await createDriver(datapath, spec));
    } catch (error) {
      forwarder.close();
      throw error;
    }
    return new Inline(datapath, forwarder, new SlowPath(new Datapath(arena, 1), options), endMs);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  async ask(request: SlowRequest): Promise<SlowReply> {
    return this.#slow.ask(request);
  }

  kill(): void {
    throw new Error('found threads: inline, expected threads that can be killed');
  }

  async attach(_thread: number, driver: () => DriverSpec): Promise<void> {
    const spec = driver();
    this.#forwarder.attach(spec.number, await createDriver(this.#datapath, spec));
  }

  async detach(_thread: number, number: number): Promise<void> {
    this.#forwarder.detach(number);
  }

  async release(_thread: number, number: number): Promise<void> {
    this.#forwarder.release(number);
  }

  ring(): void {}

  async settle(): Promise<void> {
    this.#forwarder.settle();
  }

  async #run(): Promise<void> {
    do await new Promise(setImmediate);
    while (!this.#stopped && this.#slice());
  }

  /** Runs for a while; false when there is nothing left to do. */
  #slice(): boolean {
    const until = performance.now() + SLICE_MS;
    while (performance.now() < until) {
      if (this.#work(true)) continue;
      const next = this.#forwarder.dueMs();
      if (next > this.#endMs || next === Number.POSITIVE_INFINITY) {
        if (Number.isFinite(this.#endMs)) this.#nowMs = this.#endMs;
        return false;
      }
      this.#nowMs = Math.max(this.#nowMs, Math.min(next, this.#slow.dueMs()));
    }
    return true;
  }

  /** One round of each role; false when neither had anything to do. */
  #work(receive: boolean): boolean {
    this.#datapath.setClock(this.#nowMs);
    const moved = receive ? this.#forwarder.round() : this.#forwarder.finish();
    return moved + this.#slow.round(this.#nowMs) > 0;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.finished;
    while (this.#work(false));
    this.#slow.close();
    this.#forwarder.close();
  }
}
