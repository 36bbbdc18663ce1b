/**
 * What the sections of a configuration must agree on, beyond what the schema says of each: every check
 * yields the problems that it finds.
 */
import { resolve } from 'node:path';
import { roomIn } from '../port/traffic/addresses.ts';
import type { Problem } from '../yaml/problem.ts';
import type { Source } from '../yaml/source.ts';
import { type ConfigFile, PORT_NAME } from './config-schema.ts';

export type PortSection = ConfigFile['ports'][string];
type Of<Type extends PortSection['type']> = Extract<PortSection, { type: Type }>;

/** A port on its way through the checks, and what has come before it. */
interface Checked {
  readonly source: Source;
  readonly sections: ConfigFile;
  readonly name: string;
  readonly number: number;
  /** Names of ports by number, and by the file that they write. */
  readonly owners: Map<number, string>;
  readonly writers: Map<string, string>;
}

/** Problems of the ports, whose numbers are `numbers`. */
export function checkPorts(source: Source, sections: ConfigFile, numbers: Map<string, number>): Problem[] {
  const problems: Problem[] = [];
  // Objects drop this one key in silence.
  if (Object.hasOwn((source.value as ConfigFile).ports, '__proto__')) {
    problems.push(source.wrongKey(['ports', '__proto__'], PORT_NAME));
  }
  const owners = new Map<number, string>();
  const writers = new Map<string, string>();
  for (const [name, port] of Object.entries(sections.ports)) {
    const checked = { source, sections, name, number: numbers.get(name)!, owners, writers };
    problems.push(...checkNumber(checked), ...checkThread(checked, port));
    if (port.type === 'capture') problems.push(...checkCapture(checked, port));
    if (port.type === 'traffic') problems.push(...checkTraffic(checked, port));
  }
  return problems;
}

/** Ports that may mirror one direction of a port. */
const MOST_MIRRORS = 4;

/** Problems of the mirrors, with ports named `names`. */
export function checkMirrors(
  source: Source,
  mirrors: ConfigFile['mirrors'],
  names: ReadonlySet<string>,
): Problem[] {
  const problems: Problem[] = [];
  const taps = new Map<string, number>();
  const aPort = `one of ${[...names].join(', ')}`;
  for (const [name, mirror] of Object.entries(mirrors)) {
    const path = ['mirrors', name];
    if (mirror.from.length + mirror.to.length === 0) {
      problems.push(source.wrongValue(path, 'from, to or both', 'a mirror of nothing'));
    }
    if (!names.has(mirror.output)) problems.push(source.wrongValue([...path, 'output'], aPort));
    for (const way of ['from', 'to'] as const) {
      for (const [i, port] of mirror[way].entries()) {
        const wrong = (expected: string) => problems.push(source.wrongValue([...path, way, i], expected));
        const count = (taps.get(`${way} ${port}`) ?? 0) + 1;
        taps.set(`${way} ${port}`, count);
        if (!names.has(port)) wrong(aPort);
        else if (port === mirror.output) wrong('another port than the output');
        else if (count > MOST_MIRRORS) wrong(`a port that ${MOST_MIRRORS} mirrors do not have already`);
      }
    }
  }
  return problems;
}

/** The datapath threads that are to have a port's queues, if the configuration says so. */
export function threadsOf(port: PortSection): number[] | undefined {
  if ('threads' in port && port.threads) return port.threads;
  return port.thread === undefined ? undefined : [port.thread];
}

/** How many queues a port has. */
export function queuesOf(port: PortSection): number {
  return ('queues' in port ? port.queues : undefined) ?? threadsOf(port)?.length ?? 1;
}

/** The names of the traffic ports other than `name`. */
export function otherTrafficPorts({ ports }: ConfigFile, name: string): string[] {
  return Object.keys(ports).filter((other) => other !== name && ports[other]!.type === 'traffic');
}

function wrong({ source, name }: Checked, key: string, expected: string, found?: string): Problem {
  return source.wrongValue(['ports', name, key], expected, found);
}

function* checkNumber(checked: Checked): Iterable<Problem> {
  const { sections, name, number, owners } = checked;
  const owner = owners.get(number);
  const most = sections.limits.ports;
  if (owner !== undefined) yield wrong(checked, 'number', `a number that ${owner} does not have`);
  else if (number > most) yield wrong(checked, 'number', `at most limits.ports, ${most}`, String(number));
  owners.set(number, name);
}

function* checkThread(checked: Checked, port: PortSection): Iterable<Problem> {
  const { type, thread } = port;
  const { threads } = checked.sections;
  if (threads === 'inline' && (type === 'packet' || type === 'afxdp')) {
    const why = 'because with threads: inline the clock is virtual and the kernel’s is not';
    yield wrong(checked, 'type', `traffic or capture, ${why}`);
  }
  const datapaths = threads === 'inline' ? 1 : threads.datapath;
  const aThread = `a datapath thread, of which there ${datapaths === 1 ? 'is 1' : `are ${datapaths}`}`;
  if (thread !== undefined && thread > datapaths) yield wrong(checked, 'thread', aThread);
  if (!('wait' in port)) return;
  const { source, name } = checked;
  if (thread !== undefined && port.threads) yield wrong(checked, 'threads', 'thread or threads, not both');
  for (const [i, one] of (port.threads ?? []).entries()) {
    if (one > datapaths) yield source.wrongValue(['ports', name, 'threads', i], aThread);
    else if (port.threads!.indexOf(one) !== i) {
      yield source.wrongValue(['ports', name, 'threads', i], 'each thread once: it has one queue of a port');
    }
  }
  const { queues } = port;
  const named = threadsOf(port)?.length;
  if (named !== undefined && (queues ?? named) !== named) {
    yield wrong(checked, 'queues', `${named}, one for each thread named`);
  } else if (named === undefined && (queues ?? 1) > datapaths) {
    yield wrong(checked, 'queues', `at most ${datapaths}, since a thread has one queue of a port`);
  }
}

function* checkCapture(checked: Checked, { read, write }: Of<'capture'>): Iterable<Problem> {
  const { source, name, writers } = checked;
  if (read === undefined && write === undefined) {
    yield source.wrongValue(['ports', name], 'read, write or both', 'a capture with neither');
  }
  if (write === undefined) return;
  const writer = writers.get(resolve(write));
  if (writer !== undefined) yield wrong(checked, 'write', `a file that ${writer} does not write`);
  writers.set(resolve(write), name);
}

function* checkTraffic(checked: Checked, port: Of<'traffic'>): Iterable<Problem> {
  const { source, sections, name, number } = checked;
  const { hosts, network, mix } = port;
  const room = roomIn(network);
  if (number >= room.ports || hosts > room.hosts) {
    const found = `${network}, which has room for ports below ${room.ports} with ${room.hosts} hosts`;
    yield wrong(checked, 'network', `room for port ${number} with ${hosts} hosts`, found);
  }
  if (mix.http + mix.dns + mix.ping === 0) yield wrong(checked, 'mix', 'a share above 0', 'only zeros');
  const others = otherTrafficPorts(sections, name);
  for (const [i, peer] of (port.peers ?? []).entries()) {
    if (others.includes(peer)) continue;
    yield source.wrongValue(['ports', name, 'peers', i], `one of ${others.join(', ')}`);
  }
}
