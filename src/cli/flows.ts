/** `heddle flows`: lists or changes the flows of a running switch, as ovs-ofctl does. */
import { Command } from 'commander';
import { addFileCommand, addRuleCommand, type RuleSubcommand } from './rules.ts';

const COMMANDS: readonly RuleSubcommand[] = [
  { name: 'dump', action: 'dump', text: 'optional', description: 'list flows, with what they counted' },
  {
    name: 'add',
    action: 'add',
    text: 'required',
    description: 'add flows, in place of those with the same match and priority',
  },
  {
    name: 'mod',
    action: 'modify',
    strict: 'modify-strict',
    text: 'required',
    description: 'change the actions of flows',
  },
  {
    name: 'del',
    action: 'delete',
    strict: 'delete-strict',
    text: 'optional',
    description: 'delete flows',
  },
  {
    name: 'snapshot',
    action: 'snapshot',
    text: 'none',
    description: 'print a bundle that makes all meters, groups and flows again',
  },
];

export function flowsCommand(): Command {
  const flows = new Command('flows').description('Lists or changes the flows of a running switch.');
  for (const command of COMMANDS) addRuleCommand(flows, 'flows', command);
  addFileCommand(flows, 'flows', {
    name: 'replace',
    action: 'replace',
    description: 'make the flows be those of a file; what is in both keeps its counters',
  });
  addFileCommand(flows, 'flows', {
    name: 'bundle',
    action: 'bundle',
    description: 'make all changes of a file at once, to flows, groups and meters, or none',
  });
  return flows;
}
