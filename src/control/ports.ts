/**
 * The switch's ports on the control side: opened together or not at all, added and removed while it runs, taken
 * down when their interface goes away, and brought back when it returns.
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
 * Changes happen one after the other. Bringing up goes the other way round: the kernel, the handler, which is to
 * know the port before frames come in there, threads, the datapath, and the handler again, which now sends there.
 */
import { getSystemErrorMap } from 'node:util';
import { type Arena, Observer, PortTable, type PortTotals, QueueAreas } from '../datapath.ts';
import type { MirrorRow, PortRow } from '../model.ts';
import { KernelFrames } from '../port/kernel-frames.ts';
import { LinkNews } from '../port/link-news.ts';
import { type OpenPort, sumCounts } from '../port/open-port.ts';
import {
  type DriverSpec,
  type KernelCounts,
  type Link,
  NO_COUNTS,
  type PortBasics,
  type PortContext,
} from '../port/port.ts';
import { openPort } from '../port/types.ts';
import type { Engine } from '../thread/engine.ts';
import type { PortName } from '../upcall/request.ts';
import type { Config, PortConfig } from './config.ts';
import type { MirrorConfig } from './config-schema.ts';
import { Mirrors } from './mirrors.ts';
import { trafficOptions } from './traffic-options.ts';

/** Something could not be opened; the message says what and why. */
export class OpenError extends Error {
  override name = 'OpenError';
}

/** Down ports are looked at, and failures noticed, so often. */
const WATCH_MS = 250;
/** Links are asked for their state so often, and whenever the kernel tells that one has changed. */
const LOOK_MS = 1000;
/** A port that is down is tried again after so long, then twice as long, up to the most. */
const LEAST_RETRY_MS = 500;
const MOST_RETRY_MS = 5000;

/** A port of the switch. */
interface Entry {
  readonly config: PortConfig;
  /** The datapath threads that have its queues, in their order, from 0. */
  readonly threads: readonly number[];
  /** Undefined while it is down, or going down. */
  open: OpenPort | undefined;
  /** What it was open with, on its way down: the kernel may have frames of its threads as long as this is there. */
  closing: OpenPort | undefined;
  /** As last seen. */
  link: Link;
  /** Why it is down; empty while it is up. */
  reason: string;
  /** Since when it is up or down, on the switch clock. */
  sinceMs: number;
  /** When it is tried again, and how long is waited after that. */
  retryAtMs: number;
  retryMs: number;
  /** What the kernel counted while it was open before. */
  counted: KernelCounts;
  /** What the number had counted for the ports that had it before. */
  readonly base: PortTotals;
}

/** What drives a queue by now: it is opened anew when its thread dies. @throws Error when that was impossible. */
function driverOf(entry: Entry, open: OpenPort, queue: number): DriverSpec {
  if (entry.reason !== '') throw new Error(entry.reason);
  return open.drivers[queue]!;
}

export class Ports {
  readonly #config: Config;
  readonly #datapaths: number;
  readonly #table: PortTable;
  readonly #observer: Observer;
  readonly #context: PortContext;
  #entries: Entry[] = [];
  /** Those that are going down, or are being removed. */
  readonly #leaving = new Set<Entry>();
  readonly #mirrors: Mirrors;
  /** Undefined until the threads go round. */
  #engine: Engine | undefined;
  /** Which thread is the next to get a queue that may be anybody's. */
  #turn = 0;
  /** Changes wait for the one before. */
  #changes: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #news: LinkNews | undefined;
  #lookAtMs = 0;

