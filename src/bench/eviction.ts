/**
 * Evicts a flow while its packets come in, and watches what becomes of them, on the thread that they come in at:
 *
 *     the dump that was ordered is under way ─▶ evicted ─▶ packets miss … ─▶ one finds a flow again
 */
import {
  ARENA_MAP,
  ArenaMap,
  COUNT_CACHE_HITS,
  COUNT_CLASSIFIER_HITS,
  COUNTERS,
  type Datapath,
  EVICT_FLOW_WILDCARDED,
  PHASE_DUMP,
  PHASES,
  regionAddress,
} from '../datapath.ts';
import type { Load } from './load.ts';

export class Eviction {
  readonly #datapath: Datapath;
  readonly #load: Load;
  readonly #counters: number;
  /** While packets miss. */
  #isWatching = false;
  #evictedMs = 0;
  #missed = 0;
  #inFlight = 0;
  /** Packets that had found a flow before the last batch. */
  #found = 0;

  constructor(datapath: Datapath, load: Load) {
    this.#datapath = datapath;
    this.#load = load;
    this.#counters = (regionAddress(datapath.arena, 'counters') >> 2) + 2 * datapath.thread * COUNTERS;
  }

  /** Before a batch. */
  evictIfDue(): void {
    const dump = this.#load.order('evictDump');
    if (dump === 0 || !this.#isIn(dump)) return;
    const { exports } = this.#datapath;
    const flow = this.#load.order('evictFlow');
    if (!exports.evictFlow(flow, this.#datapath.serial(flow), EVICT_FLOW_WILDCARDED)) return; // somebody has it
    this.#load.set('evictDump', 0);
    this.#evictedMs = performance.now();
    this.#missed = 0;
    this.#inFlight = 0;
    this.#found = this.#finds;
    this.#isWatching = true;
  }

  /** After a batch of `n` packets of the flow; `misses` wait for handlers. */
  watch(n: number, misses: number): void {
    if (!this.#isWatching) return;
    const found = (this.#finds - this.#found) | 0;
    this.#found = this.#finds;
    this.#missed += n - found;
    this.#inFlight = Math.max(this.#inFlight, misses);
    if (found === 0) return;
    this.#isWatching = false;
    const load = this.#load;
    load.note('missed', this.#missed);
    load.note('missedMs', performance.now() - this.#evictedMs);
    load.note('inFlight', this.#inFlight);
    load.note('evictions', load.get('evictions') + 1);
  }

  #isIn(dump: number): boolean {
    const { u32, exports } = this.#datapath;
    if (u32[(ARENA_MAP + ArenaMap.dump) >> 2] !== dump) return false;
    return (exports.revalidationPhase() >>> 0) % PHASES === PHASE_DUMP;
  }

  /** Packets of this thread that found a flow so far. */
  get #finds(): number {
    const { u32 } = this.#datapath;
    const at = this.#counters;
    return u32[at + 2 * COUNT_CACHE_HITS]! + u32[at + 2 * COUNT_CLASSIFIER_HITS]!;
  }
}
