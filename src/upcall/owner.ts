/**
 * Owns the tables: everybody who wants them changed or looked at asks it. It is on the control side; the threads
 * that translate keep replicas, which follow each change before whoever asked for it is told that it is made.
 *
 *     asked ─▶ round: all is credited ─▶ made ─▶ change: replicas follow ─▶ round: flows follow ─▶ answered
 *
 * So no packet that comes in after the answer is handled by the tables as they were, nor sent to where a station was
 * before: what the first round credits tells of stations that moved, and in the second flows follow these too.
 */
import { type Arena, Observer, Rounds, TABLES } from '../datapath.ts';
import type { FlowRow, TableRow } from '../model.ts';
import { plural } from '../plural.ts';
import { parseBundle } from '../table/parse-bundle.ts';
import { printFlow } from '../table/print.ts';
import type { Removal, Rule } from '../table/rule.ts';
import { Ruleset } from '../table/ruleset.ts';
import type { GroupChange, MeterChange, RuleChange, TableChange } from './change.ts';
import { DatapathMeters } from './datapath-meters.ts';
import { removalEvent } from './events.ts';
import { Monitors } from './monitors.ts';
import { bridgePorts } from './replica.ts';
import type { OwnerReply, OwnerRequest, PortName, RuleRequest, SlowOptions } from './request.ts';
import { changesOf, type Facts, look, reportOf } from './rule-commands.ts';
import { RuleNumbers } from './rule-numbers.ts';
import { type Steps, takeSteps } from './steps.ts';
import { Tallies } from './tallies.ts';
import type { Told } from './told.ts';

/** Rules that may have expired are looked at so far apart at least. */
const EXPIRY_MS = 50;

export class TableOwner {
  /** Who watches flows that go. */
  readonly monitors = new Monitors();
  readonly #nowMs: () => number;
  readonly #observer: Observer;
  readonly #rounds: Rounds;
  readonly #ruleset: Ruleset;
  readonly #numbers: RuleNumbers;
  readonly #meters: DatapathMeters;
  readonly #tallies: Tallies;
  #ports: readonly PortName[];
  /** The number under which packets are counted for which table 0 had no rule; those of the others follow. */
  readonly #firstMiss: number;
  #version = 0;
  /** Packets that hit a rule, by table, those of rules that went too. */
  readonly #matched = Array<number>(TABLES).fill(0);
  /** Rules that went and may still be credited. */
  #gone: Rule[] = [];
  #expiredMs = Number.NEGATIVE_INFINITY;

  /** With the flows of the options; `nowMs` is the switch clock. */
  constructor(arena: Arena, options: SlowOptions, nowMs: () => number) {
    const observer = new Observer(arena);
    this.#nowMs = nowMs;
    this.#observer = observer;
    this.#rounds = new Rounds(arena);
    this.#ports = options.ports;
    this.#ruleset = new Ruleset(options.rules);
    this.#firstMiss = arena.limits.rules;
    this.#numbers = new RuleNumbers(observer, this.#firstMiss);
    this.#meters = new DatapathMeters(arena);
    this.#tallies = new Tallies(observer);
    this.#ruleset.apply(parseBundle(options.flows, this.#portNumbers), 0);
    takeSteps(this.#takeChange(), () => {}); // nobody follows yet
  }

  get #portNumbers(): ReadonlyMap<string, number> {
    return new Map(this.#ports.map(({ number, name }) => [name, number]));
  }

  /** All that there is, for a replica that begins. A rule that waits for a number comes with the next change. */
  whole(): TableChange {
    return {
      version: this.#version,
      isWhole: true,
      rules: this.#ruleset.tables
        .dump()
        .filter((rule) => this.#numbers.has(rule))
        .map((rule) => this.#ruleChange(rule)),
      groups: this.#ruleset.groups.all().map(({ group: { id } }) => this.#groupChange(id)),
      meters: this.#ruleset.meters.all().map(({ meter: { id } }) => this.#meterChange(id)),
      ports: this.#ports,
    };
  }

  /** Does what is asked, or throws what is wrong with it; then nothing has changed. */
  *ask(request: OwnerRequest): Steps<OwnerReply> {
    switch (request.command) {
      case 'rules':
        return yield* this.#rules(request);
      case 'flows':
        return yield* this.#flows();
      case 'tables':
        return yield* this.#tables();
      case 'ports':
        yield* this.#changePorts(request.ports);
        return [];
      case 'wait':
        return yield* this.#wait();
      case 'purge':
        return yield* this.#purge();
    }
  }

  /** When `expire` has something to do at the earliest. */
  get dueMs(): number {
    return Math.max(this.#ruleset.tables.expiryMs, this.#expiredMs + EXPIRY_MS);
  }

  /** Rules that were not used for long, or are old enough, go. */
  *expire(): Steps<void> {
    this.#expiredMs = this.#nowMs();
    const creditedMs = this.#expiredMs;
    yield* this.#credit();
    if (this.#ruleset.tables.expire(creditedMs).length > 0) yield* this.#carryThrough();
  }

  /** What packets have told those who translate. */
  *hear({ learned, ended }: Told): Steps<void> {
    const { tables } = this.#ruleset;
    for (const { flow, limit, heardMs } of learned) tables.learn(flow, limit, heardMs);
    for (const number of ended) this.#shorten(number);
    const change = yield* this.#takeChange();
    if (change) yield change;
    this.#bury();
  }

  *#rules(request: RuleRequest): Steps<string[]> {
    yield* this.#credit();
    const facts = this.#facts();
    const changes = changesOf(request, facts);
    if (!changes) return look(request, facts);
    const done = this.#ruleset.apply(changes, this.#nowMs());
    yield* this.#carryThrough();
    return reportOf(done);
  }

  *#flows(): Steps<FlowRow[]> {
    yield* this.#credit();
    const names = bridgePorts(this.#ports);
    return this.#ruleset.tables
      .dump()
      .map((rule) => ({ text: printFlow(rule, names), packets: rule.packets, bytes: rule.bytes }));
  }

  *#tables(): Steps<TableRow[]> {
    yield* this.#credit();
    const { tables } = this.#ruleset;
    const rows = this.#matched.map((matched, table) => {
      const lookups = matched + this.#observer.rule(this.#firstMiss + table).packets;
      return { table, rules: tables.rules(table).length, lookups, matched };
    });
    return rows.filter(({ rules, lookups }) => rules + lookups > 0);
  }

  *#changePorts(ports: readonly PortName[]): Steps<void> {
    yield 'round'; // the last that their senders are learned from
    this.#ports = ports;
    yield { ...this.#nothing(), ports };
    yield 'round';
  }

  /**
   * What a round credits may tell that a station is elsewhere, or new: then flows follow in a second. What that one
   * credits came in after this was asked, so there is no third, however many go by one address at once.
   */
  *#wait(): Steps<string[]> {
    const known = this.#observer.stationGeneration();
    yield 'round';
    if (this.#observer.stationGeneration() !== known) yield 'round';
    return ['every flow has been seen to'];
  }

  *#purge(): Steps<string[]> {
    const purged = () => this.#observer.evictions().purge!;
    const before = purged();
    this.#rounds.set('isPurging', 1);
    yield 'round';
    return [`${plural(purged() - before, 'flow')} removed`];
  }

