/**
 * Reads a configuration: YAML, checked as a whole before anything is opened, so that nothing is half
 * applied. All that is wrong is reported at once.
 *
 *     file ─▶ Source (YAML with positions) ─▶ schema ─▶ what sections must agree on ─▶ flows ─▶ Config
 *                                                                       policy, nat ───┘
 */
import { basename, extname } from 'node:path';
import { checkPolicy } from '../policy/check.ts';
import { compilePolicy } from '../policy/compile.ts';
import { parseBundle } from '../table/parse-bundle.ts';
import { Ruleset } from '../table/ruleset.ts';
import type { RuleLimits } from '../table/tables.ts';
import { ConfigError, type Place, type Problem } from '../yaml/problem.ts';
import { readAs } from '../yaml/schema.ts';
import { readSource, Source } from '../yaml/source.ts';
import {
  checkMirrors,
  checkPorts,
  otherTrafficPorts,
  type PortSection,
  queuesOf,
  threadsOf,
} from './config-check.ts';
import { type ConfigFile, configFile, type MirrorConfig, mirrorFile, portFile } from './config-schema.ts';
import { checkFragments } from './fragments.ts';

/** `threads`: the datapath threads that have its queues, from 1, when the configuration says which. */
type Settled = { name: string; number: number; queues: number; threads?: number[] };

export type PacketConfig = Extract<PortSection, { type: 'packet' }> & Settled;
export type AfxdpConfig = Extract<PortSection, { type: 'afxdp' }> & Settled;
export type TapConfig = Extract<PortSection, { type: 'tap' }> & Settled;
export type StreamConfig = Extract<PortSection, { type: 'stream' }> & Settled;
export type CaptureConfig = Extract<PortSection, { type: 'capture' }> & Settled;
/** `peers`: names of the traffic ports that its hosts talk to. */
export type TrafficConfig = Extract<PortSection, { type: 'traffic' }> &
  Settled & { seed: number; peers: string[] };

export type PortConfig =
  | PacketConfig
  | AfxdpConfig
  | TapConfig
  | StreamConfig
  | TrafficConfig
  | CaptureConfig;

/** A configuration in which everything is decided and every reference holds. */
export interface Config {
  name: string;
  /** In the order of the file. */
  ports: PortConfig[];
  mirrors: ConfigFile['mirrors'];
  threads: ConfigFile['threads'];
  limits: ConfigFile['limits'];
  conntrack: ConfigFile['conntrack'];
  revalidation: ConfigFile['revalidation'];
  /** In ovs-ofctl syntax, as the file has them or from its policy; the parser has accepted it. */
  flows: string;
  /** Path of the control socket, or `none`; undefined: the default place. */
  control?: string;
  macAgeingSeconds: number;
}

/**
 * Reads flows, groups and meters; `ports` maps names to numbers. Throws an error that has `line`, `column` (from
 * 1, within the text), `found` and `expected`.
 */
type FlowParser = (text: string, ports: ReadonlyMap<string, number>, limits: RuleLimits) => unknown;

/** What the text makes of a switch that has nothing yet. */
function rulesetOf(text: string, ports: ReadonlyMap<string, number>, limits: RuleLimits): Ruleset {
  const ruleset = new Ruleset(limits);
  ruleset.apply(parseBundle(text, ports), 0);
  return ruleset;
}

/** Throws ConfigError, which lists every problem. */
export function loadConfig(file: string): Config {
  return settled(readSource(file, 'a configuration in YAML'), rulesetOf);
}

/** As `loadConfig`, for a text in memory; `file` names it in problems. */
export function parseConfig(file: string, text: string, parser: FlowParser = rulesetOf): Config {
  return settled(new Source(file, text), parser);
}

/**
 * Reads what is said of a port that joins others: `text` as it would stand in the file behind the port's name,
 * with or without the braces. Throws ConfigError; places in it are those in `text`.
 */
export function parsePort(
  config: Config,
  present: readonly PortConfig[],
  name: string,
  text: string,
): PortConfig {
  return readAddition('ports', name, text, (source) => {
    const { ports } = readAs(source, portFile);
    if (present.some((port) => port.name === name)) {
      throw new ConfigError([source.wrongKey(['ports', name], 'a name that no port has')]);
    }
    const sections = { ...config, ports: { ...byName(present), ...ports } };
    const numbers = numberPorts(sections.ports);
    const problems = checkPorts(source, sections, numbers);
    if (problems.length > 0) throw new ConfigError(problems);
    return settle(name, ports[name]!, sections, numbers);
  });
}

/** The same for a mirror of `ports` that joins the mirrors `present`. */
export function parseMirror(
  ports: readonly PortConfig[],
  present: Readonly<Record<string, MirrorConfig>>,
  name: string,
  text: string,
): MirrorConfig {
  return readAddition('mirrors', name, text, (source) => {
    const { mirrors } = readAs(source, mirrorFile);
    if (Object.hasOwn(present, name)) {
      throw new ConfigError([source.wrongKey(['mirrors', name], 'a name that no mirror has')]);
    }
    const names = new Set(ports.map((port) => port.name));
    const problems = checkMirrors(source, { ...present, ...mirrors }, names);
    if (problems.length > 0) throw new ConfigError(problems);
    return mirrors[name]!;
  });
}

