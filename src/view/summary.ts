/** What a run came to, at its end. */
import type { PortRow, Summary } from '../model.ts';
import { type Column, table } from './table.ts';
import { count, share, size, time } from './units.ts';

const PORTS: Column<PortRow>[] = [
  { head: 'port', cell: (port) => port.name },
  { head: 'type', cell: (port) => port.type },
  { head: 'received', cell: (port) => count(port.rxPackets), right: true },
  { head: 'bytes', cell: (port) => size(port.rxBytes), right: true },
  { head: 'sent', cell: (port) => count(port.txPackets), right: true },
  { head: 'bytes', cell: (port) => size(port.txBytes), right: true },
  { head: 'dropped', cell: (port) => count(lostAt(port)), right: true },
];

/** Frames that came to a port and did not get in, or out. */
export function lostAt({ rxErrors, rxDropped, rxMissed, txErrors, txDropped }: PortRow): number {
  return rxErrors + rxDropped + rxMissed + txErrors + txDropped;
}

const FATES: Column<{ fate: string; packets: number; note: string }>[] = [
  { head: 'packets', cell: ({ fate }) => fate },
  { head: '', cell: ({ packets }) => count(packets), right: true },
  { head: '', cell: ({ note }) => note },
];

/** Lines of text, the first a title. */
export function summaryText(
  summary: Summary,
  title = `${summary.name} ran for ${time(summary.durationMs)}`,
): string[] {
  const { packetsReceived, packetsForwarded, packetsQueued, cacheHits, classifierHits, upcalls } = summary;
  const lookups = cacheHits + classifierHits + upcalls;
  const copies = summary.copiesForwarded > 0 ? `and ${count(summary.copiesForwarded)} copies` : '';
  const fates = table(FATES, [
    { fate: 'received', packets: packetsReceived, note: '' },
    { fate: 'forwarded', packets: packetsForwarded, note: copies },
    { fate: 'dropped', packets: total(summary.dropped), note: reasons(summary.dropped) },
    { fate: 'queued', packets: packetsQueued, note: '' },
  ]);
  return [
    title,
    '',
    ...table(PORTS, summary.ports),
    '',
    ...fates,
    '',
    `found by cache ${share(cacheHits, lookups)}, classifier ${share(classifierHits, lookups)}, ` +
      `upcall ${share(upcalls, lookups)}; ${count(summary.megaflows)} megaflows`,
  ];
}

/** The sum of what was dropped for each reason. */
export function total(dropped: Readonly<Record<string, number>>): number {
  return Object.values(dropped).reduce((sum, n) => sum + n, 0);
}

/** `flow 1,200, table_miss 30`, most frequent first. */
function reasons(dropped: Readonly<Record<string, number>>): string {
  return Object.entries(dropped)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, n]) => `${reason} ${count(n)}`)
    .join(', ');
}
