/**
 * Limits of connections as one sets them:
 *
 *     set all=100000 default=1000 zone=5,limit=3 zone=6,limit=0
 *
 * 0 as default is none; of a zone it is no connection at all.
 */
import { fail, type Item, lineToken, parseNumber, splitItems, type Token, valueFor } from './syntax.ts';
import { parseZone, unknownName } from './zones.ts';

/** The number above stands for none. */
export const LIMIT_MAX = 0xffff_fffe;

export interface ZoneLimits {
  /** Of connections in all. */
  readonly all?: number;
  /** What zones without a limit of their own inherit. */
  readonly default?: number;
  /** By zone. */
  readonly zones: ReadonlyMap<number, number>;
}

/** @param most what `limits.connections` in the configuration has room for @throws FlowError */
export function parseZoneLimits(text: string, most: number): ZoneLimits {
  const line = lineToken(text, 1);
  const zones = new Map<number, number>();
  const general: { all?: number; default?: number } = {};
  let zone: { number: number; at: Item } | undefined;
  for (const item of splitItems(line)) {
    const { name } = item;
    const value = valueFor(item, `${name.text}=NUMBER`);
    if ((name.text === 'limit') !== (zone !== undefined)) {
      fail(name, `"${name.text}"`, zone ? 'limit=NUMBER after a zone' : 'zone=ZONE before a limit');
    }
    switch (name.text) {
      case 'all':
        once(name, general.all);
        general.all = parseNumber(value, 'a limit within limits.connections,', most);
        break;
      case 'default':
        once(name, general.default);
        general.default = parseNumber(value, 'a limit', LIMIT_MAX);
        break;
      case 'zone':
        zone = { number: parseZone(value), at: item };
        if (zones.has(zone.number)) fail(name, `zone ${zone.number} twice`, 'each zone once');
        break;
      case 'limit':
        zones.set(zone!.number, parseNumber(value, 'a limit', LIMIT_MAX));
        zone = undefined;
        break;
      default:
        unknownName(name, ['all', 'default', 'zone', 'limit']);
    }
  }
  if (zone) fail(zone.at.name, `zone ${zone.number} without a limit`, 'limit=NUMBER behind it');
  const limits = { ...general, zones };
  if (countLimits(limits) === 0)
    fail(line, 'nothing', 'all=NUMBER, default=NUMBER or zone=ZONE,limit=NUMBER');
  return limits;
}

/** How many limits these are. */
export const countLimits = ({ zones, ...general }: ZoneLimits): number =>
  zones.size + Object.keys(general).length;

function once(name: Token, before: number | undefined): void {
  if (before !== undefined) fail(name, `"${name.text}" twice`, 'it once');
}
