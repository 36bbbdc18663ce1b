/** Makes the flows be those of a text, as `ovs-ofctl replace-flows` does: what is in both stays as it is. */
import { isDeepStrictEqual } from 'node:util';
import type { Flow } from './parse.ts';
import type { Change } from './parse-bundle.ts';
import type { Rule } from './rule.ts';
import type { Tables } from './tables.ts';

const identityOf = ({ table, priority, match }: Flow): string => `${table} ${priority} ${match.identity}`;

/** Whether a rule is what adding the flow would make, but for its past. */
function isAsWanted(rule: Rule, flow: Flow): boolean {
  const said = ({ cookie, idleTimeoutS, hardTimeoutS, importance, flags, actions }: Flow) => {
    const { sendFlowRemoved, noPacketCounts, noByteCounts } = flags;
    return [
      cookie,
      idleTimeoutS,
      hardTimeoutS,
      importance,
      sendFlowRemoved,
      noPacketCounts,
      noByteCounts,
      actions,
    ];
  };
  return isDeepStrictEqual(said(rule), said(flow));
}

/** The changes that leave just the flows that `additions` add. */
export function replacement(additions: readonly Change[], tables: Tables): Change[] {
  const wanted = new Set<string>();
  const there = new Map(tables.dump().map((rule) => [identityOf(rule), rule]));
  const added = additions.filter((change) => {
    if (change.kind !== 'flow' || change.command !== 'add') return false;
    const identity = identityOf(change.flow);
    wanted.add(identity);
    const rule = there.get(identity);
    return !rule || !isAsWanted(rule, change.flow);
  });
  const at = { text: '', line: 1, column: 1 };
  const deleted = [...there].flatMap(([identity, { table, priority, match }]): Change[] => {
    if (wanted.has(identity)) return [];
    const anyway = { cookie: 0n, cookieMask: 0n, outPort: undefined, outGroup: undefined };
    const filter = { table, priority, match, ...anyway };
    return [{ kind: 'flow', command: 'delete', strict: true, filter, at }];
  });
  return [...deleted, ...added];
}
