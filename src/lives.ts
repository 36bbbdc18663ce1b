/**
 * The lives of flows (datapath/flow/life.ts) as TypeScript sees them: what it says of a flow that it installs, what it
 * orders of a dump, and what the records say.
 */
import { type Arena, regionAddress } from './arena.ts';
import {
  ARENA_MAP,
  ArenaMap,
  BAD_MOVE_STRIDE,
  BAD_MOVES,
  BAD_MOVES_LIST,
  BadMove,
  KEY_SIZE,
  LIFE_KEY,
  LIFE_STRIDE,
  Life,
} from './generated/layout.ts';

/** What there is to say of a flow beside mask, key and program. */
export interface FlowAbout {
  /** Of the tables. */
  readonly version: number;
  /** Generation of the learned addresses. */
  readonly learned: number;
  /** LIFE_…, bits. */
  readonly flags: number;
  /** EFFECT_…, words (datapath/flow/effects.ts). */
  readonly effects: Uint32Array;
}

export const NOTHING_ABOUT: FlowAbout = { version: 0, learned: 0, flags: 0, effects: new Uint32Array() };

/** What a step of a dump or sweep goes by (datapath/flow/dump.ts). */
export interface DumpOrders {
  readonly revalidators: number;
  /** Which of them this is. */
  readonly index: number;
  readonly version: number;
  readonly learned: number;
  readonly killsAll: boolean;
  readonly purges: boolean;
  readonly minPacketsPerSecond: number;
  readonly maxIdleMs: number;
  readonly lastDumpMs: number;
  readonly maxDumpMs: number;
}

/** A flow, in the life `serial` of its number, that is to be looked at. */
export interface DueFlow {
  readonly flow: number;
  readonly serial: number;
  /** DUE_…, bits. */
  readonly why: number;
}

/** What a step of a dump or sweep came to. */
export interface DumpAnswer {
  readonly due: readonly DueFlow[];
  /** How many flows there were. */
  readonly seen: number;
  /** Where to go on, or NONE. */
  readonly next: number;
}

export const STATE_NAMES: readonly string[] = [
  'created',
  'visible',
  'operational',
  'inconsistent',
  'evicting',
  'evicted',
  'deleted',
];

/** What is done in the places that move flows, by their numbers PLACE_…. */
export const PLACE_NAMES: readonly string[] = [
  'no place',
  'install',
  'replace',
  'dump',
  'change',
  'evict',
  'fail',
  'sweep',
  'remove',
  'reclaim',
];

/** What a flow's record says of its life. Only under the flow's lock is it all of one moment. */
export interface FlowLife {
  serial: number;
  /** CREATED … DELETED. */
  state: number;
  thread: number;
  place: number;
  reason: number;
  removal: number;
  flags: number;
  version: number;
  learned: number;
  dump: number;
  missedDumps: number;
  createdMs: number;
  usedMs: number;
  /** Credited so far. */
  packets: number;
  bytes: number;
}

/** A move that no life makes, and who tried it (datapath/flow/life.ts). */
export interface RefusedMove {
  flow: number;
  serial: number;
  from: number;
  to: number;
  thread: number;
  place: number;
  byThread: number;
  byPlace: number;
}

export class Lives {
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #f64: Float64Array;
  readonly #u64: BigUint64Array;
  readonly #lives: number;
  readonly #badMoves: number;

  constructor(arena: Arena) {
    const { buffer } = arena.memory;
    this.#u8 = new Uint8Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#f64 = new Float64Array(buffer);
    this.#u64 = new BigUint64Array(buffer);
    this.#lives = regionAddress(arena, 'lives');
    this.#badMoves = regionAddress(arena, 'badMoves');
  }

  /** Whether a flow may be put in the place of one that was evicted before that is swept. */
  set replacesEvicted(replaces: boolean) {
    Atomics.store(this.#u32, (ARENA_MAP + ArenaMap.keepsEvicted) >> 2, replaces ? 0 : 1);
  }

  of(flow: number): FlowLife {
    const at = this.#lives + flow * LIFE_STRIDE;
    const u32 = (field: number) => this.#u32[(at + field) >> 2]!;
    return {
      serial: u32(Life.serial),
      state: u32(Life.state),
      thread: u32(Life.thread),
      place: u32(Life.place),
      reason: u32(Life.reason),
      removal: u32(Life.removal),
      flags: u32(Life.flags),
      version: u32(Life.version),
      learned: u32(Life.learned),
      dump: u32(Life.dump),
      missedDumps: u32(Life.missedDumps),
      createdMs: this.#f64[(at + Life.createdMs) >> 3]!,
      usedMs: this.#f64[(at + Life.usedMs) >> 3]!,
      packets: Number(this.#u64[(at + Life.packets) >> 3]!),
      bytes: Number(this.#u64[(at + Life.bytes) >> 3]!),
    };
  }

  /** A copy of the key that a flow was made for, bits outside its mask too. */
  key(flow: number): Uint8Array {
    const at = this.#lives + flow * LIFE_STRIDE + LIFE_KEY;
    return this.#u8.slice(at, at + KEY_SIZE);
  }

  /** Copies it to `to` instead: that is what takes the time where each flow of many is looked at. */
  copyKey(flow: number, to: Uint8Array): void {
    const at = this.#lives + flow * LIFE_STRIDE + LIFE_KEY;
    for (let i = 0; i < KEY_SIZE; i++) to[i] = this.#u8[at + i]!;
  }

  /** How many moves have been refused, ever. */
  get refused(): number {
    return this.#u32[this.#badMoves >> 2]!;
  }

  /** The last of those since there were `before`; the first are lost when they were many. */
  refusedSince(before: number): RefusedMove[] {
    const after = this.refused;
    const first = Math.max(before, after - BAD_MOVES);
    return Array.from({ length: after - first }, (_, i) => {
      const slot = (first + i) % BAD_MOVES;
      const at = (this.#badMoves + BAD_MOVES_LIST + slot * BAD_MOVE_STRIDE) >> 2;
      const u32 = (field: number) => this.#u32[at + (field >> 2)]!;
      return {
        flow: u32(BadMove.flow),
        serial: u32(BadMove.serial),
        from: u32(BadMove.from),
        to: u32(BadMove.to),
        thread: u32(BadMove.thread),
        place: u32(BadMove.place),
        byThread: u32(BadMove.byThread),
        byPlace: u32(BadMove.byPlace),
      };
    });
  }
}
