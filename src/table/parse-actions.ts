/**
 * From the text after `actions=` to a list of actions.
 *
 * What OVS refuses is refused here: setting a field that the flow's match does not say packets have,
 * going back with goto_table, and anything beside `drop`.
 */
import { VLAN_PRESENT } from '../datapath.ts';
import type { Action } from './action.ts';
import { type Field, fieldOf, TP_DST, TP_SRC } from './fields.ts';
import type { Match } from './match.ts';
import { checkVlanVid, resolveField } from './parse-match.ts';
import { fail, type Item, parseNumber, part, suggestion, type Token } from './syntax.ts';
import { type Masked, type PortNumbers, parsePort, parseValue } from './values.ts';

export const TABLE_MAX = 254;
const TAG_BIT = VLAN_PRESENT >> 8; // in the key's word 1, whose low byte is the TCI's first

/** The `mod_…` actions and the fields they set. */
const MODS = new Map<string, Field>([
  ['mod_dl_src', fieldOf('eth_src')],
  ['mod_dl_dst', fieldOf('eth_dst')],
  ['mod_nw_src', fieldOf('ip_src')],
  ['mod_nw_dst', fieldOf('ip_dst')],
  ['mod_nw_tos', fieldOf('nw_tos')],
  ['mod_nw_ttl', fieldOf('nw_ttl')],
  ['mod_tp_src', TP_SRC],
  ['mod_tp_dst', TP_DST],
  ['mod_vlan_vid', fieldOf('dl_vlan')],
  ['mod_vlan_pcp', fieldOf('vlan_pcp')],
]);

const RESERVED = new Map<string, Action>([
  ['in_port', { kind: 'inPort' }],
  ['flood', { kind: 'flood' }],
  ['all', { kind: 'all' }],
  ['normal', { kind: 'normal' }],
]);

const OTHERS = [
  'output',
  'drop',
  'strip_vlan',
  'pop_vlan',
  'push_vlan',
  'set_field',
  'resubmit',
  'goto_table',
];
const KNOWN = [...OTHERS, ...MODS.keys(), 'IN_PORT', 'FLOOD', 'ALL', 'NORMAL'];

/** Actions of OVS that have no meaning here yet. */
const LATER = new Set(
  `ct ct_clear nat learn conjunction note group meter load move push pop dec_ttl dec_mpls_ttl clone enqueue
   controller local multipath bundle check_pkt_larger write_actions clear_actions write_metadata set_queue
   pop_queue push_mpls pop_mpls set_tunnel fin_timeout exit sample encap decap`.split(/\s+/),
);

/** What the actions so far have made of the packet: a flow's fields are checked against this. */
interface Context {
  readonly match: Match;
  readonly table: number;
  readonly ports: PortNumbers;
  /** Tags that the packet is known to have. */
  tags: number;
}

const withoutValue = ({ name, value }: Item): void => {
  if (value) fail(value, `"${value.text}"`, `${name.text} without a value`);
};

const valueFor = ({ name, value }: Item, what: string): Token =>
  value && value.text !== '' ? value : fail(name, `"${name.text}" without a value`, what);

function output(target: Token, { ports }: Context): Action {
  const name = target.text.toLowerCase();
  if (name === 'controller' || name === 'local')
    fail(target, `"${target.text}" is not supported yet`, 'a port');
  return RESERVED.get(name) ?? { kind: 'output', port: parsePort(target, ports) };
}

function parseTable(token: Token): number {
  return parseNumber(token, 'a table', TABLE_MAX);
}

/** `resubmit:PORT`, `resubmit(PORT)`, `resubmit(PORT,TABLE)`, `resubmit(,TABLE)`. */
function resubmit(item: Item, { ports }: Context): Action {
  const value = valueFor(item, 'resubmit(PORT,TABLE)');
  const comma = value.text.indexOf(',');
  const port = comma < 0 ? value : part(value, 0, comma);
  const table = comma < 0 ? undefined : part(value, comma + 1);
  const back = port.text === '' || port.text.toLowerCase() === 'in_port';
  if (port.text === '' && !table?.text) fail(value, `"${value.text}"`, 'resubmit(PORT,TABLE)');
  return {
    kind: 'resubmit',
    port: back ? undefined : parsePort(port, ports),
    table: table?.text ? parseTable(table) : undefined,
  };
}

