/**
 * The match-action tables: rules by table and priority, and the changes that `ovs-ofctl` makes to them.
 *
 * Rules of one table stand in the order in which they are tried: by priority, and among equals the
 * oldest first. OVS leaves that last case open; here it is decided so that a packet's fate never
 * depends on chance.
 */
import { type Action, includesAction } from './action.ts';
import type { Match } from './match.ts';
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

interface Table {
  readonly rules: Rule[];
  /** By what makes a rule unique in its table. */
  readonly unique: Map<string, Rule>;
}

const NO_RULES: readonly Rule[] = [];
const uniqueKey = (priority: number, match: Match): string => `${priority} ${match.identity}`;
const order = (a: Rule, b: Rule): number => b.priority - a.priority || a.id - b.id;

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

  /**
   * Adds flows. One with the match and priority of a rule that is there replaces it, counters and all.
   * @throws RangeError when there would be too many rules; then nothing is added
   */
  add(flows: readonly Flow[], nowMs: number): void {
    if (this.#size + flows.length > this.#limit) {
      throw new RangeError(`${this.#size + flows.length} flows; expected at most ${this.#limit}`);
    }
    const touched = new Set<Table>();
    for (const flow of flows) {
      const table = this.#table(flow.table);
      const rule = { ...flow, id: this.#nextId++, createdMs: nowMs, packets: 0, bytes: 0 };
      const key = uniqueKey(flow.priority, flow.match);
      const old = table.unique.get(key);
      if (old) table.rules.splice(table.rules.indexOf(old), 1);
      else this.#size++;
      table.unique.set(key, rule);
      table.rules.push(rule);
      touched.add(table);
    }
    for (const table of touched) table.rules.sort(order);
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
    const selected = new Set(this.#select(filter, strict));
    for (const [number, table] of this.#tables) {
      const kept = table.rules.filter((rule) => !selected.has(rule));
      if (kept.length === table.rules.length) continue;
      const unique = new Map(kept.map((rule) => [uniqueKey(rule.priority, rule.match), rule]));
      if (kept.length === 0) this.#tables.delete(number);
      else this.#tables.set(number, { rules: kept, unique });
    }
    this.#size -= selected.size;
    if (selected.size > 0) this.generation++;
    return selected.size;
  }

  /** The rules that a filter selects loosely, or all: by table, then in the order in which they are tried. */
  dump(filter?: FlowFilter): Rule[] {
    const all = [...this.#tables].sort(([a], [b]) => a - b).flatMap(([, { rules }]) => rules);
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
      table = { rules: [], unique: new Map() };
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
