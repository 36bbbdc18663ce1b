/**
 * The action set (OpenFlow 1.5.1 §5.6): actions that are carried out in a fixed order, whatever the one in which
 * they were written; also what a bucket has. Of most kinds only the last counts. A set that sends the packet
 * nowhere drops it.
 */
import type { Action } from './action.ts';

type Kind = Action['kind'];

/** Kinds of which the last counts, in order. */
const FIRST: readonly Kind[] = [
  'meter',
  'popVlan',
  'popMpls',
  'pushMpls',
  'pushVlan',
  'decTtl',
  'decMplsTtl',
];
const CHANGES: ReadonlySet<Kind> = new Set<Kind>([
  'set',
  'load',
  'move',
  'push',
  'pop',
  'writeMetadata',
  'learn',
  'clone',
  'sample',
  'ctClear',
]);
/** Where the packet goes: the last of the first of these that there is. */
const LAST: readonly ReadonlySet<Kind>[] = [
  new Set<Kind>(['group']),
  new Set<Kind>(['output', 'outputField', 'inPort', 'local', 'flood', 'all', 'normal', 'controller']),
  new Set<Kind>(['resubmit']),
  new Set<Kind>(['ct']),
];

const outputOf = (actions: readonly Action[]): Action | undefined => {
  for (const kinds of LAST) {
    const found = actions.findLast(({ kind }) => kinds.has(kind));
    if (found) return found;
  }
  return undefined;
};

/** The actions of a set in the order in which they are carried out. */
export function orderActionSet(actions: readonly Action[]): readonly Action[] {
  const output = outputOf(actions);
  if (!output) return [];
  const first = FIRST.flatMap((wanted) => actions.findLast(({ kind }) => kind === wanted) ?? []);
  return [...first, ...actions.filter(({ kind }) => CHANGES.has(kind)), output];
}

/** The port that a set sends to; 0 when it sends to none or not to a port alone. */
export function actionSetOutput(actions: readonly Action[]): number {
  const output = outputOf(actions);
  return output?.kind === 'output' ? output.port : 0;
}