/** A mod_vlan_… adds a tag where there is none, so its value has the bit that says there is one. */
function withTag({ value, mask }: Masked): Masked {
  const present = VLAN_PRESENT >> 8;
  return {
    value: Uint8Array.of(value[0]! | present, value[1]!),
    mask: Uint8Array.of(mask[0]! | present, mask[1]!),
  };
}

function mod(item: Item, field: Field, context: Context): Action {
  const value = parseValue(
    valueFor(item, `${item.name.text}:VALUE`),
    { ...field, maskable: false },
    context.ports,
  );
  const set = { kind: 'set', spelling: item.name.text, field } as const;
  if (!field.onTag) return { ...set, ...value };
  context.tags = Math.max(1, context.tags);
  return { ...set, ...withTag(value) };
}

function setField(item: Item, context: Context): Action {
  const whole = valueFor(item, 'set_field:VALUE->FIELD');
  const arrow = whole.text.indexOf('->');
  if (arrow < 0) fail(whole, `"${whole.text}"`, 'set_field:VALUE[/MASK]->FIELD');
  const name = part(whole, arrow + 2);
  const field = resolveField(name, context.match);
  if (!field.writable) fail(name, `"${name.text}" cannot be set`, 'a field that can be written');
  const onTag = field.onTag || field.name === 'vlan_vid';
  if (onTag && context.tags === 0) {
    fail(
      name,
      `"${name.text}" of a packet that may have no tag`,
      'a match on dl_vlan or a push_vlan before it',
    );
  }
  const value = part(whole, 0, arrow);
  const masked = parseValue(value, field, context.ports);
  checkVlanVid(field, masked, value);
  return { kind: 'set', spelling: 'set_field', field, ...masked };
}

function pushVlan(item: Item, context: Context): Action {
  const value = valueFor(item, 'push_vlan:0x8100 or push_vlan:0x88a8');
  const tpid = Number(value.text);
  if (tpid !== 0x8100 && tpid !== 0x88a8) fail(value, `"${value.text}"`, '0x8100 or 0x88a8');
  context.tags++;
  return { kind: 'pushVlan', tpid };
}

function gotoTable(item: Item, { table }: Context): Action {
  const value = valueFor(item, 'goto_table:TABLE');
  const target = parseTable(value);
  if (target <= table) fail(value, `"${value.text}"`, `a table after ${table}`);
  return { kind: 'goto', table: target };
}

function parseAction(item: Item, context: Context): Action {
  const { name, value } = item;
  const word = name.text.toLowerCase();
  const modified = MODS.get(name.text);
  if (modified) return mod(item, modified, context);
  switch (name.text) {
    case 'output':
      return output(valueFor(item, 'output:PORT'), context);
    case 'set_field':
      return setField(item, context);
    case 'resubmit':
      return resubmit(item, context);
    case 'goto_table':
      return gotoTable(item, context);
    case 'push_vlan':
      return pushVlan(item, context);
    case 'pop_vlan':
    case 'strip_vlan':
      withoutValue(item);
      context.tags = Math.max(0, context.tags - 1);
      return { kind: 'popVlan' };
  }
  if (LATER.has(word)) fail(name, `"${name.text}" is not supported yet`, `one of ${KNOWN.join(', ')}`);
  if (!value && (RESERVED.has(word) || /^[\d"]/.test(word) || context.ports.has(name.text))) {
    return output(name, context);
  }
  const near = suggestion(name.text, [...KNOWN, ...context.ports.keys()]);
  return fail(name, `unknown action "${name.text}"${near}`, `one of ${KNOWN.join(', ')}, or a port`);
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
  const tagged = (match.value[1]! & match.mask[1]! & TAG_BIT) !== 0;
  const context: Context = { match, table, ports, tags: tagged ? 1 : 0 };
  const drop = items.find(({ name }) => name.text === 'drop');
  if (drop) {
    withoutValue(drop);
    if (items.length > 1) fail(drop.name, '"drop" beside other actions', 'drop alone');
    return [];
  }
  const actions = items.map((item) => parseAction(item, context));
  const jump = actions.findIndex(({ kind }) => kind === 'goto');
  if (jump >= 0 && jump < actions.length - 1) {
    fail(items[jump]!.name, 'an action after goto_table', 'goto_table last');
  }
  return actions;
}
