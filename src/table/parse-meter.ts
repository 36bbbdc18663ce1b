/**
 * From text to a meter:
 *
 *     meter=1,kbps,burst,stats,band=type=drop,rate=1000,burst_size=200
 *
 * Bands stand last; each begins with its type.
 */
import type { Band, Meter } from './meter.ts';
import {
  fail,
  type Item,
  lineToken,
  optionsOf,
  parseMeterNumber,
  parseNumber,
  splitItems,
  suggestion,
  valueFor,
  withoutValue,
} from './syntax.ts';

const HEADER = ['meter', 'kbps', 'pktps', 'burst', 'stats'];
const BAND = ['type', 'rate', 'burst_size', 'prec_level'];
const TYPES = ['drop', 'dscp_remark'] as const;
const RATE_MAX = 0xffff_ffff;
const isBands = ({ name }: Item): boolean => name.text === 'band' || name.text === 'bands';

function parseBand(items: readonly Item[], hasBurst: boolean): Band {
  const at = items[0]!.name;
  const options = optionsOf(items, BAND);
  const [kind, rate, burst, level] = BAND.map((name) => options.get(name));
  if (!kind) return fail(at, `"${at.text}"`, 'a band that begins with type=drop');
  const text = valueFor(kind, 'type=drop');
  const type =
    TYPES.find((known) => known === text.text) ??
    fail(text, `unknown band "${text.text}"${suggestion(text.text, TYPES)}`, TYPES.join(' or '));
  const number = (item: Item, max = RATE_MAX) =>
    parseNumber(valueFor(item, `${item.name.text}=NUMBER`), item.name.text, max, 1);
  if (!rate) return fail(at, 'a band without rate', 'rate=NUMBER');
  if (hasBurst && !burst)
    fail(at, 'a band without burst_size', 'burst_size=NUMBER, since the meter has burst');
  if (!hasBurst && burst)
    fail(burst.name, '"burst_size" of a meter without burst', '"burst" before the bands');
  if (level && type === 'drop') fail(level.name, '"prec_level" of a band that drops', 'type=dscp_remark');
  if (!level && type !== 'drop') fail(at, 'a band without prec_level', 'prec_level=NUMBER');
  return {
    type,
    rate: number(rate),
    burst: burst ? number(burst) : 0,
    ...(level ? { precLevel: number(level, 0xff) } : {}),
  };
}

/**
 * Reads one meter.
 * @param line where the text stands, for errors
 * @throws FlowError
 */
export function parseMeter(text: string, line = 1): Meter {
  const token = lineToken(text, line);
  const items = splitItems(token);
  const first = items.findIndex(isBands);
  if (first < 0) fail(token, 'a meter without bands', 'bands=type=drop,rate=NUMBER');
  const options = optionsOf(items.slice(0, first), HEADER);
  const [id, kbps, pktps, burst, stats] = HEADER.map((name) => options.get(name));
  for (const word of [kbps, pktps, burst, stats]) if (word) withoutValue(word);
  if (!id) return fail(token, 'a meter without its number', 'meter=NUMBER');
  if (!kbps === !pktps) fail(token, 'a meter of no unit, or of two', 'kbps or pktps');
  const start = items[first]!;
  const rest = [...(start.value ? splitItems(start.value) : []), ...items.slice(first + 1)];
  if (rest.length === 0) fail(start.name, 'a meter without bands', 'bands=type=drop,rate=NUMBER');
  const bands: Item[][] = [];
  for (const item of rest) {
    if (item.name.text === 'type' || bands.length === 0) bands.push([item]);
    else bands.at(-1)!.push(item);
  }
  return {
    id: parseMeterNumber(valueFor(id, 'meter=NUMBER')),
    unit: kbps ? 'kbps' : 'pktps',
    burst: burst !== undefined,
    stats: stats !== undefined,
    bands: bands.map((band) => parseBand(band, burst !== undefined)),
  };
}
