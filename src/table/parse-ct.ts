/**
 * The action `ct(…)`, which has a packet's connection found, and makes it.
 *
 *     ct(commit,force,table=1,zone=NXM_NX_REG0[0..15],nat(src=10.0.0.1-10.0.0.9:5000-5999,random),
 *        exec(set_field:5->ct_mark),alg=ftp)
 *
 * What OVS refuses is refused here: anything but IP, `commit` of invalid packets, without it what only a new
 * connection can have, addresses that packets of the flow cannot have, and a helper for a protocol that they may not
 * have.
 */
import { type Action, type CtAction, HELPERS, type Helper, type Nat } from './action.ts';
import { isZero } from './bytes.ts';
import { type ActionParser, type Context, plain, requireKind } from './context.ts';
import { SETTERS, source } from './parse-set.ts';
import { ON_IP, ON_IPV4, ON_IPV6, ON_TCP, ON_UDP } from './protocols.ts';
import {
  fail,
  type Item,
  optionsOf,
  parseNumber,
  parseTable,
  part,
  splitItems,
  type Token,
  valueFor,
  withoutValue,
} from './syntax.ts';
import { parseIpv4, parseIpv6 } from './values.ts';

const OPTIONS = ['commit', 'force', 'table', 'zone', 'nat', 'exec', 'alg'];
const NAT_OPTIONS = ['src', 'dst', 'persistent', 'hash', 'random'];
const ZONE_BITS = 16;
const PORT_MAX = 0xffff;

const ADDRESS = String.raw`(\[[0-9a-f:.]*\]|[\d.]+|[0-9a-f:.]+)`;
/** `FIRST-LAST:PORT-PORT`; before ports, IPv6 addresses stand in brackets. */
const RANGE = new RegExp(String.raw`^${ADDRESS}(?:-${ADDRESS})?(?::(\d+)(?:-(\d+))?)?$`, 'di');
const RANGE_FORM = 'ADDRESS[-ADDRESS][:PORT[-PORT]]';

function zone(token: Token, context: Context): CtAction['zone'] {
  if (/^\d/.test(token.text)) return parseNumber(token, 'a zone', 0xffff);
  const from = source(token, context);
  if (from.bits !== ZONE_BITS) fail(token, `${from.bits} bits`, `${ZONE_BITS} bits of a field`);
  return from;
}

function address(token: Token, context: Context): Uint8Array {
  const isBracketed = token.text.startsWith('[');
  const bare = isBracketed ? part(token, 1, token.text.length - 1) : token;
  const isV6 = isBracketed || bare.text.includes(':');
  const bytes = isV6 ? parseIpv6(bare) : parseIpv4(bare);
  requireKind(token, isV6 ? ON_IPV6 : ON_IPV4, context);
  return bytes;
}

/** The addresses and ports to choose from. Address 0 stands for the packet's own. */
function range(token: Token, context: Context): Pick<Nat, 'addresses' | 'ports'> {
  const pieces = RANGE.exec(token.text)?.indices ?? fail(token, `"${token.text}"`, RANGE_FORM);
  const [first, last, firstPort, lastPort] = pieces.slice(1).map((at) => at && part(token, ...at));
  const from = address(first!, context);
  const to = last ? address(last, context) : from;
  if (from.length !== to.length || Buffer.compare(from, to) > 0) {
    fail(last!, `"${last!.text}"`, 'an address after the first one');
  }
  if (isZero(from)) {
    if (last ?? firstPort) fail(token, `"${token.text}"`, 'an address that is not zero');
    return {};
  }
  if (!firstPort) return { addresses: { first: from, last: to } };
  const lowest = parseNumber(firstPort, 'a port', PORT_MAX, 1);
  const highest = lastPort ? parseNumber(lastPort, 'a port', PORT_MAX, lowest) : lowest;
  return { addresses: { first: from, last: to }, ports: { first: lowest, last: highest } };
}

function nat({ name, value }: Item, context: Context): Nat {
  const options = optionsOf(value ? splitItems(value) : [], NAT_OPTIONS);
  const [src, dst, persistent, hash, random] = NAT_OPTIONS.map((option) => options.get(option));
  for (const word of [persistent, hash, random]) if (word) withoutValue(word);
  const end = src ?? dst;
  if (src && dst) fail(dst.name, '"dst" beside src', 'one of the two');
  if (!end && options.size > 0) fail(name, 'nat without src or dst', 'nat(src=…) or nat(dst=…)');
  if (hash && random) fail(random.name, '"random" beside hash', 'one of the two');
  if (!end) return {};
  const choice = hash ? 'hash' : random ? 'random' : undefined;
  return {
    end: src ? 'src' : 'dst',
    ...(end.value && end.value.text !== '' ? range(end.value, context) : {}),
    ...(persistent && { persistent: true }),
    ...(choice && { choice }),
  };
}

/** What sets mark and label. */
function exec(item: Item, around: Context): Action[] {
  const list = item.value ?? fail(item.name, '"exec" alone', 'exec(ACTIONS)');
  const context = { ...around, isInCt: true };
  return splitItems(list).map((set) => {
    const { text } = set.name;
    const isSetter = text === 'set_field' || text === 'load' || text === 'move';
    const parse = isSetter ? SETTERS.get(text) : undefined;
    return parse?.(set, context) ?? fail(set.name, `"${text}" inside ct`, 'set_field, load or move');
  });
}

function helper(token: Token, context: Context): Helper {
  const name = HELPERS.find((known) => known === token.text);
  if (!name) return fail(token, `"${token.text}"`, HELPERS.join(' or '));
  requireKind(token, name === 'ftp' ? ON_TCP : ON_UDP, context);
  return name;
}

function ct(item: Item, context: Context): CtAction {
  requireKind(item.name, ON_IP, context);
  const options = optionsOf(item.value ? splitItems(item.value) : [], OPTIONS);
  const [commit, force, tableOption, zoneOption, natOption, execOption, algOption] = OPTIONS.map((option) =>
    options.get(option),
  );
  for (const word of [commit, force]) if (word) withoutValue(word);
  const translation = natOption && nat(natOption, context);
  const settings = execOption ? exec(execOption, context) : [];
  if (commit && context.isInvalid) {
    fail(commit.name, '"commit" of packets that are +inv', 'it of packets that may begin a connection');
  }
  if (!commit) {
    const premature = [
      force,
      translation?.end !== undefined && natOption,
      settings.length > 0 && execOption,
    ].find((option) => option);
    if (premature) fail(premature.name, `"${premature.name.text}" without commit`, 'commit as well');
  }
  return {
    kind: 'ct',
    commit: commit !== undefined,
    force: force !== undefined,
    zone: zoneOption ? zone(valueFor(zoneOption, 'zone=ZONE'), context) : 0,
    ...(tableOption && { table: parseTable(valueFor(tableOption, 'table=TABLE')) }),
    ...(translation && { nat: translation }),
    ...(algOption && { helper: helper(valueFor(algOption, 'alg=HELPER'), context) }),
    exec: settings,
  };
}

export const CONNECTIONS: ReadonlyMap<string, ActionParser> = new Map<string, ActionParser>([
  ['ct', ct],
  ['ct_clear', plain({ kind: 'ctClear' })],
]);
