/**
 * The switch as one object: opens its ports, starts its threads, answers what people ask, closes it all.
 * What cannot be opened is named with the reason, and then nothing stays open.
 */
import { randomInt } from 'node:crypto';
import {
  type Arena,
  type ArenaLimits,
  createArena,
  loadModule,
  Observer,
  PortTable,
  RING_SLOTS,
} from '../datapath.ts';
import type { FlowCommand, PortRow, Shown, Summary, SwitchControl } from '../model.ts';
import type { DriverSpec, OpenPort } from '../port/port.ts';
import type { TrafficOptions } from '../port/traffic/hosts.ts';
import type { Engine } from '../thread/engine.ts';
import type { HandlerOptions } from '../upcall/request.ts';
import type { Config, PortConfig, TrafficConfig } from './config.ts';
import { recoveryLine } from './recovery.ts';
import { memoryRows, threadRow } from './rows.ts';
import { summaryOf } from './summary.ts';

export interface SwitchOptions {
  /** With `threads: inline`: when to end, on the virtual clock. */
  durationMs?: number | undefined;
}

/** A configured port that is open. */
interface Attached {
  config: PortConfig;
  open: OpenPort;
  /** The datapath thread that owns it, from 0. */
  thread: number;
}

/** Something could not be opened; the message says what and why. */
export class OpenError extends Error {
  override name = 'OpenError';
}

export async function openSwitch(config: Config, options: SwitchOptions = {}): Promise<Switch> {
  const datapaths = config.threads === 'inline' ? 1 : config.threads.datapath;
  const arena = createArena(loadModule(), limitsOf(config, datapaths), hashSeed(config));
  const ports = await openPorts(config, arena, datapaths);
  try {
    showPorts(arena, ports);
    const engine = await startEngine(config, arena, ports, datapaths, options);
    return new Switch(config, arena, ports, engine);
  } catch (error) {
    for (const { open } of ports) open.close();
    throw error;
  }
}

/** Nobody should know where a flow's bucket is; but what runs inline must run the same again. */
function hashSeed({ threads }: Config): number {
  return threads === 'inline' ? 1 : randomInt(2 ** 32);
}

/**
 * Large frames are for ports with whole segments; each receives into a batch of them at a time. Full queues
 * for the handler, one from each thread, do not take the last: what needs no handler passes.
 */
export function limitsOf({ limits, ports }: Config, datapaths: number): ArenaLimits {
  return {
    threads: datapaths + 1,
    ports: Math.max(limits.ports, ...ports.map(({ number }) => number)) + 1,
    flows: limits.flows,
    frames: limits.frames,
    largeFrames: Math.max(limits.frames >> 4, 512 * (datapaths + 1)) + RING_SLOTS * datapaths,
  };
}

