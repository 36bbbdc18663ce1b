/**
 * What the translation is given, and what it gives.
 *
 * Some of what the tables say takes effect only later: a packet-in needs to be described when the packet is
 * there, a packet that goes round needs its way through the tables back, a bucket counts. Programs name such
 * things by number. The context hands the numbers out and keeps what they stand for, at least while a megaflow
 * in force has the number. Equal things must get equal numbers, or every check of a megaflow would find it
 * changed. There may be no number left; then the packet is dropped, or the bucket not counted.
 */
import type { Action, ControllerAction, LearnAction, SampleAction } from './action.ts';
import type { Group } from './group.ts';
import type { Sighting } from './mac.ts';
import type { Bridge } from './normal.ts';
import type { Flow } from './parse.ts';
import type { Rule } from './rule.ts';
import type { LookUps } from './tables.ts';

export interface TranslationContext extends Bridge {
  readonly tables: LookUps;
  readonly groups: { get(id: number): Group | undefined };
  /** The datapath's meter of an OpenFlow meter. */
  readonly meters: { get(id: number): number | undefined };
  /** The operand of OP_CONTROLLER for a packet that goes to controllers or collectors. */
  punt(punt: Punt): number | undefined;
  /** The operand of OP_TALLY that counts what a group or, of that, a bucket takes. */
  tally(group: Group, bucket?: number): number | undefined;
  /** The operand of OP_RECIRCULATE, not 0, for a packet that is to go on from here after another round. */
  freeze(frozen: Frozen): number | undefined;
  /** What a number was given for; undefined when that is forgotten. */
  thaw(recirculation: number): Frozen | undefined;
}

/** Where the packet was when it was sent to a controller or a collector. */
interface PuntedFrom {
  readonly table: number;
  readonly cookie: bigint;
}

export interface PacketIn extends PuntedFrom {
  readonly kind: 'packetIn';
  readonly reason: ControllerAction['reason'];
  readonly maxLength: number;
  readonly controller: number;
  readonly userdata?: Uint8Array;
  /** A number of `freeze`: the packet waits there for the controller to resume it. */
  readonly continuation?: number;
}

export interface Sampled extends PuntedFrom {
  readonly kind: 'sample';
  readonly sample: SampleAction;
}

export type Punt = PacketIn | Sampled;

/** A list of actions and how far they are done. */
export interface Visit extends PuntedFrom {
  readonly actions: readonly Action[];
  next: number;
  /** How many resubmits to the same or an earlier table led here, one inside another. */
  readonly depth: number;
}

/** All that a packet's way through the tables has beside the packet. Plain data; it does not change. */
export interface Frozen {
  /** What is left to do, innermost last. */
  readonly visits: readonly Readonly<Visit>[];
  /** The table key behind the flow key. */
  readonly pipeline: Uint8Array;
  /** When an action changed it. */
  readonly inPort: number | undefined;
  readonly stack: readonly bigint[];
  readonly actionSet: readonly Action[];
  /** Whether the action set is carried out at the end. */
  readonly isWhole: boolean;
}

/** A flow that a learn action made from a packet. */
export interface Learned {
  readonly flow: Flow;
  readonly action: LearnAction;
}

export interface Translation {
  /** KEY_SIZE bytes; a packet is in the megaflow when its key equals the translated one in these bits. */
  readonly mask: Uint8Array;
  /** An action program as in `opcode.ts`. */
  readonly program: Uint32Array;
  /** The rules hit, in order and with repeats. */
  readonly rules: Rule[];
  /** The tables in which no rule was hit, the same. */
  readonly missed: number[];
  /** What NORMAL learns from its packets. */
  readonly senders: Sighting[];
  /** What learn actions add with each of its packets. */
  readonly learned: Learned[];
}
