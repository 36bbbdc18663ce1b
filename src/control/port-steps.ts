/**
 * How a port of a running switch comes up and goes down.
 *
 *     absent ──add──▶ up ◀──bring up── down       down: the interface is gone or down, or the kernel refuses to
 *        ▲            │ └──take down───▶│         go on. The number stays, frames for it are counted as
 *        └───remove───┴─────remove──────┘         port_closed, and bringing it up is tried again and again.
 *
 * The steps of going down make sure that nothing that is under way is lost or comes out at another port that
 * gets the number later:
 *
 *     1. the datapath sees the port down: frames that are queued for it, or will be, are dropped and counted
 *     2. its threads detach its queues: nothing more comes in
 *     3. the handler works off misses that came in there, forgets the port, and revalidates the flows
 *     4. the kernel's side is closed, then the threads let go of the frames that it had
 *     5. removal only: every thread empties its rings; then the number is free
 *
 * Bringing up goes the other way round: the kernel, the handler, which is to know the port before frames come in
 * there, threads, the datapath, and the handler again, which now sends there.
 */
import { getSystemErrorMap } from 'node:util';
import type { PortTable } from '../datapath.ts';
import type { OpenPort } from '../port/open-port.ts';
import type { Engine } from '../thread/engine.ts';
import type { PortEntry } from './port-entry.ts';

export class PortSteps {
  readonly #table: PortTable;
  readonly #engine: Engine;
  /** Tells the handler of the ports as they are. */
  readonly #tellHandler: () => Promise<void>;
  /** Those that are going down, or are being removed. */
  readonly #leaving = new Set<PortEntry>();

  constructor(table: PortTable, engine: Engine, tellHandler: () => Promise<void>) {
    this.#table = table;
    this.#engine = engine;
    this.#tellHandler = tellHandler;
  }

  get leaving(): Iterable<PortEntry> {
    return this.#leaving;
  }

  /** From open to up. @throws Error, and then the port is down. */
  async bringUp(entry: PortEntry, open: OpenPort): Promise<void> {
    const { number } = entry.config;
    entry.noteOpen(open, this.#engine.nowMs());
    this.#table.takeDown(number);
    this.#table.takeFailure(number);
    try {
      await this.#tellHandler();
      for (const [queue, thread] of entry.threads.entries()) {
        await this.#engine.attach(thread, () => entry.driverOf(open, queue));
      }
      if (entry.reason !== '') throw new Error(entry.reason);
    } catch (error) {
      await this.takeDown(entry, (error as Error).message);
      throw error;
    }
    this.#table.open(number, entry.threads, entry.link.maxLength);
    await this.#tellHandler();
  }

  async takeDown(entry: PortEntry, reason: string): Promise<void> {
    entry.noteDown(reason, this.#engine.nowMs());
    this.#table.takeDown(entry.config.number);
    await this.#letGo(entry);
  }

  /** From whatever it is to gone. @throws what closing it throws, and then it is gone. */
  async remove(entry: PortEntry): Promise<void> {
    const { number } = entry.config;
    this.#table.takeDown(number);
    try {
      await this.#letGo(entry);
    } finally {
      await this.#engine.settle();
      this.#table.close(number);
    }
  }

  /** Steps 2 to 4: from down, as the datapath sees it, to closed. */
  async #letGo(entry: PortEntry): Promise<void> {
    const { threads, config } = entry;
    this.#leaving.add(entry);
    entry.beginClosing();
    for (const thread of threads) await this.#engine.detach(thread, config.number);
    await this.#tellHandler();
    this.#leaving.delete(entry);
    entry.endClosing();
    for (const thread of threads) await this.#engine.release(thread, config.number);
  }

  /** Takes an open port down if it cannot go on; `look`: its link is asked even when nothing has failed. */
  async check(entry: PortEntry, look: boolean): Promise<void> {
    const fault = this.#faultOf(entry, look);
    if (fault !== '') await this.takeDown(entry, fault);
  }

  /** Why an open port cannot go on; empty: it can. */
  #faultOf(entry: PortEntry, look: boolean): string {
    const { open, config } = entry;
    const errno = this.#table.takeFailure(config.number);
    if (entry.reason !== '') return entry.reason;
    if (!look && errno === 0) return '';
    try {
      const link = open!.link();
      if (link.maxLength !== entry.link.maxLength) this.#table.setMaxLength(config.number, link.maxLength);
      entry.link = link;
    } catch (error) {
      return (error as Error).message;
    }
    return errno === 0 ? '' : (getSystemErrorMap().get(-errno)?.[1] ?? `errno ${errno}`);
  }
}
