/** One life of a thread: a worker, and the mail to it. It ends when it is told to, or dies. */
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { type Arena, noteMail } from '../datapath.ts';
import { ringDoorbell } from '../sys/poll.ts';
import type { HandlerReply } from '../upcall/request.ts';
import { readTold, type Told } from '../upcall/told.ts';
import { errorFrom } from './engine.ts';
import type { RoleName, ThreadData, ThreadReply, ThreadRequest } from './messages.ts';
import type { Spares } from './spare.ts';

/** What a thread does unasked. */
export interface Unasked {
  /** It ends without having been told to; said once. */
  died(life: Life, cause: string): void;
  /** It tells what packets have told it. */
  told(told: Told): void;
}

/** The thread died before it answered. */
export class ThreadDied extends Error {
  override name = 'ThreadDied';
  /** Whether somebody wanted it dead. */
  isWanted = false;
}

interface Waiting {
  resolve(reply: HandlerReply): void;
  reject(error: Error): void;
}

export class Life {
  readonly number: number;
  readonly role: RoleName;
  readonly #worker: Worker;
  readonly #mail: MessagePort;
  readonly #arena: Arena;
  readonly #doorbell: number | undefined;
  /** Whoever waits for the next reply; there is one at a time. */
  #waiting: Waiting | undefined;
  /** Requests are answered in order, so one waits for the one before. */
  #last: Promise<unknown>;
  /** Why it is no more; undefined while it is. */
  #death: ThreadDied | undefined;
  #cause = 'it ended';
  #isEnding = false;

  /** Resolves when the thread goes round. */
  readonly started: Promise<unknown>;
  /** Whether somebody wanted it dead. */
  isKilled = false;

  constructor(spares: Spares, data: Omit<ThreadData, 'mail'>, unasked: Unasked) {
    const { port1, port2 } = new MessageChannel();
    this.number = data.thread;
    this.role = data.role.name;
    this.#arena = data.arena;
    this.#doorbell = data.doorbells[data.thread];
    this.#mail = port1;
    this.#mail.on('message', (reply: ThreadReply) => this.#receive(reply, unasked));
    this.#worker = spares.take({ ...data, mail: port2 });
    this.#worker.once('error', ({ message }) => {
      this.#cause = message;
    });
    this.#worker.once('exit', () => {
      if (this.#isEnding) return;
      this.#die();
      unasked.died(this, this.#cause);
    });
    this.started = this.#reply();
    this.#last = this.started.catch(() => {});
  }

  get isDead(): boolean {
    return this.#death !== undefined;
  }

  /** Asks the thread, after all that it was asked before. Throws ThreadDied when it dies meanwhile. */
  ask(request: ThreadRequest): Promise<HandlerReply> {
    const reply = this.#last.then(() => {
      const answered = this.#reply();
      if (this.#death) return answered;
      if (request.type === 'finish') this.#isEnding = true;
      this.#mail.postMessage(request);
      this.ring();
      return answered;
    });
    this.#last = reply.catch(() => {});
    return reply;
  }

  /**
   * Ends it between two instructions, as a crash would, once it goes round (worker.ts says why not before). Resolves
   * when it is no more.
   */
  async kill(cause: string): Promise<void> {
    this.isKilled = true;
    this.#cause = cause;
    await this.started.catch(() => {});
    const ended = this.#worker.terminate();
    // It is not interrupted in a system call.
    this.ring();
    await ended;
  }

  /** Ends it, and nobody is told. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#mail.close();
    await this.#worker.terminate();
  }

  /** Wakes the thread if it sleeps, and has it look around. */
  ring(): void {
    if (noteMail(this.#arena, this.number)) ringDoorbell(this.#doorbell!);
  }

  #reply(): Promise<HandlerReply> {
    return new Promise((resolve, reject) => {
      if (this.#death) reject(this.#death);
      else this.#waiting = { resolve, reject };
    });
  }

  #receive(reply: ThreadReply, unasked: Unasked): void {
    if ('told' in reply) return unasked.told(readTold(reply.told));
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if ('error' in reply) waiting?.reject(errorFrom(reply.error));
    else waiting?.resolve(reply.ok);
  }

  #die(): void {
    this.#mail.close();
    this.#death = new ThreadDied(`thread ${this.number + 1} (${this.role}) died: ${this.#cause}`);
    this.#death.isWanted = this.isKilled;
    this.#waiting?.reject(this.#death);
    this.#waiting = undefined;
  }
}
