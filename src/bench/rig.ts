/**
 * A switch for benches of the slow path: the threads of `thread/threads.ts`, one of them the datapath's, with load ports
 * instead of any that the kernel knows. Rounds of the revalidators begin when the bench asks for one, and no flow goes for
 * having been idle, or for being one of too many.
 */
import { setTimeout as pause } from 'node:timers/promises';
import {
  type Arena,
  createArena,
  Lives,
  loadModule,
  Observer,
  PortTable,
  QueueAreas,
  Rounds,
} from '../datapath.ts';
import { Threads } from '../thread/threads.ts';
import { Load, type LoadMemory } from './load.ts';
import { HEADERS, LEAST_PACKET, type LoadSpec, type VariedField } from './load-port.ts';

export interface RigOptions {
  /** Ports `load1` … `load<n>`; packets come in at the last. */
  ports: number;
  handlers: number;
  revalidators: number;
  /** As many flows as there may be. */
  records: number;
  connections: number;
  /** Of the tables. */
  flows: string;
  packet: Uint8Array;
  fields: readonly VariedField[];
  /** Of flow numbers (load-port.ts). */
  side: number;
}

/** What is sent: flows `first` to `end` - 1; see load.ts. */
export interface Orders {
  first: number;
  end: number;
  again?: boolean;
  rate?: number;
  window?: number;
}

const FRAMES = 4096;
const RULES = 4096;
const FOR_EVER_MS = 1_000_000_000;
const MOST_BYTES = 1518;
/** Misses that wait at a time while flows are set up: far from what a port may have in a ring. */
export const WINDOW = 256;
const LOOK_MS = 1;

export class Rig {
  readonly arena: Arena;
  readonly load: Load;
  readonly observer: Observer;
  readonly rounds: Rounds;
  readonly lives: Lives;
  readonly #memory: LoadMemory;
  #engine!: Threads;
  #changes = 0;

