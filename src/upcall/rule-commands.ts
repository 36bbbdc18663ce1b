/** From what `heddle flows`, `groups` and `meters` ask to changes of the rule set, and to lines for people. */

import type { RuleKind } from '../model.ts';
import { plural } from '../plural.ts';
import { type FlowFilter, parseFilter, parseLines } from '../table/parse.ts';
import { type Change, parseBundle, parseChanges } from '../table/parse-bundle.ts';
import { printRule } from '../table/print.ts';
import { printGroup } from '../table/print-group.ts';
import { printMeter } from '../table/print-meter.ts';
import { replacement } from '../table/replace.ts';
import type { Done, Ruleset } from '../table/ruleset.ts';
import type { PortNames, PortNumbers } from '../table/values.ts';
import type { DatapathMeters } from './datapath-meters.ts';
import type { RuleRequest } from './request.ts';
import { groupStatistics, meterStatistics } from './statistics.ts';
import type { Tallies } from './tallies.ts';

/** What the commands look at; everything is credited. */
export interface Facts {
  readonly ruleset: Ruleset;
  readonly tallies: Tallies;
  readonly meters: DatapathMeters;
  readonly names: PortNames;
  readonly numbers: PortNumbers;
  readonly nowMs: number;
}

const KINDS = { flows: 'flow', groups: 'group', meters: 'meter' } as const satisfies Record<RuleKind, string>;
const COMMANDS: Readonly<Record<string, string>> = {
  'modify-strict': 'modify_strict',
  'delete-strict': 'delete_strict',
  'add-or-modify': 'add_or_mod',
};

/** The changes that a request is for; undefined when it only looks. @throws FlowError */
export function changesOf(request: RuleRequest, { ruleset, numbers }: Facts): Change[] | undefined {
  const { kind, action, text } = request;
  switch (action) {
    case 'dump':
    case 'stats':
    case 'snapshot':
      return undefined;
    case 'bundle':
      return parseBundle(text, numbers);
    case 'replace':
      return replacement(parseChanges('flow', 'add', text, numbers), ruleset.tables);
    default:
      return parseChanges(KINDS[kind], COMMANDS[action] ?? action, text, numbers);
  }
}

/** One line for each kind of change that was made. */
export const reportOf = (done: readonly Done[]): string[] =>
  done.map(({ kind, what, count }) => `${plural(count, kind)} ${what}`);

/** What there is, as lines. @throws FlowError */
export function look({ kind, action, text }: RuleRequest, facts: Facts): string[] {
  const { ruleset, names, nowMs } = facts;
  if (action === 'snapshot') return ruleset.snapshot(nowMs, names);
  if (kind === 'flows') return dumpFlows(text, facts);
  if (kind === 'groups') {
    const groups = ruleset.groups.all();
    if (action === 'stats') return groups.map((group) => groupStatistics(group, facts));
    return groups.map(({ group }) => printGroup(group, names));
  }
  const meters = ruleset.meters.all();
  if (action === 'stats') return meters.flatMap((meter) => meterStatistics(meter, facts));
  return meters.flatMap(({ meter }) => printMeter(meter).split('\n'));
}

/** Filters stand one a line; no text selects every flow. */
function dumpFlows(text: string, { ruleset, names, numbers, nowMs }: Facts): string[] {
  const filters: (FlowFilter | undefined)[] = parseLines(text, parseFilter, numbers);
  if (filters.length === 0) filters.push(undefined);
  const rules = new Set(filters.flatMap((filter) => ruleset.tables.dump(filter)));
  return [...rules].map((rule) => printRule(rule, nowMs, names));
}
