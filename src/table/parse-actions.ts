/**
 * From the text after `actions=` to a list of actions.
 *
 * What OVS refuses is refused here: setting a field that the flow's match does not say packets have,
 * going back with goto_table, instructions out of order, and anything beside `drop`.
 */

import { VLAN_PRESENT } from '../datapath.ts';
import { type Action, type ControllerAction, REASONS, type SampleAction } from './action.ts';
import { requireOrder } from './action-order.ts';
import { ones } from './bytes.ts';
import { bucketContext, type Context, flowContext, nestedContext } from './context.ts';
import type { Match } from './match.ts';
import { parseLearn } from './parse-learn.ts';
import { SETTERS, source } from './parse-set.ts';
import { ETH_MPLS, ETH_MPLS_MULTICAST } from './protocols.ts';
import {
  fail,
  type Item,
  METER_MAX,
  optionsOf,
  parseFrom1,
  parseGroupNumber,
  parseHexBytes,
  parseLongNumber,
  parseMeterNumber,
  parseNumber,
  part,
  splitItems,
  suggestion,
  TABLE_MAX,
  type Token,
  valueFor,
  withoutValue,
} from './syntax.ts';
import { CONTROLLER, LOCAL, type PortNumbers, parsePort } from './values.ts';

const TAG_BIT = VLAN_PRESENT >> 8; // in the key's word 1, whose low byte is the TCI's first
/** Lists one inside another: nobody writes more, and each takes some of the parser's own stack. */
const DEPTH_MAX = 32;
/** The shortest that a packet may be cut to: its Ethernet header. */
const LENGTH_MIN = 14;
const LENGTH_MAX = 0xffff;
const WORD_MAX = 0xffff_ffff;
/** An action on the wire is a multiple of eight bytes long, and a note has ten before its text. */
const NOTE_HEADER = 10;

type Parser = (item: Item, context: Context) => Action;

const parseTable = (token: Token): number => parseNumber(token, 'a table', TABLE_MAX);

const toController = (maxLength: number): ControllerAction => ({
  kind: 'controller',
  reason: 'action',
  maxLength,
  id: 0,
});

const RESERVED = new Map<string, Action>([
  ['in_port', { kind: 'inPort' }],
  ['flood', { kind: 'flood' }],
  ['all', { kind: 'all' }],
  ['normal', { kind: 'normal' }],
  ['local', { kind: 'local' }],
  ['controller', toController(LENGTH_MAX)],
]);

/** What `output:` or nothing but a port means. */
function outputTo(target: Token, { ports }: Context): Action {
  const reserved = RESERVED.get(target.text.toLowerCase());
  if (reserved) return reserved;
  const port = parsePort(target, ports);
  if (port === LOCAL) return { kind: 'local' };
  return port === CONTROLLER ? toController(LENGTH_MAX) : { kind: 'output', port };
}

/** `output(port=PORT,max_len=BYTES)`. */
function truncated(list: Token, context: Context): Action {
  const options = optionsOf(list, ['port', 'max_len']);
  const option = (name: string): Token => {
    const item = options.get(name) ?? fail(list, `output without ${name}`, 'output(port=PORT,max_len=BYTES)');
    return valueFor(item, `${name}=VALUE`);
  };
  const length = option('max_len');
  const maxLength = parseNumber(length, `a length from ${LENGTH_MIN}, or`, WORD_MAX);
  if (maxLength < LENGTH_MIN) fail(length, `"${length.text}"`, `at least ${LENGTH_MIN} bytes`);
  const port = option('port');
  const action = outputTo(port, context);
  if (action.kind === 'output' || action.kind === 'inPort' || action.kind === 'local') {
    return { ...action, maxLength };
  }
  return fail(port, `"${port.text}" with max_len`, 'a port, in_port or local');
}

