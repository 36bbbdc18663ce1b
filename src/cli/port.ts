/** `heddle port`: adds ports to a running switch, or removes them. */
import { Command } from 'commander';
import { askSwitch } from '../control/socket.ts';
import { findTarget } from './target.ts';
import { type Target, withTarget } from './usage.ts';

export function portCommand(): Command {
  const port = new Command('port').description('Adds ports to a running switch, or removes them.');
  withTarget(port.command('add'))
    .description('add a port; what comes for it before it is up is dropped and counted')
    .argument('<port>', 'its name')
    .argument('<what>', "what it is, as in a configuration: 'type: packet, interface: eth1'")
    .action(async (name: string, text: string, options: Target) => {
      await askSwitch(await findTarget(options), { command: 'port', action: 'add', name, text });
    });
  withTarget(port.command('remove'))
    .description('remove a port; what is queued for it is dropped and counted')
    .argument('<port>', 'its name')
    .action(async (name: string, options: Target) => {
      await askSwitch(await findTarget(options), { command: 'port', action: 'remove', name });
    });
  return port;
}
