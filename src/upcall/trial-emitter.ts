/**
 * Writes a packet's program and at once does to a frame what it writes. So who follows a packet through the tables has
 * in hand, wherever it is let out, the frame that would be: for another round, for a port, for its connection.
 *
 *     walk ── actions ──▶ Emitter ── operations ──▶ program
 *                                        └────────▶ frame      a copy of it inside another program
 */
import {
  OP_CONTROLLER,
  OP_CT,
  OP_CT_LABEL,
  OP_CT_NAT,
  OP_OUTPUT,
  TRIAL_FOUND,
  TRIAL_HELD,
  TRIAL_INVALID,
  TRIAL_MADE,
  TRIAL_NEW,
} from '../datapath.ts';
import type { TraceConnection } from '../model.ts';
import { type Alternative, Emitter } from '../table/emit.ts';
import type { Packet } from '../table/packet.ts';
import type { TrialFrame, Tried } from '../trial.ts';

export const OUTCOMES: ReadonlyMap<number, TraceConnection['outcome']> = new Map([
  [TRIAL_INVALID, 'invalid'],
  [TRIAL_NEW, 'new'],
  [TRIAL_MADE, 'made'],
  [TRIAL_FOUND, 'found'],
  [TRIAL_HELD, 'held'],
]);

/** Is told what comes of it. Frames are the emitter's: who wants to keep one copies it. */
export interface Trial {
  /** Of alternatives, the next is written: whether the packet takes it, as far as that is known. */
  chooses(isChosen: boolean | undefined): void;
  tracks(zone: number, tried: Tried): void;
  sends(port: number, frame: TrialFrame, maxLength: number | undefined): void;
  controls(): void;
  /** The packet, or a copy of it, goes round. */
  recirculates(recirculation: number, frame: TrialFrame): void;
  drops(reason: number): void;
  meters(): void;
}

export class TrialEmitter extends Emitter {
  readonly #trial: Trial;
  readonly #key: Uint8Array;
  /** None: it is gone, or there was no room for a copy. */
  #frame: TrialFrame | undefined;
  /** Words that the next OP_CT takes. */
  #forCt: number[] = [];
  #maxLength: number | undefined;
  /** The packet does not come here. */
  #isElsewhere = false;

  /** @param key that the packet came with in this round; `frame` was parsed, and gives that */
  constructor(packet: Packet, key: Uint8Array, frame: TrialFrame, trial: Trial) {
    super(packet);
    this.#key = key;
    this.#frame = frame;
    this.#trial = trial;
  }

  /** The frame, where the packet comes. */
  get #here(): TrialFrame | undefined {
    return this.#isElsewhere || !this.#frame?.isThere ? undefined : this.#frame;
  }

  override output(port: number, maxLength: number | undefined): void {
    this.#maxLength = maxLength;
    super.output(port, maxLength);
  }

  override meter(index: number): void {
    super.meter(index);
    this.#trial.meters();
  }

  override drop(reason: number): void {
    super.drop(reason);
    if (this.#here) this.#trial.drops(reason);
  }

  override select(basis: number, alternatives: readonly Alternative[]): void {
    const chosen = this.#frame?.choose(this.#key, basis, alternatives);
    super.select(
      basis,
      alternatives.map((one, i) => ({ ...one, write: () => this.#writeAlternative(one, i, chosen) })),
    );
  }

  #writeAlternative({ write }: Alternative, i: number, chosen: number | undefined): void {
    const before = this.#isElsewhere;
    this.#isElsewhere ||= i !== chosen;
    this.#trial.chooses(chosen === undefined ? undefined : i === chosen);
    write();
    this.#isElsewhere = before;
  }

  protected override take(operation: number, operand: number): void {
    super.take(operation, operand);
    const frame = this.#here;
    if (!frame) return;
    if (operation === OP_OUTPUT) this.#trial.sends(operand, frame, this.#maxLength);
    else if (operation === OP_CONTROLLER) this.#trial.controls();
    else this.#trial.recirculates(operand, frame);
  }

  protected override change(...words: number[]): void {
    super.change(...words);
    const frame = this.#frame;
    if (!frame?.isThere) return;
    const [operation] = words;
    if (operation === OP_CT_LABEL || operation === OP_CT_NAT) this.#forCt.push(...words);
    else if (operation === OP_CT) this.#track(frame, words);
    else frame.change(words);
  }

  /** A fragment that waits for others goes on when they have come, which is not to be seen here. */
  #track(frame: TrialFrame, words: readonly number[]): void {
    const tried = frame.track([...this.#forCt, ...words]);
    this.#forCt = [];
    this.#trial.tracks(words[2]!, tried);
    if (tried.outcome === TRIAL_HELD) frame.give();
  }

  protected override nested(write: () => void): number[] {
    const outer = this.#frame;
    const copy = outer?.copy();
    this.#frame = copy;
    try {
      return super.nested(write);
    } finally {
      copy?.give();
      this.#frame = outer;
    }
  }
}
