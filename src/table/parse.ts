/**
 * Flow syntax: the text that `ovs-ofctl` takes and the text that its `dump-flows` prints.
 *
 *     table=0,priority=10,ip,nw_dst=10.0.0.0/8,actions=output:2
 */
import type { Action } from './action.ts';
import type { Match } from './match.ts';
import { parseActions, TABLE_MAX } from './parse-actions.ts';
import { parseMatch } from './parse-match.ts';
import { fail, type Item, parseNumber, part, splitItems, type Token } from './syntax.ts';
import { type PortNumbers, parsePort } from './values.ts';

export const DEFAULT_PRIORITY = 32768;
const COOKIE_BITS = 0xffff_ffff_ffff_ffffn;

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
}

/** Gives the rules that pass `filter` the actions of `flow`; adds `flow` where there are none. */
export interface FlowChange {
  readonly filter: FlowFilter;
  readonly flow: Flow;
}

const NO_FLAGS: FlowFlags = {
  sendFlowRemoved: false,
  checkOverlap: false,
  resetCounts: false,
  noPacketCounts: false,
  noByteCounts: false,
};

/** What `dump-flows` prints about a rule's past. */
const IGNORED = new Set(['duration', 'n_packets', 'n_bytes', 'idle_age', 'hard_age', 'reset_counts']);

const LATER = new Set(['idle_timeout', 'hard_timeout', 'importance', 'send_flow_rem', 'check_overlap']);

interface Cookie {
  readonly value: bigint;
  readonly mask: bigint | undefined;
  readonly at: Token;
}

interface Properties {
  table?: number;
  priority?: number;
  cookie?: Cookie;
  outPort?: { readonly port: number; readonly at: Token };
  readonly match: Match;
}

function parseCookie(token: Token): Cookie {
  const parts = /^(0x[0-9a-f]+|\d+)(?:\/(-1|0x[0-9a-f]+|\d+))?$/i.exec(token.text);
  const value = parts ? BigInt(parts[1]!) : -1n;
  const mask = parts?.[2] === undefined ? undefined : BigInt.asUintN(64, BigInt(parts[2]));
  if (value < 0n || value > COOKIE_BITS)
    fail(token, `"${token.text}"`, 'a cookie of 64 bits, such as 0x5 or 0x5/-1');
  return { value, mask, at: token };
}

/** Everything before `actions=`. */
function parseProperties(text: Token, ports: PortNumbers): Properties {
  const found: Omit<Properties, 'match'> = {};
  const fields: Item[] = [];
  for (const item of splitItems(text)) {
    const { name } = item;
    if (IGNORED.has(name.text)) continue;
    if (LATER.has(name.text)) fail(name, `"${name.text}" is not supported yet`, 'a flow without it');
    const value = (): Token =>
      item.value ?? fail(name, `"${name.text}" without a value`, `${name.text}=VALUE`);
    if (name.text === 'table') found.table = parseNumber(value(), 'a table', TABLE_MAX);
    else if (name.text === 'priority') found.priority = parseNumber(value(), 'a priority', 65535);
    else if (name.text === 'cookie') found.cookie = parseCookie(value());
    else if (name.text === 'out_port') found.outPort = { port: parsePort(value(), ports), at: name };
    else fields.push(item);
  }
  return { ...found, match: parseMatch(fields, ports) };
}

const whole = (text: string, line: number): Token => ({ text, line, column: 1 });

/** Cuts a flow's text before and after `actions=`; the second is undefined when there is none. */
function cutActions(text: Token): [Token, Token | undefined] {
  const mark = /(?:^|[\s,])actions?\s*=/.exec(text.text);
  return mark ? [part(text, 0, mark.index), part(text, mark.index + mark[0].length)] : [text, undefined];
}

function filterOf({ table, priority, match, cookie, outPort }: Properties): FlowFilter {
  return {
    table,
    match,
    priority: priority ?? DEFAULT_PRIORITY,
    outPort: outPort?.port,
    cookie: cookie?.value ?? 0n,
    cookieMask: cookie?.mask ?? 0n,
  };
}

function flowOf(properties: Properties, actions: Token | undefined, text: Token, ports: PortNumbers): Flow {
  const { priority = DEFAULT_PRIORITY, table = 0, match, cookie } = properties;
  const end = part(text, text.text.length);
  const list = actions ?? fail(end, 'the end of the flow', '"actions=" and what to do');
  return {
    table,
    priority,
    match,
    cookie: cookie?.value ?? 0n,
    idleTimeoutS: 0,
    hardTimeoutS: 0,
    importance: 0,
    flags: NO_FLAGS,
    actions: parseActions(splitItems(list), match, table, ports),
  };
}

function parseAddition(text: Token, ports: PortNumbers): Flow {
  const [before, actions] = cutActions(text);
  const properties = parseProperties(before, ports);
  const { cookie, outPort } = properties;
  if (cookie?.mask !== undefined) fail(cookie.at, `"${cookie.at.text}"`, 'a cookie without a mask');
  if (outPort) fail(outPort.at, '"out_port" in a flow', 'it only where flows are deleted or listed');
  return flowOf(properties, actions, text, ports);
}

/**
 * Reads one flow.
 * @param ports port numbers by name; without it ports go by number
 * @param line where the text stands, for errors
 * @throws FlowError
 */
function parseFlow(text: string, ports: PortNumbers = new Map(), line = 1): Flow {
  return parseAddition(whole(text, line), ports);
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
 * Reads which flows to dump or delete: a match, `table`, `priority`, `cookie=VALUE/MASK`, `out_port`.
 * @throws FlowError
 */
export function parseFilter(text: string, ports: PortNumbers = new Map(), line = 1): FlowFilter {
  const [before, actions] = cutActions(whole(text, line));
  if (actions) fail(actions, '"actions="', 'a match alone');
  const properties = parseProperties(before, ports);
  const { cookie } = properties;
  if (cookie && cookie.mask === undefined) {
    fail(cookie.at, `"${cookie.at.text}"`, `a mask as well, such as cookie=${cookie.at.text}/-1`);
  }
  return filterOf(properties);
}

/**
 * Reads a change to flows that are there. A cookie with a mask chooses flows, one without is their new one.
 * @throws FlowError
 */
export function parseChange(text: string, ports: PortNumbers = new Map(), line = 1): FlowChange {
  const token = whole(text, line);
  const [before, actions] = cutActions(token);
  const properties = parseProperties(before, ports);
  return { filter: filterOf(properties), flow: flowOf(properties, actions, token, ports) };
}
