/** The summary of a run, from what the threads have counted. */
import type { Observer } from '../datapath.ts';
import type { PortRow, Summary } from '../model.ts';

export function summaryOf(name: string, durationMs: number, observer: Observer, ports: PortRow[]): Summary {
  const totals = observer.totals();
  const gone = totals.forwarded + Object.values(totals.dropped).reduce((a, b) => a + b, 0);
  return {
    name,
    durationMs: Math.round(durationMs),
    packetsReceived: totals.received,
    packetsForwarded: totals.forwarded,
    packetsQueued: Math.max(totals.received - gone, 0),
    dropped: totals.dropped,
    copiesForwarded: totals.copiesForwarded,
    copiesDropped: totals.copiesDropped,
    ports,
    megaflows: observer.liveFlows(),
    cacheHits: totals.cacheHits,
    classifierHits: totals.classifierHits,
    upcalls: totals.upcalls,
  };
}
