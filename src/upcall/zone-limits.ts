/** Limits of connections, as the handler sets and lists them. They are in the arena: a handler that dies leaves them. */

import { type Datapath, NONE } from '../datapath.ts';
import type { LimitRow } from '../model.ts';
import { plural } from '../plural.ts';
import { countLimits, parseZoneLimits } from '../table/zone-limits.ts';
import { parseZones } from '../table/zones.ts';

/** That of all, the default, then every zone that has a limit or is counted under the default. */
export function limitRows({ exports }: Datapath): LimitRow[] {
  const inherited = exports.defaultLimit() >>> 0;
  const rows: LimitRow[] = [
    { zone: 'all', limit: exports.connectionLimit(), count: exports.connectionCount() },
    { zone: 'default', limit: inherited === 0 ? null : inherited, count: null },
  ];
  for (let from = 0; ; ) {
    const zone = exports.nextLimitedZone(from) >>> 0;
    if (zone === NONE) return rows;
    const own = exports.zoneLimit(zone) >>> 0;
    rows.push({ zone, limit: own === NONE ? inherited : own, count: exports.zoneCount(zone) >>> 0 });
    from = zone + 1;
  }
}

/** Returns lines for people. @throws FlowError, and then nothing has changed */
export function setLimits({ arena, exports }: Datapath, text: string): string[] {
  const limits = parseZoneLimits(text, arena.limits.connections);
  if (limits.all !== undefined) exports.setConnectionLimit(limits.all);
  if (limits.default !== undefined) exports.setDefaultLimit(limits.default);
  for (const [zone, limit] of limits.zones) exports.setZoneLimit(zone, limit);
  return [`${plural(countLimits(limits), 'limit')} set`];
}

/** The same. */
export function deleteLimits({ exports }: Datapath, text: string): string[] {
  const zones = new Set(parseZones(text).filter((zone) => exports.zoneLimit(zone) >>> 0 !== NONE));
  for (const zone of zones) exports.deleteZoneLimit(zone);
  return [`${plural(zones.size, 'limit')} deleted`];
}
