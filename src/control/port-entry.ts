/** A port of the switch as the control side holds it: what it is open with, or why it is down. */
import type { PortTotals } from '../datapath.ts';
import type { PortRow } from '../model.ts';
import { type OpenPort, sumCounts } from '../port/open-port.ts';
import { type DriverSpec, type KernelCounts, type Link, NO_COUNTS } from '../port/port.ts';
import type { PortConfig } from './config.ts';

/** A port that is down is tried again after so long, then twice as long, up to the most. */
const LEAST_RETRY_MS = 500;
const MOST_RETRY_MS = 5000;

export class PortEntry {
  readonly config: PortConfig;
  /** The datapath threads that have its queues, in their order, from 0. */
  readonly threads: readonly number[];
  /** Undefined while it is down, or going down. */
  open: OpenPort | undefined;
  /** What it was open with, on its way down: the kernel may have frames of its threads as long as this is there. */
  closing: OpenPort | undefined;
  /** As last seen. */
  link: Link = { mtu: 0, maxLength: 0, carrier: false };
  /** Why it is down; empty while it is up. */
  reason = '';
  /** When it is tried again, by the wall clock. */
  retryAtMs = 0;
  #retryMs = LEAST_RETRY_MS;
  /** Since when it is up or down, on the switch clock. */
  #sinceMs = 0;
  /** What the kernel counted while it was open before. */
  #counted: KernelCounts = NO_COUNTS;
  /** What the number had counted for the ports that had it before. */
  readonly #base: PortTotals;

  constructor(config: PortConfig, threads: readonly number[], base: PortTotals) {
    this.config = config;
    this.threads = threads;
    this.#base = base;
  }

  /** It is open. @throws Error when its link has gone meanwhile; then it is closed again. */
  noteOpen(open: OpenPort, nowMs: number): void {
    try {
      this.link = open.link();
    } catch (error) {
      open.close();
      throw error;
    }
    this.open = open;
    this.reason = '';
    this.#sinceMs = nowMs;
    this.#retryMs = LEAST_RETRY_MS;
  }

  noteDown(reason: string, nowMs: number): void {
    if (this.reason === '') this.#sinceMs = nowMs;
    this.reason = reason;
    this.retryAtMs = Date.now() + this.#retryMs;
    this.#retryMs = Math.min(2 * this.#retryMs, MOST_RETRY_MS);
  }

  /**
   * What drives a queue by now, of what it was opened with: it is opened anew when its thread dies.
   * @throws Error when that was impossible.
   */
  driverOf(open: OpenPort, queue: number): DriverSpec {
    if (this.reason !== '') throw new Error(this.reason);
    return open.drivers[queue]!;
  }

  /** Threads are to let go of what it is open with. */
  beginClosing(): void {
    this.closing = this.open;
    this.open = undefined;
  }

  /** They have. @throws what closing it throws; it is gone then all the same. */
  endClosing(): void {
    const { closing } = this;
    if (closing) this.#counted = sumCounts(this.#counted, closing.counts());
    this.closing = undefined;
    closing?.close();
  }

  /** As people see it; `now` is what the number has counted, and `isUp` how the datapath sees it. */
  row(now: PortTotals, isUp: boolean, nowMs: number): PortRow {
    const { config, link, reason } = this;
    const counted = (key: keyof PortTotals) => now[key] - this.#base[key];
    return {
      number: config.number,
      name: config.name,
      type: config.type,
      threads: this.threads.map((thread) => thread + 1),
      state: isUp ? 'up' : 'down',
      carrier: reason === '' && link.carrier,
      reason: reason || link.absence || '',
      sinceSeconds: Math.round((nowMs - this.#sinceMs) / 1000),
      mtu: link.mtu,
      rxPackets: counted('rxPackets'),
      rxBytes: counted('rxBytes'),
      rxErrors: counted('rxErrors'),
      ...sumCounts(this.#counted, (this.open ?? this.closing)?.counts() ?? NO_COUNTS),
      txPackets: counted('txPackets'),
      txBytes: counted('txBytes'),
      txErrors: counted('txErrors'),
      txDropped: counted('txDropped'),
      upcalls: counted('upcalls'),
      upcallsRefused: counted('upcallsRefused'),
    };
  }
}
