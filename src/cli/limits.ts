/** `heddle limits`: how many connections there may be in a zone of a running switch. */
import { Command } from 'commander';
import { askSwitch } from '../control/socket.ts';
import type { LimitAction } from '../model.ts';
import { print } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, withTarget } from './usage.ts';

export function limitsCommand(): Command {
  const limits = new Command('limits').description(
    'Limits the connections in a zone of a running switch; "heddle show limits" lists the limits.',
  );
  add(limits, 'set', 'zone=ZONE,limit=N, or default=N for all other zones', 'set limits');
  add(limits, 'del', 'zone=ZONE[,ZONE…]', 'have zones go by the default again');
  return limits;
}

function add(parent: Command, action: LimitAction, syntax: string, description: string): void {
  withTarget(parent.command(action).description(description))
    .argument('<limit...>', syntax)
    .action(async (words: string[], options: Target) => {
      const path = await findTarget(options);
      await print(...(await askSwitch(path, { command: 'limits', action, text: words.join(' ') })));
    });
}
