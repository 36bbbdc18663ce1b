/** `heddle top`: a running switch at a glance, once a second. */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { askSwitch } from '../control/ask.ts';
import { loadConfig } from '../control/config.ts';
import { Screen } from '../view/screen.ts';
import { type Look, topRow, topText } from '../view/top.ts';
import { print, stdoutClosed } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, withTarget } from './usage.ts';

interface TopOptions extends Target {
  json?: boolean;
}

const LOOK_EVERY_MS = 1000;
const CTRL_C = '\x03';

export function topCommand(): Command {
  const command = new Command('top')
    .description('Shows what a running switch is at, once a second, until q or Ctrl-C.')
    .argument('[switch]', 'its name, or its configuration; none is needed when just one is running')
    .option('--json', 'print one JSON object a second');
  return withTarget(command).action(async (which: string | undefined, options: TopOptions) => {
    const path = await findTarget({ ...targetOf(which), ...options });
    await watch(path, options.json === true);
  });
}

/** A configuration says what its switch is called, and perhaps where its socket is. */
function targetOf(which: string | undefined): Target {
  if (which === undefined) return {};
  if (!existsSync(which)) return { name: which };
  const { name, control } = loadConfig(which);
  return control === undefined ? { name } : { name, socket: control };
}

async function watch(path: string, json: boolean): Promise<void> {
  const screen = !json && process.stdout.isTTY ? new Screen(process.stdout) : undefined;
  const quit = quitting();
  try {
    let before = await look(path);
    while (await pause(quit.asked)) {
      const now = await look(path);
      const row = topRow(before, now);
      if (screen) screen.draw(topText(row));
      else await print(...(json ? [JSON.stringify(row)] : [...topText(row), '']));
      before = now;
    }
  } finally {
    quit.end();
  }
}

async function look(path: string): Promise<Look> {
  const [summary, threads] = await Promise.all([
    askSwitch(path, { command: 'summary' }),
    askSwitch(path, { command: 'show', what: 'threads' }),
  ]);
  return { summary, threads };
}

/** Waits for the next look; false when there is to be none. */
function pause(asked: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout;
  const due = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, LOOK_EVERY_MS, true);
  });
  return Promise.race([due, asked.then(() => false), stdoutClosed.then(() => false)]).finally(() =>
    clearTimeout(timer),
  );
}

/** Whether somebody wants it to end, by a key or a signal. `end` gives the terminal back. */
function quitting(): { asked: Promise<void>; end(): void } {
  const { stdin } = process;
  const terminal = stdin.isTTY ? stdin : undefined;
  const asked = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
    terminal?.on('data', (keys: Buffer) => {
      if (/[qQ]/.test(keys.toString()) || keys.includes(CTRL_C)) resolve();
    });
  });
  terminal?.setRawMode(true);
  return {
    asked,
    end() {
      terminal?.setRawMode(false);
      terminal?.pause();
    },
  };
}
