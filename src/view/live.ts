/** A switch at work: rates between two summaries, as a table for a terminal or as one line for a log. */
import type { PortRow, Summary } from '../model.ts';
import { lostAt, total } from './summary.ts';
import { type Column, table } from './table.ts';
import { bitRate, count, packetRate, share, time } from './units.ts';

type Rate = (now: number, before: number | undefined) => number;

/** Rates are per second of the switch's own clock. */
function ratesBetween(before: Summary, now: Summary): Rate {
  const seconds = (now.durationMs - before.durationMs) / 1000;
  return (value, old = 0) => (seconds > 0 ? Math.max(0, value - old) / seconds : 0);
}

/** Lines of the live view. */
export function liveView(before: Summary, now: Summary): string[] {
  const rate = ratesBetween(before, now);
  const old = new Map(before.ports.map((port) => [port.number, port]));
  const ports: Column<PortRow>[] = [
    { head: 'port', cell: (port) => port.name },
    { head: 'type', cell: (port) => port.type },
    { head: 'state', cell: (port) => port.state },
    {
      head: 'receiving',
      cell: (port) => packetRate(rate(port.rxPackets, old.get(port.number)?.rxPackets)),
      right: true,
    },
    { head: '', cell: (port) => bitRate(rate(port.rxBytes, old.get(port.number)?.rxBytes)), right: true },
    {
      head: 'sending',
      cell: (port) => packetRate(rate(port.txPackets, old.get(port.number)?.txPackets)),
      right: true,
    },
    { head: '', cell: (port) => bitRate(rate(port.txBytes, old.get(port.number)?.txBytes)), right: true },
    { head: 'dropped', cell: (port) => count(lostAt(port)), right: true },
  ];
  const drops: Column<[string, number]>[] = [
    { head: 'dropped because of', cell: ([reason]) => reason },
    { head: 'packets', cell: ([, packets]) => count(packets), right: true },
    {
      head: 'rate',
      cell: ([reason, packets]) => packetRate(rate(packets, before.dropped[reason])),
      right: true,
    },
  ];
  const reasons = Object.entries(now.dropped).sort(([, a], [, b]) => b - a);
  const hits = now.cacheHits - before.cacheHits;
  const lookups = hits + now.classifierHits - before.classifierHits + now.upcalls - before.upcalls;
  return [
    `${now.name}, running for ${time(now.durationMs)}`,
    '',
    ...table(ports, now.ports),
    '',
    `${packetRate(rate(now.packetsForwarded, before.packetsForwarded))} forwarded, ` +
      `${count(now.megaflows)} megaflows, ${share(hits, lookups)} found by cache, ` +
      `${packetRate(rate(now.upcalls, before.upcalls))} upcalls`,
    ...(reasons.length > 0 ? ['', ...table(drops, reasons)] : []),
  ];
}

/** One line: time, packets in and out, drops by reason. */
export function liveLine(before: Summary, now: Summary): string {
  const rate = ratesBetween(before, now);
  const bytes = (summary: Summary) => summary.ports.reduce((sum, port) => sum + port.txBytes, 0);
  const drops = Object.entries(now.dropped)
    .filter(([reason, packets]) => packets > (before.dropped[reason] ?? 0))
    .map(([reason, packets]) => `${reason} ${packetRate(rate(packets, before.dropped[reason]))}`);
  return [
    time(now.durationMs),
    `${packetRate(rate(now.packetsReceived, before.packetsReceived))} received`,
    `${packetRate(rate(now.packetsForwarded, before.packetsForwarded))} forwarded`,
    `${bitRate(rate(bytes(now), bytes(before)))} sent`,
    `${packetRate(rate(total(now.dropped), total(before.dropped)))} dropped${drops.length > 0 ? ` (${drops.join(', ')})` : ''}`,
    `${count(now.megaflows)} megaflows`,
  ].join('  ');
}
