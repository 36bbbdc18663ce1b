/** The switch on threads of its own: starts them, passes requests to them, keeps them alive, ends them in order. */
import { closeSync } from 'node:fs';
import { type Arena, Observer, rolesOf } from '../datapath.ts';
import type { DriverSpec } from '../port/port.ts';
import { hasLibc } from '../sys/libc.ts';
import { openDoorbell, ringDoorbell } from '../sys/poll.ts';
import { writeChange } from '../upcall/change.ts';
import { TableOwner } from '../upcall/owner.ts';
import type { SlowOptions, SlowReply, SlowRequest } from '../upcall/request.ts';
import { clockFrom, clockOrigin } from './clock.ts';
import type { Engine } from './engine.ts';
import { Life, ThreadDied } from './life.ts';
import type { ThreadData, ThreadRequest } from './messages.ts';
import { SlowThreads } from './slow-threads.ts';
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
  readonly #owner: TableOwner;
  readonly #slow: SlowThreads;
  readonly #macAgeingMs: number;
  readonly #ports: Ports;
  /** What the successors of dead datapath threads are to drive. */
  readonly #drivers = new Map<number, DriverSpec[]>();
  /** Threads that a pipe, read as a capture, may keep waiting for as long as it likes. */
  readonly #patient = new Set<number>();
  readonly #doorbells: number[];
  /** By number. */
  readonly #lives = new Map<number, Life>();
  readonly #spares = new Spares();
  readonly #supervisor: Supervisor;
  /** Resolves when those that were to be killed are no more. */
  #killed: Promise<unknown> = Promise.resolve();
  #fail: (error: Error) => void = () => {};

  private constructor(
    arena: Arena,
    options: SlowOptions,
    ports: Ports,
    recovered: (recovery: Recovery) => void,
  ) {
    const origin = clockOrigin();
    this.nowMs = clockFrom(origin);
    this.#ports = ports;
    this.#doorbells = hasLibc() ? Array.from({ length: arena.limits.threads }, openDoorbell) : [];
    this.#common = { arena, clockOrigin: origin, doorbells: this.#doorbells };
    this.#owner = new TableOwner(arena, options, this.nowMs);
    this.#macAgeingMs = options.macAgeingMs;
    const ask = (thread: number, request: ThreadRequest) =>
      this.#orElse(() => this.#life(thread).ask(request));
    this.#slow = new SlowThreads(this.#owner, { ...slowThreads(arena), ask }, this.nowMs);
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
      end: (thread, cause) => void this.#life(thread).kill(cause),
      ring: (threads) => {
        for (const thread of threads) ringDoorbell(this.#doorbells[thread]!);
      },
      recovered,
      giveUp: (error) => this.#fail(error),
    });
  }

  /** Starts a datapath thread for each element of `drivers`, and the slow path; resolves when all go round. */
  static async start(
    arena: Arena,
    drivers: readonly DriverSpec[][],
    options: SlowOptions,
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
    threads.#slow.start();
    threads.#spares.prepare();
    return threads;
  }

  /** The slow path first: what the others receive it has to take up from the first packet on. */
  async #launch(drivers: readonly DriverSpec[][]): Promise<void> {
    const { handlers, revalidators } = slowThreads(this.#common.arena);
    const tables = writeChange(this.#owner.whole());
    await Promise.all(
      [...handlers, ...revalidators].map((thread) => this.#begin(thread, this.#slowRole(thread, tables))),
    );
    await Promise.all(
      drivers.map((mine, thread) => this.#begin(thread, { name: 'datapath', drivers: mine })),
    );
  }

  /** What a thread of the slow path is to be, with the tables as they are now. */
  #slowRole(thread: number, tables = writeChange(this.#owner.whole())): ThreadData['role'] {
    const { handlers, revalidators } = slowThreads(this.#common.arena);
    const common = { macAgeingMs: this.#macAgeingMs, tables };
    const index = handlers.indexOf(thread);
    return index >= 0
      ? { name: 'handler', index, ...common }
      : { name: 'revalidator', index: revalidators.indexOf(thread), ...common };
  }

  /** Resolves when the thread goes round. */
  async #begin(thread: number, role: ThreadData['role']): Promise<void> {
    if (role.name === 'datapath' && role.drivers.some(isPatient)) this.#patient.add(thread);
    const life = new Life(
      this.#spares,
      { ...this.#common, thread, role },
      {
        died: ({ isKilled }, cause) => this.#supervisor.died(thread, cause, isKilled),
        told: (told) => this.#slow.hear(told),
      },
    );
    this.#lives.set(thread, life);
    await life.started;
  }

  async #restart(thread: number): Promise<void> {
    const isDatapath = this.#life(thread).role === 'datapath';
    await this.#begin(
      thread,
      isDatapath ? { name: 'datapath', drivers: this.#drivers.get(thread)! } : this.#slowRole(thread),
    );
    this.#ports.resume(thread);
    this.#spares.prepare();
  }

  #life(thread: number): Life {
    return this.#lives.get(thread)!;
  }

  #of(role: Life['role']): Life[] {
    return [...this.#lives.values()].filter((life) => life.role === role);
  }

  ask(request: SlowRequest): Promise<SlowReply> {
    return this.#slow.ask(request);
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
      this.#of('datapath').map(({ number }) =>
        this.#orElse(() => this.#life(number).ask({ type: 'settle' })),
      ),
    );
  }

  kill(thread: number): void {
    const killed = this.#life(thread).kill('it was killed by command');
    this.#killed = Promise.all([this.#killed, killed]);
  }

  /**
   * Nothing more comes in; then handlers work off their queues, and threads what has waited for that, of which some may
   * miss again; then what they sent goes out.
   */
  async stop(): Promise<void> {
    this.#slow.end();
    await this.#killed;
    await this.#supervisor.stop();
    const all = (role: Life['role'], type: 'drain' | 'finish') =>
      Promise.all(this.#of(role).map((thread) => thread.ask({ type })));
    try {
      await all('datapath', 'drain');
      do {
        await all('handler', 'drain');
        await all('datapath', 'drain');
      } while (this.#packetsWait());
      await all('handler', 'finish');
      await all('revalidator', 'finish');
      // What they still have for each other goes out in the first round, and nothing follows it.
      await all('datapath', 'drain');
      await all('datapath', 'finish');
    } finally {
      await this.#end();
    }
  }

  /** Whether some wait for what a handler had. */
  #packetsWait(): boolean {
    const { arena } = this.#common;
    const observer = new Observer(arena);
    return Array.from({ length: rolesOf(arena.limits).datapaths }, (_, thread) =>
      observer.waitingInOrder(thread),
    ).some((packets) => packets > 0);
  }

  async #end(): Promise<void> {
    await Promise.all([...[...this.#lives.values()].map((life) => life.end()), this.#spares.end()]);
    for (const fd of this.#doorbells.splice(0)) closeSync(fd);
  }
}

/** The numbers of the threads of the slow path, which come after the datapath's. */
function slowThreads({ limits }: Arena): { handlers: number[]; revalidators: number[] } {
  const { datapaths, handlers, revalidators } = rolesOf(limits);
  const some = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
  return { handlers: some(datapaths, handlers), revalidators: some(datapaths + handlers, revalidators) };
}
