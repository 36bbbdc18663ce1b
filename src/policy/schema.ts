/** The sections `policy` and `nat` of a configuration, as the file spells them. */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { oneOf, section, text, whole, yesNo } from '../yaml/schema.ts';
import { isIpv4, isNetwork, parseRange, parseTarget } from './addresses.ts';
import { QUERY_NAMES } from './icmp.ts';

/** Each has a priority of its own. */
const MOST_RULES = 20_000;

const NAME = 'a name: a letter, then letters, digits, ".", "-" or "_", at most 31';
const NAME_PATTERN = /^[A-Za-z][A-Za-z0-9._-]{0,30}$/;
const setName = text(NAME_PATTERN, NAME);

export const ANY = 'any';
const ZONE = `${NAME}, not "${ANY}" or "to"`;
const zoneName = text(NAME_PATTERN, ZONE).refine((name) => name !== ANY && name !== 'to', { error: ZONE });

/** One value stands for a list of one. */
function several<Item extends z.ZodType>(item: Item, error: string) {
  return z.preprocess(
    (value) => (typeof value === 'object' || value === undefined ? value : [value]),
    z.array(item, { error }).min(1, { error }),
  );
}

/** Names begin with a letter and have no colon; addresses are the other way round. */
export const isName = (value: string) => NAME_PATTERN.test(value);

const NETWORK = 'an address or a network, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8';
const NETWORK_OR_SET = `${NETWORK}, or a set of them`;
const networkOrSet = z
  .string({ error: NETWORK_OR_SET })
  .refine((value) => isName(value) || isNetwork(value), { error: NETWORK_OR_SET });

const PORTS = 'a port such as 80 or a range such as 8000-8080';
const isRange = (value: string | number) => parseRange(value) !== undefined;
const ports = z.union([z.number(), z.string()], { error: PORTS }).refine(isRange, { error: PORTS });
const PORTS_OR_SET = `${PORTS}, or a set of them`;
const portsOrSet = z
  .union([z.number(), z.string()], { error: PORTS_OR_SET })
  .refine((value) => isRange(value) || isName(String(value)), { error: PORTS_OR_SET });

const ENTRY = 'an address, a network, a port or a range of ports';
const entry = z
  .union([z.number(), z.string()], { error: ENTRY })
  .refine((value) => isRange(value) || isNetwork(String(value)), { error: ENTRY });

const PAIR = 'two zones, such as inside to outside';
const pair = text(/^\S+ to \S+$/, PAIR);

export const PROTOCOLS = ['tcp', 'udp', 'sctp', 'icmp', 'icmpv6'] as const;
export const PORT_PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;
const PROTOCOL = `one of ${PROTOCOLS.join(', ')}, or a number from 0 to 255`;
const protocol = z.union([z.enum(PROTOCOLS), whole(0, 255)], { error: PROTOCOL });

const TYPES = `${QUERY_NAMES.join(', ')}, or the number of such a type`;
const icmpType = z.union([z.enum(QUERY_NAMES), whole(0, 255)], { error: TYPES });

const rule = section({
  allow: pair.optional(),
  deny: pair.optional(),
  protocol: several(protocol, PROTOCOL).optional(),
  from: several(networkOrSet, 'a list of addresses').optional(),
  to: several(networkOrSet, 'a list of addresses').optional(),
  ports: several(portsOrSet, 'a list of ports').optional(),
  types: several(icmpType, 'a list of ICMP types').optional(),
  log: yesNo.default(false),
});

export const policySection = section({
  zones: z
    .record(zoneName, z.array(z.string({ error: 'a port' }), { error: 'a list of ports' }), {
      error: 'a mapping of names to lists of ports',
    })
    .refine((zones) => Object.keys(zones).length > 0, { error: 'at least one zone' }),
  sets: z
    .record(setName, several(entry, 'a list of addresses or of ports'), {
      error: 'a mapping of names to addresses or ports',
    })
    .default({}),
  default: z.enum(['deny', 'allow'], { error: oneOf(['deny', 'allow']) }).default('deny'),
  rules: z
    .array(rule, { error: 'a list of rules' })
    .max(MOST_RULES, { error: `at most ${MOST_RULES} rules` })
    .default([]),
});

const IPV4 = 'an IPv4 address such as 203.0.113.1';
const ipv4 = z.string({ error: IPV4 }).refine(isIpv4, { error: IPV4 });

const INTERFACE = 'an IPv4 address with its prefix length, such as 10.0.0.1/24';
const interfaceAddress = z
  .string({ error: INTERFACE })
  .refine((value) => ipaddr.IPv4.isValidCIDRFourPartDecimal(value), { error: INTERFACE });

/** An address with its length stands for an interface that has nothing else. */
const routerInterface = z.preprocess(
  (value) => (typeof value === 'string' ? { address: value } : value),
  section({
    address: interfaceAddress,
    gateway: ipv4.optional(),
    neighbours: z.array(ipv4, { error: 'a list of IPv4 addresses' }).default([]),
  }),
);

const POOL = 'an IPv4 address or a range such as 203.0.113.1-203.0.113.4';
const pool = z
  .string({ error: POOL })
  .refine((value) => value.split('-').length <= 2 && value.split('-').every(isIpv4), { error: POOL });

const masquerade = section({ zones: pair, address: pool.optional(), ports: ports.optional() });

const TARGET = 'an IPv4 address, with a port if it is another one, such as 10.0.0.5:80';
const target = z
  .string({ error: TARGET })
  .refine((value) => parseTarget(value) !== undefined, { error: TARGET });

const forward = section({
  address: ipv4,
  protocol: z.enum(PORT_PROTOCOLS, { error: oneOf(PORT_PROTOCOLS) }).default('tcp'),
  port: ports,
  to: target,
});

export const natSection = section({
  router: z
    .record(zoneName, routerInterface, { error: 'a mapping of zones to addresses' })
    .refine((router) => Object.keys(router).length > 0, { error: 'at least one zone' }),
  masquerade: z.array(masquerade, { error: 'a list such as [{ zones: inside to outside }]' }).default([]),
  forward: z.array(forward, { error: 'a list of ports to forward' }).default([]),
});

export type PolicySection = z.output<typeof policySection>;
export type RuleSection = PolicySection['rules'][number];
export type NatSection = z.output<typeof natSection>;
