/**
 * Keeps threads alive: one that dies is tidied up after and started anew, while the others go on.
 *
 *     died ─▶ its locks released ─▶ its ports reopened ─▶ frames, flows, counters put right ─▶ started anew
 *                                                         └──── the others stand still ───┘
 *
 * A thread that does no round for long without being asleep is as good as dead, and is ended. One that keeps
 * dying as soon as it starts ends the switch: what kills it is not going to pass.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Arena, Observer } from '../datapath.ts';
import { type Reclaimed, reclaim, releaseLocks } from './reclaim.ts';

/** A thread that died, and what came of it. */
export interface Recovery extends Reclaimed {
  /** From 0. */
  thread: number;
  cause: string;
  locks: number;
  /** From its death to when it went round again; undefined: it died before. */
  pausedMs: number | undefined;
  /** For how long the others stood still. */
  haltedMs: number;
}

/** What the supervisor has others do. */
export interface Actions {
  /** Whether a thread may do no round for long and be well. */
  mayHang(thread: number): boolean;
  /** Sees to it that the kernel has nothing of a dead thread's any more. */
  clear(thread: number): void;
  /** Starts it anew; resolves when it goes round. */
  restart(thread: number): Promise<void>;
  /** Ends a thread that hangs. */
  end(thread: number, cause: string): void;
  ring(threads: readonly number[]): void;
  recovered(recovery: Recovery): void;
  /** Nothing can be done: the switch is to end. */
  giveUp(error: Error): void;
}

interface Death {
  cause: string;
  locks: number;
  atMs: number;
}

/** One that dies so soon after its start, so many times on end, is given up. */
const EARLY_MS = 1000;
const MOST_EARLY_DEATHS = 5;
/** When the live threads did not come to stand, one of them being long about something: asked again after. */
const AGAIN_MS = 20;
/** Looks after each thread's rounds so often; and the times without a round that are too many. */
const LOOK_MS = 1000;
const MOST_LOOKS = 10;

/** What is known of one thread. */
class Ward {
  startedMs = performance.now();
  earlyDeaths = 0;
  /** The last round that was seen, and how often it was the last. */
  roundMs = -1;
  looks = 0;
}

export class Supervisor {
  readonly #arena: Arena;
  readonly #observer: Observer;
  readonly #actions: Actions;
  readonly #wards: readonly Ward[];
  readonly #dead = new Map<number, Death>();
  #watch: NodeJS.Timeout | undefined;
  #tidying: Promise<void> | undefined;
  #isRunning = false;

  constructor(arena: Arena, actions: Actions) {
    this.#arena = arena;
    this.#observer = new Observer(arena);
    this.#actions = actions;
    this.#wards = Array.from({ length: arena.limits.threads }, () => new Ward());
  }

  /** From now on sees to the threads, all of which run. */
  start(): void {
    this.#isRunning = true;
    this.#watch = setInterval(() => {
      for (const thread of this.#wards.keys()) this.#look(thread);
    }, LOOK_MS).unref();
  }

  /** Resolves when no thread is dead. */
  async tidied(): Promise<void> {
    await this.#tidying;
  }

  /** From now on leaves the threads alone; resolves when all are there that will be. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    clearInterval(this.#watch);
    await this.#tidying;
  }

  /** A thread has died; `wanted`: because somebody ended it. */
  died(thread: number, cause: string, wanted: boolean): void {
    if (!this.#isRunning) return;
    const atMs = performance.now();
    const ward = this.#wards[thread]!;
    const early = !wanted && atMs - ward.startedMs < EARLY_MS;
    ward.earlyDeaths = early ? ward.earlyDeaths + 1 : 0;
    this.#dead.set(thread, { cause, atMs, locks: releaseLocks(this.#arena, thread) });
    this.#actions.clear(thread);
    if (ward.earlyDeaths === MOST_EARLY_DEATHS) {
      const times = `${MOST_EARLY_DEATHS} times within a second of its start`;
      this.#actions.giveUp(new Error(`thread ${thread + 1} died ${times}: ${cause}`));
    } else {
      this.#tidying ??= this.#tidy();
    }
  }

  /** Sees to the dead until there are none. It begins a moment later: threads that die together are told of in turn. */
  async #tidy(): Promise<void> {
    await Promise.resolve();
    try {
      while (this.#dead.size > 0) await this.#tidyOnce();
    } finally {
      this.#tidying = undefined;
    }
  }

  /** Takes back what the dead held, if the others stand still for it, and has them started anew. */
  async #tidyOnce(): Promise<void> {
    const dead = [...this.#dead.keys()];
    const live = [...this.#wards.keys()].filter((thread) => !dead.includes(thread));
    const { reclaimed, haltedMs, asleep } = reclaim(this.#arena, dead, live);
    this.#actions.ring(asleep);
    if (reclaimed === undefined) {
      await sleep(AGAIN_MS);
      return;
    }
    for (const [i, thread] of dead.entries()) {
      const death = this.#dead.get(thread)!;
      this.#dead.delete(thread);
      void this.#restart(thread, death, { ...reclaimed[i]!, haltedMs });
    }
  }

  async #restart(
    thread: number,
    { cause, locks, atMs }: Death,
    found: Reclaimed & { haltedMs: number },
  ): Promise<void> {
    const ward = this.#wards[thread]!;
    ward.startedMs = performance.now();
    ward.looks = 0;
    // If it dies again before it goes round, that is another death.
    const pausedMs = await this.#actions.restart(thread).then(
      () => performance.now() - atMs,
      () => undefined,
    );
    this.#actions.recovered({ thread, cause, locks, ...found, pausedMs });
  }

  /** Ends a thread whose last round has been the same for long. */
  #look(thread: number): void {
    const ward = this.#wards[thread]!;
    const { roundMs, isAwake } = this.#observer.thread(thread);
    const mayBe = !isAwake || this.#actions.mayHang(thread) || this.#dead.has(thread);
    const isStill = roundMs === ward.roundMs && !mayBe;
    ward.roundMs = roundMs;
    ward.looks = isStill ? ward.looks + 1 : 0;
    if (ward.looks < MOST_LOOKS) return;
    ward.looks = 0;
    this.#actions.end(thread, `it did no round for ${(MOST_LOOKS * LOOK_MS) / 1000} s`);
  }
}
