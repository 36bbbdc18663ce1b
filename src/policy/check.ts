/**
 * What `policy` must agree on with itself and with the ports, beyond what the schema says: every check yields
 * the problems that it finds.
 */
import type { Problem } from '../yaml/problem.ts';
import { oneOf } from '../yaml/schema.ts';
import type { Path, Source } from '../yaml/source.ts';
import { type Family, familyOf, parseRange } from './addresses.ts';
import { checkNat } from './check-nat.ts';
import { checkPair, checkZones } from './check-zones.ts';
import { isIcmp, queryType } from './icmp.ts';
import type { Sections } from './plan.ts';
import { ANY, isName, PORT_PROTOCOLS, type PolicySection, type RuleSection } from './schema.ts';

/** The sections before it is known which of them there are. */
export type Unchecked = Omit<Sections, 'policy'> & {
  readonly policy?: PolicySection | undefined;
  readonly flows?: string | undefined;
};

export function checkPolicy(source: Source, sections: Unchecked): Problem[] {
  const { policy, nat, flows } = sections;
  if (!policy) {
    return nat
      ? [source.wrongValue(['nat'], 'a section policy beside it, for its zones and rules', 'none')]
      : [];
  }
  const whole = { ...sections, policy };
  return [
    ...(flows === undefined ? [] : checkEither(source)),
    ...checkZones(source, whole),
    ...checkSets(source, policy),
    ...policy.rules.flatMap((rule, i) => [...checkRule(source, policy, rule, ['policy', 'rules', i])]),
    ...(nat ? checkNat(source, whole, nat) : []),
  ];
}

function* checkEither(source: Source): Iterable<Problem> {
  const { line, column } = source.wrongKey(['policy'], '');
  yield source.wrongKey(['flows'], `flows or the policy at ${line}:${column}, not both`);
}

const kindOf = (entry: string | number) => (parseRange(entry) ? 'ports' : 'addresses');

function* checkSets(source: Source, { sets }: PolicySection): Iterable<Problem> {
  for (const [name, entries] of Object.entries(sets)) {
    const kind = kindOf(entries[0]!);
    const other = entries.findIndex((entry) => kindOf(entry) !== kind);
    if (other > 0) yield source.wrongValue(['policy', 'sets', name, other], `${kind} only, as before it`);
  }
}

function* checkRule(source: Source, policy: PolicySection, rule: RuleSection, path: Path): Iterable<Problem> {
  const { allow, deny, protocol, ports } = rule;
  if ((allow === undefined) === (deny === undefined)) {
    yield source.wrongValue(path, 'allow or deny', allow === undefined ? 'a rule with neither' : 'both');
  }
  for (const key of ['allow', 'deny'] as const) {
    if (rule[key] !== undefined)
      yield* checkPair(source, rule[key], [...path, key], [...Object.keys(policy.zones), ANY]);
  }
  for (const key of ['from', 'to'] as const)
    yield* checkSetNames(source, policy, rule, [...path, key], 'addresses');
  yield* checkSetNames(source, policy, rule, [...path, 'ports'], 'ports');
  const withPorts: readonly unknown[] = PORT_PROTOCOLS;
  if (ports && !protocol?.every((one) => withPorts.includes(one))) {
    const found = protocol ? undefined : 'nothing';
    yield source.wrongValue([...path, 'protocol'], `${oneOf(PORT_PROTOCOLS)}, which have ports`, found);
  }
  yield* checkTypes(source, rule, path);
  yield* checkFamilies(source, policy, rule, path);
}

/** Types of ICMP are of ICMP alone, and of one that the rule is about. */
function* checkTypes(source: Source, { types, protocol = [] }: RuleSection, path: Path): Iterable<Problem> {
  if (!types) return;
  const kinds = protocol.filter(isIcmp);
  if (kinds.length === 0 || kinds.length < protocol.length) {
    const found = protocol.length === 0 ? 'nothing' : undefined;
    yield source.wrongValue([...path, 'protocol'], 'icmp or icmpv6, which have types', found);
    return;
  }
  for (const [i, type] of types.entries()) {
    if (kinds.some((kind) => queryType(kind, type) !== undefined)) continue;
    yield source.wrongValue(
      [...path, 'types', i],
      `a query of ${kinds.join(' or ')}: nothing else begins a connection`,
    );
  }
}

/** Names in a rule's list are those of sets of the right kind. */
function* checkSetNames(
  source: Source,
  { sets }: PolicySection,
  rule: RuleSection,
  path: Path,
  kind: 'addresses' | 'ports',
): Iterable<Problem> {
  const known = Object.keys(sets).filter((name) => kindOf(sets[name]![0]!) === kind);
  const list = rule[path.at(-1) as 'from' | 'to' | 'ports'] ?? [];
  for (const [i, one] of list.entries()) {
    if (!isName(String(one)) || known.includes(String(one))) continue;
    const choices = known.length === 0 ? `${kind}, since there is no set of them` : oneOf(known);
    yield source.wrongValue([...path, i], choices);
  }
}

/** IPv4 and IPv6 never meet in a packet: not two addresses, and no address and another version's ICMP. */
function* checkFamilies(
  source: Source,
  { sets }: PolicySection,
  { from, to, protocol }: RuleSection,
  path: Path,
): Iterable<Problem> {
  const lists = { from, to };
  const every = (key: 'from' | 'to', family: Family): boolean => {
    const addresses = lists[key]?.flatMap((one) => (isName(one) ? (sets[one] ?? []) : [one]));
    return addresses?.every((address) => familyOf(String(address)) === family) ?? false;
  };
  for (const [family, other] of [
    ['ipv4', 'ipv6'],
    ['ipv6', 'ipv4'],
  ] as const) {
    const wrong = (key: 'from' | 'to', why: string) =>
      source.wrongValue([...path, key], `an ${NAMES[other]} address among them, ${why}`);
    if (every('from', other) && every('to', family)) yield wrong('to', 'as in from');
    if (!protocol?.every((one) => one === ICMP_OF[other])) continue;
    for (const key of ['from', 'to'] as const)
      if (every(key, family)) yield wrong(key, `for ${ICMP_OF[other]}`);
  }
}

const NAMES = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;
const ICMP_OF = { ipv4: 'icmp', ipv6: 'icmpv6' } as const;
