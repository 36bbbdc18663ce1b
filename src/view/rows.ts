/** `heddle show`: which columns each kind of row has. */
import type { Shown, StageRow, ThreadRow } from '../model.ts';
import { ovsName, TIMEOUT_NAMES, type Timeouts } from '../timeouts.ts';
import { type Column, table } from './table.ts';
import { count, share, size, time } from './units.ts';

const optional = (n: number | undefined, print: (n: number) => string) => (n === undefined ? '-' : print(n));
const hex = (address: number) => `0x${address.toString(16).padStart(8, '0')}`;

const portState = ({ state, carrier, sinceSeconds }: Shown['ports']): string =>
  state === 'down' ? `down ${time(1000 * sinceSeconds)}` : carrier ? 'up' : 'no carrier';

/** What tools read as Open vSwitch writes it has lines of its own. */
type Tabular = Exclude<keyof Shown, 'expectations' | 'upcalls'>;

const COLUMNS: { [What in Tabular]: Column<Shown[What]>[] } = {
  ports: [
    { head: '#', cell: (port) => String(port.number), right: true },
    { head: 'port', cell: (port) => port.name },
    { head: 'type', cell: (port) => port.type },
    { head: 'state', cell: portState },
    { head: 'threads', cell: (port) => port.threads.join(' '), right: true },
    { head: 'mtu', cell: (port) => String(port.mtu), right: true },
    { head: 'rx packets', cell: (port) => count(port.rxPackets), right: true },
    { head: 'rx bytes', cell: (port) => count(port.rxBytes), right: true },
    { head: 'errors', cell: (port) => count(port.rxErrors), right: true },
    { head: 'dropped', cell: (port) => count(port.rxDropped), right: true },
    { head: 'missed', cell: (port) => count(port.rxMissed), right: true },
    { head: 'refused', cell: (port) => count(port.upcallsRefused), right: true },
    { head: 'tx packets', cell: (port) => count(port.txPackets), right: true },
    { head: 'tx bytes', cell: (port) => count(port.txBytes), right: true },
    { head: 'errors', cell: (port) => count(port.txErrors), right: true },
    { head: 'dropped', cell: (port) => count(port.txDropped), right: true },
    { head: '', cell: (port) => port.reason },
  ],
  tables: [
    { head: 'table', cell: (one) => String(one.table), right: true },
    { head: 'rules', cell: (one) => count(one.rules), right: true },
    { head: 'lookups', cell: (one) => count(one.lookups), right: true },
    { head: 'matched', cell: (one) => count(one.matched), right: true },
  ],
  flows: [
    { head: 'packets', cell: (flow) => count(flow.packets), right: true },
    { head: 'bytes', cell: (flow) => count(flow.bytes), right: true },
    { head: 'flow', cell: (flow) => flow.text },
  ],
  megaflows: [
    { head: '#', cell: (flow) => String(flow.number), right: true },
    { head: 'packets', cell: (flow) => count(flow.packets), right: true },
    { head: 'bytes', cell: (flow) => count(flow.bytes), right: true },
    { head: 'used', cell: (flow) => `${time(flow.usedMs)} ago`, right: true },
    { head: 'megaflow', cell: (flow) => flow.text },
  ],
  threads: [
    { head: '#', cell: (thread) => String(thread.number), right: true },
    { head: 'role', cell: (thread) => thread.role },
    { head: 'load', cell: (thread) => share(thread.load, 1), right: true },
    { head: 'packets', cell: (thread) => count(thread.packets), right: true },
    { head: 'batches', cell: (thread) => count(thread.batches), right: true },
    { head: 'a batch', cell: (thread) => thread.packetsPerBatch.toFixed(1), right: true },
    { head: 'sleeps', cell: (thread) => count(thread.sleeps), right: true },
    { head: 'wake-ups', cell: (thread) => count(thread.wakeUps), right: true },
    { head: 'restarts', cell: (thread) => count(thread.restarts), right: true },
    { head: 'ports', cell: (thread) => thread.ports.join(' ') },
  ],
  counters: [
    { head: 'counter', cell: (counter) => counter.name },
    { head: 'value', cell: (counter) => count(counter.value), right: true },
  ],
  memory: [
    { head: 'region', cell: (memory) => memory.region },
    { head: 'address', cell: (memory) => hex(memory.address), right: true },
    { head: 'size', cell: (memory) => size(memory.bytes), right: true },
    { head: 'records', cell: (memory) => count(memory.records), right: true },
    { head: 'of bytes', cell: (memory) => count(memory.recordBytes), right: true },
    { head: 'used', cell: (memory) => optional(memory.used, count), right: true },
    { head: 'at most', cell: (memory) => optional(memory.mostUsed, count), right: true },
    { head: 'touched', cell: (memory) => optional(memory.touchedBytes, size), right: true },
  ],
  macs: [
    { head: 'vlan', cell: (mac) => String(mac.vlan), right: true },
    { head: 'address', cell: (mac) => mac.mac },
    { head: 'port', cell: (mac) => mac.port },
    { head: 'age', cell: (mac) => time(mac.ageSeconds * 1000), right: true },
  ],
  mirrors: [
    { head: 'mirror', cell: (mirror) => mirror.name },
    { head: 'from', cell: (mirror) => mirror.from.join(' ') },
    { head: 'to', cell: (mirror) => mirror.to.join(' ') },
    { head: 'output', cell: (mirror) => mirror.output },
  ],
  limits: [
    { head: 'zone', cell: ({ zone }) => String(zone), right: true },
    { head: 'limit', cell: ({ limit }) => (limit === null ? 'none' : count(limit)), right: true },
    { head: 'connections', cell: (row) => (row.count === null ? '-' : count(row.count)), right: true },
  ],
  timeouts: [
    { head: 'zone', cell: ({ zone }) => String(zone), right: true },
    { head: 'seconds', cell: ({ seconds }) => timeoutsText(seconds) },
  ],
  fragments: [
    { head: '', cell: ({ version }) => version },
    { head: 'tracked', cell: ({ tracked }) => (tracked ? 'yes' : 'no') },
    { head: 'least bytes', cell: ({ leastBytes }) => count(leastBytes), right: true },
    { head: 'accepted', cell: ({ accepted }) => count(accepted), right: true },
    { head: 'completed', cell: ({ completed }) => count(completed), right: true },
    { head: 'expired', cell: ({ expired }) => count(expired), right: true },
    { head: 'too small', cell: ({ tooSmall }) => count(tooSmall), right: true },
    { head: 'overlapping', cell: ({ overlapping }) => count(overlapping), right: true },
    { head: 'no room', cell: ({ noRoom }) => count(noRoom), right: true },
    { head: 'held', cell: ({ held }) => count(held), right: true },
    { head: 'at most', cell: ({ most }) => count(most), right: true },
  ],
};

