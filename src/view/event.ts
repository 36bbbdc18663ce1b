/** What monitors are told, one line each. */
import type { SwitchEvent } from '../model.ts';

export function eventLine(event: SwitchEvent): string {
  const at = `${(event.atMs / 1000).toFixed(3)}s`;
  switch (event.kind) {
    case 'packetIn': {
      const { reason, table, cookie, port, controller, length, packet } = event;
      return `${at} packet-in reason=${reason} table=${table} cookie=${cookie} port=${port} controller=${controller} length=${length}: ${packet}`;
    }
    case 'sample': {
      const { table, cookie, port, collectorSet, domain, point, length, packet } = event;
      return `${at} sample table=${table} cookie=${cookie} port=${port} collector_set=${collectorSet} domain=${domain} point=${point} length=${length}: ${packet}`;
    }
    case 'flowRemoved': {
      const { reason, durationSeconds, packets, bytes, flow } = event;
      return `${at} flow-removed reason=${reason} duration=${durationSeconds.toFixed(3)}s n_packets=${packets} n_bytes=${bytes}: ${flow}`;
    }
  }
}