/** Opens every port, or none. Ports without a thread are dealt out in turn. */
async function openPorts(config: Config, arena: Arena, datapaths: number): Promise<Attached[]> {
  const opened: Attached[] = [];
  let turn = 0;
  try {
    for (const port of config.ports) {
      const thread = port.thread === undefined ? turn++ % datapaths : port.thread - 1;
      opened.push({ config: port, open: await openPort(port, config, arena), thread });
    }
    return opened;
  } catch (error) {
    for (const { open } of opened) open.close();
    const failed = config.ports[opened.length]!;
    throw new OpenError(`port ${failed.name} (${failed.type}): ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Opens one port. The code of a port type is loaded when it is used. */
async function openPort(port: PortConfig, config: Config, arena: Arena): Promise<OpenPort> {
  switch (port.type) {
    case 'packet': {
      const { openPacket } = await import('../port/packet.ts');
      return openPacket(port.number, port, arena);
    }
    case 'afxdp': {
      const { openAfxdp } = await import('../port/afxdp.ts');
      const sharing = config.ports.filter(({ type }) => type === 'afxdp').length;
      return openAfxdp(port.number, port, arena, Math.floor(config.limits.frames / 2 / sharing));
    }
    case 'traffic': {
      const { openTraffic } = await import('../port/traffic.ts');
      return openTraffic(port.number, trafficOptions(port, config));
    }
    case 'capture': {
      const { openCapture } = await import('../port/capture.ts');
      // With threads: inline nothing depends on when it runs.
      const epochMs = config.threads === 'inline' ? 0 : Date.now();
      return openCapture(port.number, port.name, port, epochMs);
    }
  }
}

function trafficOptions(port: TrafficConfig, { ports }: Config): TrafficOptions {
  const peers = ports.filter((peer): peer is TrafficConfig => port.peers.includes(peer.name));
  return {
    hosts: port.hosts,
    network: port.network,
    portNumber: port.number,
    peers: peers.map(({ number, hosts }) => ({ portNumber: number, hosts })),
    connectionsPerSecond: port.connectionsPerSecond,
    mix: { tcp: port.mix.http, udp: port.mix.dns, ping: port.mix.ping },
    bytesPerConnection: port.bytesPerConnection,
    ipv6: port.ipv6 ? 0.5 : 0,
    vlan: port.vlan,
    seed: port.seed,
  };
}

function showPorts(arena: Arena, ports: Attached[]): void {
  const table = new PortTable(arena);
  for (const { config, open, thread } of ports) table.open(config.number, thread, open.maxLength);
}

export function handlerOptions({ ports, flows, limits, macAgeingSeconds }: Config): HandlerOptions {
  return {
    ports: ports.map(({ number, name }) => ({ number, name })),
    flows,
    macs: limits.macs,
    macAgeingMs: macAgeingSeconds * 1000,
  };
}

async function startEngine(
  config: Config,
  arena: Arena,
  ports: Attached[],
  datapaths: number,
  { durationMs = Number.POSITIVE_INFINITY }: SwitchOptions,
): Promise<Engine> {
  const options = handlerOptions(config);
  const drivers = Array.from({ length: datapaths }, (_, thread) =>
    ports.filter((port) => port.thread === thread).map(({ open }) => open.driver),
  );
  if (config.threads === 'inline') {
    const { Inline } = await import('../thread/inline.ts');
    return Inline.start(arena, drivers[0]!, options, durationMs);
  }
  const { Threads } = await import('../thread/threads.ts');
  const portsOf = (thread: number) => ports.filter((port) => port.thread === thread);
  return Threads.start(arena, drivers, options, {
    reopen: (thread) => reopenPorts(portsOf(thread), config, arena),
    recovered: (recovery) => {
      const names = portsOf(recovery.thread).map(({ config }) => config.name);
      console.error(`heddle: ${recoveryLine(recovery, names)}`);
    },
  });
}

/**
 * Closes ports whose thread has died, and opens them anew. Returns what drives those that could be opened; the
 * others are down.
 */
async function reopenPorts(ports: Attached[], config: Config, arena: Arena): Promise<DriverSpec[]> {
  const drivers: DriverSpec[] = [];
  for (const port of ports) {
    port.open.close();
    try {
      port.open = await openPort(port.config, config, arena);
      drivers.push(port.open.driver);
    } catch (error) {
      port.open = { ...port.open, missed: () => 0, close() {} };
      new PortTable(arena).close(port.config.number);
      console.error(`heddle: port ${port.config.name} is down: ${(error as Error).message}`);
    }
  }
  return drivers;
}

export class Switch implements SwitchControl {
  readonly #config: Config;
  readonly #arena: Arena;
  readonly #ports: Attached[];
  readonly #engine: Engine;
  readonly #observer: Observer;
  readonly #portTable: PortTable;
  #stopped: Promise<void> | undefined;
  /** How things stood when the threads had ended and the ports were still open. */
  #last: Summary | undefined;

  constructor(config: Config, arena: Arena, ports: Attached[], engine: Engine) {
    this.#config = config;
    this.#arena = arena;
    this.#ports = ports;
    this.#engine = engine;
    this.#observer = new Observer(arena);
    this.#portTable = new PortTable(arena);
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
      case 'threads':
        return this.#threads();
      case 'counters':
        return this.#counters();
      case 'memory':
        return memoryRows(this.#arena, this.#observer);
      default:
        return this.#engine.ask({ command: what });
    }
  }

  flows(command: FlowCommand, text: string): Promise<string[]> {
    return this.#engine.ask({ command, text }) as Promise<string[]>;
  }

  summary(): Summary {
    if (this.#last) return this.#last;
    const ports = this.#ports.map((port) => this.#portRow(port));
    return summaryOf(this.#config.name, this.#engine.nowMs(), this.#observer, ports);
  }

  #portRow({ config, open, thread }: Attached): PortRow {
    const counted = this.#observer.port(config.number);
    return {
      number: config.number,
      name: config.name,
      type: config.type,
      thread: thread + 1,
      state: this.#portTable.isUp(config.number) ? 'up' : 'down',
      mtu: open.mtu,
      ...counted,
      rxDropped: counted.rxDropped + (open.missed?.() ?? 0),
    };
  }

  #threads(): Shown['threads'][] {
    return Array.from({ length: this.#arena.limits.threads }, (_, thread) => {
      const mine = this.#ports.filter((port) => port.thread === thread);
      const names = mine.map(({ config }) => config.name);
      return threadRow(this.#arena, this.#observer, thread, names);
    });
  }

  #counters(): Shown['counters'][] {
    const { dropped, copiesDropped, ...events } = this.#observer.totals();
    const named = (prefix: string, values: Record<string, number>) =>
      Object.entries(values).map(([name, value]) => ({ name: `${prefix}${name}`, value }));
    return [
      ...named('', events as unknown as Record<string, number>),
      ...named('dropped.', dropped),
      ...named('copiesDropped.', copiesDropped),
    ];
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
      await this.#engine.stop();
    } finally {
      this.#last = this.summary();
      for (const { config, open } of this.#ports) {
        this.#portTable.close(config.number);
        open.close();
      }
    }
  }
}