  private constructor({ ports, handlers, revalidators, records, connections }: RigOptions) {
    this.arena = createArena(
      loadModule(),
      {
        threads: 1 + handlers + revalidators,
        handlers,
        revalidators,
        ports: ports + 1,
        queues: 2,
        flows: records,
        rules: RULES,
        frames: FRAMES,
        largeFrames: 0,
        macs: 16,
        connections,
      },
      1,
    );
    this.#memory = Load.memory(ports + 1);
    this.load = new Load(this.#memory);
    this.observer = new Observer(this.arena);
    this.rounds = new Rounds(this.arena);
    this.lives = new Lives(this.arena);
    this.rounds.set('maxIdleMs', FOR_EVER_MS);
    this.rounds.set('minRevalidatePps', 0);
    this.rounds.set('isPaused', 1);
  }

  static async start(options: RigOptions): Promise<Rig> {
    const rig = new Rig(options);
    rig.#engine = await Threads.start(
      rig.arena,
      [rig.#open(options)],
      {
        ports: Array.from({ length: options.ports }, (_, i) => ({
          number: i + 1,
          name: `load${i + 1}`,
          up: true,
        })),
        flows: options.flows,
        rules: { rules: RULES, tables: {} },
        macAgeingMs: FOR_EVER_MS,
      },
      { suspend() {}, reopen: () => [], resume() {} },
      ({ thread, cause }) => {
        throw new Error(`thread ${thread} died: ${cause}`);
      },
    );
    return rig;
  }

  #open({ ports, packet, fields, side }: RigOptions): LoadSpec[] {
    const table = new PortTable(this.arena);
    const [incoming, spare] = new QueueAreas(this.arena).take(2) as [number, number];
    return Array.from({ length: ports }, (_, i) => {
      const number = i + 1;
      table.open(number, 0, MOST_BYTES);
      const spec: LoadSpec = { type: 'load', number, memory: this.#memory, spare };
      return number === ports ? { ...spec, traffic: { incoming, packet, fields, side } } : spec;
    });
  }

  nowMs(): number {
    return this.#engine.nowMs();
  }

  /** Begins to send. */
  send({ first, end, again = false, rate = 0, window = 0 }: Orders): void {
    const { load } = this;
    load.set('first', first);
    load.set('end', end);
    load.set('again', again ? 1 : 0);
    load.set('rate', rate);
    load.set('window', window);
    load.set('turn', load.order('turn') + 1);
    this.#engine.ring(0);
  }

  /** Until all is sent and looked at; how long that took. */
  async sent(): Promise<number> {
    await this.until(() => this.load.get('done') === this.load.order('turn'));
    return this.load.get('doneMs');
  }

  /** Sends no more, and waits until nothing is under way. */
  async stop(): Promise<void> {
    this.send({ first: 0, end: 0 });
    await this.sent();
    await this.until(() => this.#isQuiet);
  }

  /** Whether something has become of every packet. */
  get #isQuiet(): boolean {
    const { received, forwarded, dropped } = this.observer.totals();
    return received === Object.values(dropped).reduce((sum, packets) => sum + packets, forwarded);
  }

  /**
   * Sends a packet of each of these flows and waits until something has become of each. How long it took to send them.
   * @throws Error when there are not as many more flows then
   */
  async setUp(first: number, end: number): Promise<number> {
    const before = this.observer.liveFlows();
    this.send({ first, end, window: WINDOW });
    const tookMs = await this.sent();
    await this.until(() => this.#isQuiet);
    const flows = this.observer.liveFlows() - before;
    if (flows < end - first) throw new Error(`found ${flows} more flows, expected ${end - first}`);
    return tookMs;
  }

  /** Does what the command does; answered when every flow follows. */
  async flows(action: 'add' | 'modify' | 'delete', text: string): Promise<void> {
    await this.#engine.ask({ command: 'rules', kind: 'flows', action, text });
  }

  /** Changes a rule that no packet takes: all flows are translated again. */
  async change(): Promise<void> {
    await this.flows('add', `table=254,cookie=${++this.#changes},actions=drop`);
    this.keepLimit();
  }

  /** A round over all flows. */
  async round(): Promise<void> {
    await this.#engine.ask({ command: 'flows' });
    this.keepLimit();
  }

  /** A round that takes long makes the flow limit smaller; here it is as it was. */
  keepLimit(): void {
    this.rounds.flowLimit = this.arena.limits.flows;
  }

  /** Every flow and every connection goes. */
  async clear(): Promise<void> {
    this.rounds.set('isPurging', 1);
    await this.round();
    this.rounds.set('isPurging', 0);
    await this.round();
    await this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.arena.limits.connections === 0) return;
    for (let from: number | undefined = 0; from !== undefined; ) {
      const slice = await this.#engine.ask({ command: 'flush', filter: [], from });
      from = (slice as { next?: number }).next;
    }
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await pause(LOOK_MS);
  }

  /** Does something to begin with; if that fails, it is the end. */
  async orEnd<T>(begin: () => Promise<T>): Promise<T> {
    try {
      return await begin();
    } catch (error) {
      await this.end();
      throw error;
    }
  }

  async end(): Promise<void> {
    await this.#engine.stop();
  }
}

/** A UDP packet over IPv4 with room for what a load port writes; the transport has no checksum (RFC 768). */
export function udpPacket(source: string, destination: string, ports: [number, number]): Uint8Array {
  const packet = Buffer.alloc(Math.max(60, LEAST_PACKET));
  packet.write('0200000000000a00000000010800', 'hex');
  packet.writeUInt16BE(0x4500, 14);
  packet.writeUInt16BE(packet.length - 14, 16);
  packet.writeUInt16BE(0x4011, 22); // TTL 64, UDP
  for (const [at, address] of [
    [26, source],
    [30, destination],
  ] as const) {
    packet.set(address.split('.').map(Number), at);
  }
  packet.writeUInt16BE(ports[0], 34);
  packet.writeUInt16BE(ports[1], 36);
  packet.writeUInt16BE(packet.length - 34, 38);
  packet.writeUInt16BE(checksum(packet.subarray(14, 34)), 24);
  return packet.fill(0, HEADERS);
}

/** RFC 1071. */
function checksum(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~(sum + (sum >>> 16)) & 0xffff;
}
