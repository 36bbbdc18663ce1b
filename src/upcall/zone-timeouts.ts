/** Timeouts of connections, as the handler sets and lists them; in the arena, as limits are. */

import {
  type Datapath,
  NONE,
  POLICIES,
  TIMEOUT_ICMP_FIRST,
  TIMEOUT_ICMP_REPLY,
  TIMEOUT_TCP_CLOSE,
  TIMEOUT_TCP_ESTABLISHED,
  TIMEOUT_TCP_FIN_WAIT,
  TIMEOUT_TCP_SYN_RECV,
  TIMEOUT_TCP_SYN_SENT,
  TIMEOUT_TCP_TIME_WAIT,
  TIMEOUT_UDP_FIRST,
  TIMEOUT_UDP_MULTIPLE,
  TIMEOUT_UDP_SINGLE,
} from '../datapath.ts';
import type { TimeoutRow } from '../model.ts';
import { plural } from '../plural.ts';
import { parseZoneTimeouts } from '../table/zone-timeouts.ts';
import { parseZones } from '../table/zones.ts';
import { TIMEOUT_NAMES, type TimeoutName, type Timeouts } from '../timeouts.ts';

const NUMBERS: Readonly<Record<TimeoutName, number>> = {
  tcpSynSent: TIMEOUT_TCP_SYN_SENT,
  tcpSynRecv: TIMEOUT_TCP_SYN_RECV,
  tcpEstablished: TIMEOUT_TCP_ESTABLISHED,
  tcpFinWait: TIMEOUT_TCP_FIN_WAIT,
  tcpTimeWait: TIMEOUT_TCP_TIME_WAIT,
  tcpClose: TIMEOUT_TCP_CLOSE,
  udpFirst: TIMEOUT_UDP_FIRST,
  udpSingle: TIMEOUT_UDP_SINGLE,
  udpMultiple: TIMEOUT_UDP_MULTIPLE,
  icmpFirst: TIMEOUT_ICMP_FIRST,
  icmpReply: TIMEOUT_ICMP_REPLY,
};

/** Each has a policy of its own; all other zones share one. */
export const MOST_ZONES_WITH_TIMEOUTS = POLICIES - 1;

/** The default ones, then every zone that has some of its own. */
export function timeoutRows(datapath: Datapath): TimeoutRow[] {
  const { exports } = datapath;
  const seconds = timeoutsOf((which) => exports.defaultTimeout(which));
  const own = [...zonesWithTimeouts(datapath)].map((zone) => ({
    zone,
    seconds: ownTimeouts(datapath, zone),
  }));
  return [{ zone: 'default', seconds }, ...own];
}

/** Returns lines for people. Throws when the text is wrong, or of too many zones; then nothing has changed. */
export function setTimeouts(datapath: Datapath, text: string): string[] {
  const changes = parseZoneTimeouts(text);
  requirePolicies(datapath, [...changes.keys()]);
  let count = 0;
  for (const [zone, timeouts] of changes) {
    giveTimeouts(datapath, zone, timeouts);
    count += Object.keys(timeouts).length;
  }
  return [`${plural(count, 'timeout')} set`];
}

/** Returns lines for people. @throws FlowError, and then nothing has changed */
export function deleteTimeouts(datapath: Datapath, text: string): string[] {
  let count = 0;
  for (const zone of parseZones(text)) {
    count += Object.keys(ownTimeouts(datapath, zone)).length;
    datapath.exports.deleteTimeouts(zone);
  }
  return [`${plural(count, 'timeout')} deleted`];
}

/** Throws when these zones and those that have timeouts already would be too many. */
function requirePolicies(datapath: Datapath, more: readonly number[]): void {
  const zones = new Set([...zonesWithTimeouts(datapath), ...more]);
  if (zones.size <= MOST_ZONES_WITH_TIMEOUTS) return;
  throw new Error(
    `found ${zones.size} zones with timeouts of their own, expected at most ${MOST_ZONES_WITH_TIMEOUTS}`,
  );
}

function* zonesWithTimeouts({ exports }: Datapath): Iterable<number> {
  for (let from = 0; ; ) {
    const zone = exports.nextZoneWithTimeouts(from) >>> 0;
    if (zone === NONE) return;
    yield zone;
    from = zone + 1;
  }
}

/** Gives a zone these timeouts of its own; what it has beside them stays. */
export function giveTimeouts({ exports }: Datapath, zone: number, timeouts: Timeouts): void {
  for (const name of TIMEOUT_NAMES) {
    const seconds = timeouts[name];
    if (seconds !== undefined) exports.setTimeoutOf(zone, NUMBERS[name], seconds * 1000);
  }
}

function ownTimeouts({ exports }: Datapath, zone: number): Timeouts {
  return timeoutsOf((which) => exports.ownTimeout(zone, which));
}

/** Those that are not 0, of what `msOf` says of each. */
function timeoutsOf(msOf: (which: number) => number): Timeouts {
  const timeouts: Timeouts = {};
  for (const name of TIMEOUT_NAMES) {
    const ms = msOf(NUMBERS[name]) >>> 0;
    if (ms !== 0) timeouts[name] = ms / 1000;
  }
  return timeouts;
}
