/**
 * The match-action tables: rules by table and priority, and the changes that `ovs-ofctl` makes to them.
 *
 * Rules of one table are tried by priority, and among equals the oldest first. OVS leaves that last case
 * open; here it is decided so that a packet's fate never depends on chance.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Action, includesAction } from './action.ts';
import { Classifier, isBefore, type Subject } from './classifier.ts';
import type { Flow, FlowChange, FlowFilter } from './parse.ts';

/** A flow in force. */
export interface Rule extends Flow {
  /** Never given to another rule. */
  readonly id: number;
  /** When the flow was added, switch clock. */
  readonly createdMs: number;
  cookie: bigint;
  actions: readonly Action[];
  /** What the rule has seen; kept by whoever counts, and by `modify`. */
  packets: number;
  bytes: number;
}

class Table {
  readonly #classifier = new Classifier<Rule>();
  /** By what makes a rule unique in its table. */
  readonly #unique = new Map<string, Rule>();
  /** In the order in which they are tried; undefined when that may have changed. */
  #ordered: readonly Rule[] | undefined;

  get size(): number {
    return this.#unique.size;
  }

  get rules(): readonly Rule[] {
    this.#ordered ??= [...this.#unique.values()].sort((a, b) => (isBefore(a, b) ? -1 : 1));
    return this.#ordered;
  }

  /** Adds a rule in the place of the one with its match and priority. */
  add(rule: Rule): void {
    const key = uniqueKey(rule);
    const old = this.#unique.get(key);
    if (old) this.#classifier.remove(old);
    this.#unique.set(key, rule);
    this.#classifier.add(rule);
    this.#ordered = undefined;
  }

  delete(rule: Rule): void {
    this.#unique.delete(uniqueKey(rule));
    this.#classifier.remove(rule);
    this.#ordered = undefined;
  }

  /** The rule with a flow's match and priority. */
  find(flow: Flow): Rule | undefined {
    return this.#unique.get(uniqueKey(flow));
  }

  lookUp(packet: Subject): Rule | undefined {
    return this.#classifier.lookUp(packet);
  }
}

const NO_RULES: readonly Rule[] = [];
const uniqueKey = ({ priority, match }: Flow): string => `${priority} ${match.identity}`;

export class Tables {
  /** Goes up at each change: what was translated before may be out of date. */
  generation = 0;

  readonly #tables = new Map<number, Table>();
  readonly #limit: number;
  #size = 0;
  #nextId = 1;

  /** @param limit the most rules that all tables may have together */
  constructor(limit = 1_000_000) {
    this.#limit = limit;
  }

  /** How many rules there are. */
  get size(): number {
    return this.#size;
  }

  /** A table's rules in the order in which they are tried. */
  rules(table: number): readonly Rule[] {
    return this.#tables.get(table)?.rules ?? NO_RULES;
  }

  /** The rule of a table that applies to a packet; what that rests on is looked at. */
  lookUp(table: number, packet: Subject): Rule | undefined {
    return this.#tables.get(table)?.lookUp(packet);
  }

  /**
   * Adds flows. One with the match and priority of a rule that is there replaces it, counters and all.
   * @throws RangeError when there would be too many rules; then nothing is added
   */
  add(flows: readonly Flow[], nowMs: number): void {
    if (this.#size + flows.length > this.#limit) {
      throw new RangeError(`${this.#size + flows.length} flows; expected at most ${this.#limit}`);
    }
    for (const flow of flows) {
      const table = this.#table(flow.table);
      this.#size -= table.size;
      table.add({ ...flow, id: this.#nextId++, createdMs: nowMs, packets: 0, bytes: 0 });
      this.#size += table.size;
    }
    if (flows.length > 0) this.generation++;
  }

  /**
   * Gives the rules that a filter selects new actions, and a new cookie if the change has one. As with
   * OpenFlow 1.0, a change that selects no rule adds its flow.
   * @param strict only the rule with exactly this match and priority, not all that the match covers
   * @returns how many rules were changed or added
   */
  modify({ filter, flow }: FlowChange, strict: boolean, nowMs: number): number {
    const selected = this.#select(filter, strict);
    if (selected.length === 0) {
      this.add([flow], nowMs);
      return 1;
    }
    for (const rule of selected) {
      rule.actions = flow.actions;
      if (filter.cookieMask === 0n && flow.cookie !== 0n) rule.cookie = flow.cookie;
    }
    this.generation++;
    return selected.length;
  }

  /**
   * Deletes the rules that a filter selects.
   * @param strict only the rule with exactly this match and priority, not all that the match covers
   * @returns how many rules were deleted
   */
  delete(filter: FlowFilter, strict: boolean): number {
    const selected = this.#select(filter, strict);
    for (const rule of selected) {
      const table = this.#tables.get(rule.table)!;
      table.delete(rule);
      if (table.size === 0) this.#tables.delete(rule.table);
    }
    this.#size -= selected.length;
    if (selected.length > 0) this.generation++;
    return selected.length;
  }

  /**
   * Whether a learn action may add a flow when so many that it made may be in force (0: any number): those of
   * its table with its cookie. One that is there already is no further one.
   */
  hasRoomToLearn(flow: Flow, limit: number): boolean {
    const table = this.#tables.get(flow.table);
    if (limit === 0 || !table || table.find(flow)) return true;
    return table.rules.filter(({ cookie }) => cookie === flow.cookie).length < limit;
  }

  /** Adds a learned flow, or gives the rule with its match and priority its actions. */
  learn(flow: Flow, nowMs: number): void {
    const rule = this.#tables.get(flow.table)?.find(flow);
    if (!rule) this.add([flow], nowMs);
    else if (!isDeepStrictEqual(rule.actions, flow.actions)) {
      rule.actions = flow.actions;
      this.generation++;
    }
  }

  /** The rules that a filter selects loosely, or all: by table, then in the order in which they are tried. */
  dump(filter?: FlowFilter): Rule[] {
    const all = [...this.#tables].sort(([a], [b]) => a - b).flatMap(([, { rules }]) => [...rules]);
    return filter ? all.filter((rule) => passes(rule, filter)) : all;
  }

  #select(filter: FlowFilter, strict: boolean): Rule[] {
    const loose = this.dump(filter);
    if (!strict) return loose;
    return loose.filter((rule) => rule.priority === filter.priority && rule.match.equals(filter.match));
  }

  #table(number: number): Table {
    let table = this.#tables.get(number);
    if (!table) {
      table = new Table();
      this.#tables.set(number, table);
    }
    return table;
  }
}

function passes(rule: Rule, { table, match, cookie, cookieMask, outPort, outGroup }: FlowFilter): boolean {
  if (table !== undefined && rule.table !== table) return false;
  if ((rule.cookie ^ cookie) & cookieMask) return false;
  const does = (wanted: (action: Action) => boolean) => includesAction(rule.actions, wanted);
  if (outPort !== undefined && !does((action) => action.kind === 'output' && action.port === outPort))
    return false;
  if (outGroup !== undefined && !does((action) => action.kind === 'group' && action.group === outGroup))
    return false;
  return match.covers(rule.match);
}
