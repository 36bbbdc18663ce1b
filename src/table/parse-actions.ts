/**
 * From the text after `actions=` to a list of actions.
 *
 * What OVS refuses is refused here: setting a field that the flow's match does not say packets have,
 * going back with goto_table, instructions out of order, and anything beside `drop`.
 */
import { VLAN_PRESENT } from '../datapath.ts';
import type { Action } from './action.ts';
import { requireOrder } from './action-order.ts';
import { ones } from './bytes.ts';
import {
  type ActionParser,
  bucketContext,
  type Context,
  flowContext,
  nestedContext,
  plain,
} from './context.ts';
import type { Match } from './match.ts';
import { CONNECTIONS } from './parse-ct.ts';
import { HEADERS } from './parse-headers.ts';
import { parseLearn } from './parse-learn.ts';
import { isReserved, OUTPUTS, outputTo } from './parse-output.ts';
import { SETTERS } from './parse-set.ts';
import {
  fail,
  type Item,
  optionsOf,
  parseHexBytes,
  parseLongNumber,
  parseMeterNumber,
  parseNumber,
  parseTable,
  part,
  splitCommas,
  splitItems,
  suggestion,
  type Token,
  valueFor,
  withoutValue,
} from './syntax.ts';
import type { PortNumbers } from './values.ts';

const TAG_BIT = VLAN_PRESENT >> 8; // in the key's word 1, whose low byte is the TCI's first
/** Lists one inside another: nobody writes more, and each takes some of the parser's own stack. */
const DEPTH_MAX = 32;
const WORD_MAX = 0xffff_ffff;
/** An action on the wire is a multiple of eight bytes long, and a note has ten before its text. */
const NOTE_HEADER = 10;

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

/** `conjunction(ID,CLAUSE/CLAUSES)`. */
function conjunction(item: Item): Action {
  const value = valueFor(item, 'conjunction(ID,CLAUSE/CLAUSES)');
  const [id, clauses, ...more] = splitCommas(value);
  const slash = clauses?.text.indexOf('/') ?? -1;
  if (!clauses || slash < 0 || more.length > 0) {
    fail(value, `"${value.text}"`, 'conjunction(ID,CLAUSE/CLAUSES)');
  }
  const of = parseNumber(part(clauses, slash + 1), 'a number of clauses', 64, 2);
  const clause = parseNumber(part(clauses, 0, slash), 'a clause', of, 1);
  return { kind: 'conjunction', id: parseNumber(id!, 'a conjunction', WORD_MAX), clause, of };
}

/** Filled up with zeros as OVS does, so that what is printed is what was meant. */
function note({ value }: Item): Action {
  const given = value ? parseHexBytes(value) : new Uint8Array();
  const bytes = new Uint8Array(Math.ceil((NOTE_HEADER + given.length) / 8) * 8 - NOTE_HEADER);
  bytes.set(given);
  return { kind: 'note', bytes };
}

function finTimeout({ value }: Item): Action {
  const options = optionsOf(value ? splitItems(value) : [], ['idle_timeout', 'hard_timeout']);
  const seconds = (option: string): number => {
    const item = options.get(option);
    return item ? parseNumber(valueFor(item, `${option}=NUMBER`), 'seconds', 0xffff) : 0;
  };
  return { kind: 'finTimeout', idleTimeoutS: seconds('idle_timeout'), hardTimeoutS: seconds('hard_timeout') };
}

function nested(item: Item, around: Context, place: 'actionSet' | 'nested'): Action[] {
  const value = item.value ?? fail(item.name, `"${item.name.text}" alone`, `${item.name.text}(ACTIONS)`);
  if (around.depth >= DEPTH_MAX) fail(item.name, 'too many lists one inside another', `at most ${DEPTH_MAX}`);
  return parseList(splitItems(value), nestedContext(around, place));
}

const PARSERS: ReadonlyMap<string, ActionParser> = new Map<string, ActionParser>([
  ...OUTPUTS,
  ...HEADERS,
  ...SETTERS,
  ...CONNECTIONS,
  ['clone', (item, context) => ({ kind: 'clone', actions: nested(item, context, 'nested') })],
  [
    'learn',
    (item, context) => parseLearn(item.value ?? fail(item.name, '"learn" alone', 'learn(…)'), context),
  ],
  ['conjunction', conjunction],
  ['note', note],
  ['fin_timeout', finTimeout],
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
const EXPECTED = 'an action such as output, set_field, resubmit or drop, or a port';

/** Actions of OVS that have no meaning here. */
const LATER = new Set(
  `nat enqueue multipath bundle bundle_load check_pkt_larger set_queue pop_queue
   encap decap dec_nsh_ttl delete_field debug_recirc debug_slow table unroll_xlate`.split(/\s+/),
);

function parseAction(item: Item, context: Context): Action {
  const { name } = item;
  const word = name.text.toLowerCase();
  const parser = PARSERS.get(word);
  if (parser) return parser(item, context);
  if (LATER.has(word)) fail(name, `"${name.text}" is not supported`, EXPECTED);
  if (isReserved(word) || /^[\d"]/.test(word) || context.ports.has(name.text)) {
    withoutValue(item);
    return outputTo(name, context);
  }
  const near = suggestion(name.text, [...KNOWN, ...context.ports.keys()]);
  return fail(name, `unknown action "${name.text}"${near}`, EXPECTED);
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
