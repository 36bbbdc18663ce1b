/**
 * The switch for one test, as people run it: `heddle run` in a process of its own, asked through its control
 * socket by the commands that people use, and ended whatever becomes of the test.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { askSwitch } from '../../src/control/ask.ts';
import type { Answer, Single } from '../../src/control/protocol.ts';
import { attempt, end, type Outcome } from '../../src/lab/command.ts';
import type { Shown, Summary } from '../../src/model.ts';
import type { Ending } from './ending.ts';

const HEDDLE = fileURLToPath(new URL('../../../bin/heddle.js', import.meta.url));
const READY_MS = 20_000;
const END_MS = 10_000;

/** What a test says of a switch: a configuration as YAML would be read. */
export interface TestConfig {
  ports: Record<string, object>;
  mirrors?: object;
  limits?: object;
  flows?: string;
  threads?: object | 'inline';
  revalidation?: object;
}

export interface TestSwitch {
  readonly pid: number;
  /** Its control socket. */
  readonly socket: string;
  /** Runs a command of `heddle` on this switch; it must succeed. Returns the lines that it printed. */
  heddle(...args: string[]): Promise<string[]>;
  /** Asks it as such a command does, without starting one. */
  ask<const R extends Single>(request: R): Promise<Answer<R>>;
  /** What `heddle show WHAT --json` prints. */
  show<What extends keyof Shown>(what: What): Promise<Shown[What][]>;
  /** What it has said on standard error. */
  log(): string;
  /** The value of a counter. */
  counter(name: string): Promise<number>;
  /** Ends it in order, checks that every packet is accounted for, and returns what it says of its run. */
  stop(signal?: NodeJS.Signals): Promise<Summary>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

/** Runs a switch, does `work` with it, and stops it in order if `work` has not. */
export async function withSwitch<T>(
  t: Ending,
  config: TestConfig,
  work: (heddle: TestSwitch) => Promise<T>,
): Promise<T> {
  const files = configFiles(config);
  const child = start(files.config);
  t.after(async () => {
    await end(child, 'SIGKILL');
    files.remove();
  });
  const said = listen(child);
  await ready(child, said);

  let stopping: Promise<Summary> | undefined;
  let killed = false;
  let allPorts = true; // that ever received anything are there still
  const ask: TestSwitch['ask'] = (request) => {
    if (request.command === 'port' && request.action === 'remove') allPorts = false;
    return askSwitch(files.socket, request);
  };
  const heddle = async (...args: string[]) => {
    if (args[0] === 'port' && args[1] === 'remove') allPorts = false;
    const outcome = await attempt([process.execPath, HEDDLE, ...args, '--socket', files.socket], {
      timeoutMs: END_MS,
    });
    assert.equal(outcome.code, 0, `heddle ${args.join(' ')}: ${outcome.stderr}`);
    return outcome.stdout.split('\n').slice(0, -1);
  };
  const show = async (what: string) => (await heddle('show', what, '--json')).map((line) => JSON.parse(line));
  const stop = (signal: NodeJS.Signals = 'SIGINT') => {
    stopping ??= inOrder(child, signal, said, allPorts);
    return stopping;
  };
  const result = await work({
    pid: child.pid!,
    socket: files.socket,
    heddle,
    ask,
    log: () => said.stderr,
    show: show as TestSwitch['show'],
    counter: async (name) => (await show('counters')).find((row) => row.name === name)?.value ?? 0,
    stop,
    async kill() {
      killed = true;
      await end(child, 'SIGKILL');
    },
  });
  if (!killed) await stop();
  return result;
}

/** How else a switch is started. */
interface Command {
  /** Before `node`: a program that runs it. */
  before?: string[];
  /** Options of node. */
  node?: string[];
  /** Options of `heddle run`. */
  more?: string[];
}

/** Runs a switch to its end, which it finds by itself: it fails, or has a duration. */
export async function runSwitch(
  config: TestConfig,
  { before = [], node = [], more = [] }: Command = {},
): Promise<Outcome> {
  const files = configFiles(config);
  try {
    const argv = [...before, process.execPath, ...node, HEDDLE, 'run', files.config, '--json', ...more];
    return await attempt(argv, { timeoutMs: READY_MS });
  } finally {
    files.remove();
  }
}

function configFiles(config: TestConfig): { config: string; socket: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-test-'));
  const socket = join(folder, 'control.sock');
  const path = join(folder, 'switch.yaml');
  writeFileSync(path, JSON.stringify({ name: 'test', control: socket, ...config })); // JSON is YAML
  return { config: path, socket, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function start(config: string): ChildProcess {
  return spawn(process.execPath, [HEDDLE, 'run', config, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
}

interface Said {
  stdout: string;
  stderr: string;
}

function listen(child: ChildProcess): Said {
  const said = { stdout: '', stderr: '' };
  child.stdout!.setEncoding('utf8').on('data', (text) => {
    said.stdout += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text) => {
    said.stderr += text;
  });
  return said;
}

/** Resolves when the switch says that it forwards packets. */
function ready(child: ChildProcess, said: Said): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (what: string) => reject(new Error(`the switch ${what}: ${said.stderr}`));
    const timer = setTimeout(() => fail(`was not ready after ${READY_MS} ms`), READY_MS);
    child.stderr!.on('data', () => {
      if (!/ ready: /.test(said.stderr)) return;
      clearTimeout(timer);
      resolve();
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      fail(`ended with exit code ${code}`);
    });
  });
}

async function inOrder(
  child: ChildProcess,
  signal: NodeJS.Signals,
  said: Said,
  allPorts: boolean,
): Promise<Summary> {
  const closed = new Promise((resolve) => child.once('close', resolve));
  assert(child.exitCode === null && child.signalCode === null, `the switch had ended: ${said.stderr}`);
  await end(child, signal, END_MS);
  await closed;
  assert.equal(child.exitCode, 0, `after ${signal}: ${child.signalCode} ${said.stderr}`);
  const summary: Summary = JSON.parse(said.stdout);
  assertAddsUp(summary, allPorts);
  return summary;
}

/** Every packet that came in has gone out, or was dropped for a reason. */
function assertAddsUp(summary: Summary, allPorts: boolean): void {
  const dropped = Object.values(summary.dropped).reduce((a, b) => a + b, 0);
  const { packetsReceived, packetsForwarded, packetsQueued } = summary;
  assert.equal(packetsReceived, packetsForwarded + dropped, JSON.stringify(summary));
  assert.equal(packetsQueued, 0);
  // A port that was removed took its counts along.
  const received = summary.ports.reduce((sum, { rxPackets }) => sum + rxPackets, 0);
  if (allPorts) assert.equal(received, packetsReceived, 'received by the ports');
  else assert(received <= packetsReceived, 'received by the ports that are left');
}
