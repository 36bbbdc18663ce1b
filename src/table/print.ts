/**
 * Flows as `ovs-ofctl` prints them: the normal form of what `parse.ts` reads.
 *
 * Fields stand in a fixed order under their OpenFlow 1.0 names, protocols under their short names, and
 * what is the default is left out. Actions are printed as they were written.
 */
import type { Action } from './action.ts';
import { FIELDS, fieldOf } from './fields.ts';
import type { Match } from './match.ts';
import { DEFAULT_PRIORITY, type Flow } from './parse.ts';
import { meets, PROTOCOLS } from './protocols.ts';
import type { Rule } from './table.ts';
import { type PortNames, printPort, printValue } from './values.ts';

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
      ...(isSet(vid.mask) ? [`dl_vlan=${printValue(vid, VLAN_VID)}`] : []),
      ...(isSet(pcp.mask) ? [`dl_vlan_pcp=${printValue(pcp, VLAN_PCP)}`] : []),
    ];
  }
  return [`vlan_tci=${printValue(tci, VLAN_TCI)}`];
}

/** The match without its priority; empty when every packet matches. */
export function printMatch(match: Match, names?: PortNames): string {
  const { ethType, nwProto, icmpType } = match;
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
    if (!meets(field.requires, ethType, nwProto, icmpType)) continue;
    const masked = match.get(field);
    if (isSet(masked.mask)) parts.push(`${field.matchName}=${printValue(masked, field, names)}`);
    if (field === IN_PORT) parts.push(...printVlan(match));
  }
  return parts.join(',');
}

function printAction(action: Action, names: PortNames | undefined): string {
  switch (action.kind) {
    case 'output':
      return `output:${printPort(action.port, names)}`;
    case 'inPort':
      return 'IN_PORT';
    case 'flood':
    case 'all':
    case 'normal':
      return action.kind.toUpperCase();
    case 'pushVlan':
      return `push_vlan:0x${action.tpid.toString(16)}`;
    case 'popVlan':
      return 'strip_vlan';
    case 'goto':
      return `goto_table:${action.table}`;
    case 'resubmit': {
      const port = action.port === undefined ? '' : printPort(action.port, names);
      return action.table === undefined ? `resubmit:${port}` : `resubmit(${port},${action.table})`;
    }
    case 'set': {
      const { spelling, field } = action;
      if (spelling === 'set_field') return `set_field:${printValue(action, field, names)}->${field.name}`;
      const own = (bytes: Uint8Array) => bytes.map((byte, i) => byte & field.bits[i]!);
      return `${spelling}:${printValue({ value: own(action.value), mask: own(action.mask) }, field)}`;
    }
    default:
      throw new Error(`the action ${action.kind} has no printer yet`);
  }
}

/** The actions after `actions=`. */
export function printActions(actions: readonly Action[], names?: PortNames): string {
  return actions.length === 0 ? 'drop' : actions.map((action) => printAction(action, names)).join(',');
}

function printRest({ priority, match, actions }: Flow, names: PortNames | undefined): string {
  const conditions = [priority === DEFAULT_PRIORITY ? '' : `priority=${priority}`, printMatch(match, names)];
  const said = conditions.filter((text) => text !== '').join(',');
  return `${said && `${said} `}actions=${printActions(actions, names)}`;
}

const printCookie = (cookie: bigint): string => `cookie=0x${cookie.toString(16)}, `;

/** One line as of `ovs-ofctl --no-stats dump-flows`, without the blank at its start. */
export function printFlow(flow: Flow, names?: PortNames): string {
  const cookie = flow.cookie === 0n ? '' : printCookie(flow.cookie);
  const table = flow.table === 0 ? '' : `table=${flow.table}, `;
  return `${cookie}${table}${printRest(flow, names)}`;
}

/** One line as of `ovs-ofctl dump-flows`, without the blank at its start. */
export function printRule(rule: Rule, nowMs: number, names?: PortNames): string {
  const duration = `duration=${((nowMs - rule.createdMs) / 1000).toFixed(3)}s, `;
  const counters = `n_packets=${rule.packets}, n_bytes=${rule.bytes}, `;
  return `${printCookie(rule.cookie)}${duration}table=${rule.table}, ${counters}${printRest(rule, names)}`;
}
