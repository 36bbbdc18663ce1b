/**
 * The description of a lab: a short YAML file that names hosts, where each one's cable ends and what
 * addresses it has. A wrong file names line and column, what was found and what was expected.
 */
import { readFileSync } from 'node:fs';
import ipaddr from 'ipaddr.js';
import { type Document, isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';

/** IFNAMSIZ is 16 with its closing zero. */
const deviceName = z
  .string()
  .regex(/^(?!\.\.?$)[^\s/:%]{1,15}$/, 'expected an interface name of at most 15 characters');
const hostName = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const plainName = z.string().regex(hostName, 'expected a name of letters, digits, "_", "." and "-"');
const address = z.string().refine((text) => text.includes('/') && ipaddr.isValidCIDR(text), {
  abort: true,
  error: 'expected an address with its prefix length, such as 10.1.1.1/24',
});
const mac = z
  .string()
  .regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i, 'expected a MAC address, such as 02:00:00:00:00:01')
  .refine(
    (text) => (Number.parseInt(text, 16) & 1) === 0,
    'expected the MAC address of one host, not of a group',
  );

const host = z.strictObject({
  port: deviceName,
  address: z.preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(address).min(1)),
  mac: mac.optional(),
  /** `port`: only the switch's end of the cable has offloads. AF_XDP needs the host's own to be off. */
  offload: z.union([z.boolean(), z.literal('port')], 'expected true, false or port').default(true),
  mtu: z.int().min(68).max(65535).optional(),
});

const schema = z
  .strictObject({ name: plainName, hosts: z.record(plainName, host) })
  .superRefine(({ hosts }, context) => {
    const seen = new Map<string, string>();
    const once = (kind: string, value: string | undefined, name: string, path: (string | number)[]) => {
      if (value === undefined) return;
      const owner = seen.get(`${kind} ${value}`);
      if (owner)
        context.addIssue({
          code: 'custom',
          path: ['hosts', name, ...path],
          message: `${owner} has it already`,
        });
      seen.set(`${kind} ${value}`, name);
    };
    for (const [name, { port, address, mac, mtu }] of Object.entries(hosts)) {
      once('port', port, name, ['port']);
      once('mac', mac?.toLowerCase(), name, ['mac']);
      address.forEach((text, at) => {
        const ip = ipaddr.parseCIDR(text)[0];
        once('address', ip.toString(), name, ['address', at]);
        // RFC 8200 §5: a link that carries IPv6 has an MTU of at least 1280.
        if (ip.kind() === 'ipv6' && mtu !== undefined && mtu < 1280)
          context.addIssue({
            code: 'custom',
            path: ['hosts', name, 'mtu'],
            message: 'expected at least 1280 for IPv6',
          });
      });
    }
  });

/** One host: a network namespace with an interface `eth0`, whose other end is `port`, out here. */
export type Host = z.infer<typeof host>;

/** A lab; the namespace of its host `h1` is called `name-h1`. */
export type Lab = z.infer<typeof schema>;

/** The file is wrong; the message has one line a mistake, each `file:line:column: …`. */
export class LabFileError extends Error {}

/** Reads a lab from a file. Throws LabFileError. */
export function readLab(file: string): Lab {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new LabFileError(`${file}: ${(error as Error).message}`);
  }
  return parseLab(text, file);
}

/** Reads a lab from text; `file` is what errors call it. Throws LabFileError. */
export function parseLab(text: string, file: string): Lab {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const complain = (mistakes: { offset: number; message: string }[]): never => {
    throw new LabFileError(
      mistakes
        .map(({ offset, message }) => {
          const { line, col } = lines.linePos(offset);
          return `${file}:${line}:${col}: ${message}`;
        })
        .join('\n'),
    );
  };
  if (document.errors.length > 0)
    complain(document.errors.map(({ pos, message }) => ({ offset: pos[0], message })));
  const result = schema.safeParse(document.toJS());
  if (!result.success) complain(result.error.issues.flatMap((issue) => locate(document, issue)));
  return result.data as Lab;
}

/** Where in the text an issue is, and what it is, in words. */
function locate(document: Document, issue: z.core.$ZodIssue): { offset: number; message: string }[] {
  const where = issue.path.join('.') || 'the file';
  const node = nearest(document, issue.path);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      offset: keyOffset(node, key),
      message: `${where} has no setting "${key}"`,
    }));
  if (issue.code === 'invalid_key')
    return [
      {
        offset: keyOffset(nearest(document, issue.path.slice(0, -1)), String(issue.path.at(-1))),
        message: `${where}: ${issue.issues[0].message}`,
      },
    ];
  const found = isScalar(node) ? node.value : document.getIn(issue.path);
  const shown = found === undefined || found === null ? 'nothing' : JSON.stringify(found);
  const expected = issue.message.replace(/^Invalid input: |, received .*$/g, '');
  return [{ offset: node?.range?.[0] ?? 0, message: `${where}: found ${shown}; ${expected}` }];
}

/** The node at a path, or the innermost one around it when it is missing. */
function nearest(document: Document, path: readonly PropertyKey[]): Node | null {
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node)) return node;
  }
  return document.contents;
}

function keyOffset(node: Node | null, key: string): number {
  const pair = isMap(node)
    ? node.items.find((item) => isScalar(item.key) && String(item.key.value) === key)
    : undefined;
  return (isNode(pair?.key) && pair.key.range?.[0]) || (node?.range?.[0] ?? 0);
}
