/**
 * Reads what the threads count, from outside the packet path: sums over threads, one load a counter.
 * A reader may see a batch half counted; a run that has stopped adds up exactly.
 */
import { type Arena, regionAddress } from './arena.ts';
import type { IpVersion } from './fragments.ts';
import * as layout from './generated/layout.ts';
import {
  ARENA_MAP,
  ArenaMap,
  AWAKE,
  COPIES_DROPPED,
  COUNT_BAD_MOVES,
  COUNT_BATCHES,
  COUNT_CACHE_HITS,
  COUNT_CHECKSUMS_COMPLETED,
  COUNT_CLASSIFIER_HITS,
  COUNT_COPIED,
  COUNT_COPIES_FORWARDED,
  COUNT_CT_CHECKSUM,
  COUNT_CT_CREATED,
  COUNT_CT_FULL,
  COUNT_CT_INVALID,
  COUNT_CT_IPV4_CHECKSUM,
  COUNT_CT_NAT_EXHAUSTED,
  COUNT_CT_REFUSED_LINES,
  COUNT_CT_REMOVED,
  COUNT_CT_TCP_FLAGS,
  COUNT_CT_TCP_SEQUENCE,
  COUNT_CT_TCP_UNCHECKED,
  COUNT_CT_ZONE_FULL,
  COUNT_FORWARDED,
  COUNT_FRAGMENTS_ACCEPTED,
  COUNT_FRAGMENTS_COMPLETED,
  COUNT_FRAGMENTS_EXPIRED,
  COUNT_FRAGMENTS_NO_ROOM,
  COUNT_FRAGMENTS_OVERLAPPING,
  COUNT_FRAGMENTS_TOO_SMALL,
  COUNT_JOINED,
  COUNT_RECEIVED,
  COUNT_SEGMENTED,
  COUNT_SLEEPS,
  COUNT_THREAD_RESTARTS,
  COUNT_UPCALLS,
  COUNT_UPCALLS_HANDLED,
  COUNT_WAKE_UPS,
  COUNTERS,
  COVERAGE,
  COVERAGE_COUNTERS,
  DROP_REASONS,
  DROPPED,
  EVICT_REASONS,
  EVICTIONS,
  FLOW_COUNTERS_STRIDE,
  FlowCounters,
  POOL_CACHE_STRIDE,
  POOL_STRIDE,
  POOLS,
  PORT_COUNTERS_STRIDE,
  Pool,
  PoolCache,
  PortCounters,
  REMOVED_EXPIRED,
  REMOVED_FLUSHED,
  REMOVED_FORCED,
  REMOVED_REPLACED,
  RING_CONSUMER,
  RING_STRIDE,
  RULE_COUNTERS_STRIDE,
  RuleCounters,
  STAGES,
  STAGES_STRIDE,
  STATION_GENERATION,
  STRANDS_STRIDE,
  STRANDS_WAITING,
  StageTime,
  StationTable,
  SUBTABLE_STRIDE,
  TALLIES,
  TALLY_STRIDE,
  Tally,
  THREAD_STRIDE,
  Thread,
} from './generated/layout.ts';

/** The names people see for drop reasons, by number. */
export const DROP_NAMES: readonly string[] = namesOf('DROP_', 0, DROP_REASONS);

/** The same for reasons to evict a flow, and for what is counted of their lives. */
export const EVICT_NAMES: readonly string[] = namesOf('EVICT_', 0, EVICT_REASONS);
export const COVERAGE_NAMES: readonly string[] = namesOf('COUNT_', COVERAGE, COVERAGE_COUNTERS);

/** What is left of the names of `count` constants, which begin with `prefix` and have the values from `first` on. */
function namesOf(prefix: string, first: number, count: number): string[] {
  const named = Object.entries(layout).filter(
    ([key]) => key.startsWith(prefix) && key !== 'DROP_REASONS' && key !== 'EVICT_REASONS',
  );
  return Array.from({ length: count }, (_, i) =>
    named
      .find(([, value]) => value === first + i)![0]
      .slice(prefix.length)
      .toLowerCase(),
  );
}

