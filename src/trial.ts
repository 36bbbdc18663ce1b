/**
 * A frame on which is tried, step by step, what a program would do to a packet (datapath/trial.ts). It is taken from
 * its thread's pool and goes back there; nothing else changes.
 */
import { regionAddress } from './arena.ts';
import type { Datapath } from './datapath.ts';
import {
  BATCH_SCRATCH,
  BATCH_STRIDE,
  CHECKSUM_GOOD,
  CONNECTION_STRIDE,
  Frame,
  KEY_SIZE,
  Key,
  MAX_ROUNDS,
  NONE,
  OP_END,
  OP_SELECT,
  PARSED,
  TRIAL_CONNECTION,
  TRIAL_FOUND,
  TRIAL_MADE,
  TRIAL_WORDS,
} from './generated/layout.ts';

/** What ct() would make of a packet. */
export interface Tried {
  /** A TRIAL_…. */
  readonly outcome: number;
  /** Bits of ct_state. */
  readonly state: number;
  /** A copy of the connection, as it is or would be made. */
  readonly record: Uint8Array | undefined;
}

/** Words of OP_SELECT that there is room for. */
const SELECT_WORDS = 1000;

export class TrialFrame {
  readonly #datapath: Datapath;
  readonly #number: number;
  /** Whether it was made up: what it says of sequence numbers counts for nothing. */
  readonly #isMade: boolean;
  #isThere = true;

  private constructor(datapath: Datapath, number: number, isMade: boolean) {
    this.#datapath = datapath;
    this.#number = number;
    this.#isMade = isMade;
  }

  /** Undefined: there is no free frame, or none is so long. */
  static take(datapath: Datapath, bytes: Uint8Array, port: number, isMade: boolean): TrialFrame | undefined {
    const number = datapath.takeFrame(bytes.length);
    if (number === NONE) return undefined;
    const frame = new TrialFrame(datapath, number, isMade);
    datapath.u8.set(bytes, datapath.dataAddress(number));
    datapath.u32[(frame.#at + Frame.length) >> 2] = bytes.length;
    datapath.u32[(frame.#at + Frame.port) >> 2] = port;
    if (isMade) datapath.u8[frame.#at + Frame.checksum] = CHECKSUM_GOOD;
    return frame;
  }

  /** Another one like it; undefined as above, or when it is gone. */
  copy(): TrialFrame | undefined {
    if (!this.#isThere) return undefined;
    const number = this.#datapath.exports.copyTrial(this.#number) >>> 0;
    return number === NONE ? undefined : new TrialFrame(this.#datapath, number, this.#isMade);
  }

  /** Whether nothing has ended it. */
  get isThere(): boolean {
    return this.#isThere;
  }

  get length(): number {
    return this.#datapath.u32[(this.#at + Frame.length) >> 2]!;
  }

  get #at(): number {
    return this.#datapath.frameAt(this.#number);
  }

  get #scratch(): number {
    const { arena, thread } = this.#datapath;
    return regionAddress(arena, 'batches') + thread * BATCH_STRIDE + BATCH_SCRATCH;
  }

  /** Its key, or why it is malformed: a DROP_…. */
  parse(): Uint8Array | number {
    const reason = this.#datapath.exports.tryParse(this.#number) >>> 0;
    if (reason !== PARSED) return reason;
    return this.#datapath.u8.slice(this.#scratch, this.#scratch + KEY_SIZE);
  }

  /** The live flow that takes packets with a key now; undefined: none. */
  flowOf(key: Uint8Array): number | undefined {
    this.#datapath.u8.set(key, this.#scratch);
    const flow = this.#datapath.exports.tryLookUp() >>> 0;
    return flow === NONE ? undefined : flow;
  }

  /** Does an operation that rewrites it; afterwards it may not be there any more. */
  change(words: readonly number[]): void {
    this.#put(words);
    this.#isThere = Boolean(this.#datapath.exports.tryChange(this.#number));
  }

  /** Tries OP_CT, with what stands before it for it. */
  track(words: readonly number[]): Tried {
    this.#put(words);
    const outcome = this.#datapath.exports.tryCt(this.#number, this.#isMade);
    const record = this.#scratch + TRIAL_CONNECTION;
    const hasRecord = outcome === TRIAL_FOUND || outcome === TRIAL_MADE;
    return {
      outcome,
      state: this.#datapath.u8[this.#at + Key.ctState]!,
      record: hasRecord ? this.#datapath.u8.slice(record, record + CONNECTION_STRIDE) : undefined,
    };
  }

  /** Which of some alternatives OP_SELECT chooses for packets with a key; undefined: none, or they are too many. */
  choose(
    key: Uint8Array,
    basis: number,
    alternatives: readonly { readonly salt: number; readonly weight: number }[],
  ): number | undefined {
    const heads = alternatives.flatMap(({ salt, weight }) => [salt, weight]);
    const words = [OP_SELECT, basis, alternatives.length, ...heads, ...alternatives.map(() => OP_END)];
    if (words.length > SELECT_WORDS) return undefined;
    this.#put(words);
    this.#datapath.u8.set(key, this.#scratch);
    const at = this.#datapath.exports.trySelect();
    const programs = this.#scratch + TRIAL_WORDS + 4 * (3 + heads.length);
    return at === 0 ? undefined : (at - programs) >> 2;
  }

  /** Sends it round again; false: it has gone round too often. */
  goRound(recirculation: number): boolean {
    const { u8, u32 } = this.#datapath;
    const rounds = u8[this.#at + Frame.rounds]!;
    u8[this.#at + Frame.rounds] = rounds + 1;
    u32[(this.#at + Frame.recirculation) >> 2] = recirculation;
    return rounds < MAX_ROUNDS;
  }

  /** Gives it back. */
  give(): void {
    if (this.#isThere) this.#datapath.exports.giveFrame(this.#number);
    this.#isThere = false;
  }

  #put(words: readonly number[]): void {
    this.#datapath.u32.set(words, (this.#scratch + TRIAL_WORDS) >> 2);
  }
}
