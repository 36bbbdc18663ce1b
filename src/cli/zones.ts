/** `heddle limits` and `heddle timeouts`: how many connections a running switch has, and how long they last. */
import { Command } from 'commander';
import { askSwitch } from '../control/ask.ts';
import type { ZoneAction, ZoneSetting } from '../model.ts';
import { print } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, withTarget } from './usage.ts';

export function limitsCommand(): Command {
  const limits = new Command('limits').description(
    'Limits the connections of a running switch; "heddle show limits" lists the limits.',
  );
  const set = 'all=N, default=N for each zone without a limit of its own, or zone=ZONE,limit=N';
  add(limits, 'limits', 'set', set, 'set limits');
  add(limits, 'limits', 'del', 'zone=ZONE[,ZONE…]', 'have zones go by the default again');
  return limits;
}

export function timeoutsCommand(): Command {
  const timeouts = new Command('timeouts').description(
    'Says how many seconds without a packet connections of a zone last in a running switch; "heddle show timeouts" ' +
      'lists the timeouts.',
  );
  add(timeouts, 'timeouts', 'set', 'zone=ZONE,TIMEOUT=SECONDS[,TIMEOUT=SECONDS…]', 'set timeouts of zones');
  add(timeouts, 'timeouts', 'del', 'zone=ZONE[,ZONE…]', 'have zones go by the default again');
  return timeouts;
}

function add(
  parent: Command,
  command: ZoneSetting,
  action: ZoneAction,
  syntax: string,
  description: string,
): void {
  withTarget(parent.command(action).description(description))
    .argument('<setting...>', syntax)
    .action(async (words: string[], options: Target) => {
      const path = await findTarget(options);
      await print(...(await askSwitch(path, { command, action, text: words.join(' ') })));
    });
}
