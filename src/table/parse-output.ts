/** Actions that say where packets go: ports, a controller, another table, groups, samples. */
import { type Action, type ControllerAction, REASONS, type SampleAction } from './action.ts';
import { type ActionParser, type Context, requireKind } from './context.ts';
import { source } from './parse-set.ts';
import { ON_CONNECTION } from './protocols.ts';
import {
  fail,
  type Item,
  METER_MAX,
  optionsOf,
  parseGroupNumber,
  parseHexBytes,
  parseNumber,
  parseTable,
  splitCommas,
  splitItems,
  suggestion,
  type Token,
  valueFor,
  withoutValue,
} from './syntax.ts';
import { CONTROLLER, LOCAL, parsePort } from './values.ts';

/** The shortest that a packet may be cut to: its Ethernet header. */
const LENGTH_MIN = 14;
const LENGTH_MAX = 0xffff;
const WORD_MAX = 0xffff_ffff;

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
export function outputTo(target: Token, { ports }: Context): Action {
  const reserved = RESERVED.get(target.text.toLowerCase());
  if (reserved) return reserved;
  const port = parsePort(target, ports);
  if (port === LOCAL) return { kind: 'local' };
  return port === CONTROLLER ? toController(LENGTH_MAX) : { kind: 'output', port };
}

/** `output(port=PORT,max_len=BYTES)`. */
function truncated(list: Token, context: Context): Action {
  const options = optionsOf(splitItems(list), ['port', 'max_len']);
  const option = (name: string): Token => {
    const item = options.get(name) ?? fail(list, `output without ${name}`, 'output(port=PORT,max_len=BYTES)');
    return valueFor(item, `${name}=VALUE`);
  };
  const length = option('max_len');
  const maxLength = parseNumber(length, 'a length', WORD_MAX, LENGTH_MIN);
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
  const options = optionsOf(splitItems(value), ['max_len', 'reason', 'id', 'userdata', 'pause', 'meter_id']);
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

/** `resubmit:PORT`, `resubmit(PORT)`, `resubmit(PORT,TABLE)`, `resubmit(,TABLE)`, `resubmit(PORT,TABLE,ct)`. */
function resubmit(item: Item, context: Context): Action {
  const { ports } = context;
  const value = valueFor(item, 'resubmit(PORT,TABLE)');
  const [port, table, ct, ...more] = splitCommas(value);
  const surplus = ct && (ct.text !== 'ct' || !table?.text) ? ct : more[0];
  if (surplus) fail(surplus, `"${surplus.text}"`, 'resubmit(PORT,TABLE) or resubmit(PORT,TABLE,ct)');
  if (ct) requireKind(ct, ON_CONNECTION, context);
  const isOwnPort = port!.text === '' || port!.text.toLowerCase() === 'in_port';
  if (isOwnPort && !table?.text) fail(value, `"${value.text}"`, 'resubmit(PORT,TABLE), with one of the two');
  return {
    kind: 'resubmit',
    port: isOwnPort ? undefined : parsePort(port!, ports),
    table: table?.text ? parseTable(table) : undefined,
    ...(ct && { asFirst: true }),
  };
}

function sample(item: Item, { ports }: Context): SampleAction {
  const known = ['probability', 'collector_set_id', 'obs_domain_id', 'obs_point_id', 'sampling_port'];
  const value = valueFor(item, 'sample(probability=SHARE)');
  const options = optionsOf(splitItems(value), [...known, 'ingress', 'egress']);
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
    probability: parseNumber(valueFor(share, 'probability=SHARE'), 'a probability', 0xffff, 1),
    collectorSet: number('collector_set_id'),
    domain: number('obs_domain_id'),
    point: number('obs_point_id'),
    ...(port ? { samplingPort: parsePort(valueFor(port, 'sampling_port=PORT'), ports) } : {}),
    ...(ingress || egress ? { direction: ingress ? 'ingress' : 'egress' } : {}),
  };
}

/** Whether a word in small letters stands for something that packets can be sent to without a port. */
export const isReserved = (word: string): boolean => RESERVED.has(word);

export const OUTPUTS: ReadonlyMap<string, ActionParser> = new Map<string, ActionParser>([
  ['output', output],
  ['controller', controller],
  ['resubmit', resubmit],
  ['group', (item) => ({ kind: 'group', group: parseGroupNumber(valueFor(item, 'group:GROUP')) })],
  ['sample', sample],
]);
