/** `heddle thread`: drills with the threads of a running switch. */
import { Command, InvalidArgumentError } from 'commander';
import { askSwitch } from '../control/ask.ts';
import { print } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, withTarget } from './usage.ts';

export function threadCommand(): Command {
  const thread = new Command('thread').description('Drills with the threads of a running switch.');
  const kill = thread
    .command('kill')
    .description('Ends a thread at once, as a crash would, to see the switch start it anew.')
    .argument('<number>', 'as "heddle show threads" has it', threadNumber);
  withTarget(kill).action(async (number: number, options: Target) => {
    const path = await findTarget(options);
    await print(...(await askSwitch(path, { command: 'kill', thread: number })));
  });
  return thread;
}

function threadNumber(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected the number of a thread.');
}
