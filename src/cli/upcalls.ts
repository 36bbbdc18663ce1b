/** `heddle upcalls`: how a running switch looks after the flows that misses have installed. */
import { Argument, Command } from 'commander';
import { askSwitch } from '../control/ask.ts';
import type { UpcallAction } from '../model.ts';
import { print } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, withTarget } from './usage.ts';

const SET =
  'flow-limit=N, max-idle=MILLISECONDS, max-revalidator=MILLISECONDS or min-revalidate-pps=N; all of them or none';

export function upcallsCommand(): Command {
  const upcalls = new Command('upcalls').description(
    'Says how a running switch looks after installed flows; "heddle show upcalls" shows how it does.',
  );
  const set = add(upcalls, 'set', 'set limits of flows').argument('<setting...>', SET);
  set.action((words: string[], options: Target) => ask('set', words.join(' '), options));
  addPlain(upcalls, 'pause', 'begin no more rounds but for those who want one');
  addPlain(upcalls, 'resume', 'go on');
  addPlain(upcalls, 'wait', 'wait until each flow is credited and goes by the tables and addresses of now');
  addPlain(upcalls, 'purge', 'remove every flow');
  const replace = add(
    upcalls,
    'replace',
    'let a flow take the place of an evicted one, or wait until it is swept',
  );
  replace
    .addArgument(new Argument('<state>', 'what it is to be').choices(['on', 'off']))
    .action((state: string, options: Target) => ask('replace', state, options));
  return upcalls;
}

function add(parent: Command, action: UpcallAction, description: string): Command {
  return withTarget(parent.command(action).description(description));
}

function addPlain(parent: Command, action: UpcallAction, description: string): void {
  add(parent, action, description).action((options: Target) => ask(action, '', options));
}

async function ask(action: UpcallAction, text: string, options: Target): Promise<void> {
  const path = await findTarget(options);
  await print(...(await askSwitch(path, { command: 'upcalls', action, text })));
}
