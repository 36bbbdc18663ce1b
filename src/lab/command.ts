/**
 * Other people's programs: `ip`, `ethtool`, and whatever runs inside a host. Every run is bounded in time and
 * in the output it may pile up, and ends by the id of the process that was started here.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { constants as access, accessSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';

/** What a program left behind. `code` is null when a signal ended it. */
export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  /** Text for its standard input. */
  input?: string;
  /** It is killed after so long. Default 60 s. */
  timeoutMs?: number;
  /** It is killed when this aborts. */
  signal?: AbortSignal;
}

const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES = 16 << 20;
/** So much of what a program said makes it into an error. */
const COMPLAINT = 1000;

/** Runs a program and collects its output, whatever its exit code; rejects when it cannot be started. */
export function attempt(argv: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const limits = {
      timeout: options.timeoutMs ?? TIMEOUT_MS,
      killSignal: 'SIGKILL' as const,
      maxBuffer: OUTPUT_BYTES,
      signal: options.signal,
    };
    const child = execFile(argv[0], argv.slice(1), limits, (error, stdout, stderr) => {
      if (error && child.pid === undefined) reject(new Error(`${argv[0]}: ${explain(error)}`));
      else resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
    });
    child.stdin?.on('error', () => {}); // it may end without having read its input
    child.stdin?.end(options.input);
  });
}

/** Runs a program and returns its standard output; anything but exit code 0 is an error that quotes it. */
export async function command(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const outcome = await attempt(argv, options);
  if (outcome.code === 0) return outcome.stdout;
  throw new Error(`${argv.join(' ')}: ${complaint(outcome)}`);
}

/** What a failed program said last, or failing that how it ended. */
export function complaint({ code, signal, stdout, stderr }: Outcome): string {
  return (
    stderr.trim().slice(-COMPLAINT) ||
    stdout.trim().slice(-COMPLAINT) ||
    (signal ? `ended by ${signal}` : `exit code ${code}`)
  );
}

/** Runs a program on our own terminal until it ends; its exit code, or 128 + signal number as in a shell. */
export function attached(argv: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0], argv.slice(1), { stdio: 'inherit' });
    // A terminal sends Ctrl-C to the program as well; without one we pass the signal on ourselves.
    const interrupt = () => void (process.stdin.isTTY || child.kill('SIGINT'));
    const terminate = () => void child.kill('SIGTERM');
    process.on('SIGINT', interrupt).on('SIGTERM', terminate);
    const done = () => process.off('SIGINT', interrupt).off('SIGTERM', terminate);
    child.on('error', (error) => {
      done();
      reject(new Error(`${argv[0]}: ${explain(error)}`));
    });
    child.on('exit', (code, signal) => {
      done();
      resolve(code ?? 128 + constants.signals[signal!]);
    });
  });
}

/** Ends a process that was started here: politely, then after `graceMs` for good. */
export async function end(
  child: ChildProcess,
  signal: NodeJS.Signals = 'SIGTERM',
  graceMs = 5000,
): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await gone;
  clearTimeout(timer);
}

function explain(error: Error): string {
  return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such program' : error.message;
}

/** Debian's package of a tool, where it has another name. */
const PACKAGE: Record<string, string> = {
  ip: 'iproute2',
  tc: 'iproute2',
  ping: 'iputils-ping',
  'ovs-vswitchd': 'openvswitch-switch',
  'ovsdb-server': 'openvswitch-switch',
  'ovsdb-tool': 'openvswitch-common',
  'ovs-vsctl': 'openvswitch-switch',
  'ovs-appctl': 'openvswitch-common',
};

/** Why these tools cannot be used by us as root, or undefined when they can. */
export function lacking(...tools: string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = tools.find((tool) => !installed(tool));
  return missing && `${missing} is not installed (Debian package ${PACKAGE[missing] ?? missing})`;
}

function installed(tool: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), access.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
