/** A table looked up the plain way: all rules in order; conjunctions as ovs-fields(7) has them. */

import type { Action } from '../../src/table/action.ts';
import { type Candidate, isBefore } from '../../src/table/classifier.ts';
import { Pipeline } from '../../src/table/fields.ts';

type Clause = Extract<Action, { kind: 'conjunction' }>;

const clausesOf = ({ actions }: Candidate): Clause[] =>
  actions.filter((action): action is Clause => action.kind === 'conjunction');
const isConjunctive = (rule: Candidate): boolean => clausesOf(rule).length > 0;

/** @param words the table key; its `conj_id` is 0 */
export function naiveLookUp<R extends Candidate>(rules: readonly R[], words: Uint32Array): R | undefined {
  const matching = rules
    .filter(({ match }) => match.matches(words))
    .sort((a, b) => (isBefore(a, b) ? -1 : 1));
  const plain = matching.find((rule) => !isConjunctive(rule));
  const soft = matching.filter((rule) => isConjunctive(rule) && rule.priority > (plain?.priority ?? -1));
  for (const priority of new Set(soft.map((rule) => rule.priority))) {
    const clauses = soft.filter((rule) => rule.priority === priority).flatMap(clausesOf);
    const ids = [...new Set(clauses.map(({ id }) => id))].sort((a, b) => a - b);
    for (const id of ids) {
      const own = clauses.filter((clause) => clause.id === id);
      const met = new Set(own.map(({ clause }) => clause));
      if (met.size < own[0]!.of) continue;
      const marked = words.slice();
      new DataView(marked.buffer).setUint32(Pipeline.conjunctionId, id);
      const joined = rules
        .filter((rule) => !isConjunctive(rule) && rule.match.matches(marked))
        .sort((a, b) => (isBefore(a, b) ? -1 : 1))[0];
      if (joined) return joined;
    }
  }
  return plain;
}
