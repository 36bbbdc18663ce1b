/** `heddle meters`: lists or changes the meters of a running switch, as ovs-ofctl does. */
import { Command } from 'commander';
import { addRuleCommand, type RuleSubcommand } from './rules.ts';

const COMMANDS: readonly RuleSubcommand[] = [
  { name: 'dump', action: 'dump', text: 'none', description: 'list meters' },
  { name: 'stats', action: 'stats', text: 'none', description: 'list what meters and their bands counted' },
  { name: 'add', action: 'add', text: 'required', description: 'add meters' },
  { name: 'mod', action: 'modify', text: 'required', description: 'change meters, which count anew' },
  {
    name: 'del',
    action: 'delete',
    text: 'optional',
    description: 'delete meters, and the flows that use them',
  },
];

export function metersCommand(): Command {
  const meters = new Command('meters').description('Lists or changes the meters of a running switch.');
  for (const command of COMMANDS) addRuleCommand(meters, 'meters', command);
  return meters;
}
