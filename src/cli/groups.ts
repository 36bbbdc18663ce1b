/** `heddle groups`: lists or changes the groups of a running switch, as ovs-ofctl does. */
import { Command } from 'commander';
import { addRuleCommand, type RuleSubcommand } from './rules.ts';

const COMMANDS: readonly RuleSubcommand[] = [
  { name: 'dump', action: 'dump', text: 'none', description: 'list groups' },
  { name: 'stats', action: 'stats', text: 'none', description: 'list what groups and their buckets counted' },
  { name: 'add', action: 'add', text: 'required', description: 'add groups' },
  { name: 'mod', action: 'modify', text: 'required', description: 'change groups' },
  {
    name: 'put',
    action: 'add-or-modify',
    text: 'required',
    description: 'add groups, or change those that are there',
  },
  {
    name: 'del',
    action: 'delete',
    text: 'optional',
    description: 'delete groups, and the flows that use them',
  },
];

export function groupsCommand(): Command {
  const groups = new Command('groups').description('Lists or changes the groups of a running switch.');
  for (const command of COMMANDS) addRuleCommand(groups, 'groups', command);
  return groups;
}
