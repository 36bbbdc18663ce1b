/** Who is told of a packet's walk through the tables while it goes. Nobody, but where somebody asks for a trace. */
import type { Action } from './action.ts';
import type { Emitter } from './emit.ts';
import type { Verdict } from './normal.ts';
import type { Packet } from './packet.ts';
import type { Flow } from './parse.ts';
import type { Rule } from './rule.ts';
import type { Visit } from './translation.ts';

export interface Tracer {
  /** What is to write the program. */
  emitterFor(packet: Packet): Emitter;
  /** The packet, of which these were the words then, was looked up in a table; `rule` applies. */
  looksUp(table: number, words: Uint32Array, rule: Rule | undefined): void;
  /** A list of actions comes next: those of the rule that was found, or the action set. */
  begins(visit: Visit): void;
  /** An action of a list is done. */
  acts(action: Action, visit: Visit): void;
  /** A list inside the action is done, a bucket's or another; and then it has been. */
  descends(visit: Visit, bucket: number | undefined): void;
  ascends(): void;
  /** NORMAL has decided. */
  forwards(verdict: Verdict, packet: Packet): void;
  /** The action learns a flow, if there is room for it. */
  learns(flow: Flow, hasRoom: boolean): void;
  /** The action came to nothing: a DROP_…. */
  because(reason: number): void;
}
