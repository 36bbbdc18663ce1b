/** The configuration's sections, as the file spells them. */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { MAX_FRAMES, MAX_PORTS } from '../datapath.ts';
import { natSection, policySection } from '../policy/schema.ts';
import { parseAddress, STREAM_ADDRESS } from '../port/stream/address.ts';
import { TABLE_MAX } from '../table/syntax.ts';
import { LIMIT_MAX } from '../table/zone-limits.ts';
import { ZONE_MAX } from '../table/zones.ts';
import { MOST_TIMEOUT_SECONDS, TIMEOUT_NAMES, type Timeouts } from '../timeouts.ts';
import { MOST_ZONES_WITH_TIMEOUTS } from '../upcall/zone-timeouts.ts';
import { oneOf, section, text, whole, yesNo } from '../yaml/schema.ts';
import { fragmentsSection } from './fragments.ts';
import { MOST_FLOWS, revalidationSection } from './revalidation.ts';

function real(least: number, most: number) {
  const error = `a number from ${least} to ${most}`;
  return z.number({ error }).min(least, { error }).max(most, { error });
}

function choice<const Choices extends readonly string[]>(choices: Choices) {
  return z.enum(choices, { error: oneOf(choices) });
}

function isNetwork(value: string): boolean {
  if (!ipaddr.IPv4.isValidCIDRFourPartDecimal(value)) return false;
  const [address] = ipaddr.IPv4.parseCIDR(value);
  return ipaddr.IPv4.networkAddressFromCIDR(value).toString() === address.toString();
}

const NETWORK = 'an IPv4 network such as 10.0.0.0/16';
const network = z.string({ error: NETWORK }).refine(isNetwork, { error: NETWORK });

/** Linux: IFNAMSIZ is 16 with the terminating zero. */
const interfaceName = text(/^[^\s/:]{1,15}$/, 'the name of a network interface, at most 15 characters');

const filePath = text(/^[^\0]{1,4096}$/, 'the path of a file');

/** A name that cannot be taken for a number or a word of the flow syntax. */
export const PORT_NAME =
  'a port name: a letter, then letters, digits, ".", "-" or "_", at most 31, not a word of ovs-ofctl';
const RESERVED = /^(normal|in_port|flood|all|local|controller|table|none|any|drop)$/i;
const portName = text(/^[A-Za-z][A-Za-z0-9._-]{0,30}$/, PORT_NAME).refine((name) => !RESERVED.test(name), {
  error: PORT_NAME,
});

const MOST_PORTS = MAX_PORTS - 1;
const MOST_DATAPATH_THREADS = 16;
/** Of handlers, and of revalidators. */
const MOST_SLOW_THREADS = 8;

const MOST_RULES = 1_000_000;

const common = {
  number: whole(1, MOST_PORTS).optional(),
  thread: whole(1, MOST_DATAPATH_THREADS).optional(),
};

/** Of ports that may have several queues. */
const several = {
  queues: whole(1, MOST_DATAPATH_THREADS).optional(),
  threads: z
    .array(whole(1, MOST_DATAPATH_THREADS), { error: 'a list of datapath threads' })
    .min(1, { error: 'at least one thread' })
    .optional(),
};

/** Of ports that are interfaces of the kernel, which may be waited for. */
const kernel = { interface: interfaceName, ...several, wait: yesNo.default(false) };

const packet = section({ type: z.literal('packet'), ...common, ...kernel });

const afxdp = section({
  type: z.literal('afxdp'),
  ...common,
  ...kernel,
  mode: choice(['auto', 'native', 'generic']).default('auto'),
  queue: whole(0, 1023).default(0),
});

const mtu = whole(68, 65_521);

const MAC = 'an Ethernet address for one station, such as 02:00:00:00:00:07';
const mac = text(/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i, MAC);

const ADDRESS = 'an address with its prefix length, such as 10.0.0.7/24 or fd00::7/64';
const address = z
  .string({ error: ADDRESS })
  .refine((value) => ipaddr.IPv4.isValidCIDRFourPartDecimal(value) || ipaddr.IPv6.isValidCIDR(value), {
    error: ADDRESS,
  });

const tap = section({
  type: z.literal('tap'),
  ...common,
  ...several,
  device: interfaceName,
  namespace: text(/^[^\s/]{1,255}$/, 'the name of a network namespace').optional(),
  mtu: mtu.optional(),
  mac: mac.optional(),
  addresses: z.array(address, { error: 'a list of addresses' }).default([]),
});

const streamAddress = z
  .string({ error: STREAM_ADDRESS })
  .refine((value) => parseAddress(value) !== undefined, { error: STREAM_ADDRESS });

const stream = section({
  type: z.literal('stream'),
  ...common,
  listen: streamAddress.optional(),
  connect: streamAddress.optional(),
  mtu: mtu.default(1500),
});

const traffic = section({
  type: z.literal('traffic'),
  ...common,
  hosts: whole(1, 10_000).default(10),
  connectionsPerSecond: real(0, 1_000_000).default(100),
  seed: whole(0, 0xffff_ffff).optional(),
  network: network.default('10.0.0.0/16'),
  peers: z.array(portName, { error: 'a list of port names' }).optional(),
  bytesPerConnection: whole(0, 1_000_000_000).default(10_000),
  ipv6: yesNo.default(false),
  vlan: whole(1, 4094).optional(),
  mix: section({
    http: real(0, 1000).default(0),
    dns: real(0, 1000).default(0),
    ping: real(0, 1000).default(0),
  }).default({ http: 6, dns: 3, ping: 1 }),
});

