/**
 * Flows as `ovs-ofctl` prints them: the normal form of what `parse.ts` reads.
 *
 * Fields stand in a fixed order under their OpenFlow 1.0 names, protocols under their short names, and
 * what is the default is left out. Actions are printed as they were written.
 */
import { FIELDS, fieldOf } from './fields.ts';
import type { Match } from './match.ts';
import { FLAG_NAMES, type Flow, type FlowFlags } from './parse.ts';
import { printActions } from './print-actions.ts';
import { meets, PROTOCOLS } from './protocols.ts';
import type { Rule } from './rule.ts';
import { DEFAULT_PRIORITY } from './syntax.ts';
import { type PortNames, printMatchValue } from './values.ts';

const VLAN_TCI = fieldOf('vlan_tci');
const VLAN_VID = fieldOf('dl_vlan');
const VLAN_PCP = fieldOf('vlan_pcp');
const IN_PORT = fieldOf('in_port');
const FIRST_REGISTER = fieldOf('reg0');

const isSet = (mask: Uint8Array): boolean => mask.some((byte) => byte !== 0);
const isWhole = (mask: Uint8Array, bits: Uint8Array): boolean => mask.every((byte, i) => byte === bits[i]);

/** Tag identifier and priority where each counts in full or not at all, else the raw TCI. */
function printVlan(match: Match): string[] {
  const tci = match.get(VLAN_TCI);
  if (!isSet(tci.mask)) return [];
  const [vid, pcp] = [match.get(VLAN_VID), match.get(VLAN_PCP)];
  const plain = [vid, pcp].every(
    ({ mask }, i) => !isSet(mask) || isWhole(mask, (i === 0 ? VLAN_VID : VLAN_PCP).bits),
  );
  const present = 0x10;
  if (tci.mask[0]! & tci.value[0]! & present && plain && (isSet(vid.mask) || isSet(pcp.mask))) {
    return [
      ...(isSet(vid.mask) ? [`dl_vlan=${printMatchValue(vid, VLAN_VID)}`] : []),
      ...(isSet(pcp.mask) ? [`dl_vlan_pcp=${printMatchValue(pcp, VLAN_PCP)}`] : []),
    ];
  }
  return [`vlan_tci=${printMatchValue(tci, VLAN_TCI)}`];
}

/** The match without its priority; empty when every packet matches. */
export function printMatch(match: Match, names?: PortNames): string {
  const { ethType, nwProto } = match;
  const protocol =
    PROTOCOLS.find((row) => row.ethType === ethType && row.nwProto === nwProto) ??
    PROTOCOLS.find((row) => row.ethType === ethType && row.nwProto === undefined);
  const said = new Set<string>();
  if (protocol) said.add('eth_type');
  if (protocol?.nwProto !== undefined) said.add('nw_proto');
  const parts: string[] = [];
  for (const field of FIELDS) {
    if (field === FIRST_REGISTER && protocol) parts.push(protocol.names[0]!);
    if (!field.printed || said.has(field.name)) continue;
    if (!meets(field.requires, match)) continue;
    const masked = match.get(field);
    if (isSet(masked.mask)) parts.push(`${field.matchName}=${printMatchValue(masked, field, names)}`);
    if (field === IN_PORT) parts.push(...printVlan(match));
  }
  return parts.join(',');
}

/** The flags that are set, each with a blank behind it. */
const printFlags = (flags: FlowFlags): string =>
  FLAG_NAMES.map(([name, key]) => (flags[key] ? `${name} ` : '')).join('');

function printLifetime({ idleTimeoutS, hardTimeoutS, importance, flags }: Flow): string {
  const number = (name: string, value: number) => (value === 0 ? '' : `${name}=${value}, `);
  const timeouts = number('idle_timeout', idleTimeoutS) + number('hard_timeout', hardTimeoutS);
  return timeouts + printFlags(flags) + number('importance', importance);
}

function printRest(flow: Flow, names: PortNames | undefined, ages = ''): string {
  const { priority, match, actions } = flow;
  const conditions = [priority === DEFAULT_PRIORITY ? '' : `priority=${priority}`, printMatch(match, names)];
  const said = conditions.filter((text) => text !== '').join(',');
  return `${printLifetime(flow)}${ages}${said && `${said} `}actions=${printActions(actions, names)}`;
}

const printCookie = (cookie: bigint): string => `cookie=0x${cookie.toString(16)}, `;

/** One line as of `ovs-ofctl --no-stats dump-flows`, without the blank at its start. */
export function printFlow(flow: Flow, names?: PortNames): string {
  const cookie = flow.cookie === 0n ? '' : printCookie(flow.cookie);
  const table = flow.table === 0 ? '' : `table=${flow.table}, `;
  return `${cookie}${table}${printRest(flow, names)}`;
}

/** Whole seconds since it was used, and since it was changed if it was. */
function printAges({ createdMs, modifiedMs, usedMs }: Rule, nowMs: number): string {
  const secondsSince = (ms: number) => Math.floor(Math.max(nowMs - ms, 0) / 1000);
  const hardAge = modifiedMs === createdMs ? '' : `hard_age=${secondsSince(modifiedMs)}, `;
  return `idle_age=${secondsSince(usedMs)}, ${hardAge}`;
}

/** One line as of `ovs-ofctl dump-flows`, without the blank at its start. */
export function printRule(rule: Rule, nowMs: number, names?: PortNames): string {
  const duration = `duration=${((nowMs - rule.createdMs) / 1000).toFixed(3)}s, `;
  const counters = `n_packets=${rule.packets}, n_bytes=${rule.bytes}, `;
  const rest = printRest(rule, names, printAges(rule, nowMs));
  return `${printCookie(rule.cookie)}${duration}table=${rule.table}, ${counters}${rest}`;
}
