/** Which actions can be done to a packet of which no more is known than its Ethernet header. */
import type { Action } from './action.ts';
import type { Field } from './fields.ts';
import type { TranslationContext } from './translation.ts';

/** The fields that an action reads or sets by itself. */
function fieldsOf(action: Action): readonly Field[] {
  switch (action.kind) {
    case 'set':
      return [action.field];
    case 'load':
      return [action.to.field];
    case 'move':
      return [action.from.field, action.to.field];
    case 'push':
    case 'pop':
      return [action.what.field];
    case 'outputField':
      return [action.source.field];
    default:
      return [];
  }
}

/** Whether an action needs to know what is behind the Ethernet type. Those in lists inside it count for themselves. */
export function needsHeaders(action: Action, groups: TranslationContext['groups']): boolean {
  switch (action.kind) {
    case 'goto':
    case 'resubmit':
    case 'decTtl':
    case 'decMplsTtl':
    case 'pushMpls':
    case 'popMpls':
    case 'learn':
    case 'ct':
      return true;
    case 'group':
      return groups.get(action.group)?.selection?.method === 'hash';
    default:
      return fieldsOf(action).some(({ requires }) => requires !== undefined);
  }
}
