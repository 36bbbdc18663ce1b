/**
 * Bench `revalidation`: rounds over many flows, and what they cost a datapath thread that forwards meanwhile; then a
 * change of the tables under full load.
 *
 *     idle        no packet since the round before
 *     used        packets of all flows come in, before and meanwhile
 *     changed     the same, and the tables have changed: each flow is translated again
 *
 *     load        ───── packets of all flows, numbered, with the stamp 0 ────┬─ with the stamp 1 ──── …
 *     the bench          asks for another output port ─▶ acknowledged ───────┘
 *
 * A packet with the stamp 1 came in after the acknowledgement: one that goes out where the old rule said has followed that.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type Arena, EVICTED, VISIBLE } from '../datapath.ts';
import { touchedBytes } from '../thread/touched.ts';
import { OUT, outputTo, pairs } from './pairs.ts';
import { Rig } from './rig.ts';

export interface RevalidationOptions {
  flows: number;
  revalidators: number;
  /** Least length of a measurement of forwarding. */
  seconds: number;
}

export const ROUNDS = ['idle', 'used', 'changed'] as const;
export type RoundOf = (typeof ROUNDS)[number];

export interface RevalidationRound {
  /** How long a round takes, in milliseconds. */
  rounds: Record<RoundOf, number>;
  /** Nanoseconds a packet of the datapath thread: without rounds, and with one after the other. */
  alone: number;
  beside: number;
}

export interface ChangeRound {
  /** From the request until it was acknowledged, and until the last packet that followed the old rule was sent. */
  acknowledgedMs: number;
  validMs: number;
  packets: number;
  lost: number;
  /** Of the packets that came in after the acknowledgement, those that followed the old rule. */
  byOldRule: number;
  /** Flows that were translated under older tables when it was acknowledged. */
  stale: number;
}

/** What a flow takes, in bytes, by what has them. */
export type FlowBytes = Record<string, number>;

/** What the process has, in bytes: pages of the arena that were touched, and all else. */
interface Resident {
  touched: number;
  heap: number;
}

const PAUSE_MS = 10;

export class RevalidationBench {
  readonly #rig: Rig;
  readonly #flows: number;
  readonly #seconds: number;
  readonly bytes: FlowBytes;
  #out: number = OUT.before;

  private constructor(rig: Rig, { flows, seconds }: RevalidationOptions, grown: Partial<Resident>) {
    this.#rig = rig;
    this.#flows = flows;
    this.#seconds = seconds;
    this.bytes = { ...regionBytes(rig.arena), ...grown };
  }

  static async start(options: RevalidationOptions): Promise<RevalidationBench> {
    const { flows, revalidators } = options;
    const records = 2 * flows + 256 * (2 + revalidators);
    const rig = await Rig.start({ ...pairs(flows), handlers: 1, revalidators, records });
    const before = residentBytes(rig.arena);
    await rig.orEnd(() => rig.setUp(0, flows));
    const after = residentBytes(rig.arena);
    const grown = before &&
      after && {
        touched: (after.touched - before.touched) / flows,
        heap: (after.heap - before.heap) / flows,
      };
    return new RevalidationBench(rig, options, grown ?? {});
  }

  async round(): Promise<RevalidationRound> {
    const rig = this.#rig;
    await rig.round();
    const idle = await this.#timed(() => rig.round());
    this.#sendAll();
    const alone = await this.#nsPerPacket(() => pause(PAUSE_MS));
    const beside = await this.#nsPerPacket(() => rig.round());
    const used = await this.#timed(() => rig.round());
    const changed = await this.#timed(() => rig.change());
    await rig.stop();
    return { rounds: { idle, used, changed }, alone, beside };
  }

  /** All packets go out at the other port from now on. */
  async change(): Promise<ChangeRound> {
    const rig = this.#rig;
    const { load } = rig;
    const old = this.#out;
    this.#out = OUT.before + OUT.after - old;
    await rig.stop();
    const [before, sumBefore] = [this.#seen('seen'), this.#seen('sum')];
    const stampedBefore = load.seenAt(old, 'stamped');
    const [sentBefore, sentSumBefore] = [load.get('sent'), load.get('sum')];
    this.#sendAll();
    await rig.until(() => load.get('sent') - sentBefore > 2 * this.#flows);
    const beganMs = rig.nowMs();
    await rig.flows('modify', outputTo(this.#out));
    load.set('stamp', 1);
    const acknowledgedMs = rig.nowMs() - beganMs;
    const stale = this.#stale();
    rig.keepLimit();
    const sentThen = load.get('sent');
    await rig.until(() => load.get('sent') - sentThen > 2 * this.#flows);
    await rig.stop();
    load.set('stamp', 0);
    const packets = load.get('sent') - sentBefore;
    const lost = packets - (this.#seen('seen') - before);
    if (lost === 0 && load.get('sum') - sentSumBefore !== this.#seen('sum') - sumBefore) {
      throw new Error('found packets twice, and others not at all');
    }
    return {
      acknowledgedMs,
      validMs: Math.max(load.seenAt(old, 'lastMs') - beganMs, 0),
      packets,
      lost,
      byOldRule: load.seenAt(old, 'stamped') - stampedBefore,
      stale,
    };
  }

  #sendAll(): void {
    this.#rig.send({ first: 0, end: this.#flows, again: true });
  }

  /** How long the last round took that `work` brought about. */
  async #timed(work: () => Promise<void>): Promise<number> {
    await work();
    return this.#rig.rounds.get('dumpMs');
  }

  /** Of the datapath thread, while `work` goes on again and again. */
  async #nsPerPacket(work: () => Promise<void>): Promise<number> {
    const { load } = this.#rig;
    const last = load.get('spentFor');
    await this.#rig.until(() => load.get('spentFor') !== last);
    const [spentMs, packets] = [load.get('spentMs'), load.get('spentFor')];
    const untilMs = this.#rig.nowMs() + 1000 * this.#seconds;
    do await work();
    while (this.#rig.nowMs() < untilMs || load.get('spentFor') === packets);
    return (1e6 * (load.get('spentMs') - spentMs)) / (load.get('spentFor') - packets);
  }

  /** At both ports together. */
  #seen(what: 'seen' | 'sum'): number {
    return Object.values(OUT).reduce((sum, port) => sum + this.#rig.load.seenAt(port, what), 0);
  }

  /** Flows that were translated under older tables than others. */
  #stale(): number {
    const { lives, arena } = this.#rig;
    const versions = Array.from({ length: arena.limits.flows }, (_, number) => lives.of(number))
      .filter(({ state }) => state >= VISIBLE && state < EVICTED)
      .map(({ version }) => version);
    const newest = versions.reduce((most, version) => Math.max(most, version), 0);
    return versions.filter((version) => version !== newest).length;
  }

  async end(): Promise<void> {
    await this.#rig.end();
  }
}

/** Regions with so many records for each flow. */
function regionBytes({ regions, limits }: Arena): FlowBytes {
  const names = ['flows', 'flowBodies', 'lives', 'flowCounters', 'bucketTags', 'bucketSlots', 'blocks'];
  const own = regions.filter(({ name }) => names.includes(name));
  return Object.fromEntries(
    own.map(({ name, records, recordBytes }) => [name, (records * recordBytes) / limits.flows]),
  );
}

/** Undefined: nobody can tell. */
function residentBytes(arena: Arena): Resident | undefined {
  const regions = touchedBytes(arena);
  if (!regions) return undefined;
  const touched = regions.reduce((sum, bytes) => sum + bytes, 0);
  return { touched, heap: process.memoryUsage.rss() - touched };
}
