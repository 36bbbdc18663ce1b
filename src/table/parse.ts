/**
 * Flow syntax: the text that `ovs-ofctl` takes and the text that its `dump-flows` prints.
 *
 *     table=0,priority=10,ip,nw_dst=10.0.0.0/8,actions=output:2
 */
import type { Action } from './action.ts';
import { ones } from './bytes.ts';
import type { Match } from './match.ts';
import { parseActions } from './parse-actions.ts';
import { parseMatch } from './parse-match.ts';
import {
  DEFAULT_PRIORITY,
  fail,
  type Item,
  lineToken,
  parseGroupNumber,
  parseLongNumber,
  parseNumber,
  parseTable,
  part,
  splitItems,
  type Token,
  valueFor,
  withoutValue,
} from './syntax.ts';
import { type PortNumbers, parsePort } from './values.ts';

const COOKIE_BITS = ones(64);
const SECONDS_MAX = 0xffff;

export interface FlowFlags {
  /** Tell controllers when the flow goes. */
  readonly sendFlowRemoved: boolean;
  /** Refuse to add it beside a flow of the same priority that some packet matches as well. */
  readonly checkOverlap: boolean;
  /** `mod` starts counting anew. */
  readonly resetCounts: boolean;
  readonly noPacketCounts: boolean;
  readonly noByteCounts: boolean;
}

/** A flow as it is added: what it matches and what it does. `cookie` is the user's own 64-bit label. */
export interface Flow {
  readonly table: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly match: Match;
  readonly actions: readonly Action[];
  /** The flow goes when it was not used for so long, or when it is so old; 0: never. */
  readonly idleTimeoutS: number;
  readonly hardTimeoutS: number;
  /** What is less important makes room first. */
  readonly importance: number;
  readonly flags: FlowFlags;
}

/** Which rules to dump, change or delete. */
export interface FlowFilter {
  /** Undefined: in every table. */
  readonly table: number | undefined;
  /** Counts only where the filter is applied strictly. */
  readonly priority: number;
  readonly match: Match;
  /** A rule passes when its cookie has these bits where `cookieMask` is set. */
  readonly cookie: bigint;
  readonly cookieMask: bigint;
  /** Only rules that output to this port. */
  readonly outPort: number | undefined;
  /** Only rules that send to this group. */
  readonly outGroup: number | undefined;
}

/** Gives the rules that pass `filter` the actions of `flow`; adds `flow` where there are none. */
export interface FlowChange {
  readonly filter: FlowFilter;
  readonly flow: Flow;
}

/** A flow's flags by the names that they are written under, in the order in which they are printed. */
export const FLAG_NAMES: readonly (readonly [string, keyof FlowFlags])[] = [
  ['send_flow_rem', 'sendFlowRemoved'],
  ['check_overlap', 'checkOverlap'],
  ['reset_counts', 'resetCounts'],
  ['no_packet_counts', 'noPacketCounts'],
  ['no_byte_counts', 'noByteCounts'],
];

const flagKeys = new Map(FLAG_NAMES);

const NO_FLAGS: FlowFlags = {
  sendFlowRemoved: false,
  checkOverlap: false,
  resetCounts: false,
  noPacketCounts: false,
  noByteCounts: false,
};

/** What `dump-flows` prints about a rule's past. */
const IGNORED = new Set(['duration', 'n_packets', 'n_bytes', 'idle_age', 'hard_age']);

interface Cookie {
  readonly value: bigint;
  readonly mask: bigint | undefined;
  readonly at: Token;
}

/** What only a flow that is added or changed can have, as it was written. */
interface Lifetime {
  idleTimeoutS: number;
  hardTimeoutS: number;
  importance: number;
  flags: FlowFlags;
}

interface Properties {
  table?: number;
  priority?: number;
  cookie?: Cookie;
  outPort?: { readonly port: number; readonly at: Token };
  outGroup?: { readonly group: number; readonly at: Token };
  readonly lifetime: Lifetime;
  /** The first word that says something of the lifetime. */
  lifetimeAt?: Token;
  readonly match: Match;
}

function parseCookie(token: Token): Cookie {
  const slash = token.text.indexOf('/');
  const number = (at: Token) => parseLongNumber(at, 'a cookie', COOKIE_BITS);
  if (slash < 0) return { value: number(token), mask: undefined, at: token };
  const mask = part(token, slash + 1);
  return {
    value: number(part(token, 0, slash)),
    mask: mask.text === '-1' ? COOKIE_BITS : number(mask),
    at: token,
  };
}

/** Whether the item was one of a flow's lifetime, which is then noted. */
function parseLifetime(item: Item, lifetime: Lifetime): boolean {
  const { name } = item;
  const number = (what: string, max: number) => parseNumber(valueFor(item, `${name.text}=NUMBER`), what, max);
  const flag = flagKeys.get(name.text);
  if (name.text === 'idle_timeout') lifetime.idleTimeoutS = number('seconds', SECONDS_MAX);
  else if (name.text === 'hard_timeout') lifetime.hardTimeoutS = number('seconds', SECONDS_MAX);
  else if (name.text === 'importance') lifetime.importance = number('an importance', 0xffff);
  else if (flag) {
    withoutValue(item);
    lifetime.flags = { ...lifetime.flags, [flag]: true };
  } else return false;
  return true;
}

