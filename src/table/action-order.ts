/**
 * Which actions may stand where. A flow's list has OpenFlow's instructions in one order (OpenFlow 1.5.1
 * §7.2.8 lets the switch order them; `ovs-ofctl` wants them written so): the meter, what is done at once,
 * then what is done to the action set, the metadata, and the next table.
 */
import type { Action } from './action.ts';
import type { Context } from './context.ts';
import { fail, type Token } from './syntax.ts';

interface Placed {
  readonly at: Token;
  readonly action: Action;
}

const ORDER = ['meter', 'actions', 'clear_actions', 'write_actions', 'write_metadata', 'goto_table'];
const INSTRUCTIONS: Partial<Record<Action['kind'], number>> = {
  meter: 0,
  clearActions: 2,
  writeActions: 3,
  writeMetadata: 4,
  goto: 5,
};
const AT_ONCE = 1;

/** What an action set cannot hold. */
const NOT_IN_SET: ReadonlySet<Action['kind']> = new Set([
  'outputField',
  'push',
  'pop',
  'clone',
  'sample',
  'learn',
  'finTimeout',
  'note',
  'exit',
]);

function requireInstructionOrder(list: readonly Placed[]): void {
  let last = 0;
  for (const [i, { at, action }] of list.entries()) {
    const rank = INSTRUCTIONS[action.kind] ?? AT_ONCE;
    if (rank < last)
      fail(at, `"${at.text}" after ${list[i - 1]!.at.text}`, `this order: ${ORDER.join(', ')}`);
    if (rank === last && rank !== AT_ONCE && i > 0) fail(at, `"${at.text}" twice`, 'it once');
    last = rank;
  }
}

/** A flow of a conjunction does nothing itself: what is done is said by the flow that matches conj_id. */
function requireConjunctionAlone(list: readonly Placed[]): void {
  if (!list.some(({ action }) => action.kind === 'conjunction')) return;
  const other = list.find(({ action }) => action.kind !== 'conjunction' && action.kind !== 'note');
  if (other) fail(other.at, `"${other.at.text}" beside conjunction`, 'conjunction and note alone');
}

/** @throws FlowError for an action that cannot stand where it stands */
export function requireOrder(list: readonly Placed[], place: Context['place']): void {
  if (place === 'flow') {
    requireInstructionOrder(list);
    requireConjunctionAlone(list);
    return;
  }
  const where = { actionSet: 'write_actions', nested: 'another action', bucket: 'a bucket' }[place];
  const expected = place === 'actionSet' ? 'what an action set can hold' : "it in the flow's own list";
  for (const { at, action } of list) {
    const isMisplaced =
      action.kind in INSTRUCTIONS ||
      action.kind === 'conjunction' ||
      (place === 'actionSet' && NOT_IN_SET.has(action.kind));
    if (isMisplaced) fail(at, `"${at.text}" inside ${where}`, expected);
  }
}
