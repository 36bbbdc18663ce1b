/**
 * What the handler knows of the flows it installed, and the rounds in which it looks after them: counters
 * are credited to the rules that the traffic used, what it tells is learned again, idle flows go, and flows
 * whose translation may have changed are translated again.
 *
 * A round goes over all flows in slices between upcalls, so that misses never wait for a whole round.
 */
import { type Datapath, NONE, Observer } from '../datapath.ts';
import { creditRule, type Rule } from '../table/rule.ts';
import type { Translation } from '../table/translation.ts';
import type { Named, Names } from './names.ts';

/** A translation and the numbers that a megaflow of it keeps. */
export interface NamedTranslation extends Translation {
  readonly named: Named;
}

export interface Megaflow {
  readonly number: number;
  /** Of the packet that it was made for, bits outside the mask too: so checking it takes the same decisions. */
  readonly key: Uint8Array;
  translation: NamedTranslation;
  /** What has been credited so far. */
  packets: number;
  bytes: number;
  usedMs: number;
  /** Of the tables and of what NORMAL has learned, when it was translated. */
  generation: number;
}

/** What is known of packets of a flow that have been credited: when the last came, and all their TCP flags. */
export interface Heard {
  readonly usedMs: number;
  /** As in the key: network order, read as little-endian. */
  readonly tcpFlags: number;
}

/** An unused flow is removed after this long (as OVS's max-idle). */
const IDLE_MS = 10_000;
/** Rounds begin this far apart at least, and sooner only when something has changed. */
const ROUND_MS = 500;
const CHANGED_ROUND_MS = 5;
/** Of rounds for rules that may have expired. */
const EXPIRY_ROUND_MS = 50;
const SLICE = 256;

export class Megaflows {
  readonly #datapath: Datapath;
  readonly #observer: Observer;
  readonly #names: Names;
  readonly #heard: (translation: Translation, heard: Heard) => void;
  readonly #flows = new Map<number, Megaflow>();
  readonly #retranslate: (key: Uint8Array) => NamedTranslation;
  #round: Iterator<Megaflow> | undefined;
  #roundBeganMs = 0;
  #roundEndedMs = 0;
  #roundGeneration = 0;

  /**
   * @param heard is told of packets that have been credited
   * @param retranslate translates a key without learning anything
   */
  constructor(
    datapath: Datapath,
    names: Names,
    heard: (translation: Translation, heard: Heard) => void,
    retranslate: (key: Uint8Array) => NamedTranslation,
  ) {
    this.#datapath = datapath;
    this.#observer = new Observer(datapath.arena);
    this.#names = names;
    this.#heard = heard;
    this.#retranslate = retranslate;
  }

  get size(): number {
    return this.#flows.size;
  }

  values(): Iterable<Megaflow> {
    return this.#flows.values();
  }

  /** @param key of the packet that was translated; it is copied */
  add(
    number: number,
    key: Uint8Array,
    translation: NamedTranslation,
    generation: number,
    nowMs: number,
  ): void {
    if (this.#flows.has(number)) return;
    this.#names.retain(translation.named);
    const flow = { number, key: key.slice(), translation, packets: 0, bytes: 0, usedMs: nowMs, generation };
    this.#flows.set(number, flow);
  }

  /** When the next slice of work is due, when a rule may expire at `expiryMs`. */
  dueMs(generation: number, expiryMs: number): number {
    if (this.#flows.size === 0) return expiryMs;
    if (this.#round) return 0;
    const pauseMs = generation === this.#roundGeneration ? ROUND_MS : CHANGED_ROUND_MS;
    const forExpiryMs = Math.max(expiryMs, this.#roundEndedMs + EXPIRY_ROUND_MS);
    return Math.min(this.#roundEndedMs + pauseMs, forExpiryMs);
  }

  /**
   * Works on the current round for one slice, or begins one that is due.
   * @returns until when all packets are credited, when that is later than before
   */
  maintain(generation: number, expiryMs: number, nowMs: number): number | undefined {
    if (nowMs < this.dueMs(generation, expiryMs)) return undefined;
    if (!this.#round) {
      this.#round = this.#flows.values();
      this.#roundBeganMs = nowMs;
      this.#roundGeneration = generation;
    }
    for (let i = 0; i < SLICE; i++) {
      const { value: flow, done } = this.#round.next();
      if (done) {
        this.#round = undefined;
        this.#roundEndedMs = nowMs;
        return this.#roundBeganMs;
      }
      this.#check(flow, generation, nowMs);
    }
    return undefined;
  }

  /** Removes the flows that came from some of these rules, at once. */
  removeUsersOf(rules: ReadonlySet<Rule>): void {
    for (const flow of this.#flows.values()) {
      if (flow.translation.rules.some((rule) => rules.has(rule))) this.#remove(flow);
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
   * The flow stays when its key is translated by nothing that is outside its mask; with another program when that
   * differs now. It may match on more than it would have to by now.
   */
  #revalidate(flow: Megaflow, generation: number): void {
    const { mask, program } = flow.translation;
    const fresh = this.#retranslate(flow.key);
    if (!isWithin(fresh.mask, mask)) return this.#remove(flow);
    const translation = { ...fresh, mask };
    if (!isSame(fresh.program, program)) return this.#replace(flow, translation, generation);
    this.#names.retain(fresh.named);
    this.#names.release(flow.translation.named);
    flow.translation = translation;
    flow.generation = generation;
  }

  /** Puts a flow with another program in the place of one, so that no packet misses meanwhile. */
  #replace(flow: Megaflow, translation: NamedTranslation, generation: number): void {
    const number = this.#datapath.replace(flow.number, translation.program);
    if (number === NONE) return this.#remove(flow);
    this.add(number, flow.key, translation, generation, flow.usedMs);
    this.#forget(flow);
  }

  #remove(flow: Megaflow): void {
    this.#datapath.exports.remove(flow.number);
    this.#forget(flow);
  }

  /** Credits what a flow had counted when it was hidden; only batches that then still had it in hand are lost. */
  #forget(flow: Megaflow): void {
    this.#credit(flow);
    this.#names.release(flow.translation.named);
    this.#flows.delete(flow.number);
  }

  #credit(flow: Megaflow): void {
    const counted = this.#observer.flow(flow.number);
    const packets = counted.packets - flow.packets;
    if (packets === 0) return;
    flow.usedMs = Math.max(flow.usedMs, counted.usedMs);
    credit(flow.translation.rules, packets, counted.bytes - flow.bytes, flow.usedMs);
    flow.packets = counted.packets;
    flow.bytes = counted.bytes;
    // A host that came back to a port finds its flows of before, which miss nothing: it is learned from them.
    this.#heard(flow.translation, { usedMs: flow.usedMs, tcpFlags: counted.tcpFlags });
  }
}

/** Credits rules with packets that took them, the last at `usedMs`. */
export function credit(rules: readonly Rule[], packets: number, bytes: number, usedMs: number): void {
  for (const rule of rules) creditRule(rule, packets, bytes, usedMs);
}

const isSame = (a: Uint32Array, b: Uint32Array): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i]);

/** Whether a mask has no bits that another has not. */
const isWithin = (mask: Uint8Array, other: Uint8Array): boolean =>
  mask.every((bits, i) => (bits & ~other[i]!) === 0);