const STAGES: Column<StageRow & { thread: number }>[] = [
  { head: '#', cell: ({ thread }) => String(thread), right: true },
  { head: 'stage', cell: ({ stage }) => stage },
  { head: 'ns a packet', cell: ({ nsPerPacket }) => nsPerPacket.toFixed(1), right: true },
  {
    head: 'cycles',
    cell: ({ cyclesPerPacket }) => cyclesPerPacket.toFixed(0),
    right: true,
  },
  { head: 'timed', cell: ({ packets }) => count(packets), right: true },
];

/** The lines of a table of `rows`; below threads, one of where their time goes. */
export function showRows<What extends Tabular>(what: What, rows: readonly Shown[What][]): string[] {
  const lines = table(COLUMNS[what], rows);
  if (what !== 'threads') return lines;
  const stages = (rows as readonly ThreadRow[]).flatMap(({ number, stages }) =>
    stages.map((stage) => ({ ...stage, thread: number })),
  );
  return stages.length === 0 ? lines : [...lines, '', ...table(STAGES, stages)];
}

/** As one would set them. */
function timeoutsText(seconds: Timeouts): string {
  return TIMEOUT_NAMES.filter((name) => seconds[name] !== undefined)
    .map((name) => `${ovsName(name)}=${seconds[name]}`)
    .join(',');
}
