/** `heddle monitor`: what a running switch has for controllers, as it happens. */
import { Command } from 'commander';
import { watchSwitch } from '../control/ask.ts';
import { eventLine } from '../view/event.ts';
import { print } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, wholeNumber, withTarget } from './usage.ts';

interface MonitorOptions extends Target {
  json?: boolean;
  count?: number;
}

export function monitorCommand(): Command {
  const command = new Command('monitor')
    .description('Shows packets for controllers and flows that went, until Ctrl-C.')
    .option('--json', 'print one JSON object a line')
    .option('--count <events>', 'end after so many', wholeNumber);
  return withTarget(command).action(async (options: MonitorOptions) => {
    let left = options.count ?? Number.POSITIVE_INFINITY;
    for await (const { events, lost } of watchSwitch(await findTarget(options))) {
      const shown = events.slice(0, left);
      await print(...shown.map((event) => (options.json ? JSON.stringify(event) : eventLine(event))));
      if (lost > 0) console.error(`heddle: ${lost} events lost: they came faster than they were read`);
      left -= shown.length;
      if (left === 0 || process.stdout.destroyed) return;
    }
  });
}