const capture = section({
  type: z.literal('capture'),
  ...common,
  read: filePath.optional(),
  write: filePath.optional(),
  loop: yesNo.default(false),
});

const PORT_TYPES = ['packet', 'afxdp', 'tap', 'stream', 'traffic', 'capture'];

const port = z.discriminatedUnion('type', [packet, afxdp, tap, stream, traffic, capture], {
  error: (issue) => (issue.note ? oneOf(PORT_TYPES) : 'a mapping with type'),
});

const threads = z.union(
  [
    z.literal('inline'),
    section({
      datapath: whole(1, MOST_DATAPATH_THREADS).default(1),
      handler: whole(1, MOST_SLOW_THREADS).default(1),
      revalidator: whole(1, MOST_SLOW_THREADS).default(1),
    }),
  ],
  { error: 'inline or a mapping such as { datapath: 2, handler: 1, revalidator: 1 }' },
);

/** How many flows one table may have. */
const table = section({
  rules: whole(1, MOST_RULES),
  overflow: choice(['refuse', 'evict']).default('refuse'),
});

/** Keys that are numbers from 0 to `most`. */
function numbers(most: number, error: string) {
  return z.string({ error }).refine((key) => /^(0|[1-9]\d*)$/.test(key) && Number(key) <= most, { error });
}

const tableNumber = numbers(TABLE_MAX, 'a table from 0 to 254');

const limits = section({
  rules: whole(1, MOST_RULES).default(MOST_RULES),
  tables: z.record(tableNumber, table, { error: 'a mapping of tables to limits' }).default({}),
  flows: whole(4096, MOST_FLOWS).default(65_536),
  frames: whole(4096, MAX_FRAMES).default(16_384),
  connections: whole(0, 8_388_608).default(65_536),
  ports: whole(1, MOST_PORTS).default(64),
  queues: whole(1, 1024).default(64),
  macs: whole(16, 1_048_576).default(8192),
});

const zoneNumber = numbers(ZONE_MAX, 'a zone from 0 to 65535');

const timeouts: z.ZodType<Timeouts> = section(
  Object.fromEntries(TIMEOUT_NAMES.map((name) => [name, whole(1, MOST_TIMEOUT_SECONDS).optional()])),
);

const hasTimeouts = ({ timeoutSeconds }: { timeoutSeconds: Timeouts }): boolean =>
  Object.keys(timeoutSeconds).length > 0;

/** Of connections; a `limit` of 0 lets none be made. */
const zone = section({
  limit: whole(0, LIMIT_MAX).optional(),
  timeoutSeconds: timeouts.prefault({}),
});

const zones = z
  .record(zoneNumber, zone, { error: 'a mapping of zones to limits and timeouts' })
  .refine((zones) => Object.values(zones).filter(hasTimeouts).length <= MOST_ZONES_WITH_TIMEOUTS, {
    error: `at most ${MOST_ZONES_WITH_TIMEOUTS} zones with timeouts`,
  });

/** What `defaultLimit` says, zones have that say nothing; 0: no limit. */
const conntrack = section({
  sequenceChecking: yesNo.default(true),
  defaultLimit: whole(0, LIMIT_MAX).default(0),
  zones: zones.default({}),
  fragments: fragmentsSection.prefault({}),
});

/** sockaddr_un has room for 107 bytes of path; while it is made, the socket's has seven more. */
const CONTROL = 'none or the path of a socket, at most 100 bytes';

const ports = z.record(portName, port, { error: 'a mapping of port names to ports' });

const portNames = z.array(portName, { error: 'a list of port names' }).default([]);

/** Copies of what comes `from` ports and goes `to` ports go to `output`. */
const mirror = section({ from: portNames, to: portNames, output: portName });

const mirrorName = text(
  /^[A-Za-z][A-Za-z0-9._-]{0,30}$/,
  'a name: a letter, then letters, digits, ".", "-" or "_", at most 31',
);

const mirrors = z.record(mirrorName, mirror, { error: 'a mapping of names to mirrors' }).default({});

/** What is said of a mirror that is added to a running switch. */
export const mirrorFile = section({ mirrors });

/** What is said of a port that is added to a running switch, as it would stand in the file. */
export const portFile = section({ ports });

export const configFile = section({
  name: text(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/,
    'a name of letters, digits, ".", "-" or "_", at most 32',
  ).optional(),
  ports: ports.refine((ports) => Object.keys(ports).length > 0, { error: 'at least one port' }),
  mirrors,
  threads: threads.default({ datapath: 1, handler: 1, revalidator: 1 }),
  limits: limits.prefault({}),
  conntrack: conntrack.prefault({}),
  revalidation: revalidationSection.prefault({}),
  flows: z.string({ error: 'flows as text, in the syntax of ovs-ofctl' }).optional(),
  policy: policySection.optional(),
  nat: natSection.optional(),
  control: z
    .string({ error: CONTROL })
    .refine((path) => path.length > 0 && Buffer.byteLength(path) <= 100, { error: CONTROL })
    .optional(),
  macAgeingSeconds: whole(1, 86_400).default(300),
});

export type MirrorConfig = z.output<typeof mirror>;

export type ConfigFile = z.output<typeof configFile>;
