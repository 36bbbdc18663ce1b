/**
 * Bench `pauses`: for how long a datapath thread stands still while connections come due together, are flushed, and
 * are listed. The handler is the switch's own, here on the main thread.
 *
 *     worker   ├ batch ┤├ batch ┤├ ──────── batch ────────── ┤├ batch ┤   packets of established connections, and
 *              │◀ 2 us ▶│        │◀──────── a pause ────────▶│           now and then one that begins another
 *     main      rounds of the handler, between them slices of what is asked
 *
 * From the end of a batch to the end of the next, by the clock: that has in it what the operating system gave to
 * others. So the same is taken by the processor time of the thread, which goes on while it works and while it spins
 * for a lock.
 */
import {
  type Arena,
  BATCH,
  COUNT_CT_REMOVED,
  COUNTERS,
  Datapath,
  REMOVED_EXPIRED,
  REMOVED_FLUSHED,
  regionAddress,
} from '../datapath.ts';
import { type Clock, clockFrom, clockOrigin } from '../thread/clock.ts';
import type { ConnectionSlice, FlushSlice } from '../upcall/connections.ts';
import { SlowPath } from '../upcall/slow-path.ts';
import { Crew } from './crew.ts';
import { type LapTimes, Stopwatch } from './stopwatch.ts';
import { trackingArena } from './tracking.ts';

export const UNDER_WAY = 1;
export const OVER = 2;

/** What goes on while the thread is watched. */
export const GOING_ON = ['nothing', 'listing', 'flushing', 'expiring'] as const;
export type GoingOn = (typeof GOING_ON)[number];

export interface PausesRound {
  /** Of the datapath thread, by what went on. */
  pauses: Record<GoingOn, LapTimes>;
  /** Rounds of the handler while all that went on. */
  rounds: LapTimes;
  /** From when the connections were due until the last was removed, in milliseconds. */
  goneMs: number;
}

export interface WorkerData {
  arena: Arena;
  connections: number;
  /** UNDER_WAY from when the thread forwards, OVER when it is to end. */
  progress: Int32Array;
}
/** `setUp`: make all connections, at one moment of the switch clock; `forward`: by a clock with this origin. */
export type MeasureRequest = { work: 'setUp'; nowMs: number } | { work: 'forward'; clockOrigin: number };
/** Undefined: they were set up. */
export type MeasureReply = LapTimes | undefined;

/** Whose packets are forwarded: some batches of them. */
export const ESTABLISHED = 128 * BATCH;
/** Room for those that begin meanwhile, and for those whose numbers wait for their epoch. */
const OTHERS = 131_072;
/** With nothing going on, and before the connections are due. */
const QUIET_MS = 500;
const LEAD_MS = 200;
/** How long a connection lives of which there was one packet, of UDP. */
const LIFE_MS = 60_000;
/** A handler without work looks around so often. */
const NAP_MS = 0.1;

export class PausesBench {
  readonly #connections: number;
  readonly #datapath: Datapath;
  readonly #slow: SlowPath;
  readonly #crew: Crew<WorkerData, MeasureRequest, MeasureReply>;
  readonly #progress = new Int32Array(new SharedArrayBuffer(4));
  readonly #nap = new Int32Array(new SharedArrayBuffer(4));
  /** Where it says how many connections the handler has removed, by reason. */
  readonly #removed: number;
  #rounds = new Stopwatch();
  #clock: Clock = () => 0;

