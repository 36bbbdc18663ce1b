/**
 * Limits of connections as one sets and deletes them:
 *
 *     set default=1000 zone=5,limit=3 zone=6,limit=0          0 as default: none; of a zone: no connection at all
 *     del zone=5,6
 */
import {
  fail,
  type Item,
  lineToken,
  parseNumber,
  splitItems,
  suggestion,
  type Token,
  valueFor,
} from './syntax.ts';

const ZONE_MAX = 0xffff;
/** The number above stands for none. */
const LIMIT_MAX = 0xffff_fffe;

export interface ZoneLimits {
  /** What zones without a limit of their own inherit. */
  readonly default?: number;
  /** By zone. */
  readonly zones: ReadonlyMap<number, number>;
}

const parseZone = (token: Token): number => parseNumber(token, 'a zone', ZONE_MAX);

/** @throws FlowError */
export function parseZoneLimits(text: string): ZoneLimits {
  const line = lineToken(text, 1);
  const zones = new Map<number, number>();
  let inherited: number | undefined;
  let zone: { number: number; at: Item } | undefined;
  for (const item of splitItems(line)) {
    const { name } = item;
    const value = valueFor(item, `${name.text}=NUMBER`);
    if ((name.text === 'limit') !== (zone !== undefined)) {
      fail(name, `"${name.text}"`, zone ? 'limit=NUMBER after a zone' : 'zone=ZONE before a limit');
    }
    switch (name.text) {
      case 'default':
        if (inherited !== undefined) fail(name, '"default" twice', 'it once');
        inherited = parseNumber(value, 'a limit', LIMIT_MAX);
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
        unknown(name, ['default', 'zone', 'limit']);
    }
  }
  if (zone) fail(zone.at.name, `zone ${zone.number} without a limit`, 'limit=NUMBER behind it');
  if (inherited === undefined && zones.size === 0)
    fail(line, 'nothing', 'default=NUMBER or zone=ZONE,limit=NUMBER');
  return { ...(inherited !== undefined && { default: inherited }), zones };
}

/** The zones whose limits are to go: `zone=1`, or as Open vSwitch has it `zone=1,2,5`. @throws FlowError */
export function parseZones(text: string): number[] {
  const line = lineToken(text, 1);
  const items = splitItems(line);
  if (items.length === 0) fail(line, 'nothing', 'zone=ZONE');
  return items.map((item, i) => {
    const { name, value } = item;
    if (!value && i > 0) return parseZone(name);
    if (name.text !== 'zone') unknown(name, ['zone']);
    return parseZone(valueFor(item, 'zone=ZONE'));
  });
}

function unknown(name: Token, known: readonly string[]): never {
  return fail(name, `unknown "${name.text}"${suggestion(name.text, known)}`, `one of ${known.join(', ')}`);
}
