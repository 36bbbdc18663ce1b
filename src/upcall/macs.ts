/** What NORMAL has learned, as rows, a slice at a time. */
import type { MacRow } from '../model.ts';
import type { BridgePort } from '../table/normal.ts';
import type { MacTable } from './mac-table.ts';

/** Some of what was learned, and where to go on; no `next`: that was all. */
export interface MacSlice {
  rows: MacRow[];
  next?: number;
}

export function macSlice(
  macs: MacTable,
  ports: ReadonlyMap<number, BridgePort>,
  from: number,
  nowMs: number,
): MacSlice {
  const { entries, next } = macs.entries(from);
  const rows = entries.map(({ vlan, mac, port, heardMs }) => ({
    vlan,
    mac: formatMac(mac),
    port: ports.get(port)?.name ?? String(port),
    ageSeconds: Math.max(nowMs - heardMs, 0) / 1000,
  }));
  return next === undefined ? { rows } : { rows, next };
}

const formatMac = (mac: number): string =>
  mac
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?=.)/g, '$&:');
