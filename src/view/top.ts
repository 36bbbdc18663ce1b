/** `heddle top`: a running switch at a glance, from two looks at it. */
import type { PortRow, Summary, ThreadRow, TopPort, TopRow, TopThread } from '../model.ts';
import { type Column, table } from './table.ts';
import { bitRate, count, packetRate, share, time } from './units.ts';

/** What one look at a switch sees. */
export interface Look {
  summary: Summary;
  threads: readonly ThreadRow[];
}

/** What happened between two looks, by the second of the switch's own clock. */
export function topRow(before: Look, now: Look): TopRow {
  const seconds = (now.summary.durationMs - before.summary.durationMs) / 1000;
  const rate = (value: number, old = 0) => (seconds > 0 ? Math.max(0, value - old) / seconds : 0);
  const ports = new Map(before.summary.ports.map((port) => [port.number, port]));
  const threads = new Map(before.threads.map((thread) => [thread.number, thread]));
  return {
    name: now.summary.name,
    durationMs: now.summary.durationMs,
    threads: now.threads.map((thread) => topThread(thread, threads.get(thread.number), rate)),
    ports: now.summary.ports.map((port) => topPort(port, ports.get(port.number), rate)),
    megaflows: now.summary.megaflows,
    packetsForwardedPerSecond: rate(now.summary.packetsForwarded, before.summary.packetsForwarded),
    upcallsPerSecond: rate(now.summary.upcalls, before.summary.upcalls),
    droppedPerSecond: Object.fromEntries(
      Object.entries(now.summary.dropped).map(([reason, packets]) => [
        reason,
        rate(packets, before.summary.dropped[reason]),
      ]),
    ),
  };
}

type Rate = (value: number, old: number | undefined) => number;

function topThread(thread: ThreadRow, old: ThreadRow | undefined, rate: Rate): TopThread {
  const batches = thread.batches - (old?.batches ?? 0);
  const packets = thread.packets - (old?.packets ?? 0);
  return {
    number: thread.number,
    role: thread.role,
    load: thread.load,
    packetsPerSecond: rate(thread.packets, old?.packets),
    packetsPerBatch: batches > 0 ? packets / batches : 0,
    wakeUpsPerSecond: rate(thread.wakeUps, old?.wakeUps),
    nsPerPacket: thread.stages.reduce((sum, { nsPerPacket }) => sum + nsPerPacket, 0),
    restarts: thread.restarts,
  };
}

function topPort(port: PortRow, old: PortRow | undefined, rate: Rate): TopPort {
  return {
    number: port.number,
    name: port.name,
    state: port.state,
    rxPacketsPerSecond: rate(port.rxPackets, old?.rxPackets),
    rxBytesPerSecond: rate(port.rxBytes, old?.rxBytes),
    txPacketsPerSecond: rate(port.txPackets, old?.txPackets),
    txBytesPerSecond: rate(port.txBytes, old?.txBytes),
    droppedPerSecond: rate(port.rxDropped + port.txDropped, old && old.rxDropped + old.txDropped),
  };
}

const THREADS: Column<TopThread>[] = [
  { head: 'thread', cell: ({ number }) => String(number), right: true },
  { head: 'role', cell: ({ role }) => role },
  { head: 'load', cell: ({ load }) => share(load, 1), right: true },
  { head: 'packets', cell: ({ packetsPerSecond }) => packetRate(packetsPerSecond), right: true },
  { head: 'a batch', cell: ({ packetsPerBatch }) => packetsPerBatch.toFixed(1), right: true },
  { head: 'ns a packet', cell: ({ nsPerPacket }) => nsPerPacket.toFixed(0), right: true },
  { head: 'wake-ups/s', cell: ({ wakeUpsPerSecond }) => count(Math.round(wakeUpsPerSecond)), right: true },
  { head: 'restarts', cell: ({ restarts }) => count(restarts), right: true },
];

const PORTS: Column<TopPort>[] = [
  { head: 'port', cell: ({ name }) => name },
  { head: 'state', cell: ({ state }) => state },
  { head: 'receiving', cell: ({ rxPacketsPerSecond }) => packetRate(rxPacketsPerSecond), right: true },
  { head: '', cell: ({ rxBytesPerSecond }) => bitRate(rxBytesPerSecond), right: true },
  { head: 'sending', cell: ({ txPacketsPerSecond }) => packetRate(txPacketsPerSecond), right: true },
  { head: '', cell: ({ txBytesPerSecond }) => bitRate(txBytesPerSecond), right: true },
  { head: 'dropping', cell: ({ droppedPerSecond }) => packetRate(droppedPerSecond), right: true },
];

const DROPS: Column<[reason: string, rate: number]>[] = [
  { head: 'dropped because of', cell: ([reason]) => reason },
  { head: 'rate', cell: ([, rate]) => packetRate(rate), right: true },
];

/** The lines to draw. */
export function topText(row: TopRow): string[] {
  const drops = Object.entries(row.droppedPerSecond).sort(([, a], [, b]) => b - a);
  return [
    `${row.name}, running for ${time(row.durationMs)}: ${packetRate(row.packetsForwardedPerSecond)} forwarded, ` +
      `${count(row.megaflows)} megaflows, ${packetRate(row.upcallsPerSecond)} upcalls`,
    '',
    ...table(THREADS, row.threads),
    '',
    ...table(PORTS, row.ports),
    ...(drops.length > 0 ? ['', ...table(DROPS, drops)] : []),
  ];
}