  private constructor(config: Config, arena: Arena, datapaths: number) {
    this.#config = config;
    this.#datapaths = datapaths;
    this.#table = new PortTable(arena);
    this.#observer = new Observer(arena);
    this.#mirrors = new Mirrors(this.#table, config.mirrors);
    const planned = config.ports.reduce((n, { type, queues }) => n + (type === 'afxdp' ? queues : 0), 0);
    this.#context = {
      arena,
      areas: new QueueAreas(arena),
      kernelFrames: new KernelFrames(config.limits.frames, planned),
      // With threads: inline nothing depends on when it runs.
      epochMs: config.threads === 'inline' ? 0 : Date.now(),
      ring: (number) => this.#ring(number),
    };
  }

  /**
   * Opens every port of the configuration, or none; one that may wait for its interface is down until then. No
   * thread has started. @throws OpenError.
   */
  static async open(config: Config, arena: Arena, datapaths: number): Promise<Ports> {
    const ports = new Ports(config, arena, datapaths);
    try {
      for (const port of config.ports) await ports.#admit(port);
      ports.#mirror();
    } catch (error) {
      ports.close();
      throw error;
    }
    return ports;
  }

  async #admit(config: PortConfig): Promise<void> {
    const entry = this.#newEntry(config);
    try {
      this.#opened(entry, await this.#open(entry));
      this.#table.open(config.number, entry.threads, entry.link.maxLength);
    } catch (error) {
      if (!('wait' in config && config.wait)) throw error;
      this.#table.takeDown(config.number);
      this.#noteDown(entry, (error as Error).message);
    }
    this.#entries.push(entry);
  }

  #newEntry(config: PortConfig): Entry {
    return {
      config,
      threads: config.threads?.map((thread) => thread - 1) ?? this.#deal(config.queues),
      open: undefined,
      closing: undefined,
      link: { mtu: 0, maxLength: 0, carrier: false },
      reason: '',
      sinceMs: 0,
      retryAtMs: 0,
      retryMs: LEAST_RETRY_MS,
      counted: NO_COUNTS,
      base: this.#observer.port(config.number),
    };
  }

  /** Queues that may be anybody's are dealt out in turn. */
  #deal(queues: number): number[] {
    return Array.from({ length: queues }, () => this.#turn++ % this.#datapaths);
  }

  async #open({ config }: Entry): Promise<OpenPort> {
    try {
      return await openPort(config.type, this.#optionsOf(config), this.#context);
    } catch (error) {
      const message = `port ${config.name} (${config.type}): ${(error as Error).message}`;
      throw new OpenError(message, { cause: error });
    }
  }

  #optionsOf(port: PortConfig): PortBasics {
    if (port.type !== 'traffic') return port;
    return { ...port, traffic: trafficOptions(port, this.configs) } as PortBasics;
  }

  /** @throws Error, and then the port is closed again, when its link has gone meanwhile. */
  #opened(entry: Entry, open: OpenPort): void {
    try {
      entry.link = open.link();
    } catch (error) {
      open.close();
      throw error;
    }
    Object.assign(entry, { open, reason: '', sinceMs: this.#nowMs(), retryMs: LEAST_RETRY_MS });
  }

  #noteDown(entry: Entry, reason: string): void {
    if (entry.reason === '') entry.sinceMs = this.#nowMs();
    entry.reason = reason;
    entry.retryAtMs = Date.now() + entry.retryMs;
    entry.retryMs = Math.min(2 * entry.retryMs, MOST_RETRY_MS);
  }

  /** On the switch clock, which stands until the threads go round. */
  #nowMs(): number {
    return this.#engine?.nowMs() ?? 0;
  }

  // What there is

  get configs(): PortConfig[] {
    const open = this.#entries.map(({ config }) => config);
    // While they are opened one after another, ports may refer to others that come later.
    return this.#engine ? open : this.#config.ports;
  }

  /** What thread `thread` needs to drive its queues. */
  drivers(thread: number): DriverSpec[] {
    return this.#entries.flatMap(({ open, threads }) =>
      (open?.drivers ?? []).filter((_, queue) => threads[queue] === thread),
    );
  }

  /** Ports as the handler is to know them. */
  names(): PortName[] {
    const { outputs } = this.#mirrors;
    return this.#entries.map(({ config: { number, name } }) => ({
      number,
      name,
      up: this.#table.isUp(number),
      forMirrors: outputs.has(name),
    }));
  }

  /** Names of the ports that have a queue on thread `thread`. */
  namesOn(thread: number): string[] {
    return this.#entries.filter(({ threads }) => threads.includes(thread)).map(({ config }) => config.name);
  }

  rows(): PortRow[] {
    return this.#entries.map((entry) => {
      const { config, threads, open, closing, link, reason, sinceMs, base } = entry;
      const now = this.#observer.port(config.number);
      const counted = (key: keyof PortTotals) => now[key] - base[key];
      return {
        number: config.number,
        name: config.name,
        type: config.type,
        threads: threads.map((thread) => thread + 1),
        state: this.#table.isUp(config.number) ? 'up' : 'down',
        carrier: reason === '' && link.carrier,
        reason: reason || link.absence || '',
        sinceSeconds: Math.round((this.#nowMs() - sinceMs) / 1000),
        mtu: link.mtu,
        rxPackets: counted('rxPackets'),
        rxBytes: counted('rxBytes'),
        rxErrors: counted('rxErrors'),
        ...sumCounts(entry.counted, (open ?? closing)?.counts() ?? NO_COUNTS),
        txPackets: counted('txPackets'),
        txBytes: counted('txBytes'),
        txErrors: counted('txErrors'),
        txDropped: counted('txDropped'),
      };
    });
  }

  mirrors(): MirrorRow[] {
    return this.#mirrors.rows();
  }

  // Changes

  /** The threads go round: from now on ports come and go, and what becomes of their interfaces is watched. */
  start(engine: Engine): void {
    this.#engine = engine;
    if (this.#config.threads === 'inline') return;
    this.#news = LinkNews.open();
    let watching = false;
    this.#timer = setInterval(() => {
      if (watching) return;
      watching = true;
      this.#change(() => this.#watch())
        .catch(() => {}) // a thread died: whoever waits for the engine is told
        .finally(() => {
          watching = false;
        });
    }, WATCH_MS).unref();
  }

  #ring(number: number): void {
    const threads = this.#entries.find(({ config }) => config.number === number)?.threads ?? [];
    for (const thread of threads) this.#engine?.ring(thread);
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#changes.then(work);
    this.#changes = done.catch(() => {});
    return done;
  }

  /**
   * Adds the port that `settle` makes of the ports that there are. If `mirrored` is given, the port gets copies of
   * what that port carries, and nothing else. @throws what `settle` throws; OpenError.
   */
  add(settle: (present: readonly PortConfig[]) => PortConfig, mirrored?: string): Promise<void> {
    return this.#change(async () => {
      const entry = this.#newEntry(settle(this.configs));
      const { name } = entry.config;
      if (mirrored !== undefined) this.#find(mirrored);
      const open = await this.#open(entry);
      this.#entries.push(entry);
      if (mirrored !== undefined) this.#mirrors.add(name, { from: [mirrored], to: [mirrored], output: name });
      try {
        await this.#bringUp(entry, open);
        this.#mirror();
      } catch (error) {
        await this.#forget(entry);
        throw error;
      }
    });
  }

  /** Removes a port. @throws Error when there is none of that name; what closing it throws, and then it is gone. */
  remove(name: string): Promise<void> {
    return this.#change(async () => {
      await this.#forget(this.#find(name));
    });
  }

  #find(name: string): Entry {
    const entry = this.#entries.find(({ config }) => config.name === name);
    if (entry) return entry;
    const names = this.#entries.map(({ config }) => config.name).join(', ');
    throw new Error(`found no port ${name}, expected one of ${names}`);
  }

  /** A mirror that has the port's name was made for it, and goes with it. */
  async #forget(entry: Entry): Promise<void> {
    const { name, number } = entry.config;
    this.#mirrors.forget(name);
    this.#entries = this.#entries.filter((other) => other !== entry);
    this.#table.takeDown(number);
    this.#mirror();
    try {
      await this.#letGo(entry);
    } finally {
      await this.#engine!.settle();
      this.#table.close(number);
    }
  }

  /** From open to up. @throws Error, and then the port is down. */
  async #bringUp(entry: Entry, open: OpenPort): Promise<void> {
    const { number } = entry.config;
    this.#opened(entry, open);
    this.#table.takeDown(number);
    this.#table.takeFailure(number);
    try {
      await this.#tellHandler();
      for (const [queue, thread] of entry.threads.entries()) {
        await this.#engine!.attach(thread, () => driverOf(entry, open, queue));
      }
      if (entry.reason !== '') throw new Error(entry.reason);
    } catch (error) {
      await this.#takeDown(entry, (error as Error).message);
      throw error;
    }
    this.#table.open(number, entry.threads, entry.link.maxLength);
    await this.#tellHandler();
  }

  async #takeDown(entry: Entry, reason: string): Promise<void> {
    this.#noteDown(entry, reason);
    this.#table.takeDown(entry.config.number);
    await this.#letGo(entry);
  }

  /** Steps 2 to 4: from down, as the datapath sees it, to closed. */
  async #letGo(entry: Entry): Promise<void> {
    const { threads, config } = entry;
    const engine = this.#engine!;
    this.#leaving.add(entry);
    entry.closing = entry.open;
    entry.open = undefined;
    for (const thread of threads) await engine.detach(thread, config.number);
    await this.#tellHandler();
    this.#close(entry);
    for (const thread of threads) await engine.release(thread, config.number);
  }

  /** @throws what closing it throws; it is gone then all the same. */
  #close(entry: Entry): void {
    const { closing } = entry;
    if (closing) entry.counted = sumCounts(entry.counted, closing.counts());
    entry.closing = undefined;
    this.#leaving.delete(entry);
    closing?.close();
  }

  async #tellHandler(): Promise<void> {
    await this.#engine!.ask({ command: 'ports', ports: this.names() });
  }

  // Mirrors

  /** Adds the mirror that `settle` makes of ports and mirrors. @throws what `settle` throws. */
  addMirror(
    name: string,
    settle: (ports: readonly PortConfig[], present: Record<string, MirrorConfig>) => MirrorConfig,
  ): Promise<void> {
    return this.#change(async () => {
      this.#mirrors.add(name, settle(this.configs, this.#mirrors.configs));
      this.#mirror();
      await this.#tellHandler();
    });
  }

  /** @throws Error when there is no mirror of that name. */
  removeMirror(name: string): Promise<void> {
    return this.#change(async () => {
      this.#mirrors.remove(name);
      this.#mirror();
      await this.#tellHandler();
    });
  }

  #mirror(): void {
    this.#mirrors.apply(new Map(this.#entries.map(({ config: { name, number } }) => [name, number])));
  }

  // Watching

  async #watch(): Promise<void> {
    const nowMs = Date.now();
    const news = this.#news?.arrived() ?? false;
    const look = news || nowMs >= this.#lookAtMs;
    if (look) this.#lookAtMs = nowMs + LOOK_MS;
    for (const entry of this.#entries) {
      if (!entry.open) {
        if (news || nowMs >= entry.retryAtMs) await this.#retry(entry);
        continue;
      }
      const fault = this.#faultOf(entry, look);
      if (fault !== '') await this.#takeDown(entry, fault);
    }
  }

  /** Why an open port cannot go on; empty: it can. */
  #faultOf(entry: Entry, look: boolean): string {
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

  async #retry(entry: Entry): Promise<void> {
    try {
      await this.#bringUp(entry, await this.#open(entry));
    } catch (error) {
      const { message, cause } = error as Error;
      this.#noteDown(entry, (cause as Error | undefined)?.message ?? message);
    }
  }

  // A thread that died and its successor

  /** Thread `thread` has died: frames for ports with a queue on it are dropped, and counted, until `resume`. */
  suspend(thread: number): void {
    for (const { config } of this.#on(thread)) this.#table.takeDown(config.number);
  }

  /**
   * Makes the queues of a dead thread anew, with fresh kernel objects. Returns what its successor needs to drive
   * them. A port whose queue cannot be opened goes down, and is tried again as any that is down. Of a port that is
   * going down anyway the queue is closed at once, for nothing of the dead thread's may stay in the kernel.
   */
  reopen(thread: number): DriverSpec[] {
    for (const { closing, threads } of this.#leaving) {
      if (threads.includes(thread)) closing?.closeQueue(threads.indexOf(thread));
    }
    return this.#on(thread).flatMap((entry) => {
      try {
        return [entry.open!.reopen(entry.threads.indexOf(thread))];
      } catch (error) {
        this.#noteDown(entry, (error as Error).message);
        return [];
      }
    });
  }

  /** The successor of thread `thread` drives its queues; what was going down when it died goes down first. */
  resume(thread: number): void {
    void this.#change(async () => {
      for (const { config, threads, link, reason } of this.#on(thread)) {
        if (reason === '') this.#table.open(config.number, threads, link.maxLength);
      }
    });
  }

  #on(thread: number): Entry[] {
    return this.#entries.filter(({ open, threads }) => open && threads.includes(thread));
  }

  // The end

  /** Nothing changes any more. Resolves when what was under way has come to its end. */
  async freeze(): Promise<void> {
    clearInterval(this.#timer);
    await this.#changes;
  }

  /** Closes every port. The threads have ended, or never started. */
  close(): void {
    clearInterval(this.#timer);
    this.#news?.close();
    for (const { config, open } of this.#entries) {
      this.#table.close(config.number);
      open?.close();
    }
    for (const { closing } of this.#leaving) closing?.close();
  }
}
