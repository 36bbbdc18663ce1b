/**
 * The slow path on threads of its own: the owner of the tables on this one, handlers and revalidators with replicas
 * on theirs. What the owner is asked it does one after the other; whatever only reads the arena any handler answers.
 */
import type { Watched } from '../model.ts';
import { writeChange } from '../upcall/change.ts';
import { together } from '../upcall/monitors.ts';
import type { TableOwner } from '../upcall/owner.ts';
import {
  type HandlerReply,
  type HandlerRequest,
  isForOwner,
  type SlowReply,
  type SlowRequest,
} from '../upcall/request.ts';
import { awaitSteps, type Step, type Steps } from '../upcall/steps.ts';
import type { Told } from '../upcall/told.ts';
import type { ThreadRequest } from './messages.ts';

/** Timers of Node.js go no further than some 25 days. */
const LONGEST_TIMER_MS = 1_000_000_000;

/** The threads, by number, and how one is asked; if it dies over it, its successor is asked again. */
export interface Askable {
  readonly handlers: readonly number[];
  readonly revalidators: readonly number[];
  ask(thread: number, request: ThreadRequest): Promise<HandlerReply>;
}

export class SlowThreads {
  readonly #owner: TableOwner;
  readonly #threads: Askable;
  readonly #nowMs: () => number;
  /** What the owner does now, and after that. */
  #last: Promise<unknown> = Promise.resolve();
  /** What the owner has not heard yet. */
  readonly #told: Told[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isEnded = false;

  constructor(owner: TableOwner, threads: Askable, nowMs: () => number) {
    this.#owner = owner;
    this.#threads = threads;
    this.#nowMs = nowMs;
  }

  async ask(request: SlowRequest): Promise<SlowReply> {
    if (isForOwner(request)) return this.#carryOut(() => this.#owner.ask(request));
    switch (request.command) {
      case 'watch':
        return this.#watch(request);
      case 'unwatch':
        this.#owner.monitors.end(request.monitor);
        await Promise.all(this.#threads.handlers.map((thread) => this.#askHandler(request, thread)));
        return [];
      default:
        return this.#askHandler(request);
    }
  }

  /** Begins to see to what falls due. */
  start(): void {
    clearTimeout(this.#timer);
    const inMs = this.#owner.dueMs - this.#nowMs();
    if (this.#isEnded || inMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(
      () => void this.#carryOut(() => this.#owner.expire()).catch(() => {}),
      Math.min(Math.max(inMs, 0), LONGEST_TIMER_MS),
    ).unref();
  }

  /** Takes in what packets have told a thread: together with what comes until the owner has time for it. */
  hear(told: Told): void {
    this.#told.push(told);
    if (this.#told.length > 1) return;
    void this.#carryOut(() => {
      const all = this.#told.splice(0);
      return this.#owner.hear({
        learned: all.flatMap(({ learned }) => learned),
        ended: all.flatMap(({ ended }) => ended),
      });
    }).catch(() => {});
  }

  /** From now on nothing falls due. */
  end(): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
  }

  /** Has the owner do something, after all that it was asked before. */
  #carryOut<T>(steps: () => Steps<T>): Promise<T> {
    const done = this.#last.then(() => awaitSteps(steps(), (step) => this.#take(step)));
    this.#last = done.then(
      () => this.start(),
      () => this.start(),
    );
    return done;
  }

  async #take(step: Step): Promise<void> {
    const { handlers, revalidators, ask } = this.#threads;
    if (step === 'round') {
      await ask(revalidators[0]!, { type: 'round' });
      return;
    }
    const change = writeChange(step);
    await Promise.all(
      [...handlers, ...revalidators].map((thread) => ask(thread, { type: 'follow', change })),
    );
  }

  #askHandler(request: HandlerRequest, thread = this.#threads.handlers[0]!): Promise<HandlerReply> {
    return this.#threads.ask(thread, { type: 'ask', request });
  }

  /** Each handler tells of the packets that it had, the owner of flows that went. */
  async #watch(request: HandlerRequest & { command: 'watch' | 'unwatch' }): Promise<Watched> {
    const theirs = this.#threads.handlers.map((thread) => this.#askHandler(request, thread));
    return together([
      ...((await Promise.all(theirs)) as Watched[]),
      this.#owner.monitors.take(request.monitor),
    ]);
  }
}
