/**
 * What the owner of the tables tells those who keep a replica of them: everything that is different now. Changes
 * come in the order of their versions, each to every replica.
 */
import type { Group } from '../table/group.ts';
import { parseFlow } from '../table/parse.ts';
import { parseGroup } from '../table/parse-group.ts';
import { printFlow } from '../table/print.ts';
import { printGroup } from '../table/print-group.ts';
import type { Rule } from '../table/rule.ts';
import type { PortName } from './request.ts';

/** The rule that has a number now; undefined: none has it. */
export interface RuleChange {
  readonly number: number;
  readonly rule: Rule | undefined;
}

/** A group, undefined when it went, and which tallies count it and its buckets, those that have one. */
export interface GroupChange {
  readonly id: number;
  readonly group: Group | undefined;
  readonly tallies: ReadonlyMap<number | undefined, number>;
}

/** Which meter of the datapath does a meter's work; undefined: there is no such meter. */
export interface MeterChange {
  readonly id: number;
  readonly number: number | undefined;
}

export interface TableChange {
  /** One more than before. */
  readonly version: number;
  /** Whether it is all that there is: what a replica had is no more. */
  readonly isWhole: boolean;
  readonly rules: readonly RuleChange[];
  readonly groups: readonly GroupChange[];
  readonly meters: readonly MeterChange[];
  /** All ports; undefined: as before. */
  readonly ports: readonly PortName[] | undefined;
}

/** A change as it crosses threads: rules and groups as text. */
export interface WrittenChange extends Omit<TableChange, 'rules' | 'groups'> {
  readonly rules: readonly { number: number; id: number; text: string }[];
  readonly groups: readonly { id: number; text: string; tallies: ReadonlyMap<number | undefined, number> }[];
}

export function writeChange(change: TableChange): WrittenChange {
  return {
    ...change,
    rules: change.rules.map(({ number, rule }) => ({
      number,
      id: rule?.id ?? 0,
      text: rule ? printFlow(rule) : '',
    })),
    groups: change.groups.map(({ id, group, tallies }) => ({
      id,
      text: group ? printGroup(group) : '',
      tallies,
    })),
  };
}

export function readChange(written: WrittenChange): TableChange {
  return {
    ...written,
    rules: written.rules.map(({ number, id, text }) => ({
      number,
      rule: text ? readRule(id, text) : undefined,
    })),
    groups: written.groups.map(({ id, text, tallies }) => ({
      id,
      group: text ? parseGroup(text) : undefined,
      tallies,
    })),
  };
}

/** What a rule has seen, and when, its owner knows. */
function readRule(id: number, text: string): Rule {
  return { ...parseFlow(text), id, createdMs: 0, modifiedMs: 0, usedMs: 0, packets: 0, bytes: 0 };
}
