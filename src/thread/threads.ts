/** The switch on threads of its own: starts them, passes requests to them, ends them in order. */
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { type Arena, noteMail } from '../datapath.ts';
import type { DriverSpec } from '../port/port.ts';
import { hasLibc } from '../sys/libc.ts';
import { openDoorbell, ringDoorbell } from '../sys/poll.ts';
import type { HandlerOptions, HandlerReply, HandlerRequest } from '../upcall/request.ts';
import { clockFrom, clockOrigin } from './clock.ts';
import { type Engine, errorFrom } from './engine.ts';
import type { ThreadData, ThreadReply, ThreadRequest } from './messages.ts';

class Thread {
  readonly #worker: Worker;
  readonly #mail: MessagePort;
  readonly #number: number;
  readonly #arena: Arena;
  readonly #doorbell: number | undefined;
  /** Requests are answered in order, so one waits for the one before. */
  #last: Promise<unknown>;
  /** Aborts when the thread dies; the reason is the error to tell. */
  readonly #death = new AbortController();

  constructor(data: Omit<ThreadData, 'mail'>) {
    const { port1, port2 } = new MessageChannel();
    this.#arena = data.arena;
    this.#number = data.thread;
    this.#doorbell = data.doorbells[data.thread];
    this.#mail = port1;
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { ...data, mail: port2 },
      transferList: [port2],
      name: `${data.role.name} ${data.thread}`,
    });
    this.#worker.once('error', (error) =>
      this.#death.abort(new Error(`thread ${data.thread}: ${error.message}`, { cause: error })),
    );
    this.#last = this.#reply();
  }

  /** Rejects when the thread dies. */
  get died(): Promise<never> {
    const { signal } = this.#death;
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  }

  /** Resolves when the thread goes round. */
  get started(): Promise<unknown> {
    return this.#last;
  }

  ask(request: ThreadRequest): Promise<HandlerReply> {
    const reply = this.#last.then(() => {
      const answered = this.#reply();
      this.#mail.postMessage(request);
      this.ring();
      return answered;
    });
    this.#last = reply.catch(() => {});
    return reply;
  }

  /** Wakes the thread if it sleeps, and has it look for mail. */
  ring(): void {
    if (noteMail(this.#arena, this.#number)) ringDoorbell(this.#doorbell!);
  }

  async #reply(): Promise<HandlerReply> {
    const { signal } = this.#death;
    const [message] = await once(this.#mail, 'message', { signal }).catch(() => {
      throw signal.reason;
    });
    const reply = message as ThreadReply;
    if ('error' in reply) throw errorFrom(reply.error);
    return reply.ok;
  }

  async end(): Promise<void> {
    this.#mail.close();
    await this.#worker.terminate();
  }
}

export class Threads implements Engine {
  readonly nowMs: () => number;
  readonly finished: Promise<void>;
  readonly #datapaths: Thread[];
  readonly #handler: Thread;
  readonly #doorbells: number[];

  private constructor(datapaths: Thread[], handler: Thread, doorbells: number[], nowMs: () => number) {
    this.#datapaths = datapaths;
    this.#handler = handler;
    this.#doorbells = doorbells;
    this.nowMs = nowMs;
    this.finished = Promise.race(this.#all.map(({ died }) => died));
    this.finished.catch(() => {});
  }

  /** Starts a datapath thread for each element of `drivers`, and the handler; resolves when all go round. */
  static async start(arena: Arena, drivers: DriverSpec[][], options: HandlerOptions): Promise<Threads> {
    const origin = clockOrigin();
    const doorbells = hasLibc() ? Array.from({ length: drivers.length + 1 }, openDoorbell) : [];
    const common = { arena, clockOrigin: origin, doorbells };
    const datapaths = drivers.map(
      (mine, thread) => new Thread({ ...common, thread, role: { name: 'datapath', drivers: mine } }),
    );
    const handler = new Thread({ ...common, thread: drivers.length, role: { name: 'handler', options } });
    const threads = new Threads(datapaths, handler, doorbells, clockFrom(origin));
    try {
      await Promise.all(threads.#all.map(({ started }) => started));
    } catch (error) {
      await threads.#end();
      throw error;
    }
    return threads;
  }

  get #all(): Thread[] {
    return [...this.#datapaths, this.#handler];
  }

  ask(request: HandlerRequest): Promise<HandlerReply> {
    return this.#handler.ask({ type: 'handler', request });
  }

  async attach(thread: number, driver: DriverSpec): Promise<void> {
    await this.#datapaths[thread]!.ask({ type: 'attach', driver });
  }

  async detach(thread: number, number: number): Promise<void> {
    await this.#datapaths[thread]!.ask({ type: 'detach', number });
  }

  async release(thread: number, number: number): Promise<void> {
    await this.#datapaths[thread]!.ask({ type: 'release', number });
  }

  ring(thread: number): void {
    this.#datapaths[thread]!.ring();
  }

  async settle(): Promise<void> {
    await Promise.all(this.#datapaths.map((thread) => thread.ask({ type: 'settle' })));
  }

  /** Nothing more comes in; then the handler works off its queue; then what it sent goes out. */
  async stop(): Promise<void> {
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
    await Promise.all(this.#all.map((thread) => thread.end()));
    for (const fd of this.#doorbells.splice(0)) closeSync(fd);
  }
}
