/**
 * All that a switch is told to do with packets: rules, groups and meters. Changes are made all at once or not at
 * all, and nothing ever refers to a group or meter that is not there:
 *
 *     rule ──▶ group ──▶ group ──▶ …     no loops
 *       │        │
 *       └────────┴─────▶ meter
 *
 * A group or meter that goes takes the rules that use it along (OpenFlow 1.3 §6.4 and §6.5); one that a group
 * uses cannot go. Nothing in here knows of the datapath, so that anybody can keep a replica by making the same
 * changes at the same times, or from the text of a snapshot.
 */
import type { Action } from './action.ts';
import { Groups, groupsIn, groupsOf } from './groups.ts';
import { Journal, Refusal } from './journal.ts';
import { Meters, metersIn, usesMeter } from './meters.ts';
import type { Change } from './parse-bundle.ts';
import { printFlow } from './print.ts';
import { printGroup } from './print-group.ts';
import { printMeter } from './print-meter.ts';
import type { Rule } from './rule.ts';
import { fail } from './syntax.ts';
import { type RuleLimits, Tables } from './tables.ts';
import type { PortNames } from './values.ts';

/** How many flows, groups or meters a kind of change has added, modified or deleted. */
export interface Done {
  readonly kind: Change['kind'];
  readonly what: 'added' | 'modified' | 'deleted';
  count: number;
}

const DONE = { add: 'added', modify: 'modified', addOrModify: 'modified', delete: 'deleted' } as const;

type FlowChange = Extract<Change, { kind: 'flow' }>;
type GroupChange = Extract<Change, { kind: 'group' }>;
type MeterChange = Extract<Change, { kind: 'meter' }>;

export class Ruleset {
  readonly tables: Tables;
  readonly groups: Groups;
  readonly meters: Meters;
  readonly #journal = new Journal();
  #generation = 0;

  constructor(limits?: RuleLimits) {
    this.tables = new Tables(limits, this.#journal);
    this.groups = new Groups(this.#journal);
    this.meters = new Meters(this.#journal);
  }

  /** Goes up at each change: what was translated before may be out of date. */
  get generation(): number {
    return this.#generation + this.tables.generation;
  }

  /**
   * Makes changes in order.
   * @returns what each kind of change came to
   * @throws FlowError for the first that cannot be made; then none has been
   */
  apply(changes: readonly Change[], nowMs: number): Done[] {
    const done = new Map<string, Done>();
    this.#journal.attempt(() => {
      for (const change of changes) {
        const [kind, what] = [change.kind, DONE[change.command]];
        const sum = done.get(`${kind} ${what}`) ?? { kind, what, count: 0 };
        sum.count += this.#make(change, nowMs);
        done.set(`${kind} ${what}`, sum);
      }
    });
    if (changes.length > 0) this.#generation++;
    return [...done.values()];
  }

  /** Makes one change; returns how many flows, groups or meters it was for. */
  #make(change: Change, nowMs: number): number {
    try {
      if (change.kind === 'flow') return this.#changeFlows(change, nowMs);
      return change.kind === 'group' ? this.#changeGroups(change, nowMs) : this.#changeMeters(change, nowMs);
    } catch (error) {
      if (error instanceof Refusal) fail(change.at, error.found, error.expected);
      throw error;
    }
  }

  #changeFlows(change: FlowChange, nowMs: number): number {
    switch (change.command) {
      case 'add':
        this.#requireReferences(change.flow.actions);
        this.tables.add([change.flow], nowMs);
        return 1;
      case 'modify':
        this.#requireReferences(change.change.flow.actions);
        return this.tables.modify(change.change, change.strict, nowMs);
      case 'delete':
        return this.tables.delete(change.filter, change.strict);
    }
  }

  #changeGroups(change: GroupChange, nowMs: number): number {
    if (change.command === 'delete') return this.#deleteGroups(change.id);
    const { group } = change;
    const others = groupsOf(group).filter((id) => id !== group.id);
    this.#requireGroups(others);
    if (others.length < groupsOf(group).length) {
      throw new Refusal(`group ${group.id} that leads to itself`, 'no loop');
    }
    this.#requireMeters(group.buckets.flatMap(({ actions }) => metersIn(actions)));
    const isThere = this.groups.get(group.id) !== undefined;
    if (change.command === 'add' || (change.command === 'addOrModify' && !isThere)) {
      this.groups.add(group, nowMs);
    } else this.groups.modify(group);
    return 1;
  }

  #deleteGroups(id: number | undefined): number {
    const isUsed = (action: Action) => action.kind === 'group' && (id === undefined || action.group === id);
    if (id === undefined) {
      const { length } = this.groups.all();
      this.groups.deleteAll();
      this.tables.deleteUsers(isUsed, 'group');
      return length;
    }
    if (!this.groups.get(id)) return 0;
    this.groups.delete(id);
    this.tables.deleteUsers(isUsed, 'group');
    return 1;
  }

  #changeMeters(change: MeterChange, nowMs: number): number {
    switch (change.command) {
      case 'add':
        this.meters.add(change.meter, nowMs);
        return 1;
      case 'modify':
        this.meters.modify(change.meter);
        return 1;
      case 'delete':
        return this.#deleteMeters(change.id);
    }
  }

  #deleteMeters(id: number | undefined): number {
    const gone = this.meters.all().filter(({ meter }) => id === undefined || meter.id === id);
    for (const { meter } of gone) {
      const user = this.groups.user(usesMeter(meter.id));
      if (user) throw new Refusal(`meter ${meter.id}, which group ${user.id} uses`, 'one that no group uses');
      this.meters.delete(meter.id);
    }
    if (gone.length > 0) this.tables.deleteUsers(usesMeter(id), 'meter');
    return gone.length;
  }

  #requireReferences(actions: readonly Action[]): void {
    this.#requireGroups(groupsIn(actions));
    this.#requireMeters(metersIn(actions));
  }

  #requireGroups(ids: readonly number[]): void {
    const missing = ids.find((id) => !this.groups.get(id));
    if (missing !== undefined) throw new Refusal(`group ${missing}, which is not there`, 'one that is');
  }

  #requireMeters(ids: readonly number[]): void {
    const missing = ids.find((id) => !this.meters.get(id));
    if (missing !== undefined) throw new Refusal(`meter ${missing}, which is not there`, 'one that is');
  }

  /**
   * Everything, as lines of a bundle that makes it again: meters, groups, then rules in the order in which they
   * are tried. A hard time-out is what is left of it at `nowMs`; an idle one starts anew, and counters do.
   */
  snapshot(nowMs: number, names?: PortNames): string[] {
    return [
      ...this.meters.all().map(({ meter }) => `meter add ${printMeter(meter).replaceAll('\n', ' ')}`),
      ...this.groups.inOrder().map((group) => `group add ${printGroup(group, names)}`),
      ...this.tables.dump().map((rule) => printFlow(withTimeLeft(rule, nowMs), names)),
    ];
  }
}

function withTimeLeft(rule: Rule, nowMs: number): Rule {
  const { hardTimeoutS, modifiedMs } = rule;
  if (hardTimeoutS === 0) return rule;
  const leftS = Math.ceil(hardTimeoutS - (nowMs - modifiedMs) / 1000);
  return { ...rule, hardTimeoutS: Math.max(leftS, 1) };
}