function output(item: Item, context: Context): Action {
  const value = valueFor(item, 'output:PORT');
  if (value.text.includes('=')) return truncated(value, context);
  const isPort = /^[\d"]/.test(value.text) || context.ports.has(value.text);
  const isField = !isPort && (value.text.includes('[') || isPlainField(value.text));
  return isField ? { kind: 'outputField', source: source(value, context) } : outputTo(value, context);
}

/** Registers may stand without brackets; other names are taken for ports. */
const isPlainField = (text: string): boolean => /^(x{0,2}reg\d+|NXM_|OXM_)/.test(text);

/** `controller`, `controller:BYTES`, `controller(reason=…,max_len=…,id=…,userdata=…,pause,meter_id=…)`. */
function controller({ value }: Item): Action {
  const length = (token: Token) => parseNumber(token, 'a length', LENGTH_MAX);
  if (!value) return toController(LENGTH_MAX);
  if (/^\d/.test(value.text)) return toController(length(value));
  const options = optionsOf(value, ['max_len', 'reason', 'id', 'userdata', 'pause', 'meter_id']);
  const number = (name: string, max: number, otherwise: number): number => {
    const item = options.get(name);
    return item ? parseNumber(valueFor(item, `${name}=NUMBER`), `${name}`, max) : otherwise;
  };
  const userdata = options.get('userdata')?.value;
  const reason = options.get('reason');
  const pause = options.get('pause');
  if (pause) withoutValue(pause);
  const bytes = userdata && parseHexBytes(userdata);
  return {
    ...toController(number('max_len', LENGTH_MAX, LENGTH_MAX)),
    ...(reason ? { reason: parseReason(valueFor(reason, 'reason=WHY')) } : {}),
    id: number('id', 0xffff, 0),
    ...(bytes && bytes.length > 0 ? { userdata: bytes } : {}),
    ...(pause ? { pause: true } : {}),
    ...(options.has('meter_id') ? { meter: number('meter_id', METER_MAX, 0) } : {}),
  };
}

function parseReason(token: Token): ControllerAction['reason'] {
  const known = REASONS.find((reason) => reason === token.text);
  return (
    known ??
    fail(token, `unknown reason "${token.text}"${suggestion(token.text, REASONS)}`, REASONS.join(', '))
  );
}

/** `resubmit:PORT`, `resubmit(PORT)`, `resubmit(PORT,TABLE)`, `resubmit(,TABLE)`. */
function resubmit(item: Item, { ports }: Context): Action {
  const value = valueFor(item, 'resubmit(PORT,TABLE)');
  const [port, table, ...more] = splitCommas(value);
  if (more.length > 0) fail(more[0]!, `"${more[0]!.text}"`, 'resubmit(PORT,TABLE)');
  const isOwnPort = port!.text === '' || port!.text.toLowerCase() === 'in_port';
  if (isOwnPort && !table?.text) fail(value, `"${value.text}"`, 'resubmit(PORT,TABLE), with one of the two');
  return {
    kind: 'resubmit',
    port: isOwnPort ? undefined : parsePort(port!, ports),
    table: table?.text ? parseTable(table) : undefined,
  };
}

function splitCommas(token: Token): Token[] {
  let start = 0;
  return token.text.split(',').map((text) => {
    const blanks = text.length - text.trimStart().length;
    const piece = part(token, start + blanks, start + blanks + text.trim().length);
    start += text.length + 1;
    return piece;
  });
}

function pushVlan(item: Item, context: Context): Action {
  const value = valueFor(item, 'push_vlan:0x8100 or push_vlan:0x88a8');
  const tpid = Number(value.text);
  if (tpid !== 0x8100 && tpid !== 0x88a8) fail(value, `"${value.text}"`, '0x8100 or 0x88a8');
  context.tags++;
  return { kind: 'pushVlan', tpid };
}

function popVlan(item: Item, context: Context): Action {
  withoutValue(item);
  context.tags = Math.max(0, context.tags - 1);
  return { kind: 'popVlan' };
}

/** What is behind a label is unknown, until the label is gone and the action says what was behind it. */
function pushMpls(item: Item, context: Context): Action {
  const value = valueFor(item, 'push_mpls:0x8847 or push_mpls:0x8848');
  const ethType = Number(value.text);
  if (ethType !== ETH_MPLS && ethType !== ETH_MPLS_MULTICAST) {
    fail(value, `"${value.text}"`, '0x8847 or 0x8848');
  }
  Object.assign(context, { ethType, nwProto: undefined, icmpType: undefined });
  return { kind: 'pushMpls', ethType };
}

function popMpls(item: Item, context: Context): Action {
  const value = valueFor(item, 'pop_mpls:ETHERTYPE');
  const ethType = parseNumber(value, 'an Ethernet type', 0xffff);
  Object.assign(context, { ethType, nwProto: undefined, icmpType: undefined });
  return { kind: 'popMpls', ethType };
}

/** `dec_ttl`, `dec_ttl(CONTROLLER,…)`. */
function decTtl({ value }: Item): Action {
  const listed = value && value.text.trim() !== '' ? splitCommas(value) : [];
  return {
    kind: 'decTtl',
    controllers: listed.map((token) => parseNumber(token, 'a controller', 0xffff)),
  };
}

function gotoTable(item: Item, { table }: Context): Action {
  const value = valueFor(item, 'goto_table:TABLE');
  const target = parseTable(value);
  if (target <= table) fail(value, `"${value.text}"`, `a table after ${table}`);
  return { kind: 'goto', table: target };
}

function writeMetadata(item: Item): Action {
  const value = valueFor(item, 'write_metadata:VALUE[/MASK]');
  const slash = value.text.indexOf('/');
  const number = (token: Token) => parseLongNumber(token, 'a number', ones(64));
  const mask = slash < 0 ? ones(64) : number(part(value, slash + 1));
  return { kind: 'writeMetadata', value: number(slash < 0 ? value : part(value, 0, slash)), mask };
}

function sample(item: Item, { ports }: Context): SampleAction {
  const known = ['probability', 'collector_set_id', 'obs_domain_id', 'obs_point_id', 'sampling_port'];
  const value = valueFor(item, 'sample(probability=SHARE)');
  const options = optionsOf(value, [...known, 'ingress', 'egress']);
  const number = (name: string): number => {
    const option = options.get(name);
    return option ? parseNumber(valueFor(option, `${name}=NUMBER`), name, WORD_MAX) : 0;
  };
  const share =
    options.get('probability') ?? fail(value, 'sample without probability', 'probability=1 to 65535');
  const port = options.get('sampling_port');
  const [ingress, egress] = [options.get('ingress'), options.get('egress')];
  if (ingress && egress) fail(egress.name, '"egress" beside ingress', 'one of the two');
  for (const word of [ingress, egress]) if (word) withoutValue(word);
  return {
    kind: 'sample',
    probability: parseFrom1(valueFor(share, 'probability=SHARE'), 'a probability', 0xffff),
    collectorSet: number('collector_set_id'),
    domain: number('obs_domain_id'),
    point: number('obs_point_id'),
    ...(port ? { samplingPort: parsePort(valueFor(port, 'sampling_port=PORT'), ports) } : {}),
    ...(ingress || egress ? { direction: ingress ? 'ingress' : 'egress' } : {}),
  };
}

/** `conjunction(ID,CLAUSE/CLAUSES)`. */
function conjunction(item: Item): Action {
  const value = valueFor(item, 'conjunction(ID,CLAUSE/CLAUSES)');
  const [id, clauses, ...more] = splitCommas(value);
  const slash = clauses?.text.indexOf('/') ?? -1;
  if (!clauses || slash < 0 || more.length > 0) {
    fail(value, `"${value.text}"`, 'conjunction(ID,CLAUSE/CLAUSES)');
  }
  const of = parseNumber(part(clauses, slash + 1), 'a number of clauses', 64);
  if (of < 2) fail(clauses, `"${clauses.text}"`, 'from 2 to 64 clauses');
  const clause = parseFrom1(part(clauses, 0, slash), 'a clause', of);
  return { kind: 'conjunction', id: parseNumber(id!, 'a conjunction', WORD_MAX), clause, of };
}

/** Filled up with zeros as OVS does, so that what is printed is what was meant. */
function note({ value }: Item): Action {
  const given = value ? parseHexBytes(value) : new Uint8Array();
  const bytes = new Uint8Array(Math.ceil((NOTE_HEADER + given.length) / 8) * 8 - NOTE_HEADER);
  bytes.set(given);
  return { kind: 'note', bytes };
}

function nested(item: Item, around: Context, place: 'actionSet' | 'nested'): Action[] {
  const value = item.value ?? fail(item.name, `"${item.name.text}" alone`, `${item.name.text}(ACTIONS)`);
  if (around.depth >= DEPTH_MAX) fail(item.name, 'too many lists one inside another', `at most ${DEPTH_MAX}`);
  return parseList(splitItems(value), nestedContext(around, place));
}

const plain =
  (action: Action): Parser =>
  (item) => {
    withoutValue(item);
    return action;
  };

const PARSERS: ReadonlyMap<string, Parser> = new Map<string, Parser>([
  ['output', output],
  ['controller', controller],
  ['resubmit', resubmit],
  ['push_vlan', pushVlan],
  ['pop_vlan', popVlan],
  ['strip_vlan', popVlan],
  ...SETTERS,
  ['push_mpls', pushMpls],
  ['pop_mpls', popMpls],
  ['dec_ttl', decTtl],
  ['dec_mpls_ttl', plain({ kind: 'decMplsTtl' })],
  ['group', (item) => ({ kind: 'group', group: parseGroupNumber(valueFor(item, 'group:GROUP')) })],
  ['clone', (item, context) => ({ kind: 'clone', actions: nested(item, context, 'nested') })],
  ['sample', sample],
  [
    'learn',
    (item, context) => parseLearn(item.value ?? fail(item.name, '"learn" alone', 'learn(…)'), context),
  ],
  ['conjunction', conjunction],
  ['note', note],
  ['exit', plain({ kind: 'exit' })],
  ['meter', (item) => ({ kind: 'meter', meter: parseMeterNumber(valueFor(item, 'meter:METER')) })],
  ['clear_actions', plain({ kind: 'clearActions' })],
  [
    'write_actions',
    (item, context) => ({ kind: 'writeActions', actions: nested(item, context, 'actionSet') }),
  ],
  ['write_metadata', writeMetadata],
  ['goto_table', gotoTable],
]);

const KNOWN = ['drop', ...PARSERS.keys(), 'IN_PORT', 'FLOOD', 'ALL', 'NORMAL', 'LOCAL'];

/** Actions of OVS that have no meaning here. */
const LATER = new Set(
  `ct ct_clear nat enqueue multipath bundle bundle_load check_pkt_larger set_queue pop_queue fin_timeout
   encap decap dec_nsh_ttl delete_field debug_recirc debug_slow table unroll_xlate`.split(/\s+/),
);

function parseAction(item: Item, context: Context): Action {
  const { name, value } = item;
  const word = name.text.toLowerCase();
  const parser = PARSERS.get(word);
  if (parser) return parser(item, context);
  if (LATER.has(word)) fail(name, `"${name.text}" is not supported`, `one of ${KNOWN.join(', ')}`);
  if (!value && (RESERVED.has(word) || /^[\d"]/.test(word) || context.ports.has(name.text))) {
    return outputTo(name, context);
  }
  const near = suggestion(name.text, [...KNOWN, ...context.ports.keys()]);
  return fail(name, `unknown action "${name.text}"${near}`, `one of ${KNOWN.join(', ')}, or a port`);
}

/** A list of actions; none, like `drop` alone, drops. Writing none to the action set is nothing to do. */
function parseList(items: readonly Item[], context: Context): Action[] {
  const drop = items.find(({ name }) => name.text.toLowerCase() === 'drop');
  if (drop) {
    withoutValue(drop);
    if (items.length > 1) fail(drop.name, '"drop" beside other actions', 'drop alone');
    return [];
  }
  const placed = items.map((item) => ({ at: item.name, action: parseAction(item, context) }));
  requireOrder(placed, context.place);
  return placed
    .map(({ action }) => action)
    .filter((action) => action.kind !== 'writeActions' || action.actions.length > 0);
}

/**
 * @param items the actions in order; none, like `drop` alone, drops
 * @param match the flow's, which says what fields a packet has
 * @param table the flow's
 * @throws FlowError
 */
export function parseActions(
  items: readonly Item[],
  match: Match,
  table: number,
  ports: PortNumbers,
): Action[] {
  const isTagged = (match.value[1]! & match.mask[1]! & TAG_BIT) !== 0;
  return parseList(items, flowContext(match, table, isTagged, ports));
}

/** The actions of a group's bucket. @throws FlowError */
export const parseBucketActions = (items: readonly Item[], ports: PortNumbers): Action[] =>
  parseList(items, bucketContext(ports));
