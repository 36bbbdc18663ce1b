/** `heddle port` and `heddle mirror`: what a running switch is given as its configuration would say it. */
import { Command } from 'commander';
import { askSwitch } from '../control/ask.ts';
import { findTarget } from './target.ts';
import { type Target, withTarget } from './usage.ts';

export function portCommand(): Command {
  return additions('port', {
    description: 'Adds ports to a running switch, or removes them.',
    example: 'type: packet, interface: eth1',
    onRemoval: 'what is queued for it is dropped and counted',
  });
}

export function mirrorCommand(): Command {
  return additions('mirror', {
    description: 'Copies what ports of a running switch receive and send to another port.',
    example: 'from: [alice], to: [alice], output: trace',
    onRemoval: 'its ports stay',
  });
}

interface Words {
  description: string;
  example: string;
  onRemoval: string;
}

function additions(command: 'port' | 'mirror', { description, example, onRemoval }: Words): Command {
  const commands = new Command(command).description(description);
  withTarget(commands.command('add'))
    .description(`add a ${command}`)
    .argument('<name>', 'its name')
    .argument('<what>', `what it is, as in a configuration: '${example}'`)
    .action(async (name: string, text: string, options: Target) => {
      await askSwitch(await findTarget(options), { command, action: 'add', name, text });
    });
  withTarget(commands.command('remove'))
    .description(`remove a ${command}; ${onRemoval}`)
    .argument('<name>', 'its name')
    .action(async (name: string, options: Target) => {
      await askSwitch(await findTarget(options), { command, action: 'remove', name });
    });
  return commands;
}
