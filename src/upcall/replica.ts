/**
 * The tables as a thread of the slow path has them: rules by the numbers under which their packets are counted,
 * groups, meters and ports. It only follows what their owner says, and is looked up in.
 */
import type { Subject } from '../table/classifier.ts';
import type { Group } from '../table/group.ts';
import type { BridgePort } from '../table/normal.ts';
import type { Flow } from '../table/parse.ts';
import type { Rule } from '../table/rule.ts';
import { Table } from '../table/table.ts';
import type { LookUps } from '../table/tables.ts';
import type { RuleChange, TableChange } from './change.ts';
import type { PortName } from './request.ts';

interface NumberedGroup {
  readonly group: Group;
  readonly tallies: ReadonlyMap<number | undefined, number>;
}

export class Replica implements LookUps {
  /** Of the last change that it has followed. */
  version = -1;
  ports: ReadonlyMap<number, BridgePort> = new Map();
  /** The datapath's numbers of meters. */
  readonly meters = new Map<number, number>();
  readonly #tables = new Map<number, Table>();
  readonly #rules = new Map<number, Rule>();
  readonly #numbers = new Map<Rule, number>();
  readonly #groups = new Map<number, NumberedGroup>();
  readonly groups = { get: (id: number) => this.#groups.get(id)?.group };

  /** What it has followed already, because it began with that, is no news. */
  follow(change: TableChange): void {
    if (change.version <= this.version) return;
    this.version = change.version;
    if (change.isWhole) this.#forgetAll();
    this.#changeRules(change.rules);
    for (const { id, group, tallies } of change.groups) {
      if (group) this.#groups.set(id, { group, tallies });
      else this.#groups.delete(id);
    }
    for (const { id, number } of change.meters) {
      if (number === undefined) this.meters.delete(id);
      else this.meters.set(id, number);
    }
    if (change.ports) this.ports = bridgePorts(change.ports);
  }

  rules(table: number): readonly Rule[] {
    return this.#tables.get(table)?.rules ?? [];
  }

  lookUp(table: number, packet: Subject): Rule | undefined {
    return this.#tables.get(table)?.lookUp(packet);
  }

  hasRoomToLearn(flow: Flow, limit: number): boolean {
    return this.#tables.get(flow.table)?.hasRoomToLearn(flow, limit) ?? true;
  }

  /** The number under which a rule's packets are counted. */
  numberOf(rule: Rule): number {
    return this.#numbers.get(rule)!;
  }

  /** Which tally counts a group, or one of its buckets. */
  tallyOf(group: Group, bucket?: number): number | undefined {
    return this.#groups.get(group.id)?.tallies.get(bucket);
  }

  #forgetAll(): void {
    for (const own of [this.#tables, this.#rules, this.#numbers, this.#groups, this.meters]) own.clear();
  }

  /** Those that go first: others may take their place. */
  #changeRules(changes: readonly RuleChange[]): void {
    for (const { number } of changes) this.#take(number);
    for (const { number, rule } of changes) if (rule) this.#put(number, rule);
  }

  #take(number: number): void {
    const rule = this.#rules.get(number);
    if (!rule) return;
    const table = this.#tables.get(rule.table)!;
    table.take(rule);
    if (table.size === 0) this.#tables.delete(rule.table);
    this.#rules.delete(number);
    this.#numbers.delete(rule);
  }

  #put(number: number, rule: Rule): void {
    let table = this.#tables.get(rule.table);
    if (!table) {
      table = new Table(false);
      this.#tables.set(rule.table, table);
    }
    table.put(rule);
    this.#rules.set(number, rule);
    this.#numbers.set(rule, number);
  }
}

/** Ports as NORMAL sees them. */
export function bridgePorts(ports: readonly PortName[]): ReadonlyMap<number, BridgePort> {
  return new Map(
    ports.map(({ number, name, up, forMirrors = false }) => [
      number,
      { name, up, flooded: up && !forMirrors },
    ]),
  );
}
