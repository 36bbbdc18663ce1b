/** `heddle show`: looks into a running switch. */
import { Argument, Command } from 'commander';
import { askSwitch } from '../control/socket.ts';
import { SHOWN, type Shown } from '../model.ts';
import { showRows } from '../view/rows.ts';
import { Screen } from '../view/screen.ts';
import { print, stdoutClosed } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, withTarget } from './usage.ts';

interface ShowOptions extends Target {
  json?: boolean;
  watch?: boolean;
}

const WATCH_EVERY_MS = 1000;

export function showCommand(): Command {
  const command = new Command('show')
    .description('Looks into a running switch.')
    .addArgument(new Argument('<what>', 'what to list').choices(SHOWN))
    .option('--json', 'print one JSON object a line')
    .option('--watch', 'look again every second, until Ctrl-C');
  return withTarget(command).action(async (what: keyof Shown, options: ShowOptions) => {
    const path = await findTarget(options);
    const look = async () => {
      const rows: Shown[keyof Shown][] = await askSwitch(path, { command: 'show', what });
      return options.json ? rows.map((row) => JSON.stringify(row)) : showRows(what, rows as never);
    };
    if (!options.watch) return print(...(await look()));
    await watch(look);
  });
}

async function watch(look: () => Promise<string[]>): Promise<void> {
  const screen = process.stdout.isTTY ? new Screen(process.stdout) : undefined;
  while (!process.stdout.destroyed) {
    const lines = await look();
    if (screen) screen.draw(lines);
    else await print(...lines);
    await Promise.race([new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS)), stdoutClosed]);
  }
}
