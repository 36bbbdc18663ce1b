/**
 * Rules become flows of one priority each, the first the highest, under a cookie that is the rule's number: the
 * counters of `heddle flows dump table=9,cookie=3/-1` are the third rule's.
 *
 * A rule with several addresses and several ports would be a flow for each combination. Where more than one of
 * its parts has several values, each such part becomes a clause of a conjunction instead, so that sets of 1,000
 * addresses and of 10 ports cost 1,010 flows.
 */
import { type Family, familyOf, parseRange, portMatches } from './addresses.ts';
import { isIcmp, queryType } from './icmp.ts';
import { FORWARD, flow, resubmit, ZONE_FROM, ZONE_TO } from './pipeline.ts';
import { type Plan, type Zone, zonesOf } from './plan.ts';
import { ANY, isName, type PolicySection, type PROTOCOLS, type RuleSection } from './schema.ts';

const HIGHEST = 30_000;

/** How much of a packet a controller sees. */
const LOGGED_BYTES = 128;

const FAMILIES = ['ipv4', 'ipv6'] as const;
const SHORT_NAMES: Record<(typeof PROTOCOLS)[number], Partial<Record<Family, string>>> = {
  tcp: { ipv4: 'tcp', ipv6: 'tcp6' },
  udp: { ipv4: 'udp', ipv6: 'udp6' },
  sctp: { ipv4: 'sctp', ipv6: 'sctp6' },
  icmp: { ipv4: 'icmp' },
  icmpv6: { ipv6: 'icmp6' },
};
const ADDRESS_FIELDS = { ipv4: ['nw_src', 'nw_dst'], ipv6: ['ipv6_src', 'ipv6_dst'] } as const;

export function ruleFlows(plan: Plan): string[] {
  const { policy, router } = plan;
  const conjunctions = counter();
  return [
    ...policy.rules.flatMap((rule, i) => flowsOf(plan, rule, i + 1, conjunctions)),
    ...(router?.forwards ?? []).map(({ number }) =>
      flow('rules', { priority: 1, match: [`${FORWARD}=${number}`], actions: [resubmit('commit')] }),
    ),
    flow('rules', { priority: 0, actions: policy.default === 'allow' ? [resubmit('commit')] : [] }),
    flow('denied', { priority: 0 }),
  ];
}

function counter(): () => number {
  let count = 0;
  return () => ++count;
}

function flowsOf(
  { policy, zones }: Plan,
  rule: RuleSection,
  number: number,
  conjunctions: () => number,
): string[] {
  const pair = zonesOf((rule.allow ?? rule.deny)!);
  const fixed = [ZONE_FROM, ZONE_TO].flatMap((register, i) => {
    const zone: Zone | undefined = pair[i] === ANY ? undefined : zones.get(pair[i]!);
    return zone ? [`${register}=${zone.number}`] : [];
  });
  const log = rule.log ? [`controller(max_len=${LOGGED_BYTES})`] : [];
  const actions = [...log, ...verdictOf(rule)];
  const of = { cookie: number, priority: HIGHEST - number };
  return variants(rule, policy.sets).flatMap(({ protocol, parts }) => {
    const clauses = parts.filter((part) => part.length > 1);
    const match = [...protocol, ...fixed, ...parts.filter((part) => part.length === 1).flat()];
    if (clauses.length < 2) {
      const choices = clauses[0]?.map((choice) => [choice]) ?? [[]];
      return choices.map((choice) => flow('rules', { ...of, match: [...match, ...choice], actions }));
    }
    const id = conjunctions();
    return [
      ...clauses.flatMap((clause, i) =>
        clause.map((choice) =>
          flow('rules', {
            ...of,
            match: [...match, choice],
            actions: [`conjunction(${id},${i + 1}/${clauses.length})`],
          }),
        ),
      ),
      flow('rules', { ...of, match: [`conj_id=${id}`, ...match], actions }),
    ];
  });
}

function verdictOf({ allow, log }: RuleSection): string[] {
  if (allow !== undefined) return [resubmit('commit')];
  return log ? [resubmit('denied')] : [];
}

type Protocol = NonNullable<RuleSection['protocol']>[number];

/** A protocol as a match begins with it, and each part of the match that may have one of several values. */
interface Variant {
  readonly protocol: readonly string[];
  readonly parts: readonly (readonly string[])[];
}

/** What a rule says, once for each protocol over IPv4 and IPv6. */
function variants(rule: RuleSection, sets: PolicySection['sets']): Variant[] {
  const { protocol: protocols, from, to } = rule;
  if (!protocols && !from && !to) return [{ protocol: [], parts: [] }];
  return (protocols ?? [undefined]).flatMap((one) =>
    FAMILIES.flatMap((family) => {
      const protocol = nameOf(one, family);
      const types = typesOf(rule, one);
      const parts = partsOf(rule, sets, family);
      return protocol && types && parts ? [{ protocol, parts: [...parts, types] }] : [];
    }),
  );
}

/** How a match names a protocol over IPv4 or IPv6; undefined: there is no such thing. */
function nameOf(protocol: Protocol | undefined, family: Family) {
  const ip = family === 'ipv4' ? 'ip' : 'ipv6';
  if (protocol === undefined) return [ip];
  if (typeof protocol === 'number') return [ip, `nw_proto=${protocol}`];
  const name = SHORT_NAMES[protocol][family];
  return name === undefined ? undefined : [name];
}

/** ICMP types; undefined: the rule names some, but none that the protocol has. */
function typesOf({ types }: RuleSection, protocol: Protocol | undefined): string[] | undefined {
  if (!types) return [];
  const numbers = isIcmp(protocol) ? types.flatMap((type) => queryType(protocol, type) ?? []) : [];
  return numbers.length === 0 ? undefined : [...new Set(numbers)].map((type) => `icmp_type=${type}`);
}

/** Sources, destinations and ports; undefined: the rule names addresses, but none of IPv4 or IPv6. */
function partsOf({ from, to, ports }: RuleSection, sets: PolicySection['sets'], family: Family) {
  const [source, destination] = ADDRESS_FIELDS[family];
  const addresses = (list: RuleSection['from'], field: string) =>
    resolve(list, sets)
      .map(String)
      .filter((address) => familyOf(address) === family)
      .map((address) => `${field}=${address}`);
  const [sources, destinations] = [addresses(from, source), addresses(to, destination)];
  if ((from && sources.length === 0) || (to && destinations.length === 0)) return undefined;
  const ranges = resolve(ports, sets).flatMap((range) => portMatches(parseRange(range)!));
  return [sources, destinations, ranges.map((range) => `tp_dst=${range}`)].map((part) => [...new Set(part)]);
}

/** A list with sets replaced by what is in them. */
function resolve(list: readonly (string | number)[] = [], sets: PolicySection['sets']): (string | number)[] {
  return list.flatMap((one) => (isName(String(one)) ? sets[one]! : [one]));
}
