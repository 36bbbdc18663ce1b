/**
 * From text to a group:
 *
 *     group_id=1,type=select,selection_method=hash,fields(ip_src),bucket=weight:2,output:1,bucket=output:2
 *
 * A bucket goes on up to the next `bucket=`. What is in it and no property of the bucket is an action.
 */
import { isZero, ones } from './bytes.ts';
import { FIELDS, fieldNames, fieldsNamed } from './fields.ts';
import type { Bucket, Group, GroupType, SelectedField, Selection } from './group.ts';
import { parseBucketActions } from './parse-actions.ts';
import {
  fail,
  type Item,
  lineToken,
  optionsOf,
  parseGroupNumber,
  parseLongNumber,
  parseNumber,
  splitItems,
  suggestion,
  type Token,
  valueFor,
} from './syntax.ts';
import { type PortNumbers, parsePort, parseValue } from './values.ts';

const TYPES = new Map<string, GroupType>([
  ['all', 'all'],
  ['select', 'select'],
  ['indirect', 'indirect'],
  ['ff', 'fastFailover'],
  ['fast_failover', 'fastFailover'],
]);
const METHODS = ['dp_hash', 'hash'] as const;
const PROPERTIES = ['group_id', 'type', 'selection_method', 'selection_method_param', 'fields'];
const BUCKET_MAX = 0xffff_ff00;

/** A bucket as it is written: its id may be left to us. */
type Draft = Omit<Bucket, 'id'> & { readonly id: number | undefined; readonly at: Token };

function oneOf<T>(token: Token, what: string, known: ReadonlyMap<string, T>): T {
  const found = known.get(token.text);
  if (found !== undefined) return found;
  const names = [...known.keys()];
  return fail(
    token,
    `unknown ${what} "${token.text}"${suggestion(token.text, names)}`,
    `one of ${names.join(', ')}`,
  );
}

/** How the names of fields begin, in the order that OVS gives a selection's. */
const ORDER = `conj_id tun_id metadata in_port actset_output pkt_mark ct_ reg xreg xxreg eth_ vlan_ dl_ mpls_
   ip_src ip_dst ipv6_ nw_proto nw_tos ip_dscp nw_ecn nw_ttl ip_frag arp_op arp_ tcp_ udp_ sctp_ icmp_ icmpv6_
   nd_`.split(/\s+/);

function rank({ field }: SelectedField): number {
  const group = ORDER.findIndex((start) => field.name.startsWith(start));
  return group * FIELDS.length + FIELDS.indexOf(field);
}

/** `ip_src`, or `ip_src=255.255.0.0` for some of its bits. */
function selectedField({ name, value }: Item, ports: PortNumbers): SelectedField {
  const [field] = fieldsNamed(name.text);
  if (!field) {
    return fail(name, `unknown field "${name.text}"${suggestion(name.text, fieldNames())}`, 'a match field');
  }
  if (!value) return { field, mask: field.bits };
  if (!field.maskable) fail(value, `mask "${value.text}"`, `${field.name} without a mask`);
  const { value: mask } = parseValue(value, { ...field, maskable: false }, ports);
  if (isZero(mask)) fail(value, `mask "${value.text}"`, 'a mask of some bits');
  return { field, mask };
}

function parseSelection(options: ReadonlyMap<string, Item>, ports: PortNumbers): Selection | undefined {
  const [method, param, fields] = PROPERTIES.slice(2).map((name) => options.get(name));
  if (!method) {
    const stray = param ?? fields;
    if (stray) fail(stray.name, `"${stray.name.text}" without selection_method`, 'selection_method=hash');
    return undefined;
  }
  const text = valueFor(method, 'selection_method=METHOD');
  const name = oneOf(text, 'selection method', new Map(METHODS.map((known) => [known, known])));
  if (fields && name !== 'hash') fail(fields.name, `"fields" beside ${name}`, 'selection_method=hash');
  const number = param ? parseLongNumber(valueFor(param, 'a number'), 'a parameter', ones(64)) : 0n;
  const list = fields ? splitItems(valueFor(fields, 'fields(FIELD,…)')) : [];
  const selected = list.map((item) => selectedField(item, ports));
  for (const [i, { field }] of selected.entries()) {
    const isTwice = selected.slice(0, i).some((other) => other.field === field);
    if (isTwice) fail(list[i]!.name, `"${list[i]!.name.text}" twice`, 'each field once');
  }
  return { method: name, param: number, fields: selected.toSorted((a, b) => rank(a) - rank(b)) };
}

