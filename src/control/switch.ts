/**
 * The switch as one object: opens its ports, starts its threads, answers what people ask, closes it all.
 * What cannot be opened is named with the reason, and then nothing stays open.
 */
import { randomInt } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import {
  type Arena,
  type ArenaLimits,
  createArena,
  fragmentLimit,
  loadModule,
  Observer,
  RING_SLOTS,
} from '../datapath.ts';
import type {
  ConnectionPage,
  FlushPage,
  RuleCommand,
  RuleKind,
  Shown,
  Summary,
  SwitchControl,
  Trace,
  TraceQuestion,
  UpcallAction,
  Watched,
  WatchedConnections,
  ZoneAction,
  ZoneSetting,
} from '../model.ts';
import type { Engine } from '../thread/engine.ts';
import type { EventSlice } from '../upcall/connection-events.ts';
import type { ConnectionSlice } from '../upcall/connections.ts';
import type { MacSlice } from '../upcall/macs.ts';
import type { MegaflowSlice } from '../upcall/megaflows.ts';
import type { SlowOptions, SlowReply, SlowRequest } from '../upcall/request.ts';
import { type Config, parseMirror, parsePort } from './config.ts';
import { connectionEvents, connectionRows, expectationRows } from './connections.ts';
import { counterRows } from './counter-rows.ts';
import { Ports } from './ports.ts';
import { recoveryLine } from './recovery.ts';
import { Refusals } from './refusals.ts';
import { changeRevalidation, configureRevalidation } from './revalidation.ts';
import { fragmentRows, memoryRows, roleOf, threadRow } from './rows.ts';
import { macRows, megaflowRows } from './slices.ts';
import { summaryOf } from './summary.ts';
import { askTrace } from './trace.ts';
import { configureTracking } from './tracking.ts';
import { revalidatingThreads, upcallRows } from './upcall-rows.ts';

export { OpenError } from './ports.ts';

const WATCH_EVERY_MS = 100;

export interface SwitchOptions {
  /** With `threads: inline`: when to end, on the virtual clock. */
  durationMs?: number | undefined;
}

export async function openSwitch(config: Config, options: SwitchOptions = {}): Promise<Switch> {
  const datapaths = config.threads === 'inline' ? 1 : config.threads.datapath;
  const arena = createArena(loadModule(), limitsOf(config), hashSeed(config));
  configureTracking(arena, config.conntrack);
  configureRevalidation(arena, config.revalidation);
  const ports = await Ports.open(config, arena, datapaths);
  try {
    const engine = await startEngine(config, arena, ports, datapaths, options);
    ports.start(engine);
    return new Switch(config, arena, ports, engine);
  } catch (error) {
    ports.close();
    throw error;
  }
}

/** Nobody should know where a flow's bucket is; but what runs inline must run the same again. */
function hashSeed({ threads }: Config): number {
  return threads === 'inline' ? 1 : randomInt(2 ** 32);
}

/** Inline, one thread does all of the slow path. */
const threadsOf = ({ threads }: Config) =>
  threads === 'inline' ? { datapath: 1, handler: 1, revalidator: 0 } : threads;

/**
 * Large frames are for ports with whole segments; each receives into a batch of them at a time. Full queues
 * for handlers, one from each thread, do not take the last, nor do fragments that wait: what needs neither passes.
 * Counters of rules are twice as many as rules: those of one that went wait before another gets them.
 */
export function limitsOf(config: Config): ArenaLimits {
  const { limits, ports } = config;
  const { datapath, handler, revalidator } = threadsOf(config);
  return {
    threads: datapath + handler + revalidator,
    handlers: handler,
    revalidators: revalidator,
    ports: Math.max(limits.ports, ...ports.map(({ number }) => number)) + 1,
    queues: limits.queues,
    flows: limits.flows,
    rules: 2 * limits.rules,
    macs: limits.macs,
    frames: limits.frames,
    connections: limits.connections,
    largeFrames:
      Math.max(limits.frames >> 4, 512 * (datapath + handler)) +
      RING_SLOTS * datapath * (handler + 1) +
      fragmentLimit(limits),
  };
}

export function slowOptions({ ports, flows, limits, macAgeingSeconds }: Config): SlowOptions {
  return {
    ports: ports.map(({ number, name }) => ({ number, name, up: true })),
    flows,
    rules: { rules: limits.rules, tables: limits.tables },
    macAgeingMs: macAgeingSeconds * 1000,
  };
}

async function startEngine(
  config: Config,
  arena: Arena,
  ports: Ports,
  datapaths: number,
  { durationMs = Number.POSITIVE_INFINITY }: SwitchOptions,
): Promise<Engine> {
  const slow = { ...slowOptions(config), ports: ports.names() };
  const drivers = Array.from({ length: datapaths }, (_, thread) => ports.drivers(thread));
  if (config.threads === 'inline') {
    const { Inline } = await import('../thread/inline.ts');
    return Inline.start(arena, drivers[0]!, slow, durationMs);
  }
  const { Threads } = await import('../thread/threads.ts');
  return Threads.start(arena, drivers, slow, ports, (recovery) =>
    console.error(
      `heddle: ${recoveryLine(recovery, roleOf(arena, recovery.thread), ports.namesOn(recovery.thread))}`,
    ),
  );
}

export class Switch implements SwitchControl {
  readonly #config: Config;
  readonly #arena: Arena;
  readonly #ports: Ports;
  readonly #engine: Engine;
  readonly #observer: Observer;
  readonly #refusals: Refusals;
  /** How many there have been. */
  #monitors = 0;
  #stopped: Promise<void> | undefined;
  /** How things stood when the threads had ended and the ports were still open. */
  #last: Summary | undefined;

