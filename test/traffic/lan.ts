/**
 * A LAN for tests: several Hosts on one hub, with a clock of its own that jumps to whatever happens next. A
 * frame takes `delayMs`; an impairment may lose it, send it twice, or hold it back.
 */
import { createHash } from 'node:crypto';
import { Hosts, MAX_FRAME_BYTES, type TrafficOptions } from '../../src/port/traffic/hosts.ts';
import { Random } from '../../src/port/traffic/random.ts';

/** Which part of the frames something happens to, from 0 to 1 each. */
export interface Impairment {
  loss: number;
  duplication: number;
  reordering: number;
}

interface Flying {
  frame: Uint8Array;
  from: Hosts | undefined;
  arrivesMs: number;
}

const DELAY_MS = 0.1;
const HELD_BACK_MS = 5;

export class Lan {
  nowMs = 1000;
  readonly hosts: Hosts[];
  /** Everything that was sent, in order. */
  readonly hash = createHash('sha256');
  /** Sees every frame that is sent. */
  onFrame: (frame: Uint8Array) => void = () => {};
  private flying: Flying[] = [];
  /** May be changed under way. */
  impairment: Impairment;
  private readonly random: Random;

  constructor(hosts: Hosts[], impairment: Impairment = { loss: 0, duplication: 0, reordering: 0 }, seed = 1) {
    this.hosts = hosts;
    this.impairment = impairment;
    this.random = new Random(seed);
  }

  /** Puts a frame onto the hub, from nobody on it. */
  send(frame: Uint8Array): void {
    this.insert({ frame, from: undefined, arrivesMs: this.nowMs });
  }

  /** Lets `ms` go by. */
  run(ms: number): this {
    const endMs = this.nowMs + ms;
    for (;;) {
      this.collect();
      const nextMs = Math.min(this.flying[0]?.arrivesMs ?? Infinity, ...this.hosts.map((h) => h.dueMs()));
      if (nextMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, nextMs);
      this.deliver();
    }
    this.nowMs = endMs;
    return this;
  }

  private collect(): void {
    // Not at the beginning of the memory, so that a forgotten offset shows.
    const memory = new Uint8Array(MAX_FRAME_BYTES + 7);
    for (const from of this.hosts) {
      for (;;) {
        const length = from.emit(memory, 7, this.nowMs);
        if (length === 0) break;
        const frame = memory.slice(7, 7 + length);
        this.hash.update(frame);
        this.onFrame(frame);
        this.launch(frame, from);
      }
    }
  }

  private launch(frame: Uint8Array, from: Hosts): void {
    const { loss, duplication, reordering } = this.impairment;
    if (this.random.fraction() < loss) return;
    const copies = this.random.fraction() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const heldMs = this.random.fraction() < reordering ? HELD_BACK_MS * this.random.fraction() : 0;
      this.insert({ frame, from, arrivesMs: this.nowMs + DELAY_MS + heldMs });
    }
  }

  private insert(flying: Flying): void {
    let index = this.flying.length;
    while (index > 0 && this.flying[index - 1].arrivesMs > flying.arrivesMs) index--;
    this.flying.splice(index, 0, flying);
  }

  private deliver(): void {
    while (this.flying.length > 0 && this.flying[0].arrivesMs <= this.nowMs) {
      const { frame, from } = this.flying.shift()!;
      for (const to of this.hosts) if (to !== from) to.receive(frame, 0, frame.length, this.nowMs);
    }
  }
}

const BASE: TrafficOptions = {
  hosts: 10,
  network: '10.0.0.0/16',
  portNumber: 1,
  peers: [],
  connectionsPerSecond: 0,
  ipv6: 0,
  seed: 1,
};

/** Hosts behind port 1 that only answer, unless `options` say otherwise. */
export const makeHosts = (options: Partial<TrafficOptions> = {}): Hosts => new Hosts({ ...BASE, ...options });

/** Hosts behind port 1 that connect to hosts behind port 2, and those. */
export function makePair(options: Partial<TrafficOptions> = {}): [client: Hosts, server: Hosts] {
  const client = makeHosts({
    peers: [{ portNumber: 2, hosts: 10 }],
    connectionsPerSecond: 100,
    ...options,
  });
  return [client, makeHosts({ vlan: options.vlan, portNumber: 2, seed: 2 })];
}