  /** Rules know what their flows have counted. */
  *#credit(): Steps<void> {
    yield 'round';
    this.#numbers.age();
    for (const rule of this.#ruleset.tables.dump()) this.#creditRule(rule);
  }

  #creditRule(rule: Rule): void {
    this.#matched[rule.table]! += this.#numbers.credit(rule);
  }

  /** What has changed takes hold, and who watches is told of flows that went. */
  *#carryThrough(): Steps<void> {
    const change = yield* this.#takeChange();
    if (change) {
      yield change;
      yield 'round';
    }
    this.#bury();
  }

  /** What has changed since the last call, if anything; once there are numbers for what came. */
  *#takeChange(): Steps<TableChange | undefined> {
    const { tables, groups, meters } = this.#ruleset;
    const rules = tables.takeTouched().filter((rule) => tables.has(rule) || this.#numbers.has(rule));
    const [groupIds, meterIds] = [groups.takeTouched(), meters.takeTouched()];
    if (rules.length + groupIds.length + meterIds.length === 0) return undefined;
    yield* this.#awaitNumbers(rules.filter((rule) => !this.#numbers.has(rule)).length);
    this.#meters.sync(meters);
    this.#tallies.sync(groups);
    this.#gone = this.#gone.concat(rules.filter((rule) => !tables.has(rule)));
    return {
      ...this.#nothing(),
      rules: rules.map((rule) => this.#ruleChange(rule)),
      groups: groupIds.map((id) => this.#groupChange(id)),
      meters: meterIds.map((id) => this.#meterChange(id)),
    };
  }

  /** Numbers of rules that went come free after two rounds. */
  *#awaitNumbers(count: number): Steps<void> {
    for (let rounds = 0; this.#numbers.left < count; rounds++) {
      if (rounds > 2)
        throw new RangeError(`${count} rules to be counted; at most ${this.#numbers.left} can be`);
      yield 'round';
      this.#numbers.age();
    }
  }

  /** The next change, in which nothing changes. */
  #nothing(): TableChange {
    const version = ++this.#version;
    return { version, isWhole: false, rules: [], groups: [], meters: [], ports: undefined };
  }

  #ruleChange(rule: Rule): RuleChange {
    const number = this.#numbers.numberOf(rule);
    return { number, rule: this.#ruleset.tables.has(rule) ? { ...rule } : undefined };
  }

  #groupChange(id: number): GroupChange {
    const group = this.#ruleset.groups.get(id);
    const tallies = new Map<number | undefined, number>();
    for (const bucket of group ? [undefined, ...group.buckets.map((one) => one.id)] : []) {
      const number = this.#tallies.numberOf(group!, bucket);
      if (number !== undefined) tallies.set(bucket, number);
    }
    return { id, group, tallies };
  }

  #meterChange(id: number): MeterChange {
    return { id, number: this.#meters.get(id) };
  }

  /** Rules that went get their last packets, and whoever watches is told. */
  #bury(): void {
    for (const rule of this.#gone) {
      this.#creditRule(rule);
      this.#numbers.release(rule);
    }
    this.#gone = [];
    for (const removal of this.#ruleset.tables.takeRemovals()) this.#tell(removal);
  }

  #tell(removal: Removal): void {
    if (this.monitors.areThere) {
      this.monitors.tell(removalEvent(removal, bridgePorts(this.#ports), this.#nowMs()));
    }
  }

  /** A connection has ended: rules with `fin_timeout` that its packets took have less time from now on. */
  #shorten(number: number): void {
    const rule = this.#numbers.ruleOf(number);
    for (const action of rule?.actions ?? []) {
      if (action.kind !== 'finTimeout') continue;
      this.#ruleset.tables.shorten(rule!, action.idleTimeoutS, action.hardTimeoutS);
    }
  }

  #facts(): Facts {
    return {
      ruleset: this.#ruleset,
      tallies: this.#tallies,
      meters: this.#meters,
      names: bridgePorts(this.#ports),
      numbers: this.#portNumbers,
      nowMs: this.#nowMs(),
    };
  }
}