const NAMED: Record<string, number> = {
  received: COUNT_RECEIVED,
  forwarded: COUNT_FORWARDED,
  copied: COUNT_COPIED,
  copiesForwarded: COUNT_COPIES_FORWARDED,
  batches: COUNT_BATCHES,
  cacheHits: COUNT_CACHE_HITS,
  classifierHits: COUNT_CLASSIFIER_HITS,
  upcalls: COUNT_UPCALLS,
  upcallsHandled: COUNT_UPCALLS_HANDLED,
  sleeps: COUNT_SLEEPS,
  wakeUps: COUNT_WAKE_UPS,
  threadRestarts: COUNT_THREAD_RESTARTS,
  refusedMoves: COUNT_BAD_MOVES,
  segmented: COUNT_SEGMENTED,
  joined: COUNT_JOINED,
  checksumsCompleted: COUNT_CHECKSUMS_COMPLETED,
  ctCreated: COUNT_CT_CREATED,
  ctExpired: COUNT_CT_REMOVED + REMOVED_EXPIRED,
  ctReplaced: COUNT_CT_REMOVED + REMOVED_REPLACED,
  ctFlushed: COUNT_CT_REMOVED + REMOVED_FLUSHED,
  ctForced: COUNT_CT_REMOVED + REMOVED_FORCED,
  ctInvalid: COUNT_CT_INVALID,
  ctFull: COUNT_CT_FULL,
  ctZoneFull: COUNT_CT_ZONE_FULL,
  ctNatExhausted: COUNT_CT_NAT_EXHAUSTED,
  ctIpv4Checksum: COUNT_CT_IPV4_CHECKSUM,
  ctChecksum: COUNT_CT_CHECKSUM,
  ctTcpFlags: COUNT_CT_TCP_FLAGS,
  ctTcpSequence: COUNT_CT_TCP_SEQUENCE,
  ctTcpUnchecked: COUNT_CT_TCP_UNCHECKED,
  ctRefusedLines: COUNT_CT_REFUSED_LINES,
};

/** What a thread, or all of them, have counted. */
export interface Totals {
  received: number;
  forwarded: number;
  copied: number;
  copiesForwarded: number;
  batches: number;
  cacheHits: number;
  classifierHits: number;
  upcalls: number;
  upcallsHandled: number;
  sleeps: number;
  /** Out of sleeps, by work that came. */
  wakeUps: number;
  /** How often the thread died and was started anew. */
  threadRestarts: number;
  /** Of flows, from one state of their lives to another: there is always none, unless something is wrong. */
  refusedMoves: number;
  segmented: number;
  joined: number;
  checksumsCompleted: number;
  /** Connections: made, and removed for a reason (conntrack/table.ts). */
  ctCreated: number;
  ctExpired: number;
  ctReplaced: number;
  ctFlushed: number;
  ctForced: number;
  /** Packets of no connection that may begin none. */
  ctInvalid: number;
  /** Packets that were to begin one: for want of room, by their zone's limit, for want of addresses and ports. */
  ctFull: number;
  ctZoneFull: number;
  ctNatExhausted: number;
  /** Packets that connection tracking calls invalid: for the checksum of the IPv4 header, or of the transport. */
  ctIpv4Checksum: number;
  ctChecksum: number;
  /** For TCP flags that no stack sends, or sequence numbers that do not fit; and those let pass all the same. */
  ctTcpFlags: number;
  ctTcpSequence: number;
  ctTcpUnchecked: number;
  /** Packets of FTP that are invalid for what they announce. */
  ctRefusedLines: number;
  /** By reason, only those that occurred. */
  dropped: Record<string, number>;
  copiesDropped: Record<string, number>;
}

/** What a thread is about. */
export interface ThreadState {
  isAwake: boolean;
  /** When its last round began, on the switch clock. */
  roundMs: number;
  /** When it started, and for how long it has had work since. */
  startedMs: number;
  busyMs: number;
  /** Share of a recent second in which it had work. */
  load: number;
  /** By the numbers STAGE_…, of the batches that were timed. */
  stages: { packets: number; ns: number }[];
}

/** What became of fragments that were to be tracked. */
export interface FragmentTotals {
  accepted: number;
  completed: number;
  expired: number;
  tooSmall: number;
  overlapping: number;
  noRoom: number;
}

export interface PortTotals {
  rxPackets: number;
  rxBytes: number;
  rxErrors: number;
  txPackets: number;
  txBytes: number;
  txErrors: number;
  txDropped: number;
  /** Frames that came in there and were passed to a handler, and those that were not for want of a share. */
  upcalls: number;
  upcallsRefused: number;
}

export interface FlowTotals {
  packets: number;
  bytes: number;
  /** Switch clock of the last packet; 0: none yet. */
  usedMs: number;
  tcpFlags: number;
}

export interface RuleTotals {
  packets: number;
  bytes: number;
  /** Switch clock of the last packet; 0: none yet. */
  usedMs: number;
}

export interface TallyTotals {
  packets: number;
  bytes: number;
}