/** Everything before `actions=`. */
function parseProperties(text: Token, ports: PortNumbers): Properties {
  const lifetime: Lifetime = { idleTimeoutS: 0, hardTimeoutS: 0, importance: 0, flags: NO_FLAGS };
  const found: Omit<Properties, 'match'> = { lifetime };
  const fields: Item[] = [];
  for (const item of splitItems(text)) {
    const { name } = item;
    if (IGNORED.has(name.text)) continue;
    const value = (): Token => valueFor(item, `${name.text}=VALUE`);
    if (name.text === 'table') found.table = parseTable(value());
    else if (name.text === 'priority') found.priority = parseNumber(value(), 'a priority', 65535);
    else if (name.text === 'cookie') found.cookie = parseCookie(value());
    else if (name.text === 'out_port') found.outPort = { port: parsePort(value(), ports), at: name };
    else if (name.text === 'out_group') found.outGroup = { group: parseGroupNumber(value()), at: name };
    else if (parseLifetime(item, lifetime)) found.lifetimeAt ??= name;
    else fields.push(item);
  }
  return { ...found, match: parseMatch(fields, ports) };
}

/** Cuts a flow's text before and after `actions=`; the second is undefined when there is none. */
function cutActions(text: Token): [Token, Token | undefined] {
  const mark = /(?:^|[\s,])actions?\s*=/.exec(text.text);
  return mark ? [part(text, 0, mark.index), part(text, mark.index + mark[0].length)] : [text, undefined];
}

function filterOf({ table, priority, match, cookie, outPort, outGroup }: Properties): FlowFilter {
  return {
    table,
    match,
    priority: priority ?? DEFAULT_PRIORITY,
    outPort: outPort?.port,
    outGroup: outGroup?.group,
    cookie: cookie?.value ?? 0n,
    cookieMask: cookie?.mask ?? 0n,
  };
}

function flowOf(properties: Properties, actions: Token | undefined, text: Token, ports: PortNumbers): Flow {
  const { priority = DEFAULT_PRIORITY, table = 0, match, cookie, lifetime } = properties;
  const end = part(text, text.text.length);
  const list = actions ?? fail(end, 'the end of the flow', '"actions=" and what to do');
  return {
    table,
    priority,
    match,
    cookie: cookie?.value ?? 0n,
    ...lifetime,
    actions: parseActions(splitItems(list), match, table, ports),
  };
}

function parseAddition(text: Token, ports: PortNumbers): Flow {
  const [before, actions] = cutActions(text);
  const properties = parseProperties(before, ports);
  const { cookie, outPort, outGroup } = properties;
  if (cookie?.mask !== undefined) fail(cookie.at, `"${cookie.at.text}"`, 'a cookie without a mask');
  const filter = outPort ?? outGroup;
  if (filter) fail(filter.at, `"${filter.at.text}" in a flow`, 'it only where flows are deleted or listed');
  return flowOf(properties, actions, text, ports);
}

/**
 * Reads one flow.
 * @param ports port numbers by name; without it ports go by number
 * @param line where the text stands, for errors
 * @throws FlowError
 */
export function parseFlow(text: string, ports: PortNumbers = new Map(), line = 1): Flow {
  return parseAddition(lineToken(text, line), ports);
}

/**
 * Reads one thing a line, with `parse`. Blank lines, comments from `#` on and the headings of `dump-flows` are
 * skipped.
 * @throws FlowError
 */
export function parseLines<T>(
  text: string,
  parse: (text: string, ports: PortNumbers, line: number) => T,
  ports: PortNumbers = new Map(),
): T[] {
  return text.split('\n').flatMap((whole, index) => {
    const line = whole.replace(/#.*/, '').trimEnd();
    const isEmpty = line.trim() === '' || /^(NXST|OFPST)_FLOW reply /.test(line);
    return isEmpty ? [] : [parse(line, ports, index + 1)];
  });
}

/** Reads one flow a line. @throws FlowError */
export function parseFlows(text: string, ports?: PortNumbers): Flow[] {
  return parseLines(text, parseFlow, ports);
}

/**
 * Reads which flows to dump or delete: a match, `table`, `priority`, `cookie=VALUE/MASK`, `out_port`,
 * `out_group`.
 * @throws FlowError
 */
export function parseFilter(text: string, ports: PortNumbers = new Map(), line = 1): FlowFilter {
  const [before, actions] = cutActions(lineToken(text, line));
  if (actions) fail(actions, '"actions="', 'a match alone');
  const properties = parseProperties(before, ports);
  const { cookie, lifetimeAt } = properties;
  if (lifetimeAt) fail(lifetimeAt, `"${lifetimeAt.text}"`, 'it only where flows are added or changed');
  if (cookie && cookie.mask === undefined) {
    fail(cookie.at, `"${cookie.at.text}"`, `a mask as well, such as cookie=${cookie.at.text}/-1`);
  }
  return filterOf(properties);
}

/**
 * Reads which flow is meant: its table, 0 if it does not say, its match, and its priority if that matters. What it does
 * is read over.
 * @throws FlowError
 */
export function parseWanted(
  text: string,
  ports: PortNumbers,
): Pick<Flow, 'table' | 'match'> & { readonly priority: number | undefined } {
  const [before] = cutActions(lineToken(text, 1));
  const { table = 0, priority, match } = parseProperties(before, ports);
  return { table, priority, match };
}

/**
 * Reads a change to flows that are there. A cookie with a mask chooses flows, one without is their new one.
 * @throws FlowError
 */
export function parseChange(text: string, ports: PortNumbers = new Map(), line = 1): FlowChange {
  const token = lineToken(text, line);
  const [before, actions] = cutActions(token);
  const properties = parseProperties(before, ports);
  return { filter: filterOf(properties), flow: flowOf(properties, actions, token, ports) };
}
