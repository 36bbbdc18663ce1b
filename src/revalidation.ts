/** How the rounds of the revalidators go (datapath/revalidation.ts): what is set, and what is known of them. */
import { type Arena, regionAddress } from './arena.ts';
import { ARENA_MAP, ArenaMap, REVALIDATION_FLOWS, Revalidation } from './generated/layout.ts';

/** So high the flow limit is at first, and so low at least. */
export const FIRST_FLOW_LIMIT = 10_000;
export const LEAST_FLOW_LIMIT = 1000;
/** Idle flows go after so long while there are more than there may be. */
const CROWDED_IDLE_MS = 100;

type Field = Exclude<keyof typeof Revalidation, 'size' | 'sets' | 'averageLive'>;

export class Rounds {
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #record: number;

  constructor(arena: Arena) {
    this.#i32 = new Int32Array(arena.memory.buffer);
    this.#f64 = new Float64Array(arena.memory.buffer);
    this.#record = regionAddress(arena, 'revalidation');
  }

  /** A number of the record. */
  get(field: Field): number {
    return Atomics.load(this.#i32, (this.#record + Revalidation[field]) >> 2) >>> 0;
  }

  set(field: Field, value: number): void {
    Atomics.store(this.#i32, (this.#record + Revalidation[field]) >> 2, value);
  }

  /** How many flows may be installed now. */
  get flowLimit(): number {
    return Atomics.load(this.#i32, (ARENA_MAP + ArenaMap.flowLimit) >> 2) >>> 0;
  }

  set flowLimit(limit: number) {
    Atomics.store(this.#i32, (ARENA_MAP + ArenaMap.flowLimit) >> 2, limit);
  }

  /** Adapts the flow limit, unless it is not `from` any more: somebody has set it. */
  adaptFlowLimit(from: number, to: number): void {
    Atomics.compareExchange(this.#i32, (ARENA_MAP + ArenaMap.flowLimit) >> 2, from, to);
  }

  /** After so long without a packet a flow goes now. */
  get idleMs(): number {
    return this.liveFlows > this.flowLimit ? CROWDED_IDLE_MS : this.get('maxIdleMs');
  }

  /** Whether a handler puts a flow in the place of one that was evicted; else that waits for the sweep. */
  get replacesEvicted(): boolean {
    return Atomics.load(this.#i32, (ARENA_MAP + ArenaMap.keepsEvicted) >> 2) === 0;
  }

  set replacesEvicted(replaces: boolean) {
    Atomics.store(this.#i32, (ARENA_MAP + ArenaMap.keepsEvicted) >> 2, replaces ? 0 : 1);
  }

  /** How many flows there were when rounds began, lately. */
  get averageFlows(): number {
    return this.#f64[(this.#record + Revalidation.averageLive) >> 3]!;
  }

  /** There were `flows` when a round began. */
  noteLive(flows: number): void {
    this.#f64[(this.#record + Revalidation.averageLive) >> 3] = (this.averageFlows + flows) / 2;
    this.set('mostLive', Math.max(this.get('mostLive'), flows));
  }

  /** How many flows packets take now. */
  get liveFlows(): number {
    return Atomics.load(this.#i32, (ARENA_MAP + ArenaMap.liveFlows) >> 2) >>> 0;
  }

  /** How many flows thread `thread` found in its share in the last dump. */
  flowsOf(thread: number): number {
    return Atomics.load(this.#i32, (this.#record + REVALIDATION_FLOWS + 4 * thread) >> 2) >>> 0;
  }

  noteFlows(thread: number, flows: number): void {
    Atomics.store(this.#i32, (this.#record + REVALIDATION_FLOWS + 4 * thread) >> 2, flows);
  }
}
