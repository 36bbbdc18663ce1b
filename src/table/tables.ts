/**
 * The match-action tables: rules by table, the changes that `ovs-ofctl` makes to them, and their time-outs.
 *
 *     added ──▶ in force ──▶ gone: replaced (nobody is told), deleted, expired, or evicted by another
 *
 * A rule is used when the megaflows that came from it are credited, some time after its packets. So deadlines in
 * the queue are the earliest that are possible: who asks for what has expired first credits what was used, and
 * rules that were are queued again.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Action, includesAction, type LearnAction } from './action.ts';
import type { Subject } from './classifier.ts';
import { Journal, Refusal } from './journal.ts';
import type { Flow, FlowChange, FlowFilter } from './parse.ts';
import { printFlow } from './print.ts';
import { Queue } from './queue.ts';
import { expiresMs, expiryReason, type Removal, type RemovalReason, type Rule } from './rule.ts';
import { Table } from './table.ts';

/** What a translation asks the tables. */
export interface LookUps {
  /** A table's rules in the order in which they are tried. */
  rules(table: number): readonly Rule[];
  /** The rule of a table that applies to a packet; what that rests on is looked at. */
  lookUp(table: number, packet: Subject): Rule | undefined;
  /**
   * Whether a learn action may add a flow when so many that it made may be in force (0: any number): those of
   * its table with its cookie. One that is there already is no further one.
   */
  hasRoomToLearn(flow: Flow, limit: number): boolean;
}

/** How many rules one table may have, and what happens when one more is added. */
export interface TableLimit {
  readonly rules: number;
  readonly overflow: 'refuse' | 'evict';
}

export interface RuleLimits {
  /** That all tables may have together. */
  readonly rules: number;
  /** By table number; tables without an entry share what `rules` allows. */
  readonly tables: Readonly<Record<number, TableLimit>>;
}

const NO_LIMITS: RuleLimits = { rules: 1_000_000, tables: {} };
const NO_RULES: readonly Rule[] = [];

export class Tables implements LookUps {
  /** Goes up at each change: what was translated before may be out of date. */
  generation = 0;

  readonly #tables = new Map<number, Table>();
  readonly #limits: RuleLimits;
  readonly #journal: Journal;
  /** Rules with a time-out, by when they expire at the earliest. */
  readonly #expiring = new Queue<Rule>();
  #removals: Removal[] = [];
  /** Rules that have come, gone or changed what they do. */
  #touched = new Set<Rule>();
  #size = 0;
  #nextId = 1;

  constructor(limits: RuleLimits = NO_LIMITS, journal: Journal = new Journal()) {
    this.#limits = limits;
    this.#journal = journal;
  }

  /** How many rules there are. */
  get size(): number {
    return this.#size;
  }

  /** When the first rule may expire; infinite when none does. */
  get expiryMs(): number {
    return this.#expiring.firstKey;
  }

  rules(table: number): readonly Rule[] {
    return this.#tables.get(table)?.rules ?? NO_RULES;
  }

  lookUp(table: number, packet: Subject): Rule | undefined {
    return this.#tables.get(table)?.lookUp(packet);
  }

