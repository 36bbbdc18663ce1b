/** `heddle show`: looks into a running switch. */
import { Argument, Command } from 'commander';
import { askSwitch } from '../control/ask.ts';
import { type ExpectationRow, SHOWN, type Shown, type UpcallRow } from '../model.ts';
import { expectationLine } from '../view/connection.ts';
import { showRows } from '../view/rows.ts';
import { Screen } from '../view/screen.ts';
import { upcallLines } from '../view/upcalls.ts';
import { connectionLines, type LineOptions, withLineOptions } from './connections.ts';
import { print, stdoutClosed } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, UsageError, withTarget } from './usage.ts';

interface ShowOptions extends Target, LineOptions {
  watch?: boolean;
}

/** Of connections there may be a million: they come in pages, in formats of their own. */
type What = keyof Shown | 'connections';

const WATCH_EVERY_MS = 1000;

export function showCommand(): Command {
  const command = new Command('show')
    .description('Looks into a running switch.')
    .addArgument(new Argument('<what>', 'what to list').choices([...SHOWN, 'connections']))
    .argument('[filter...]', 'of connections: which of them')
    .option('--watch', 'look again every second, until Ctrl-C');
  return withTarget(withLineOptions(command)).action(
    async (what: What, filter: string[], options: ShowOptions) => {
      checkUse(what, filter, options);
      const look = await looker(what, filter, options);
      if (options.watch) return watch(look);
      for await (const lines of look()) {
        await print(...lines);
        if (process.stdout.destroyed) return;
      }
    },
  );
}

function checkUse(what: What, filter: readonly string[], { format, stats, json }: ShowOptions): void {
  if (what === 'connections') {
    if (json && format) throw new UsageError('found --json and --format, expected one of them');
    return;
  }
  if (filter.length > 0) throw new UsageError(`show ${what}: found "${filter[0]}", expected no filter`);
  if (format) throw new UsageError(`show ${what}: found --format, which is for connections`);
  if (stats) throw new UsageError(`show ${what}: found --stats, which is for connections`);
}

/** What looks once: yields lines, some at a time. */
async function looker(
  what: What,
  filter: readonly string[],
  options: ShowOptions,
): Promise<() => AsyncIterable<string[]>> {
  const path = await findTarget(options);
  if (what === 'connections') return () => connectionLines(path, filter, options);
  return async function* () {
    const rows: Shown[keyof Shown][] = await askSwitch(path, { command: 'show', what });
    if (options.json) yield rows.map((row) => JSON.stringify(row));
    else if (what === 'expectations') yield (rows as ExpectationRow[]).map(expectationLine);
    else if (what === 'upcalls') yield upcallLines(rows as UpcallRow[]);
    else yield showRows(what, rows as never);
  };
}

async function watch(look: () => AsyncIterable<string[]>): Promise<void> {
  const screen = process.stdout.isTTY ? new Screen(process.stdout) : undefined;
  while (!process.stdout.destroyed) {
    const lines: string[] = [];
    for await (const more of look()) lines.push(...more);
    if (screen) screen.draw(lines);
    else await print(...lines);
    await Promise.race([new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS)), stdoutClosed]);
  }
}
