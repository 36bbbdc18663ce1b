/**
 * The description of a lab: a short YAML file that names hosts, where each one's cable ends and what
 * addresses it has.
 */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { oneOf, readAs, section, text, whole } from '../yaml/schema.ts';
import { readSource, Source } from '../yaml/source.ts';

/** IFNAMSIZ is 16 with its closing zero. */
const deviceName = text(/^(?!\.\.?$)[^\s/:%]{1,15}$/, 'an interface name of at most 15 characters');
const NAME = 'a name of letters, digits, "_", "." and "-"';
const plainName = text(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, NAME);

const ADDRESS = 'an address with its prefix length, such as 10.1.1.1/24';
const address = z
  .string({ error: ADDRESS })
  .refine((cidr) => cidr.includes('/') && ipaddr.isValidCIDR(cidr), {
    abort: true,
    error: ADDRESS,
  });
const addresses = z.array(address, { error: `${ADDRESS}, or a list of such` }).min(1, { error: ADDRESS });

const MAC = 'a MAC address, such as 02:00:00:00:00:01';
const mac = text(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i, MAC).refine(
  (value) => (Number.parseInt(value, 16) & 1) === 0,
  { error: 'the MAC address of one host, not of a group' },
);

const GATEWAY = 'an address without prefix length, such as 10.1.1.254';
const gateway = z.string({ error: GATEWAY }).refine((value) => ipaddr.isValid(value), {
  abort: true,
  error: GATEWAY,
});

const host = section({
  port: deviceName,
  address: z.preprocess((value) => (typeof value === 'string' ? [value] : value), addresses),
  mac: mac.optional(),
  /** The way to everywhere else. */
  gateway: gateway.optional(),
  /** `port`: only the switch's end of the cable has offloads. AF_XDP needs the host's own to be off. */
  offload: z
    .union([z.boolean(), z.literal('port')], { error: oneOf(['true', 'false', 'port']) })
    .default(true),
  mtu: whole(68, 65535).optional(),
});

const schema = section({
  name: plainName,
  hosts: z.record(plainName, host, { error: 'a mapping of names to hosts' }),
}).superRefine(({ hosts }, context) => {
  const wrong = (path: (string | number)[], message: string) =>
    context.addIssue({ code: 'custom', path: ['hosts', ...path], message });
  const owners = new Map<string, string>();
  const once = (what: string, value: string | undefined, name: string, ...path: (string | number)[]) => {
    const owner = value === undefined ? undefined : owners.get(`${what} ${value}`);
    if (owner !== undefined) wrong([name, ...path], `${what} that ${owner} does not have`);
    owners.set(`${what} ${value}`, name);
  };
  for (const [name, { port, address, mac, gateway, mtu }] of Object.entries(hosts)) {
    if (gateway !== undefined && !address.some((cidr) => isBeside(gateway, cidr)))
      wrong([name, 'gateway'], 'an address in the network of the host');
    once('a port', port, name, 'port');
    once('a MAC address', mac?.toLowerCase(), name, 'mac');
    for (const [i, cidr] of address.entries()) {
      const ip = ipaddr.parseCIDR(cidr)[0];
      once('an address', ip.toString(), name, 'address', i);
      // RFC 8200 §5: a link that carries IPv6 has an MTU of at least 1280.
      if (ip.kind() === 'ipv6' && mtu !== undefined && mtu < 1280)
        wrong([name, 'mtu'], 'at least 1280 for IPv6');
    }
  }
});

function isBeside(address: string, cidr: string): boolean {
  const [one, [network, length]] = [ipaddr.parse(address), ipaddr.parseCIDR(cidr)];
  return one.kind() === network.kind() && one.match(network, length);
}

/** One host: a network namespace with an interface `eth0`, whose other end is `port`, out here. */
export type Host = z.infer<typeof host>;

/** A lab; the namespace of its host `h1` is called `name-h1`. */
export type Lab = z.infer<typeof schema>;

/** Reads a lab from a file. Throws ConfigError. */
export function readLab(file: string): Lab {
  return readAs(readSource(file, 'a lab in YAML'), schema);
}

/** Reads a lab from text; `file` is what problems call it. Throws ConfigError. */
export function parseLab(text: string, file: string): Lab {
  return readAs(new Source(file, text), schema);
}