/** Reads `text` as if it stood behind `name` in section `section` of a file that has nothing else. */
function readAddition<Read>(
  section: string,
  name: string,
  text: string,
  read: (source: Source) => Read,
): Read {
  const inBraces = /^\s*\{/.test(text) ? text : `{${text}}`;
  const before = `${section}: {${JSON.stringify(name)}: `;
  const added = before.length + (inBraces === text ? 0 : 1);
  try {
    const source = new Source(name, `${before}${inBraces}}`);
    const more = Object.keys((source.value as Record<string, object>)[section]!).find((key) => key !== name);
    if (more !== undefined) throw new ConfigError([source.wrongKey([section, more], `only ${name}`)]);
    return read(source);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.problems.map((problem) => shifted(problem, added)));
  }
}

/** As sections of a file would say it: a port's `threads` are known, so they no longer come from `thread`. */
function byName(ports: readonly PortConfig[]): Record<string, PortConfig> {
  return Object.fromEntries(ports.map((port) => [port.name, { ...port, thread: undefined }]));
}

/** What stands `added` columns further right on the first line than whoever wrote it knows. */
function shifted(problem: Problem, added: number): Problem {
  if (problem.line !== 1 || problem.column === undefined) return problem;
  return { ...problem, column: Math.max(problem.column - added, 1) };
}

const DEFAULT_FLOWS = 'actions=NORMAL';

/** Those that stand in the file, or that its policy becomes. */
function flowsOf({ policy, flows, ...sections }: ConfigFile): string {
  return policy ? compilePolicy({ ...sections, policy }) : (flows ?? DEFAULT_FLOWS);
}

function settled(source: Source, parser: FlowParser): Config {
  const sections = readAs(source, configFile);
  const numbers = numberPorts(sections.ports);
  const { policy, nat, ...rest } = sections;
  const problemsOfPolicy = checkPolicy(source, sections);
  const flows = problemsOfPolicy.length > 0 ? DEFAULT_FLOWS : flowsOf(sections);
  const problems = [
    ...checkPorts(source, sections, numbers),
    ...checkMirrors(source, sections.mirrors, new Set(numbers.keys())),
    ...checkFragments(source, sections),
    ...problemsOfPolicy,
    ...checkFlows(source, { ...sections, flows }, numbers, parser),
  ];
  if (problems.length > 0) throw new ConfigError(problems);

  return {
    ...rest,
    flows,
    name: sections.name ?? nameOf(source.file),
    ports: Object.entries(sections.ports).map(([name, port]) => settle(name, port, sections, numbers)),
  };
}

/** A name for the switch from its file's: what a socket's name may not have becomes a dash. */
function nameOf(file: string): string {
  const name = basename(file, extname(file))
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  return name.slice(0, 32) || 'heddle';
}

/** Numbers as given; the other ports take the lowest free ones, in the order of the file. */
function numberPorts(ports: ConfigFile['ports']): Map<string, number> {
  const taken = new Set(Object.values(ports).map(({ number }) => number));
  const numbers = new Map<string, number>();
  let free = 1;
  for (const [name, { number }] of Object.entries(ports)) {
    if (number === undefined) while (taken.has(free)) free++;
    numbers.set(name, number ?? free++);
  }
  return numbers;
}

function settle(
  name: string,
  port: PortSection,
  sections: ConfigFile,
  numbers: Map<string, number>,
): PortConfig {
  const number = numbers.get(name)!;
  const threads = threadsOf(port);
  const settled = { name, number, queues: queuesOf(port), ...(threads && { threads }) };
  if (port.type !== 'traffic') return { ...port, ...settled };
  return {
    ...port,
    ...settled,
    seed: port.seed ?? number,
    peers: port.peers ?? otherTrafficPorts(sections, name),
  };
}

function checkFlows(
  source: Source,
  { flows, policy, limits }: ConfigFile & { flows: string },
  numbers: Map<string, number>,
  parser: FlowParser,
): Problem[] {
  try {
    parser(flows, numbers, limits);
    return [];
  } catch (error) {
    if (!isFlowError(error)) throw error;
    if (policy) return [source.wrongValue(['policy'], error.expected, error.found)];
    return [source.wrongText(['flows'], error, error.expected, error.found)];
  }
}

function isFlowError(error: unknown): error is Error & Place & { found: string; expected: string } {
  return error instanceof Error && ['line', 'column', 'found', 'expected'].every((key) => key in error);
}

/** The meters, groups and flows of a configuration as they are printed: one a line, in normal form. */
export function normalFlows({ flows, limits, ports }: Config): string[] {
  const numbers = new Map(ports.map(({ name, number }) => [name, number]));
  const names = new Map(ports.map((port) => [port.number, port]));
  return rulesetOf(flows, numbers, limits).snapshot(0, names);
}
