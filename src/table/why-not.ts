/** Why a flow did not apply to a packet that was followed through the tables. */
import type { TraceWhyNot } from '../model.ts';
import { differencesOf, flowRow } from './difference.ts';
import { parseWanted } from './parse.ts';
import { printMatch } from './print.ts';
import type { LookUps } from './tables.ts';
import type { LookUp } from './trace.ts';
import type { PortNames, PortNumbers } from './values.ts';

export interface RoundLookUp extends LookUp {
  readonly recirculation: number;
}

/**
 * Reads a flow, and returns what answers for it.
 * @throws FlowError
 */
export function explain(
  text: string,
  numbers: PortNumbers,
): (tables: LookUps, lookUps: readonly RoundLookUp[], names: PortNames) => TraceWhyNot {
  const { table, priority, match } = parseWanted(text, numbers);
  return (tables, lookUps, names) => {
    const same = tables
      .rules(table)
      .filter((rule) => rule.match.equals(match) && (priority === undefined || rule.priority === priority));
    const said = [
      `table=${table}`,
      priority !== undefined && `priority=${priority}`,
      printMatch(match, names),
    ];
    return {
      flow: said.filter(Boolean).join(','),
      table,
      isThere: same.length > 0,
      lookUps: lookUps
        .filter((lookUp) => lookUp.table === table)
        .map(({ recirculation, words, rule }) => ({
          recirculation,
          applied: rule !== undefined && same.includes(rule),
          differences: differencesOf(words, match, names),
          ...(rule && { winner: flowRow(rule, names) }),
        })),
    };
  };
}
