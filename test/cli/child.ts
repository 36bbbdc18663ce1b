/** Programs run as children, with folders of their own, for tests of the command line. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const HEDDLE = fileURLToPath(new URL('../../../bin/heddle.js', import.meta.url));
const FAKE_RUN = fileURLToPath(new URL('./fake-run.js', import.meta.url));

/** Holds this file's configurations and control sockets. */
export const folder: string = mkdtempSync(join(tmpdir(), 'heddle-test-'));
after(() => rmSync(folder, { recursive: true }));

/** Control sockets of the children and of this process stand here, apart from everybody else's. */
process.env.XDG_RUNTIME_DIR = folder;
process.env.TMPDIR = folder;

/** Writes a file and returns its path. */
export function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

export interface Outcome {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

export interface Child {
  process: ChildProcess;
  outcome: Promise<Outcome>;
}

/** Starts `heddle` with `args`. */
export function heddle(...args: string[]): Child {
  return start(HEDDLE, args);
}

/** Starts the switch that forwards nothing. */
export function fakeRun(...args: string[]): Child {
  return start(FAKE_RUN, args);
}

function start(program: string, args: string[]): Child {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: folder,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const outcome = new Promise<Outcome>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  );
  return { process: child, outcome };
}

/** Waits until the child has said `word` on standard error. */
export function said(child: Child, word: string): Promise<void> {
  let heard = '';
  return new Promise((resolve) => {
    child.process.stderr!.on('data', (chunk) => {
      heard += chunk;
      if (heard.includes(word)) resolve();
    });
  });
}
