/** `heddle flush`: takes connections out of a running switch. */

import { Argument, Command } from 'commander';
import { askSwitch } from '../control/ask.ts';
import { plural } from '../plural.ts';
import { FILTER_HELP, pagesOf } from './connections.ts';
import { print } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, UsageError, withTarget } from './usage.ts';

interface FlushOptions extends Target {
  all?: boolean;
}

export function flushCommand(): Command {
  const command = new Command('flush')
    .description('Removes connections of a running switch.')
    .addArgument(new Argument('<what>', 'what to remove').choices(['connections']))
    .argument('[filter...]', 'which of them')
    .option('--all', 'all of them')
    .addHelpText('after', FILTER_HELP);
  return withTarget(command).action(async (_: string, filter: string[], options: FlushOptions) => {
    if (filter.length === 0 && !options.all) {
      throw new UsageError('flush connections: found nothing, expected FILTER or --all');
    }
    if (filter.length > 0 && options.all) {
      throw new UsageError('flush connections: found FILTER and --all, expected one of them');
    }
    const path = await findTarget(options);
    let removed = 0;
    const pages = pagesOf((from) => askSwitch(path, { command: 'flush', filter, from }));
    for await (const { count } of pages) removed += count;
    await print(`${plural(removed, 'connection')} removed`);
  });
}
