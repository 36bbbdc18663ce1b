/** The rows that `heddle show counters` prints: what the threads have counted, all of them together. */
import { type Arena, Lives, type Observer } from '../datapath.ts';
import type { CounterRow } from '../model.ts';

export function counterRows(arena: Arena, observer: Observer): CounterRow[] {
  const { dropped, copiesDropped, ...events } = observer.totals();
  return [
    ...named('', events as unknown as Record<string, number>),
    ...named('', { refusedMoves: new Lives(arena).refused }),
    ...named('', observer.coverage()),
    ...named('evicted.', occurred(observer.evictions())),
    ...named('dropped.', dropped),
    ...named('copiesDropped.', copiesDropped),
  ];
}

/** Of counts by reason those that are not 0. */
export function occurred(counts: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

function named(prefix: string, counts: Record<string, number>): CounterRow[] {
  return Object.entries(counts).map(([name, value]) => ({ name: `${prefix}${name}`, value }));
}
