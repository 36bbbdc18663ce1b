/** The switch on threads of its own: starts them, passes requests to them, keeps them alive, ends them in order. */
import { closeSync } from 'node:fs';
import type { Arena } from '../datapath.ts';
import type { DriverSpec } from '../port/port.ts';
import { hasLibc } from '../sys/libc.ts';
import { openDoorbell, ringDoorbell } from '../sys/poll.ts';
import { Journal } from '../upcall/journal.ts';
import type { HandlerOptions, HandlerReply, HandlerRequest } from '../upcall/request.ts';
import { clockFrom, clockOrigin } from './clock.ts';
import type { Engine } from './engine.ts';
import { Life, ThreadDied } from './life.ts';
import type { ThreadData } from './messages.ts';
import { type Recovery, Supervisor } from './supervisor.ts';

/** What the control side does when a thread died. */
export interface Bereaved {
  /** Closes the thread's ports and opens them again, so that the kernel has none of its frames any more. */
  reopen(thread: number): Promise<DriverSpec[]>;
  /** The thread has been started anew. */
  recovered(recovery: Recovery): void;
}

export class Threads implements Engine {
  readonly nowMs: () => number;
  readonly finished: Promise<void>;
  readonly #common: Pick<ThreadData, 'arena' | 'clockOrigin' | 'doorbells'>;
  readonly #options: HandlerOptions;
  readonly #drivers: DriverSpec[][];
  readonly #doorbells: number[];
  /** By number; the handler is the last. */
  readonly #lives: Life[];
  readonly #journal = new Journal();
  readonly #supervisor: Supervisor;
  #fail: (error: Error) => void = () => {};

  private constructor(
    arena: Arena,
    drivers: readonly DriverSpec[][],
    options: HandlerOptions,
    { reopen, recovered }: Bereaved,
  ) {
    const origin = clockOrigin();
    this.nowMs = clockFrom(origin);
    this.#options = options;
    this.#drivers = [...drivers];
    this.#doorbells = hasLibc() ? Array.from({ length: arena.limits.threads }, openDoorbell) : [];
    this.#common = { arena, clockOrigin: origin, doorbells: this.#doorbells };
    this.#lives = [
      ...drivers.map((mine, thread) => this.#begin(thread, { name: 'datapath', drivers: mine })),
      this.#begin(drivers.length, { name: 'handler', options }),
    ];
    this.finished = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.finished.catch(() => {});
    this.#supervisor = new Supervisor(arena, {
      clear: async (thread) => {
        if (thread < this.#drivers.length) this.#drivers[thread] = await reopen(thread);
      },
      restart: (thread) => this.#restart(thread),
      end: (thread, cause) => this.#lives[thread]!.kill(cause),
      ring: (threads) => {
        for (const thread of threads) ringDoorbell(this.#doorbells[thread]!);
      },
      recovered,
      giveUp: (error) => this.#fail(error),
    });
  }

  /** Starts a datapath thread for each element of `drivers`, and the handler; resolves when all go round. */
  static async start(
    arena: Arena,
    drivers: readonly DriverSpec[][],
    options: HandlerOptions,
    bereaved: Bereaved,
  ): Promise<Threads> {
    const threads = new Threads(arena, drivers, options, bereaved);
    try {
      await Promise.all(threads.#lives.map(({ started }) => started));
    } catch (error) {
      await threads.#end();
      throw error;
    }
    // A pipe that is read as a capture may keep its thread waiting for as long as it likes.
    const mayWait = (thread: number) => drivers[thread]?.some(({ type }) => type === 'capture');
    threads.#supervisor.start([...threads.#lives.keys()].filter((thread) => !mayWait(thread)));
    return threads;
  }

  #begin(thread: number, role: ThreadData['role']): Life {
    return new Life({ ...this.#common, thread, role }, (life, cause) =>
      this.#supervisor.died(thread, cause, life.isKilled),
    );
  }

  async #restart(thread: number): Promise<void> {
    const drivers = this.#drivers[thread];
    const life = drivers
      ? this.#begin(thread, { name: 'datapath', drivers })
      : this.#begin(thread, { name: 'handler', options: this.#options, journal: this.#journal.changes });
    this.#lives[thread] = life;
    await life.started;
  }

  get #datapaths(): Life[] {
    return this.#lives.slice(0, -1);
  }

  get #handler(): Life {
    return this.#lives.at(-1)!;
  }

  /** A handler that dies over a request has not done it; the next one is asked again, once. */
  async ask(request: HandlerRequest): Promise<HandlerReply> {
    const reply = await this.#askHandler(request).catch(async (error) => {
      if (!(error instanceof ThreadDied)) throw error;
      await this.#supervisor.tidied();
      return this.#askHandler(request);
    });
    if (this.#journal.isDue()) void this.#askHandler({ command: 'snapshot' }).catch(() => {});
    return reply;
  }

  async #askHandler(request: HandlerRequest): Promise<HandlerReply> {
    const reply = await this.#handler.ask({ type: 'handler', request });
    this.#journal.note(request, reply);
    return reply;
  }

  kill(thread: number): void {
    this.#lives[thread]!.kill('it was killed by command');
  }

  /** Nothing more comes in; then the handler works off its queue; then what it sent goes out. */
  async stop(): Promise<void> {
    await this.#supervisor.stop();
    try {
      await Promise.all(this.#datapaths.map((thread) => thread.ask({ type: 'drain' })));
      await this.#handler.ask({ type: 'finish' });
      // What they still have for each other goes out in the first round, and nothing follows it.
      await Promise.all(this.#datapaths.map((thread) => thread.ask({ type: 'drain' })));
      await Promise.all(this.#datapaths.map((thread) => thread.ask({ type: 'finish' })));
    } finally {
      await this.#end();
    }
  }

  async #end(): Promise<void> {
    await Promise.all(this.#lives.map((thread) => thread.end()));
    for (const fd of this.#doorbells.splice(0)) closeSync(fd);
  }
}
