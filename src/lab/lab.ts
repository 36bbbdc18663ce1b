/**
 * Hosts in network namespaces, cabled to ports that a switch may use:
 *
 *     namespace demo-h1          │ here                        │ namespace demo-h2
 *     eth0 (10.1.1.1/24) ────────┼─ p1    the switch's    p2 ──┼──────── eth0 (10.1.1.2/24)
 *
 * Our own network stack stays silent on p1 and p2: no IPv6, no answers to ARP.
 *
 * A host's `lo` carries an alias that says whose it is. Only namespaces with that mark are taken down, and p1
 * goes because its other end does, so nothing that somebody else made is ever deleted.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { attached, attempt, command, complaint, lacking } from './command.ts';
import type { Host, Lab } from './file.ts';

/** The interface inside every host. */
export const DEVICE = 'eth0';

const OFFLOADS_OFF = ['tx', 'rx', 'tso', 'gso', 'gro'].flatMap((offload) => [offload, 'off']);

/** The network namespace of a host. Throws when the lab has no such host. */
export function namespaceOf(lab: Lab, host: string): string {
  if (Object.hasOwn(lab.hosts, host)) return `${lab.name}-${host}`;
  throw new Error(`lab ${lab.name} has no host ${host}; it has ${Object.keys(lab.hosts).join(', ')}`);
}

/** Brings all hosts up. When any step fails, what was made is taken down again and the error says which. */
export async function labUp(lab: Lab): Promise<void> {
  const why = lacking('ip', 'ethtool');
  if (why) throw new Error(`lab ${lab.name}: ${why}`);
  const hosts = Object.entries(lab.hosts).map(([name, host]) => ({
    namespace: namespaceOf(lab, name),
    ...host,
  }));
  for (const { namespace, port } of hosts) {
    if (existsSync(`/run/netns/${namespace}`))
      throw new Error(`network namespace ${namespace} exists already`);
    if (existsSync(`/sys/class/net/${port}`)) throw new Error(`interface ${port} exists already`);
  }
  const made: string[] = [];
  try {
    for (const { namespace } of hosts) {
      await command(['ip', 'netns', 'add', namespace]);
      made.push(namespace);
    }
    await batch([], hosts.map(cable));
    for (const { port } of hosts) silence(port);
    for (const host of hosts) {
      await batch(['-n', host.namespace], inside(host, mark(lab)));
      if (host.offload === true) continue;
      if (!host.offload) await command(['ethtool', '-K', host.port, ...OFFLOADS_OFF]);
      await command(['ip', 'netns', 'exec', host.namespace, 'ethtool', '-K', DEVICE, ...OFFLOADS_OFF]);
    }
    await batch(
      [],
      hosts.map(({ port }) => `link set ${port} up`),
    );
  } catch (error) {
    await Promise.all(made.map(remove));
    throw new Error(`lab ${lab.name}: ${(error as Error).message}`);
  }
}

/** Takes down what `labUp` made; hosts that are not there are fine, namespaces of others are left alone. */
export async function labDown(lab: Lab): Promise<void> {
  const why = lacking('ip');
  if (why) throw new Error(`lab ${lab.name}: ${why}`);
  await Promise.all(
    Object.keys(lab.hosts).map(async (host) => {
      const namespace = namespaceOf(lab, host);
      if (existsSync(`/run/netns/${namespace}`) && (await ours(namespace, lab))) await remove(namespace);
    }),
  );
}

/**
 * Brings the lab up, does something in it, and takes it down whatever happened. A command runs out here,
 * where the ports are, on our terminal; its exit code is the result, 128 + signal number as in a shell.
 */
export async function labRun<T>(lab: Lab, work: () => Promise<T>): Promise<T>;
export async function labRun(lab: Lab, work: readonly string[]): Promise<number>;
export async function labRun<T>(lab: Lab, work: (() => Promise<T>) | readonly string[]): Promise<T | number> {
  if (typeof work !== 'function') return uninterrupted(() => labRun(lab, () => attached(work)));
  await labUp(lab);
  try {
    return await work();
  } finally {
    await labDown(lab);
  }
}

/** Signals meant for the command must not end us before the lab is down. */
async function uninterrupted<T>(work: () => Promise<T>): Promise<T> {
  const ignore = () => {};
  process.on('SIGINT', ignore).on('SIGTERM', ignore);
  try {
    return await work();
  } finally {
    process.off('SIGINT', ignore).off('SIGTERM', ignore);
  }
}

/** Starts a program in a host. `ip` becomes that program, so the process's id is the program's. */
export function labSpawn(
  lab: Lab,
  host: string,
  argv: readonly string[],
  options: SpawnOptions = {},
): ChildProcess {
  const [program, ...rest] = enter(lab, host, argv);
  return spawn(program, rest, options);
}

/** The arguments that run a program in a host. */
export function enter(lab: Lab, host: string, argv: readonly string[]): string[] {
  return ['ip', 'netns', 'exec', namespaceOf(lab, host), ...argv];
}

type Placed = Host & { namespace: string };

function cable({ namespace, port, mac, mtu }: Placed): string {
  const size = mtu === undefined ? '' : ` mtu ${mtu}`;
  const address = mac === undefined ? '' : ` address ${mac}`;
  return `link add ${port}${size} type veth peer name ${DEVICE}${address}${size} netns ${namespace}`;
}

function inside({ address, gateway }: Placed, alias: string): string[] {
  return [
    `link set lo up alias ${alias}`,
    // Nobody else can have the address, and waiting for others to object takes two seconds.
    ...address.map((one) => `address add ${one} dev ${DEVICE}${one.includes(':') ? ' nodad' : ''}`),
    `link set ${DEVICE} up`,
    ...(gateway === undefined ? [] : [`route add default via ${gateway}`]),
  ];
}

/** Keeps our own stack from speaking on the switch's end of a cable. */
function silence(port: string): void {
  if (existsSync(`/proc/sys/net/ipv6/conf/${port}`))
    writeFileSync(`/proc/sys/net/ipv6/conf/${port}/disable_ipv6`, '1');
  writeFileSync(`/proc/sys/net/ipv4/conf/${port}/arp_ignore`, '8'); // 8: answer for no local address
}

const mark = (lab: Lab): string => `heddle-lab-${lab.name}`;

async function ours(namespace: string, lab: Lab): Promise<boolean> {
  const { code, stdout } = await attempt(['ip', '-n', namespace, 'link', 'show', 'lo']);
  return code === 0 && stdout.split('\n').some((line) => line.trim() === `alias ${mark(lab)}`);
}

/** Deletes a namespace. Its cable goes first: the kernel takes its time over what a namespace leaves. */
async function remove(namespace: string): Promise<void> {
  await attempt(['ip', '-n', namespace, 'link', 'delete', DEVICE]);
  await attempt(['ip', 'netns', 'delete', namespace]);
}

/** Many `ip` commands in one process; a failure names the command at fault. */
async function batch(options: string[], lines: string[]): Promise<void> {
  const outcome = await attempt(['ip', ...options, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  if (outcome.code === 0) return;
  const said = complaint(outcome);
  const at = /Command failed -:(\d+)/.exec(said);
  const message = said.split('\n').filter((line) => !line.startsWith('Command failed'));
  throw new Error(
    `ip ${[...options, at ? lines[Number(at[1]) - 1] : '-batch'].join(' ')}: ${message.join('; ')}`,
  );
}
