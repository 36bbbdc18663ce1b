/**
 * What the handler knows of the flows it installed, and the rounds in which it looks after them: counters
 * are credited to the rules that the traffic used, what it tells is learned again, idle flows go, and flows
 * whose translation may have changed are translated again.
 *
 * A round goes over all flows in slices between upcalls, so that misses never wait for a whole round.
 */
import { type Datapath, Observer } from '../datapath.ts';
import type { Rule } from '../table/table.ts';
import type { Translation } from '../table/translation.ts';

export interface Megaflow {
  readonly number: number;
  /** Of the packet that it was made for, bits outside the mask too: so checking it takes the same decisions. */
  readonly key: Uint8Array;
  translation: Translation;
  /** What has been credited so far. */
  packets: number;
  bytes: number;
  usedMs: number;
  /** Of the tables and of what NORMAL has learned, when it was translated. */
  generation: number;
}

/** An unused flow is removed after this long (as OVS's max-idle). */
const IDLE_MS = 10_000;
/** Rounds begin this far apart at least, and sooner only when something has changed. */
const ROUND_MS = 500;
const CHANGED_ROUND_MS = 5;
const SLICE = 256;

export class Megaflows {
  readonly #datapath: Datapath;
  readonly #observer: Observer;
  readonly #learn: (translation: Translation, heardMs: number) => void;
  readonly #flows = new Map<number, Megaflow>();
  readonly #retranslate: (key: Uint8Array) => Translation;
  #round: Iterator<Megaflow> | undefined;
  #roundEndedMs = 0;
  #roundGeneration = 0;

  /**
   * @param learn learns again what a flow's packets tell, last heard then
   * @param retranslate translates a key without learning anything
   */
  constructor(
    datapath: Datapath,
    learn: (translation: Translation, heardMs: number) => void,
    retranslate: (key: Uint8Array) => Translation,
  ) {
    this.#datapath = datapath;
    this.#observer = new Observer(datapath.arena);
    this.#learn = learn;
    this.#retranslate = retranslate;
  }

  get size(): number {
    return this.#flows.size;
  }

  values(): Iterable<Megaflow> {
    return this.#flows.values();
  }

  /** @param key of the packet that was translated; it is copied */
  add(number: number, key: Uint8Array, translation: Translation, generation: number, nowMs: number): void {
    if (this.#flows.has(number)) return;
    const flow = { number, key: key.slice(), translation, packets: 0, bytes: 0, usedMs: nowMs, generation };
    this.#flows.set(number, flow);
  }

  /** When the next slice of work is due. */
  dueMs(generation: number): number {
    if (this.#round) return 0;
    if (this.#flows.size === 0) return Number.POSITIVE_INFINITY;
    return this.#roundEndedMs + (generation === this.#roundGeneration ? ROUND_MS : CHANGED_ROUND_MS);
  }

  /** Works on the current round for one slice, or begins one that is due. */
  maintain(generation: number, nowMs: number): void {
    if (!this.#round) {
      if (nowMs < this.dueMs(generation)) return;
      this.#round = this.#flows.values();
      this.#roundGeneration = generation;
    }
    for (let i = 0; i < SLICE; i++) {
      const { value: flow, done } = this.#round.next();
      if (done) {
        this.#round = undefined;
        this.#roundEndedMs = nowMs;
        return;
      }
      this.#check(flow, generation, nowMs);
    }
  }

  /** Brings every flow up to date before returning. */
  revalidateAll(generation: number, nowMs: number): void {
    for (const flow of this.#flows.values()) this.#check(flow, generation, nowMs);
    this.#roundGeneration = generation;
  }

  /** Credits what every flow has counted, so that rules' counters are exact as of now. */
  creditAll(): void {
    for (const flow of this.#flows.values()) this.#credit(flow);
  }

  #check(flow: Megaflow, generation: number, nowMs: number): void {
    this.#credit(flow);
    if (nowMs - flow.usedMs > IDLE_MS) this.#remove(flow);
    else if (flow.generation !== generation) this.#revalidate(flow, generation);
  }

  /**
   * The flow stays when its key is translated to the same program as before, by nothing that is outside its mask.
   * It may match on more than it would have to by now.
   */
  #revalidate(flow: Megaflow, generation: number): void {
    const { mask, program } = flow.translation;
    const fresh = this.#retranslate(flow.key);
    if (isWithin(fresh.mask, mask) && isSame(fresh.program, program)) {
      flow.translation = { ...fresh, mask };
      flow.generation = generation;
    } else {
      this.#remove(flow);
    }
  }

  /** Credits what was counted until it was hidden; only batches that then still had it in hand are lost. */
  #remove(flow: Megaflow): void {
    this.#datapath.exports.remove(flow.number);
    this.#credit(flow);
    this.#flows.delete(flow.number);
  }

  #credit(flow: Megaflow): void {
    const counted = this.#observer.flow(flow.number);
    const packets = counted.packets - flow.packets;
    if (packets === 0) return;
    credit(flow.translation.rules, packets, counted.bytes - flow.bytes);
    flow.packets = counted.packets;
    flow.bytes = counted.bytes;
    flow.usedMs = Math.max(flow.usedMs, counted.usedMs);
    // A host that came back to a port finds its flows of before, which miss nothing: it is learned from them.
    this.#learn(flow.translation, flow.usedMs);
  }
}

/** Credits rules with packets that took them. */
export function credit(rules: readonly Rule[], packets: number, bytes: number): void {
  for (const rule of rules) {
    rule.packets += packets;
    rule.bytes += bytes;
  }
}

const isSame = (a: Uint32Array, b: Uint32Array): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i]);

/** Whether a mask has no bits that another has not. */
const isWithin = (mask: Uint8Array, other: Uint8Array): boolean =>
  mask.every((bits, i) => (bits & ~other[i]!) === 0);
