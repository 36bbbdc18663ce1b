/** Actions that change fields: set_field, mod_…, load, move, push and pop. */
import { VLAN_PRESENT } from '../datapath.ts';
import type { Action } from './action.ts';
import { ones, toNumber } from './bytes.ts';
import { type ActionParser, type Context, requireField, resolveField } from './context.ts';
import { type Field, fieldOf, type Subfield, TP_DST, TP_SRC } from './fields.ts';
import { checkVlanVid } from './parse-match.ts';
import { parseSubfield } from './subfield.ts';
import { fail, type Item, parseLongNumber, part, type Token, valueFor } from './syntax.ts';
import { type Masked, parseValue } from './values.ts';

/** The actions that set one field each; a second spelling stands for the first. */
const MODS = new Map<string, { readonly field: Field; readonly spelling?: string }>([
  ['mod_dl_src', { field: fieldOf('eth_src') }],
  ['mod_dl_dst', { field: fieldOf('eth_dst') }],
  ['mod_nw_src', { field: fieldOf('ip_src') }],
  ['mod_nw_dst', { field: fieldOf('ip_dst') }],
  ['mod_nw_tos', { field: fieldOf('nw_tos') }],
  ['mod_nw_ecn', { field: fieldOf('nw_ecn') }],
  ['mod_nw_ttl', { field: fieldOf('nw_ttl') }],
  ['mod_tp_src', { field: TP_SRC }],
  ['mod_tp_dst', { field: TP_DST }],
  ['mod_vlan_vid', { field: fieldOf('dl_vlan') }],
  ['mod_vlan_pcp', { field: fieldOf('vlan_pcp') }],
  ['set_vlan_vid', { field: fieldOf('dl_vlan'), spelling: 'mod_vlan_vid' }],
  ['set_vlan_pcp', { field: fieldOf('vlan_pcp'), spelling: 'mod_vlan_pcp' }],
  ['set_mpls_label', { field: fieldOf('mpls_label') }],
  ['set_mpls_tc', { field: fieldOf('mpls_tc') }],
  ['set_mpls_ttl', { field: fieldOf('mpls_ttl') }],
  ['set_tunnel', { field: fieldOf('tun_id') }],
  ['set_tunnel64', { field: fieldOf('tun_id') }],
]);

/** `set_tunnel` has 32 bits: what is longer has the longer name. */
const SHORT_TUNNEL = ones(32);

/** A mod_vlan_… adds a tag where there is none, so its value has the bit that says there is one. */
function withTag({ value, mask }: Masked): Masked {
  const present = VLAN_PRESENT >> 8;
  return {
    value: Uint8Array.of(value[0]! | present, value[1]!),
    mask: Uint8Array.of(mask[0]! | present, mask[1]!),
  };
}

function mod(item: Item, context: Context): Action {
  const name = item.name.text.toLowerCase();
  const { field, spelling = name } = MODS.get(name)!;
  const value = parseValue(valueFor(item, `${name}:VALUE`), { ...field, maskable: false }, context.ports);
  if (field.onTag) {
    context.tags = Math.max(1, context.tags);
    return { kind: 'set', spelling, field, ...withTag(value) };
  }
  const isLong = spelling === 'set_tunnel' && toNumber(value.value) > SHORT_TUNNEL;
  return { kind: 'set', spelling: isLong ? 'set_tunnel64' : spelling, field, ...value };
}

/** Cuts `SOURCE->TARGET`. */
export function cutArrow(token: Token, form: string): [Token, Token] {
  const arrow = token.text.indexOf('->');
  if (arrow < 0) fail(token, `"${token.text}"`, form);
  return [part(token, 0, arrow), part(token, arrow + 2)];
}

function requireTag(name: Token, { tags }: Context): void {
  if (tags > 0) return;
  fail(
    name,
    `"${name.text}" of a packet that may have no tag`,
    'a match on dl_vlan or a push_vlan before it',
  );
}

const needsTag = ({ onTag, name }: Field): boolean => onTag || name === 'vlan_vid';

function requireWritable(name: Token, field: Field, { isInCt = false }: Context): void {
  const { text } = name;
  if (isInCt && !field.committed) fail(name, `"${text}" set inside ct`, 'ct_mark or ct_label');
  if (!isInCt && field.committed) fail(name, `"${text}" set outside of ct`, 'it in ct(commit,exec(…))');
  if (!isInCt && !field.writable) fail(name, `"${text}" cannot be set`, 'a field that can be written');
}

function setField(item: Item, context: Context): Action {
  const [value, name] = cutArrow(valueFor(item, 'set_field:VALUE->FIELD'), 'set_field:VALUE[/MASK]->FIELD');
  const field = resolveField(name, context);
  requireWritable(name, field, context);
  if (needsTag(field)) requireTag(name, context);
  const masked = parseValue(value, field, context.ports);
  checkVlanVid(field, masked, value);
  return { kind: 'set', spelling: 'set_field', field, ...masked };
}

/** Bits that an action reads. @throws FlowError when packets may lack the field */
export function source(token: Token, context: Context): Subfield {
  const subfield = parseSubfield(token);
  requireField(token, subfield.field, context);
  if (subfield.field.onTag) requireTag(token, context);
  return subfield;
}

/** Bits that an action writes. @throws FlowError when it cannot, or packets may lack the field */
export function target(token: Token, context: Context): Subfield {
  const subfield = source(token, context);
  requireWritable(token, subfield.field, context);
  return subfield;
}

function load(item: Item, context: Context): Action {
  const [value, name] = cutArrow(valueFor(item, 'load:VALUE->FIELD[]'), 'load:VALUE->FIELD[]');
  const to = target(name, context);
  if (needsTag(to.field)) requireTag(name, context);
  const what = `a number of ${to.bits} bits`;
  return { kind: 'load', value: parseLongNumber(value, what, ones(to.bits)), to };
}

/** @throws FlowError when one has more bits than the other */
export function requireSameWidth(from: Subfield, to: Subfield, at: Token): void {
  if (from.bits !== to.bits) fail(at, `${from.bits} bits into ${to.bits}`, 'as many bits on both sides');
}

function move(item: Item, context: Context): Action {
  const whole = valueFor(item, 'move:FIELD[]->FIELD[]');
  const [first, second] = cutArrow(whole, 'move:FIELD[]->FIELD[]');
  const [from, to] = [source(first, context), target(second, context)];
  requireSameWidth(from, to, whole);
  return { kind: 'move', from, to };
}

export const SETTERS: ReadonlyMap<string, ActionParser> = new Map([
  ...[...MODS.keys()].map((name) => [name, mod] as const),
  ['set_field', setField],
  ['load', load],
  ['move', move],
  ['push', (item, context) => ({ kind: 'push', what: source(valueFor(item, 'push:FIELD[]'), context) })],
  ['pop', (item, context) => ({ kind: 'pop', what: target(valueFor(item, 'pop:FIELD[]'), context) })],
]);