  /**
   * Adds flows. One with the match and priority of a rule that is there replaces it, counters and all.
   * @throws Refusal when there would be too many rules, or a flow overlaps another and must not; then nothing
   * is added
   */
  add(flows: readonly Flow[], nowMs: number): void {
    this.#journal.attempt(() => {
      for (const flow of flows) this.#add(flow, nowMs);
    });
  }

  #add(flow: Flow, nowMs: number): void {
    const old = this.#tables.get(flow.table)?.find(flow);
    if (old) this.#take(old);
    else {
      if (flow.flags.checkOverlap) this.#refuseOverlap(flow);
      this.#makeRoom(flow.table);
    }
    const times = { createdMs: nowMs, modifiedMs: nowMs, usedMs: nowMs };
    this.#put({ ...flow, ...times, id: this.#nextId++, packets: 0, bytes: 0 });
  }

  #refuseOverlap(flow: Flow): void {
    const { table, priority, match } = flow;
    const other = this.rules(table).find((rule) => rule.priority === priority && rule.match.overlaps(match));
    if (other)
      throw new Refusal(`a flow that overlaps "${printFlow(other)}"`, 'none of its priority that does');
  }

  /** Evicts a rule where that is what makes room for one more. */
  #makeRoom(table: number): void {
    const most = this.#limits.tables[table];
    const there = this.#tables.get(table);
    if (most && there && there.size >= most.rules) {
      const evictee = most.overflow === 'evict' ? there.evictee() : undefined;
      if (!evictee) throw new Refusal(`${there.size + 1} flows in table ${table}`, `at most ${most.rules}`);
      this.#remove(evictee, 'eviction');
    }
    const { rules } = this.#limits;
    if (this.#size >= rules) throw new Refusal(`${this.#size + 1} flows`, `at most ${rules}`);
  }

  /**
   * Gives the rules that a filter selects new actions, and a new cookie if the change has one. As with
   * OpenFlow 1.0, a change that selects no rule adds its flow.
   * @param strict only the rule with exactly this match and priority, not all that the match covers
   * @returns how many rules were changed or added
   * @throws Refusal as `add`
   */
  modify({ filter, flow }: FlowChange, strict: boolean, nowMs: number): number {
    const selected = this.#select(filter, strict);
    if (selected.length === 0) {
      this.add([flow], nowMs);
      return 1;
    }
    for (const rule of selected) {
      this.#noteState(rule);
      rule.actions = flow.actions;
      rule.modifiedMs = nowMs;
      if (flow.flags.resetCounts) Object.assign(rule, { packets: 0, bytes: 0 });
      if (filter.cookieMask === 0n && flow.cookie !== 0n) {
        this.#tables.get(rule.table)!.setCookie(rule, flow.cookie);
      }
      this.#touch(rule);
    }
    return selected.length;
  }

  /**
   * Deletes the rules that a filter selects.
   * @param strict only the rule with exactly this match and priority, not all that the match covers
   * @returns how many rules were deleted
   */
  delete(filter: FlowFilter, strict: boolean): number {
    const selected = this.#select(filter, strict);
    this.#removeAll(selected, 'delete');
    return selected.length;
  }

  /** Deletes the rules that have an action as wanted. Returns how many. */
  deleteUsers(wanted: (action: Action) => boolean, reason: RemovalReason): number {
    const users = this.dump().filter(({ actions }) => includesAction(actions, wanted));
    this.#removeAll(users, reason);
    return users.length;
  }

  /** Removes the rules that have expired by `nowMs`, and returns them. What was used until then is credited. */
  expire(nowMs: number): Rule[] {
    const expired: Rule[] = [];
    for (let rule = this.#expiring.first; rule && this.expiryMs <= nowMs; rule = this.#expiring.first) {
      const reason = expiryReason(rule, nowMs);
      if (reason) {
        this.#remove(rule, reason);
        expired.push(rule);
      } else this.#expiring.set(rule, expiresMs(rule));
    }
    return expired;
  }

  /** Rules of which somebody wants to know that they went, since the last call. */
  takeRemovals(): Removal[] {
    const removals = this.#removals;
    this.#removals = [];
    return removals;
  }

  /** Rules that may have come, gone or changed what they do since the last call. */
  takeTouched(): Rule[] {
    const touched = [...this.#touched];
    this.#touched = new Set();
    return touched;
  }

  /** Whether a rule is there. */
  has(rule: Rule): boolean {
    return this.#tables.get(rule.table)?.find(rule) === rule;
  }

  /** A rule's time-outs are at most these from now on; 0: as they are. */
  shorten(rule: Rule, idleTimeoutS: number, hardTimeoutS: number): void {
    const least = (now: number, most: number) => (most !== 0 && (now === 0 || now > most) ? most : now);
    rule.idleTimeoutS = least(rule.idleTimeoutS, idleTimeoutS);
    rule.hardTimeoutS = least(rule.hardTimeoutS, hardTimeoutS);
    if (this.has(rule)) this.#requeue(rule);
  }

  hasRoomToLearn(flow: Flow, limit: number): boolean {
    const table = this.#tables.get(flow.table);
    return !table || table.hasRoomToLearn(flow, limit);
  }

  /**
   * Adds a learned flow, or gives the rule with its match and priority its actions: the rule is as young as its
   * last packet at `heardMs`. Returns false when there is no room for it.
   */
  learn(flow: Flow, limit: number, heardMs: number): boolean {
    const rule = this.#tables.get(flow.table)?.find(flow);
    if (rule) {
      if (!isDeepStrictEqual(rule.actions, flow.actions)) {
        rule.actions = flow.actions;
        this.#touch(rule);
      }
      rule.modifiedMs = Math.max(rule.modifiedMs, heardMs);
      rule.usedMs = Math.max(rule.usedMs, heardMs);
      return true;
    }
    if (!this.hasRoomToLearn(flow, limit)) return false;
    try {
      this.add([flow], heardMs);
      return true;
    } catch (error) {
      if (error instanceof Refusal) return false;
      throw error;
    }
  }

  /** The rules that a filter selects loosely, or all: by table, then in the order in which they are tried. */
  dump(filter?: FlowFilter): Rule[] {
    const all = [...this.#tables].sort(([a], [b]) => a - b).flatMap(([, { rules }]) => [...rules]);
    return filter ? all.filter((rule) => passes(rule, filter)) : all;
  }

  #select(filter: FlowFilter, strict: boolean): Rule[] {
    if (!strict) return this.dump(filter);
    const { table, priority, match } = filter;
    const tables = table === undefined ? [...this.#tables.values()] : [this.#tables.get(table)];
    return tables
      .flatMap((one) => one?.find({ priority, match }) ?? [])
      .filter((rule) => passes(rule, filter));
  }

  /** One may take others along. */
  #removeAll(rules: readonly Rule[], reason: RemovalReason): void {
    for (const rule of rules) if (this.has(rule)) this.#remove(rule, reason);
  }

  #remove(rule: Rule, reason: RemovalReason): void {
    this.#take(rule);
    if (rule.flags.sendFlowRemoved) {
      this.#removals.push({ rule, reason });
      this.#journal.note(() => this.#removals.pop());
    }
    for (const action of learnsIn(rule.actions)) if (action.deleteLearned) this.#forgetLearned(action);
  }

  /** Removes what a learn action made, unless another rule has one with the same table and cookie. */
  #forgetLearned({ table, cookie }: LearnAction): void {
    if (!this.#tables.get(table)?.withCookie(cookie)) return;
    const isSame = (other: LearnAction) => other.table === table && other.cookie === cookie;
    const all = this.dump();
    if (all.some(({ actions }) => learnsIn(actions).some(isSame))) return;
    this.#removeAll(
      all.filter((rule) => rule.table === table && rule.cookie === cookie),
      'delete',
    );
  }

  #put(rule: Rule): void {
    this.#insert(rule);
    this.#journal.note(() => this.#extract(rule));
  }

  #take(rule: Rule): void {
    this.#extract(rule);
    this.#journal.note(() => this.#insert(rule));
  }

  #insert(rule: Rule): void {
    this.#table(rule.table).put(rule);
    const expiry = expiresMs(rule);
    if (Number.isFinite(expiry)) this.#expiring.set(rule, expiry);
    this.#size++;
    this.#touch(rule);
  }

  #touch(rule: Rule): void {
    this.#touched.add(rule);
    this.generation++;
  }

  /** The end of a rule in force has changed. */
  #requeue(rule: Rule): void {
    const expiry = expiresMs(rule);
    if (Number.isFinite(expiry)) this.#expiring.set(rule, expiry);
    else this.#expiring.delete(rule);
    this.#tables.get(rule.table)!.reconsider(rule);
  }

  #extract(rule: Rule): void {
    const table = this.#tables.get(rule.table)!;
    table.take(rule);
    if (table.size === 0) this.#tables.delete(rule.table);
    this.#expiring.delete(rule);
    this.#size--;
    this.#touch(rule);
  }

  /** Notes what `modify` may change of a rule. */
  #noteState(rule: Rule): void {
    const { actions, cookie, modifiedMs, packets, bytes } = rule;
    this.#journal.note(() => {
      this.#tables.get(rule.table)!.setCookie(rule, cookie);
      Object.assign(rule, { actions, modifiedMs, packets, bytes });
      // It may have been put back with the end that the change had given it.
      this.#requeue(rule);
      this.#touch(rule);
    });
  }

  #table(number: number): Table {
    let table = this.#tables.get(number);
    if (!table) {
      table = new Table(this.#limits.tables[number]?.overflow === 'evict');
      this.#tables.set(number, table);
    }
    return table;
  }
}

/** The learn actions of a list, also inside others. */
function learnsIn(actions: readonly Action[]): LearnAction[] {
  const found: LearnAction[] = [];
  includesAction(actions, (action) => {
    if (action.kind === 'learn') found.push(action);
    return false;
  });
  return found;
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
