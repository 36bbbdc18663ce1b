/**
 * Bench `replace`: a flow is evicted early in a dump, while its packets come in. A handler that gets one of them installs
 * another flow in its place at once; switched off (`keepsEvicted`), every packet is an upcall until the sweep has unlinked
 * what was evicted.
 *
 *     dump: all others are translated again ───────────────┬─ sweep ─
 *       │ evicted     │ found again: replaced              │ found again: without
 *       └── upcalls ──┘                                    │
 *       └── upcalls ───────────────────────────────────────┘
 *
 * The sweep comes when it comes: behind a dump over `flows` other flows, of which each is translated again because the tables
 * have changed.
 */
import { ARENA_MAP, ArenaMap, EVICTED, Key, VISIBLE } from '../datapath.ts';
import { pairs } from './pairs.ts';
import { Rig } from './rig.ts';

export interface ReplaceOptions {
  flows: number;
  /** Packets of the flow a second. */
  rate: number;
}

export interface Replaced {
  /** Packets from the eviction to the first that finds a flow again. */
  upcalls: number;
  ms: number;
  /** So many of those waited for the handler at a time, at most. */
  inFlight: number;
}

/** The flow that is evicted: 10.0.0.0 to 10.1.0.0. */
const FLOW = 0;
const CLIENT = 0x0a00_0000;
const SERVER = 0x0a01_0000;

export class ReplaceBench {
  readonly #rig: Rig;
  readonly #words: Int32Array;
  readonly #rate: number;

  private constructor(rig: Rig, rate: number) {
    this.#rig = rig;
    this.#words = new Int32Array(rig.arena.memory.buffer);
    this.#rate = rate;
  }

  static async start({ flows, rate }: ReplaceOptions): Promise<ReplaceBench> {
    const rig = await Rig.start({ ...pairs(flows), handlers: 1, revalidators: 1, records: 2 * flows + 1024 });
    await rig.orEnd(() => rig.setUp(0, flows));
    await rig.round();
    return new ReplaceBench(rig, rate);
  }

  /** @param replaces whether a flow that was evicted may be replaced */
  async round(replaces: boolean): Promise<Replaced> {
    const { load } = this.#rig;
    this.#set('keepsEvicted', replaces ? 0 : 1);
    const before = load.get('evictions');
    this.#rig.send({ first: FLOW, end: FLOW + 1, again: true, rate: this.#rate });
    do {
      // Two dumps: in the first what was counted is credited, in the second all flows are translated again.
      load.set('evictFlow', this.#number());
      load.set('evictDump', this.#get('dump') + 2);
      await this.#rig.change();
    } while (load.order('evictDump') !== 0); // over before the next packet came
    await this.#rig.until(() => load.get('evictions') > before);
    await this.#rig.stop();
    return { upcalls: load.get('missed'), ms: load.get('missedMs'), inFlight: load.get('inFlight') };
  }

  /** The number of the flow: that of the first client and the first server. */
  #number(): number {
    const { lives, arena } = this.#rig;
    for (let number = 0; number < arena.limits.flows; number++) {
      const { state } = lives.of(number);
      if (state < VISIBLE || state >= EVICTED) continue;
      const key = new DataView(lives.key(number).buffer);
      if (key.getUint32(Key.nwSrc) === CLIENT && key.getUint32(Key.nwDst) === SERVER) return number;
    }
    throw new Error('found no flow of the packets that are sent, expected one');
  }

  #get(field: 'dump'): number {
    return Atomics.load(this.#words, (ARENA_MAP + ArenaMap[field]) >> 2);
  }

  #set(field: 'keepsEvicted', value: number): void {
    Atomics.store(this.#words, (ARENA_MAP + ArenaMap[field]) >> 2, value);
  }

  async end(): Promise<void> {
    await this.#rig.end();
  }
}
