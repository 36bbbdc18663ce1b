/**
 * The action `learn(…)`: a flow made from the packet that comes by.
 *
 *     learn(table=1,hard_timeout=60,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])
 *
 * What OVS refuses is refused here: reading a field that the flow's match does not say packets have, and
 * matching or setting one that the learned flow does not say its packets have.
 */
import type { LearnAction, LearnSource, LearnSpec } from './action.ts';
import { ones, toNumber } from './bytes.ts';
import { type Context, type Known, requireField, unknownPacket } from './context.ts';
import { fieldNames, type Subfield } from './fields.ts';
import { cutArrow, requireSameWidth, source, target } from './parse-set.ts';
import { saysConnection } from './protocols.ts';
import { fieldInBits, parseSubfield } from './subfield.ts';
import {
  DEFAULT_PRIORITY,
  fail,
  type Item,
  parseLongNumber,
  parseNumber,
  splitItems,
  suggestion,
  TABLE_MAX,
  type Token,
  valueFor,
  withoutValue,
} from './syntax.ts';
import { parseValue } from './values.ts';

const SECONDS_MAX = 0xffff;

/** How `NAME=NUMBER` changes the action. */
const NUMBERS = new Map<string, readonly [key: keyof LearnAction, what: string, max: number]>([
  ['table', ['table', 'a table', TABLE_MAX]],
  ['priority', ['priority', 'a priority', 0xffff]],
  ['idle_timeout', ['idleTimeoutS', 'seconds', SECONDS_MAX]],
  ['hard_timeout', ['hardTimeoutS', 'seconds', SECONDS_MAX]],
  ['fin_idle_timeout', ['finIdleTimeoutS', 'seconds', SECONDS_MAX]],
  ['fin_hard_timeout', ['finHardTimeoutS', 'seconds', SECONDS_MAX]],
  ['limit', ['limit', 'a number of flows', 0xffff_ffff]],
]);
const WORDS = [
  ...NUMBERS.keys(),
  'cookie',
  'send_flow_rem',
  'delete_learned',
  'result_dst',
  'load',
  'output',
];

const DEFAULTS: LearnAction = {
  kind: 'learn',
  table: 1,
  priority: DEFAULT_PRIORITY,
  cookie: 0n,
  idleTimeoutS: 0,
  hardTimeoutS: 0,
  finIdleTimeoutS: 0,
  finHardTimeoutS: 0,
  sendFlowRemoved: false,
  deleteLearned: false,
  limit: 0,
  specs: [],
};

/** Whether a name can begin the writing of some bits of a field. */
const isFieldName = (text: string): boolean => fieldInBits(text.replace(/\[.*$/, '')) !== undefined;

/** The number on the right of `FIELD=…`, written as the field is written, or plainly for some of its bits. */
function immediate(value: Token, to: Subfield, context: Context): bigint {
  const { field, bits } = to;
  if (bits < field.width) return parseLongNumber(value, `a number of ${bits} bits`, ones(bits));
  const { value: bytes } = parseValue(value, { ...field, maskable: false }, context.ports);
  const number = toNumber(bytes, field.hostOrder) >> BigInt(field.shift);
  if (number > ones(bits)) fail(value, `"${value.text}"`, `a number of ${bits} bits`);
  return number;
}

/** What the learned flow says of its packets' protocols. */
function note(known: Known, { field, bits }: Subfield, value: bigint): void {
  if (bits < field.width) return;
  if (field.name === 'eth_type') known.ethType = Number(value);
  if (field.name === 'nw_proto') known.nwProto = Number(value);
  if (field.name === 'icmpv6_type') known.icmpType = Number(value);
  if (field.name === 'ct_state') known.hasConnection = saysConnection(Number(value), 0xff);
}

/** `FIELD=VALUE`, `FIELD=FIELD`, or `FIELD` alone for the packet's own value. */
function matchSpec({ name, value }: Item, context: Context, learned: Known): LearnSpec {
  const to = parseSubfield(name);
  requireField(name, to.field, learned);
  if (!value || isFieldName(value.text)) {
    const from = source(value ?? name, context);
    requireSameWidth(from, to, value ?? name);
    return { kind: 'match', source: from, to };
  }
  const number = immediate(value, to, context);
  note(learned, to, number);
  return { kind: 'match', source: number, to };
}

function loadSpec(item: Item, context: Context, learned: Known): LearnSpec {
  const whole = valueFor(item, 'load:VALUE->FIELD[] or load:FIELD[]->FIELD[]');
  const [first, second] = cutArrow(whole, 'load:VALUE->FIELD[] or load:FIELD[]->FIELD[]');
  const to = target(second, { ...context, ...learned });
  let from: LearnSource;
  if (/^\d/.test(first.text)) from = parseLongNumber(first, `a number of ${to.bits} bits`, ones(to.bits));
  else {
    from = source(first, context);
    requireSameWidth(from, to, whole);
  }
  return { kind: 'load', source: from, to };
}

function spec(item: Item, context: Context, learned: Known): LearnSpec {
  const { name } = item;
  if (name.text === 'load') return loadSpec(item, context, learned);
  if (name.text === 'output') {
    return { kind: 'output', source: source(valueFor(item, 'output:FIELD[]'), context) };
  }
  if (isFieldName(name.text)) return matchSpec(item, context, learned);
  const near = suggestion(name.text, [...WORDS, ...[...fieldNames()].filter(isFieldName)]);
  return fail(name, `unknown word "${name.text}" in learn${near}`, `one of ${WORDS.join(', ')}, or a field`);
}

function result(item: Item, context: Context): Subfield {
  const token = valueFor(item, 'result_dst=FIELD[BIT]');
  const to = target(token, context);
  if (to.bits !== 1) fail(token, `${to.bits} bits`, 'a single bit, such as reg0[3]');
  return to;
}

/** @throws FlowError */
export function parseLearn(list: Token, context: Context): LearnAction {
  const action: { -readonly [key in keyof LearnAction]: LearnAction[key] } = { ...DEFAULTS };
  const specs: LearnSpec[] = [];
  const learned = unknownPacket();
  for (const item of splitItems(list)) {
    const { name } = item;
    const number = NUMBERS.get(name.text);
    if (number) {
      const [key, what, max] = number;
      Object.assign(action, { [key]: parseNumber(valueFor(item, `${name.text}=NUMBER`), what, max) });
    } else if (name.text === 'cookie') {
      action.cookie = parseLongNumber(valueFor(item, 'cookie=NUMBER'), 'a cookie', ones(64));
    } else if (name.text === 'send_flow_rem') {
      withoutValue(item);
      action.sendFlowRemoved = true;
    } else if (name.text === 'delete_learned') {
      withoutValue(item);
      action.deleteLearned = true;
    } else if (name.text === 'result_dst') {
      action.result = result(item, context);
    } else {
      specs.push(spec(item, context, learned));
    }
  }
  return { ...action, specs };
}