  constructor(connections: number) {
    this.#connections = connections;
    const arena = trackingArena(1, connections + ESTABLISHED + OTHERS);
    this.#datapath = new Datapath(arena, 1);
    this.#slow = new SlowPath(this.#datapath, {
      ports: [],
      flows: '',
      rules: { rules: 1, tables: {} },
      macAgeingMs: LIFE_MS,
    });
    this.#removed =
      (regionAddress(arena, 'counters') >> 3) + this.#datapath.thread * COUNTERS + COUNT_CT_REMOVED;
    const data = { arena, connections, progress: this.#progress };
    this.#crew = new Crew(new URL('./pauses-worker.js', import.meta.url), [data]);
  }

  async round(): Promise<PausesRound> {
    this.#rounds = new Stopwatch();
    await this.#setUp();
    const nothing = await this.#watch(0, () => this.#goRoundUntil(this.#clock() + QUIET_MS));
    const listing = await this.#watch(0, () => this.#list());
    const flushing = await this.#watch(0, () => this.#flush());
    const dueMs = (await this.#setUp()) + LIFE_MS;
    let goneMs = 0;
    const expiring = await this.#watch(LIFE_MS - LEAD_MS, () => {
      goneMs = this.#expire() - dueMs;
    });
    return { pauses: { nothing, listing, flushing, expiring }, rounds: this.#rounds.read(), goneMs };
  }

  /** Has all connections made, and the handler take note of them. When, on the switch clock. */
  async #setUp(): Promise<number> {
    this.#clear();
    const { nowMs } = this.#datapath;
    await this.#crew.measure(1, { work: 'setUp', nowMs });
    this.#goRoundUntilQuiet();
    return nowMs;
  }

  /** Has the thread forward while `goOn` does something, from `aheadMs` later on. */
  async #watch(aheadMs: number, goOn: () => void): Promise<LapTimes> {
    const origin = clockOrigin() - this.#datapath.nowMs - aheadMs;
    this.#clock = clockFrom(origin);
    Atomics.store(this.#progress, 0, 0);
    const replies = this.#crew.measure(1, { work: 'forward', clockOrigin: origin });
    while (Atomics.load(this.#progress, 0) !== UNDER_WAY);
    goOn();
    Atomics.store(this.#progress, 0, OVER);
    return (await replies)[0]!;
  }

  #list(): void {
    let listed = 0;
    this.#askInSlices((from) => {
      const slice = this.#slow.ask({ command: 'connections', filter: ['udp'], from }) as ConnectionSlice;
      listed += slice.records.length;
      return slice.next;
    });
    if (listed === 0) throw new Error('found no connection to list');
  }

  #flush(): void {
    const before = this.#removedFor(REMOVED_FLUSHED);
    this.#askInSlices((from) => this.#flushFrom(from, ['udp']));
    this.#expectAll(this.#removedFor(REMOVED_FLUSHED) - before, 'flushed');
  }

  /** Until all that were made together are gone. When, on the switch clock. */
  #expire(): number {
    const before = this.#removedFor(REMOVED_EXPIRED);
    const untilMs = this.#clock() + LIFE_MS / 2;
    while (this.#removedFor(REMOVED_EXPIRED) - before < this.#connections) {
      this.#goRound();
      if (this.#clock() > untilMs) this.#expectAll(this.#removedFor(REMOVED_EXPIRED) - before, 'expired');
    }
    return this.#clock();
  }

  #expectAll(found: number, what: string): void {
    if (found >= this.#connections) return;
    throw new Error(`found ${found} connections ${what}, expected ${this.#connections}`);
  }

  #removedFor(reason: number): number {
    return Number(this.#datapath.u64[this.#removed + reason]!);
  }

  /** Asks for one slice between any two rounds, as a thread that gets mail does. */
  #askInSlices(ask: (from: number) => number | undefined): void {
    for (let from: number | undefined = 0; from !== undefined; from = ask(from)) this.#goRound();
  }

  #goRoundUntil(untilMs: number): void {
    while (this.#clock() < untilMs) {
      if (this.#goRound() === 0) Atomics.wait(this.#nap, 0, 0, NAP_MS);
    }
  }

  #goRound(): number {
    this.#rounds.start();
    const did = this.#slow.round(this.#clock());
    this.#rounds.lap();
    return did;
  }

  /** The clock stands still. */
  #goRoundUntilQuiet(): void {
    const { nowMs } = this.#datapath;
    while (this.#slow.round(nowMs) > 0);
  }

  /** Removes what there is. The worker stands still. */
  #clear(): void {
    for (let from: number | undefined = 0; from !== undefined; from = this.#flushFrom(from, []));
    this.#goRoundUntilQuiet();
  }

  #flushFrom(from: number, filter: readonly string[]): number | undefined {
    return (this.#slow.ask({ command: 'flush', filter, from }) as FlushSlice).next;
  }

  async end(): Promise<void> {
    await this.#crew.end();
  }
}
