/**
 * The whole slow path on one thread: the owner of the tables, a handler and a revalidator, one after the other. What
 * runs inline, replays and tests have; on threads of their own they are the same.
 */
import type { Datapath } from '../datapath.ts';
import type { Watched } from '../model.ts';
import type { TableChange } from './change.ts';
import { Handler } from './handler.ts';
import { together } from './monitors.ts';
import { TableOwner } from './owner.ts';
import { isForOwner, type SlowOptions, type SlowReply, type SlowRequest } from './request.ts';
import { Revalidator } from './revalidator.ts';
import { slowOn } from './slow.ts';
import { type Step, type Steps, takeSteps } from './steps.ts';

export class SlowPath {
  readonly #owner: TableOwner;
  readonly #handler: Handler;
  readonly #revalidator: Revalidator;
  #nowMs = 0;

  constructor(datapath: Datapath, options: SlowOptions) {
    this.#owner = new TableOwner(datapath.arena, options, () => this.#nowMs);
    const slow = slowOn(datapath, options.macAgeingMs, this.#owner.whole(), (told) =>
      this.#carryOut(this.#owner.hear(told)),
    );
    this.#handler = new Handler(slow, true);
    this.#revalidator = new Revalidator(slow, 0);
    this.#revalidator.begin();
  }

  /** Takes up to a batch of misses, and does some of what is due. Returns how much there was to do. */
  round(nowMs: number): number {
    this.#nowMs = nowMs;
    const handled = this.#handler.round(nowMs);
    const revalidated = this.#revalidator.round(nowMs);
    if (this.#owner.dueMs <= nowMs) this.#carryOut(this.#owner.expire());
    return handled + revalidated;
  }

  /** When `round` has something to do though no packet missed. */
  dueMs(): number {
    return Math.min(this.#handler.dueMs(), this.#revalidator.dueMs(), this.#owner.dueMs);
  }

  /** Answers what control asks. A request that is wrong changes nothing and throws. */
  ask(request: SlowRequest): SlowReply {
    if (isForOwner(request)) return this.#carryOut(this.#owner.ask(request));
    switch (request.command) {
      case 'watch': {
        const punted = this.#handler.ask(request) as Watched;
        return together([punted, this.#owner.monitors.take(request.monitor)]);
      }
      case 'unwatch':
        this.#owner.monitors.end(request.monitor);
        return this.#handler.ask(request);
      default:
        return this.#handler.ask(request);
    }
  }

  /** Nothing more comes in: what waits for more waits in vain. */
  close(): void {
    this.#handler.close();
  }

  #carryOut<T>(steps: Steps<T>): T {
    return takeSteps(steps, (step) => this.#take(step));
  }

  #take(step: Step): void {
    if (step === 'round') this.#wholeRound();
    else this.#follow(step);
  }

  #follow(change: TableChange): void {
    this.#handler.follow(change);
    this.#revalidator.follow(change);
  }

  #wholeRound(): void {
    for (const wanted = this.#revalidator.want(); !this.#revalidator.has(wanted); ) {
      this.#revalidator.round(this.#nowMs);
    }
  }
}
