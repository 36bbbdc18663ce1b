/**
 * Timeouts of connections as one sets them, in seconds, by their names in Open vSwitch:
 *
 *     set zone=5,udp_first=1,udp_single=1 zone=6,icmp_reply=10
 */
import {
  MOST_TIMEOUT_SECONDS,
  ovsName,
  TIMEOUT_NAMES,
  type TimeoutName,
  type Timeouts,
} from '../timeouts.ts';
import { fail, lineToken, parseNumber, splitItems, type Token, valueFor } from './syntax.ts';
import { parseZone, unknownName } from './zones.ts';

const NAMES: ReadonlyMap<string, TimeoutName> = new Map(TIMEOUT_NAMES.map((name) => [ovsName(name), name]));

/** A zone, where it is named, and what follows it. */
interface Said {
  readonly number: number;
  readonly at: Token;
  readonly timeouts: Timeouts;
}

/** By zone. @throws FlowError */
export function parseZoneTimeouts(text: string): ReadonlyMap<number, Timeouts> {
  const line = lineToken(text, 1);
  const zones = new Map<number, Timeouts>();
  let zone: Said | undefined;
  for (const item of splitItems(line)) {
    const { name } = item;
    if (name.text === 'zone') {
      if (zone) requireTimeout(zone);
      zone = { number: parseZone(valueFor(item, 'zone=ZONE')), at: name, timeouts: {} };
      if (zones.has(zone.number)) fail(name, `zone ${zone.number} twice`, 'each zone once');
      zones.set(zone.number, zone.timeouts);
      continue;
    }
    const timeout = NAMES.get(name.text) ?? unknownName(name, ['zone', ...NAMES.keys()]);
    if (!zone) fail(name, `"${name.text}"`, 'zone=ZONE before a timeout');
    if (zone.timeouts[timeout] !== undefined) fail(name, `"${name.text}" twice`, 'it once in a zone');
    const value = valueFor(item, `${name.text}=SECONDS`);
    zone.timeouts[timeout] = parseNumber(value, 'seconds', MOST_TIMEOUT_SECONDS, 1);
  }
  if (!zone) fail(line, 'nothing', 'zone=ZONE,TIMEOUT=SECONDS');
  requireTimeout(zone);
  return zones;
}

function requireTimeout({ number, at, timeouts }: Said): void {
  if (Object.keys(timeouts).length > 0) return;
  fail(at, `zone ${number} without a timeout`, 'TIMEOUT=SECONDS behind it');
}