  constructor(config: Config, arena: Arena, ports: Ports, engine: Engine) {
    this.#config = config;
    this.#arena = arena;
    this.#ports = ports;
    this.#engine = engine;
    this.#observer = new Observer(arena);
    this.#refusals = new Refusals(arena, (line) => console.error(`heddle: ${line}`));
  }

  get finished(): Promise<void> {
    return this.#engine.finished;
  }

  async show<What extends keyof Shown>(what: What): Promise<Shown[What][]> {
    return (await this.#rows(what)) as Shown[What][];
  }

  async #rows(what: keyof Shown): Promise<unknown[]> {
    switch (what) {
      case 'ports':
        return this.summary().ports;
      case 'mirrors':
        return this.#ports.mirrors();
      case 'threads':
        return this.#threads();
      case 'counters':
        return counterRows(this.#arena, this.#observer);
      case 'memory':
        return memoryRows(this.#arena, this.#observer);
      case 'macs':
        return macRows(async (from) => (await this.#engine.ask({ command: what, from })) as MacSlice);
      case 'megaflows':
        return megaflowRows(
          async (from) => (await this.#engine.ask({ command: what, from })) as MegaflowSlice,
        );
      case 'expectations':
        return expectationRows((await this.#engine.ask({ command: what })) as Uint8Array);
      case 'fragments':
        return fragmentRows(this.#arena, this.#observer);
      case 'upcalls':
        return upcallRows(this.#arena, this.#observer);
      default:
        return (await this.#engine.ask({ command: what })) as unknown[];
    }
  }

  rules<Kind extends RuleKind>(kind: Kind, action: RuleCommand<Kind>, text: string): Promise<string[]> {
    return this.#engine.ask({ command: 'rules', kind, action, text }) as Promise<string[]>;
  }

  watch(): AsyncGenerator<Watched> {
    return this.#watch<Watched>((monitor) => ({ command: 'watch', monitor }));
  }

  async *watchConnections(filter: readonly string[]): AsyncGenerator<WatchedConnections> {
    for await (const { records, lost } of this.#watch<EventSlice>((monitor) => ({
      command: 'events',
      monitor,
      filter,
    }))) {
      yield { events: connectionEvents(records), lost };
    }
  }

  /** Asks the same every now and then, under a number of its own, until nobody wants to know any more. */
  async *#watch<Reply extends SlowReply>(request: (monitor: number) => SlowRequest): AsyncGenerator<Reply> {
    const monitor = ++this.#monitors;
    try {
      for (;;) {
        yield (await this.#engine.ask(request(monitor))) as Reply;
        await setTimeout(WATCH_EVERY_MS);
      }
    } finally {
      await this.#engine.ask({ command: 'unwatch', monitor });
    }
  }

  async connections(filter: readonly string[], from: number): Promise<ConnectionPage> {
    const slice = (await this.#engine.ask({ command: 'connections', filter, from })) as ConnectionSlice;
    const { records, nowMs, ...next } = slice;
    return { rows: connectionRows(records, nowMs), ...next };
  }

  flushConnections(filter: readonly string[], from: number): Promise<FlushPage> {
    return this.#engine.ask({ command: 'flush', filter, from }) as Promise<FlushPage>;
  }

  changeZones(setting: ZoneSetting, action: ZoneAction, text: string): Promise<string[]> {
    return this.#engine.ask({ command: 'changeZones', setting, action, text }) as Promise<string[]>;
  }

  async changeUpcalls(action: UpcallAction, text: string): Promise<string[]> {
    if (action === 'wait' || action === 'purge') {
      return (await this.#engine.ask({ command: action })) as string[];
    }
    const done = changeRevalidation(this.#arena, action, text);
    for (const thread of revalidatingThreads(this.#arena)) this.#engine.ring(thread);
    return done;
  }

  sequenceChecking(on?: boolean): Promise<string[]> {
    return this.#engine.ask({ command: 'sequenceChecking', on }) as Promise<string[]>;
  }

  trace(question: TraceQuestion): Promise<Trace> {
    return askTrace(this.#config.name, question, (request) => this.#engine.ask(request));
  }

  async addPort(name: string, text: string): Promise<void> {
    await this.#ports.add((present) => parsePort(this.#config, present, name, text));
  }

  async addCapture(name: string, port: string, file: string): Promise<void> {
    const text = JSON.stringify({ type: 'capture', write: file });
    await this.#ports.add((present) => parsePort(this.#config, present, name, text), port);
  }

  removePort(name: string): Promise<void> {
    return this.#ports.remove(name);
  }

  async addMirror(name: string, text: string): Promise<void> {
    await this.#ports.addMirror(name, (ports, present) => parseMirror(ports, present, name, text));
  }

  removeMirror(name: string): Promise<void> {
    return this.#ports.removeMirror(name);
  }

  summary(): Summary {
    if (this.#last) return this.#last;
    return summaryOf(this.#config.name, this.#engine.nowMs(), this.#observer, this.#ports.rows());
  }

  #threads(): Shown['threads'][] {
    return Array.from({ length: this.#arena.limits.threads }, (_, thread) =>
      threadRow(this.#arena, this.#observer, thread, this.#ports.namesOn(thread)),
    );
  }

  async kill(thread: number): Promise<string[]> {
    const { threads } = this.#arena.limits;
    if (!(thread >= 1 && thread <= threads)) {
      throw new Error(`thread: found ${thread}, expected a number from 1 to ${threads}`);
    }
    this.#engine.kill(thread - 1);
    return [`thread ${thread} killed`];
  }

  /** Also when a thread has failed: the ports are closed whatever happens. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    try {
      await this.#ports.freeze();
      await this.#engine.stop();
    } finally {
      this.#refusals.end();
      this.#last = this.summary();
      this.#ports.close();
    }
  }
}