const BUCKET_OPTIONS = ['weight', 'watch_port', 'watch_group', 'bucket_id'];

/** @param items the bucket's, the first from behind `bucket=` */
function parseBucket(at: Token, items: readonly Item[], type: GroupType, ports: PortNumbers): Draft {
  const options = new Map<string, Token>();
  const actions: Item[] = [];
  let hasActions = false;
  for (const item of items) {
    const { text } = item.name;
    if (text === 'actions' || text === 'action') {
      hasActions = true;
      if (item.value) actions.push(...splitItems(item.value));
    } else if (BUCKET_OPTIONS.includes(text)) {
      if (options.has(text)) fail(item.name, `"${text}" twice`, 'each property once');
      options.set(text, valueFor(item, `${text}:VALUE`));
    } else actions.push(item);
  }
  if (!hasActions && actions.length === 0) fail(at, 'a bucket without actions', 'bucket=…,actions=ACTIONS');
  const [weight, port, group, id] = BUCKET_OPTIONS.map((name) => options.get(name));
  if (weight && type !== 'select') fail(weight, 'a weight', 'it in select groups only');
  if (type === 'fastFailover' && !port && !group) {
    fail(at, 'a bucket that nothing watches', 'watch_port:PORT or watch_group:GROUP');
  }
  const otherwise = type === 'select' ? 1 : 0;
  return {
    at,
    id: id && parseNumber(id, 'a bucket', BUCKET_MAX),
    weight: weight ? parseNumber(weight, 'a weight', 0xffff) : otherwise,
    ...(port ? { watchPort: parsePort(port, ports) } : {}),
    ...(group ? { watchGroup: parseGroupNumber(group) } : {}),
    actions: parseBucketActions(actions, ports),
  };
}

/** Buckets without an id get the lowest that is free. */
function numbered(drafts: readonly Draft[]): Bucket[] {
  const taken = new Set<number>();
  for (const { id, at } of drafts) {
    if (id === undefined) continue;
    if (taken.has(id)) fail(at, `bucket ${id} twice`, 'each bucket once');
    taken.add(id);
  }
  let next = 0;
  return drafts.map(({ at, id, ...bucket }) => {
    while (id === undefined && taken.has(next)) next++;
    return { id: id ?? next++, ...bucket };
  });
}

function requireBucketCount(type: GroupType, count: number, at: Token): void {
  if (type === 'indirect' && count !== 1) {
    fail(at, `an indirect group of ${count} buckets`, 'exactly one bucket');
  }
}

/**
 * Reads one group.
 * @param line where the text stands, for errors
 * @throws FlowError
 */
export function parseGroup(text: string, ports: PortNumbers = new Map(), line = 1): Group {
  const token = lineToken(text, line);
  const items = splitItems(token);
  const first = items.findIndex(({ name }) => name.text === 'bucket');
  const options = optionsOf(first < 0 ? items : items.slice(0, first), PROPERTIES);
  const property = (name: string): Token => {
    const item = options.get(name) ?? fail(token, `a group without ${name}`, `${name}=VALUE`);
    return valueFor(item, `${name}=VALUE`);
  };
  const id = parseGroupNumber(property('group_id'));
  const type = oneOf(property('type'), 'type of group', TYPES);
  const selection = parseSelection(options, ports);
  if (selection && type !== 'select') {
    fail(options.get('selection_method')!.name, 'a selection method', 'it in select groups only');
  }
  const buckets: { at: Token; items: Item[] }[] = [];
  for (const item of first < 0 ? [] : items.slice(first)) {
    if (item.name.text !== 'bucket') buckets.at(-1)!.items.push(item);
    else buckets.push({ at: item.name, items: item.value ? splitItems(item.value) : [] });
  }
  requireBucketCount(type, buckets.length, token);
  const drafts = buckets.map((bucket) => parseBucket(bucket.at, bucket.items, type, ports));
  return { id, type, ...(selection ? { selection } : {}), buckets: numbered(drafts) };
}
