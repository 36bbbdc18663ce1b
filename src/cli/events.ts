/** `heddle events`: what happens to the connections of a running switch, as it happens. */
import { Command } from 'commander';
import { watchConnections } from '../control/ask.ts';
import type { ConnectionEvent } from '../model.ts';
import { connectionEventLine } from '../view/connection.ts';
import { type LineOptions, withLineOptions } from './connections.ts';
import { print } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, wholeNumber, withTarget } from './usage.ts';

interface EventsOptions extends Target, LineOptions {
  count?: number;
}

export function eventsCommand(): Command {
  const command = new Command('events')
    .description('Shows connections that begin, change and end, until Ctrl-C.')
    .argument('[filter...]', 'of which connections')
    .option('--count <events>', 'end after so many', wholeNumber);
  return withTarget(withLineOptions(command)).action(async (filter: string[], options: EventsOptions) => {
    const { json, format = 'ovs', stats = false } = options;
    const line = (event: ConnectionEvent) =>
      json ? JSON.stringify(event) : connectionEventLine(event, { format, stats });
    let left = options.count ?? Number.POSITIVE_INFINITY;
    for await (const { events, lost } of watchConnections(await findTarget(options), filter)) {
      const shown = events.slice(0, left);
      await print(...shown.map(line));
      if (lost > 0) console.error(`heddle: ${lost} events lost: they came faster than they were read`);
      left -= shown.length;
      if (left === 0 || process.stdout.destroyed) return;
    }
  });
}
