/** Zones of connection tracking, as commands name them. */
import { fail, lineToken, parseNumber, splitItems, suggestion, type Token, valueFor } from './syntax.ts';

export const ZONE_MAX = 0xffff;

/** @throws FlowError */
export const parseZone = (token: Token): number => parseNumber(token, 'a zone', ZONE_MAX);

/** Those of which something is to go: `zone=1`, or as Open vSwitch has it `zone=1,2,5`. @throws FlowError */
export function parseZones(text: string): number[] {
  const line = lineToken(text, 1);
  const items = splitItems(line);
  if (items.length === 0) fail(line, 'nothing', 'zone=ZONE');
  return items.map((item, i) => {
    const { name, value } = item;
    if (!value && i > 0) return parseZone(name);
    if (name.text !== 'zone') unknownName(name, ['zone']);
    return parseZone(valueFor(item, 'zone=ZONE'));
  });
}

/** @throws FlowError always */
export function unknownName(name: Token, known: readonly string[]): never {
  return fail(name, `unknown "${name.text}"${suggestion(name.text, known)}`, `one of ${known.join(', ')}`);
}
