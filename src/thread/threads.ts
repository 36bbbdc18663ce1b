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
import { Spares } from './spare.ts';
import { type Recovery, Supervisor } from './supervisor.ts';

/** What becomes of the ports of a datapath thread that died. */
export interface Ports {
  /** Frames for them are dropped, and counted, for the time being. */
  suspend(thread: number): void;
  /** Makes their queues anew; the kernel has no frames of the old ones any more. Returns what drives them. */
  reopen(thread: number): DriverSpec[];
  /** They are driven again. */
  resume(thread: number): void;
}

const isPatient = ({ type }: DriverSpec): boolean => type === 'capture';

export class Threads implements Engine {
  readonly nowMs: () => number;
  readonly finished: Promise<void>;
  readonly #common: Pick<ThreadData, 'arena' | 'clockOrigin' | 'doorbells'>;
  readonly #options: HandlerOptions;
  readonly #ports: Ports;
  /** What the successors of dead datapath threads are to drive. */
  readonly #drivers = new Map<number, DriverSpec[]>();
  /** Threads that a pipe, read as a capture, may keep waiting for as long as it likes. */
  readonly #patient = new Set<number>();
  readonly #doorbells: number[];
  /** By number. */
  readonly #lives = new Map<number, Life>();
  readonly #spares = new Spares();
  readonly #journal = new Journal();
  readonly #supervisor: Supervisor;
  #fail: (error: Error) => void = () => {};

  private constructor(
    arena: Arena,
    options: HandlerOptions,
    ports: Ports,
    recovered: (recovery: Recovery) => void,
  ) {
    const origin = clockOrigin();
    this.nowMs = clockFrom(origin);
    this.#options = options;
    this.#ports = ports;
    this.#doorbells = hasLibc() ? Array.from({ length: arena.limits.threads }, openDoorbell) : [];
    this.#common = { arena, clockOrigin: origin, doorbells: this.#doorbells };
    this.finished = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.finished.catch(() => {});
    this.#supervisor = new Supervisor(arena, {
      mayHang: (thread) => this.#patient.has(thread),
      clear: (thread) => {
        ports.suspend(thread);
        this.#drivers.set(thread, ports.reopen(thread));
      },
      restart: (thread) => this.#restart(thread),
      end: (thread, cause) => this.#life(thread).kill(cause),
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
    ports: Ports,
    recovered: (recovery: Recovery) => void,
  ): Promise<Threads> {
    const threads = new Threads(arena, options, ports, recovered);
    try {
      await threads.#launch(drivers);
    } catch (error) {
      await Promise.allSettled([...threads.#lives.values()].map(({ started }) => started));
      await threads.#end();
      throw error;
    }
    threads.#supervisor.start();
    threads.#spares.prepare();
    return threads;
  }

  /** The handler first: what the others receive it has to take up from the first packet on. */
  async #launch(drivers: readonly DriverSpec[][]): Promise<void> {
    await this.#begin(drivers.length, { name: 'handler', options: this.#options });
    await Promise.all(
      drivers.map((mine, thread) => this.#begin(thread, { name: 'datapath', drivers: mine })),
    );
  }

  /** Resolves when the thread goes round. */
  async #begin(thread: number, role: ThreadData['role']): Promise<void> {
    if (role.name === 'datapath' && role.drivers.some(isPatient)) this.#patient.add(thread);
    const life = new Life(this.#spares, { ...this.#common, thread, role }, ({ isKilled }, cause) =>
      this.#supervisor.died(thread, cause, isKilled),
    );
    this.#lives.set(thread, life);
    await life.started;
  }

  async #restart(thread: number): Promise<void> {
    const role: ThreadData['role'] =
      this.#life(thread) === this.#handler
        ? { name: 'handler', options: this.#options, journal: this.#journal.changes }
        : { name: 'datapath', drivers: this.#drivers.get(thread)! };
    await this.#begin(thread, role);
    this.#ports.resume(thread);
    this.#spares.prepare();
  }

  #life(thread: number): Life {
    return this.#lives.get(thread)!;
  }

  get #datapaths(): Life[] {
    return [...this.#lives.values()].filter(({ role }) => role === 'datapath');
  }

  get #handler(): Life {
    return [...this.#lives.values()].find(({ role }) => role === 'handler')!;
  }

  /** A handler that dies over a request has not done it; the next one is asked again. */
  async ask(request: HandlerRequest): Promise<HandlerReply> {
    const reply = await this.#orElse(() => this.#askHandler(request));
    if (this.#journal.isDue()) void this.#askHandler({ command: 'snapshot' }).catch(() => {});
    return reply;
  }

  async #askHandler(request: HandlerRequest): Promise<HandlerReply> {
    const reply = await this.#handler.ask({ type: 'handler', request });
    this.#journal.note(request, reply);
    return reply;
  }

  /**
   * Asks; if the thread dies over it, asks its successor. Once, lest a request kill them all: only a death that
   * somebody wanted is not its fault.
   */
  async #orElse<T>(ask: () => Promise<T>): Promise<T> {
    let again = true;
    for (;;) {
      await this.#supervisor.tidied();
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof ThreadDied && (error.isWanted || again))) throw error;
        again &&= error.isWanted;
      }
    }
  }

  /** The successor of a thread that dies before or over it begins with all that is open by then, and so with this. */
  async attach(thread: number, driver: () => DriverSpec): Promise<void> {
    await this.#supervisor.tidied();
    const spec = driver();
    if (isPatient(spec)) this.#patient.add(thread);
    if (this.#drivers.get(thread)?.includes(spec)) return;
    await this.#life(thread)
      .ask({ type: 'attach', driver: spec })
      .catch(async (error) => {
        if (!(error instanceof ThreadDied)) throw error;
        await this.#supervisor.tidied();
      });
  }

  async detach(thread: number, number: number): Promise<void> {
    await this.#orElse(() => this.#life(thread).ask({ type: 'detach', number }));
  }

  async release(thread: number, number: number): Promise<void> {
    await this.#orElse(() => this.#life(thread).ask({ type: 'release', number }));
  }

  ring(thread: number): void {
    this.#life(thread).ring();
  }

  async settle(): Promise<void> {
    await Promise.all(
      this.#datapaths.map(({ number }) => this.#orElse(() => this.#life(number).ask({ type: 'settle' }))),
    );
  }

  kill(thread: number): void {
    this.#life(thread).kill('it was killed by command');
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
    await Promise.all([...[...this.#lives.values()].map((life) => life.end()), this.#spares.end()]);
    for (const fd of this.#doorbells.splice(0)) closeSync(fd);
  }
}