export class Observer {
  readonly #arena: Arena;
  readonly #u64: BigUint64Array;
  readonly #f64: Float64Array;
  readonly #u32: Uint32Array;
  readonly #f32: Float32Array;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#u64 = new BigUint64Array(arena.memory.buffer);
    this.#f64 = new Float64Array(arena.memory.buffer);
    this.#u32 = new Uint32Array(arena.memory.buffer);
    this.#f32 = new Float32Array(arena.memory.buffer);
  }

  /** Of one thread, or summed over all. */
  totals(thread?: number): Totals {
    const threads = thread === undefined ? this.#threads() : [thread];
    const at = regionAddress(this.#arena, 'counters');
    const sum = (which: number) =>
      threads.reduce((total, t) => total + Number(this.#u64[(at >> 3) + t * COUNTERS + which]!), 0);
    const byReason = (first: number) =>
      Object.fromEntries(
        DROP_NAMES.map((name, reason) => [name, sum(first + reason)] as const).filter(([, n]) => n > 0),
      );
    const named = Object.fromEntries(Object.entries(NAMED).map(([name, which]) => [name, sum(which)]));
    return {
      ...(named as unknown as Totals),
      dropped: byReason(DROPPED),
      copiesDropped: byReason(COPIES_DROPPED),
    };
  }

  /** Of one version of IP. */
  fragments(version: IpVersion): FragmentTotals {
    const at = regionAddress(this.#arena, 'counters') >> 3;
    const sum = (which: number) =>
      this.#threads().reduce(
        (n, t) => n + Number(this.#u64[at + t * COUNTERS + which + (version === 4 ? 0 : 1)]!),
        0,
      );
    return {
      accepted: sum(COUNT_FRAGMENTS_ACCEPTED),
      completed: sum(COUNT_FRAGMENTS_COMPLETED),
      expired: sum(COUNT_FRAGMENTS_EXPIRED),
      tooSmall: sum(COUNT_FRAGMENTS_TOO_SMALL),
      overlapping: sum(COUNT_FRAGMENTS_OVERLAPPING),
      noRoom: sum(COUNT_FRAGMENTS_NO_ROOM),
    };
  }

  thread(thread: number): ThreadState {
    const at = regionAddress(this.#arena, 'threads') + thread * THREAD_STRIDE;
    const stages = regionAddress(this.#arena, 'stages') + thread * STAGES_STRIDE;
    const f64 = (address: number) => this.#f64[address >> 3]!;
    return {
      isAwake: this.#u32[(at + Thread.sleeping) >> 2] === AWAKE,
      roundMs: f64(at + Thread.nowMs),
      startedMs: f64(at + Thread.startedMs),
      busyMs: f64(at + Thread.busyMs),
      load: this.#f32[(at + Thread.load) >> 2]!,
      stages: Array.from({ length: STAGES }, (_, stage) => ({
        packets: f64(stages + stage * StageTime.size + StageTime.packets),
        ns: f64(stages + stage * StageTime.size + StageTime.ns),
      })),
    };
  }

  port(port: number): PortTotals {
    const { ports } = this.#arena.limits;
    const at = regionAddress(this.#arena, 'portCounters');
    const sum = (field: number) =>
      this.#threads().reduce((total, t) => {
        const row = at + (t * ports + port) * PORT_COUNTERS_STRIDE;
        return total + Number(this.#u64[(row + field) >> 3]!);
      }, 0);
    return {
      rxPackets: sum(PortCounters.rxPackets),
      rxBytes: sum(PortCounters.rxBytes),
      rxErrors: sum(PortCounters.rxErrors),
      txPackets: sum(PortCounters.txPackets),
      txBytes: sum(PortCounters.txBytes),
      txErrors: sum(PortCounters.txErrors),
      txDropped: sum(PortCounters.txDropped),
      upcalls: sum(PortCounters.upcalls),
      upcallsRefused: sum(PortCounters.upcallsRefused),
    };
  }

  flow(flow: number): FlowTotals {
    const { flows, threads } = this.#arena.limits;
    const at = regionAddress(this.#arena, 'flowCounters');
    const totals = { packets: 0, bytes: 0, usedMs: 0, tcpFlags: 0 };
    for (let t = 0; t < threads; t++) {
      const row = at + (t * flows + flow) * FLOW_COUNTERS_STRIDE;
      totals.packets += Number(this.#u64[(row + FlowCounters.packets) >> 3]!);
      totals.bytes += Number(this.#u64[(row + FlowCounters.bytes) >> 3]!);
      totals.usedMs = Math.max(totals.usedMs, this.#f64[(row + FlowCounters.usedMs) >> 3]!);
      totals.tcpFlags |= this.#u32[(row + FlowCounters.tcpFlags) >> 2]!;
    }
    return totals;
  }

  /**
   * How many numbers of a pool are in use, and an upper bound of how many ever were: what threads keep at hand
   * counts as used there.
   */
  pool(pool: number): { used: number; mostUsed: number } {
    const at = (regionAddress(this.#arena, 'pools') + pool * POOL_STRIDE) >> 2;
    const caches = regionAddress(this.#arena, 'poolCaches');
    const atHand = this.#threads().reduce((sum, thread) => {
      const cache = caches + (thread * POOLS + pool) * POOL_CACHE_STRIDE;
      return sum + this.#u32[(cache + PoolCache.count) >> 2]!;
    }, 0);
    const numbers = this.#u32[at + (Pool.numbers >> 2)]!;
    return {
      used: numbers - this.#u32[at + (Pool.free >> 2)]! - atHand,
      mostUsed: numbers - this.#u32[at + (Pool.least >> 2)]!,
    };
  }

  /** How many masks there are flows for. */
  masks(): number {
    return this.#flowsByMask().filter((flows) => flows > 0).length;
  }

  /** How many stations NORMAL knows. */
  stations(): number {
    return this.#u32[(regionAddress(this.#arena, 'stationTable') + StationTable.count) >> 2]!;
  }

  /** Changes when a station comes, is heard behind another port or goes. */
  stationGeneration(): number {
    return Atomics.load(this.#u32, (regionAddress(this.#arena, 'stationTable') + STATION_GENERATION) >> 2);
  }

  /** How many rings have something in them. */
  busyRings(): number {
    const at = regionAddress(this.#arena, 'rings');
    const { threads } = this.#arena.limits;
    return Array.from({ length: threads * threads }, (_, i) => (at + i * RING_STRIDE) >> 2).filter(
      (ring) => this.#u32[ring] !== this.#u32[ring + (RING_CONSUMER >> 2)],
    ).length;
  }

  /** How many packets wait in the rings to thread `thread`. */
  waiting(thread: number): number {
    const { threads } = this.#arena.limits;
    const at = regionAddress(this.#arena, 'rings');
    const inRing = (from: number) => this.#inRing(at + (from * threads + thread) * RING_STRIDE);
    return this.#threads().reduce((sum, from) => sum + inRing(from), 0);
  }

  /** How many packets wait in datapath thread `thread` until a handler is done with what is before them. */
  waitingInOrder(thread: number): number {
    return this.#inRing(regionAddress(this.#arena, 'strands') + thread * STRANDS_STRIDE + STRANDS_WAITING);
  }

  #inRing(at: number): number {
    const [put, taken] = [this.#u32[at >> 2]!, this.#u32[(at + RING_CONSUMER) >> 2]!];
    return (put - taken) >>> 0;
  }

  /** What a tally has counted, ever. */
  tally(tally: number): TallyTotals {
    const at = regionAddress(this.#arena, 'tallies');
    const totals = { packets: 0, bytes: 0 };
    for (const t of this.#threads()) {
      const row = at + (t * TALLIES + tally) * TALLY_STRIDE;
      totals.packets += Number(this.#u64[(row + Tally.packets) >> 3]!);
      totals.bytes += Number(this.#u64[(row + Tally.bytes) >> 3]!);
    }
    return totals;
  }

  /** How many flows take packets. Their records are left alone: most were never touched. */
  liveFlows(): number {
    return this.#u32[(ARENA_MAP + ArenaMap.liveFlows) >> 2]!;
  }

  /** What was counted of the lives of flows, by the names of Open vSwitch's coverage counters. */
  coverage(): Record<string, number> {
    return this.#countedFrom(COVERAGE, COVERAGE_NAMES);
  }

  /** How many flows were evicted, by reason. */
  evictions(): Record<string, number> {
    return this.#countedFrom(EVICTIONS, EVICT_NAMES);
  }

  #countedFrom(first: number, names: readonly string[]): Record<string, number> {
    const at = regionAddress(this.#arena, 'counters') >> 3;
    const sum = (which: number) =>
      this.#threads().reduce((n, t) => n + Number(this.#u64[at + t * COUNTERS + which]!), 0);
    return Object.fromEntries(names.map((name, i) => [name, sum(first + i)]));
  }

  /** What a rule was credited with. */
  rule(rule: number): RuleTotals {
    const at = regionAddress(this.#arena, 'ruleCounters') + rule * RULE_COUNTERS_STRIDE;
    return {
      packets: Number(this.#u64[(at + RuleCounters.packets) >> 3]!),
      bytes: Number(this.#u64[(at + RuleCounters.bytes) >> 3]!),
      usedMs: this.#f64[(at + RuleCounters.usedMs) >> 3]!,
    };
  }

  #flowsByMask(): number[] {
    const at = regionAddress(this.#arena, 'subtables');
    const count = this.#u32[(ARENA_MAP + ArenaMap.subtableCount) >> 2]!;
    return Array.from({ length: count }, (_, i) => this.#u32[(at + i * SUBTABLE_STRIDE) >> 2]!);
  }

  #threads(): number[] {
    return Array.from({ length: this.#arena.limits.threads }, (_, i) => i);
  }
}
