/**
 * The switch's ports on the control side: opened together or not at all, added and removed while it runs, taken
 * down when their interface goes away, and brought back when it returns (port-steps.ts). Changes happen one after
 * the other.
 */
import { type Arena, Observer, PortTable, QueueAreas } from '../datapath.ts';
import type { MirrorRow, PortRow } from '../model.ts';
import { KernelFrames } from '../port/kernel-frames.ts';
import { LinkNews } from '../port/link-news.ts';
import type { OpenPort } from '../port/open-port.ts';
import type { DriverSpec, PortBasics, PortContext } from '../port/port.ts';
import { openPort } from '../port/types.ts';
import type { Engine } from '../thread/engine.ts';
import type { PortName } from '../upcall/request.ts';
import type { Config, PortConfig } from './config.ts';
import type { MirrorConfig } from './config-schema.ts';
import { Mirrors } from './mirrors.ts';
import { PortEntry } from './port-entry.ts';
import { PortSteps } from './port-steps.ts';
import { trafficOptions } from './traffic-options.ts';

/** Something could not be opened; the message says what and why. */
export class OpenError extends Error {
  override name = 'OpenError';
}

/** Down ports are looked at, and failures noticed, so often. */
const WATCH_MS = 250;
/** Links are asked for their state so often, and whenever the kernel tells that one has changed. */
const LOOK_MS = 1000;
export class Ports {
  readonly #config: Config;
  readonly #datapaths: number;
  readonly #table: PortTable;
  readonly #observer: Observer;
  readonly #context: PortContext;
  #entries: PortEntry[] = [];
  readonly #mirrors: Mirrors;
  /** Undefined until the threads go round. */
  #engine: Engine | undefined;
  #steps: PortSteps | undefined;
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
      entry.noteOpen(await this.#open(entry), this.#nowMs());
      this.#table.open(config.number, entry.threads, entry.link.maxLength);
    } catch (error) {
      if (!('wait' in config && config.wait)) throw error;
      this.#table.takeDown(config.number);
      entry.noteDown((error as Error).message, this.#nowMs());
    }
    this.#entries.push(entry);
  }

  #newEntry(config: PortConfig): PortEntry {
    const threads = config.threads?.map((thread) => thread - 1) ?? this.#deal(config.queues);
    return new PortEntry(config, threads, this.#observer.port(config.number));
  }

  /** Queues that may be anybody's are dealt out in turn. */
  #deal(queues: number): number[] {
    return Array.from({ length: queues }, () => this.#turn++ % this.#datapaths);
  }

  async #open({ config }: PortEntry): Promise<OpenPort> {
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
    const nowMs = this.#nowMs();
    return this.#entries.map((entry) => {
      const { number } = entry.config;
      return entry.row(this.#observer.port(number), this.#table.isUp(number), nowMs);
    });
  }

  mirrors(): MirrorRow[] {
    return this.#mirrors.rows();
  }

  // Changes

  /** The threads go round: from now on ports come and go, and what becomes of their interfaces is watched. */
  start(engine: Engine): void {
    this.#engine = engine;
    this.#steps = new PortSteps(this.#table, engine, () => this.#tellHandler());
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
        await this.#steps!.bringUp(entry, open);
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

  #find(name: string): PortEntry {
    const entry = this.#entries.find(({ config }) => config.name === name);
    if (entry) return entry;
    const names = this.#entries.map(({ config }) => config.name).join(', ');
    throw new Error(`found no port ${name}, expected one of ${names}`);
  }

  /** A mirror that has the port's name was made for it, and goes with it. */
  async #forget(entry: PortEntry): Promise<void> {
    this.#mirrors.forget(entry.config.name);
    this.#entries = this.#entries.filter((other) => other !== entry);
    this.#mirror();
    await this.#steps!.remove(entry);
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
      if (entry.open) await this.#steps!.check(entry, look);
      else if (news || nowMs >= entry.retryAtMs) await this.#retry(entry);
    }
  }

  async #retry(entry: PortEntry): Promise<void> {
    try {
      await this.#steps!.bringUp(entry, await this.#open(entry));
    } catch (error) {
      const { message, cause } = error as Error;
      entry.noteDown((cause as Error | undefined)?.message ?? message, this.#nowMs());
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
    for (const { closing, threads } of this.#steps?.leaving ?? []) {
      if (threads.includes(thread)) closing?.closeQueue(threads.indexOf(thread));
    }
    return this.#on(thread).flatMap((entry) => {
      try {
        return [entry.open!.reopen(entry.threads.indexOf(thread))];
      } catch (error) {
        entry.noteDown((error as Error).message, this.#nowMs());
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

  #on(thread: number): PortEntry[] {
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
    for (const { closing } of this.#steps?.leaving ?? []) closing?.close();
  }
}
