/** A switch that forwards nothing and remembers what it was asked: for tests of what stands in front of one. */
import type {
  PortRow,
  RuleCommand,
  RuleKind,
  Shown,
  Summary,
  SwitchControl,
  Watched,
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
