/**
 * The record of one walk through the tables, as people are told it.
 *
 *     table ── flow, near misses
 *      └─ action                     each of the flow's, in order
 *          ├─ note                   what came of it
 *          ├─ table                  where it was looked up again
 *          └─ bucket, or actions     inside it
 *
 * A list of actions knows where its own go; whatever else happens belongs to the action that is being done.
 */
import { DROP_NAMES } from '../datapath.ts';
import type { TraceStep } from '../model.ts';
import type { Action } from './action.ts';
import { flowRow, Misses } from './difference.ts';
import { Emitter } from './emit.ts';
import { fieldOf } from './fields.ts';
import { bytesOf } from './match.ts';
import type { Verdict } from './normal.ts';
import type { Packet } from './packet.ts';
import type { Flow } from './parse.ts';
import { printFlow } from './print.ts';
import { printActions } from './print-actions.ts';
import type { Rule } from './rule.ts';
import type { LookUps } from './tables.ts';
import type { Tracer } from './tracer.ts';
import type { Visit } from './translation.ts';
import { type PortNames, printPort, printValue } from './values.ts';

/** A packet as it was when it was looked up, and the rule that applied. */
export interface LookUp {
  readonly table: number;
  readonly words: Uint32Array;
  readonly rule: Rule | undefined;
}

/** Steps one inside another: tables lead to tables deeper than anybody can read, or JavaScript walk. */
const DEPTH_MAX = 128;

const ETH_DST = fieldOf('eth_dst');
const GROUP_BIT = 1; // of an address's first byte, IEEE 802 §8.2

export class TraceRecorder implements Tracer {
  readonly steps: TraceStep[] = [];
  readonly lookUps: LookUp[] = [];
  /** The packet at the end of the tables. */
  packet: Packet | undefined;
  protected readonly ports: PortNames;
  readonly #tables: LookUps;
  readonly #misses: Misses;
  readonly #lists = new Map<Visit, TraceStep[]>();
  readonly #depths = new Map<TraceStep[], number>();
  /** Where what happens now belongs, and to come back to. */
  #now: TraceStep[] = this.steps;
  readonly #outer: TraceStep[][] = [];
  /** Those of the table whose rule's actions come next. */
  #entered: TraceStep[] | undefined;

  constructor(tables: LookUps, ports: PortNames) {
    this.#tables = tables;
    this.ports = ports;
    this.#misses = new Misses(ports);
  }

  emitterFor(packet: Packet): Emitter {
    this.packet = packet;
    return new Emitter(packet);
  }

  looksUp(table: number, words: Uint32Array, rule: Rule | undefined): void {
    this.lookUps.push({ table, words: words.slice(), rule });
    const steps: TraceStep[] = [];
    const around = this.#now;
    around.push({
      kind: 'table',
      table,
      ...(rule && { flow: flowRow(rule, this.ports) }),
      missed: this.#misses.near(this.#tables.rules(table), words, rule),
      steps,
    });
    this.#now = this.#inside(around, steps);
    if (rule) this.#entered = this.#now;
  }

  begins(visit: Visit): void {
    if (!this.#entered) {
      this.#now = this.steps;
      this.#now = this.#open({ kind: 'actionSet', steps: [] });
    }
    this.#lists.set(visit, this.#now);
    if (visit.actions.length === 0)
      this.#open({ kind: 'action', text: printActions([], this.ports), steps: [] });
    this.#entered = undefined;
  }

  acts(action: Action, visit: Visit): void {
    const list = this.#lists.get(visit) ?? this.steps;
    // A packet that has gone round goes on in a table; the way there is none that a flow has.
    if (list === this.steps && action.kind === 'goto') this.#now = list;
    else {
      const steps: TraceStep[] = [];
      list.push({ kind: 'action', text: printActions([action], this.ports), steps });
      this.#now = this.#inside(list, steps);
    }
  }

  descends(visit: Visit, bucket: number | undefined): void {
    this.#outer.push(this.#now);
    if (bucket !== undefined) this.#now = this.#open(this.bucketStep(bucket));
    this.#lists.set(visit, this.#now);
  }

  ascends(): void {
    this.#now = this.#outer.pop()!;
  }

  forwards(verdict: Verdict, packet: Packet): void {
    if (verdict.kind === 'drop') return;
    const value = bytesOf(packet.words).slice(ETH_DST.offset, ETH_DST.offset + ETH_DST.bytes);
    const station = printValue({ value, mask: ETH_DST.bits }, ETH_DST);
    const known = `was learned at port ${verdict.kind === 'port' && printPort(verdict.port, this.ports)}`;
    const unknown = value[0]! & GROUP_BIT ? 'is a group: flooded' : 'was not learned: flooded';
    this.note(`${station} ${verdict.kind === 'port' ? known : unknown}`);
  }

  learns(flow: Flow, hasRoom: boolean): void {
    this.note(`${hasRoom ? 'would learn' : 'has no room to learn'}: ${printFlow(flow, this.ports)}`);
  }

  because(reason: number): void {
    this.note(`comes to nothing: ${DROP_NAMES[reason]}`);
  }

  /** Says something of what happens now. */
  note(text: string): void {
    this.say({ kind: 'note', text });
  }

  protected say(step: TraceStep): void {
    this.#now.push(step);
  }

  protected bucketStep(bucket: number): TraceStep & { kind: 'bucket' } {
    return { kind: 'bucket', bucket, steps: [] };
  }

  #open(step: TraceStep & { steps: TraceStep[] }): TraceStep[] {
    this.#now.push(step);
    return this.#inside(this.#now, step.steps);
  }

  /** Where goes what is inside a step of a list: into the list itself once it is too deep. */
  #inside(list: TraceStep[], steps: TraceStep[]): TraceStep[] {
    const depth = (this.#depths.get(list) ?? 0) + 1;
    if (depth > DEPTH_MAX) return list;
    this.#depths.set(steps, depth);
    return steps;
  }
}
