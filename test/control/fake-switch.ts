/** A switch that forwards nothing and remembers what it was asked: for tests of what stands in front of one. */
import type {
  ConnectionPage,
  ConnectionRow,
  FlushPage,
  PortRow,
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
} from '../../src/model.ts';

export const PORT: PortRow = {
  number: 1,
  name: 'web',
  type: 'traffic',
  threads: [1],
  state: 'up',
  carrier: true,
  reason: '',
  sinceSeconds: 0,
  mtu: 1500,
  rxPackets: 0,
  rxBytes: 0,
  rxErrors: 0,
  rxDropped: 0,
  rxMissed: 0,
  txPackets: 0,
  txBytes: 0,
  txErrors: 0,
  txDropped: 0,
  upcalls: 0,
  upcallsRefused: 0,
};

/** Established, and counted. */
export const CONNECTION: ConnectionRow = {
  protocol: 6,
  original: { src: '10.0.1.2', dst: '10.0.2.2', sport: 41000, dport: 80, packets: 3, bytes: 200 },
  reply: { src: '10.0.2.2', dst: '10.0.1.2', sport: 80, dport: 41000, packets: 2, bytes: 1500 },
  zone: 0,
  mark: 0,
  labels: '0x0',
  state: 'ESTABLISHED',
  originalState: 'ESTABLISHED',
  replyState: 'ESTABLISHED',
  replied: true,
  snat: false,
  dnat: false,
  expiresSeconds: 431999.9,
  ageSeconds: 1,
};

export const SUMMARY: Summary = {
  name: 'demo',
  durationMs: 0,
  packetsReceived: 0,
  packetsForwarded: 0,
  packetsQueued: 0,
  dropped: {},
  copiesForwarded: 0,
  copiesDropped: {},
  ports: [PORT],
  megaflows: 0,
  cacheHits: 0,
  classifierHits: 0,
  upcalls: 0,
};

export class FakeSwitch implements SwitchControl {
  readonly asked: string[] = [];
  readonly finished = new Promise<void>(() => {});
  stopped = false;

  async show<What extends keyof Shown>(what: What): Promise<Shown[What][]> {
    this.asked.push(`show ${String(what)}`);
    const rows: Partial<{ [Key in keyof Shown]: Shown[Key][] }> = { ports: [PORT] };
    return rows[what] ?? [];
  }

  async rules<Kind extends RuleKind>(
    _kind: Kind,
    command: RuleCommand<Kind>,
    text: string,
  ): Promise<string[]> {
    this.asked.push(`${command} ${text}`);
    if (text === 'wrong') throw new Error('line 1, column 1: found wrong, expected a flow');
    return [`${command} done`];
  }

  async *watch(): AsyncGenerator<Watched> {
    for (let i = 1; ; i++) {
      yield { events: [], lost: i };
      await new Promise(setImmediate);
    }
  }

  /** Two pages of one each. */
  async connections(filter: readonly string[], from: number): Promise<ConnectionPage> {
    this.asked.push(`connections ${filter.join('|')} from ${from}`);
    return { rows: [{ ...CONNECTION, zone: from }], ...(from === 0 && { next: 7 }) };
  }

  /** Two pages of two each. */
  async flushConnections(filter: readonly string[], from: number): Promise<FlushPage> {
    this.asked.push(`flush ${filter.join('|')} from ${from}`);
    if (filter[0] === 'zone=wrong') {
      throw Object.assign(new Error('line 1, column 6: found "wrong"'), { name: 'FlowError' });
    }
    return { count: 2, ...(from === 0 && { next: 7 }) };
  }

  async *watchConnections(filter: readonly string[]): AsyncGenerator<WatchedConnections> {
    this.asked.push(`events ${filter.join('|')}`);
    for (let i = 1; ; i++) {
      const destroy = { kind: 'destroy', reason: 'expired', atMs: 1000 * i, connection: CONNECTION } as const;
      yield { events: [{ kind: 'new', atMs: 1000 * i, connection: CONNECTION }, destroy], lost: 0 };
      await new Promise(setImmediate);
    }
  }

  async changeZones(setting: ZoneSetting, action: ZoneAction, text: string): Promise<string[]> {
    this.asked.push(`${setting} ${action} ${text}`);
    return [`${setting} ${action} done`];
  }

  async changeUpcalls(action: UpcallAction, text: string): Promise<string[]> {
    this.asked.push(`upcalls ${action} ${text}`);
    return [`upcalls ${action} done`];
  }

  async sequenceChecking(on?: boolean): Promise<string[]> {
    this.asked.push(`sequence checking ${on}`);
    return [`sequence checking is ${on === false ? 'off' : 'on'}`];
  }

  async trace(question: TraceQuestion): Promise<Trace> {
    this.asked.push(`trace ${JSON.stringify(question)}`);
    return {
      name: 'demo',
      rounds: [],
      connections: [],
      verdict: { sent: [], controllers: 0, held: false, unfollowed: 0, dropped: 'flow' },
    };
  }

  async addPort(name: string, text: string): Promise<void> {
    this.asked.push(`add ${name}: ${text}`);
  }

  async addCapture(name: string, port: string, file: string): Promise<void> {
    this.asked.push(`capture ${name} of ${port} to ${file}`);
  }

  async removePort(name: string): Promise<void> {
    this.asked.push(`remove ${name}`);
    if (name === 'nobody') throw new Error('found no port nobody, expected one of web');
  }

  async addMirror(name: string, text: string): Promise<void> {
    this.asked.push(`mirror ${name}: ${text}`);
  }

  async removeMirror(name: string): Promise<void> {
    this.asked.push(`remove mirror ${name}`);
  }

  summary(): Summary {
    return { ...SUMMARY, packetsReceived: 3, packetsForwarded: 2, dropped: { flow: 1 } };
  }

  async kill(thread: number): Promise<string[]> {
    this.asked.push(`kill ${thread}`);
    return [`thread ${thread} killed`];
  }

  async stop(): Promise<void> {
    this.stopped = true;
  }
}
