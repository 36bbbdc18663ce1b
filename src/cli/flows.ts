/** `heddle flows`: lists or changes the flows of a running switch, as ovs-ofctl does. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { askSwitch } from '../control/socket.ts';
import type { FlowCommand } from '../model.ts';
import { print } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, UsageError, withTarget } from './usage.ts';

interface FlowOptions extends Target {
  file?: string;
  strict?: boolean;
}

export function flowsCommand(): Command {
  const flows = new Command('flows').description('Lists or changes the flows of a running switch.');
  add(flows, 'dump', 'list flows, with what they counted');
  add(flows, 'add', 'add flows, in place of those with the same match and priority');
  add(flows, 'mod', 'change the actions of flows');
  add(flows, 'del', 'delete flows');
  return flows;
}

const ACTIONS = { dump: 'dump', add: 'add', mod: 'modify', del: 'delete' } as const;

function add(flows: Command, name: keyof typeof ACTIONS, description: string): void {
  const command = withTarget(flows.command(name).description(description))
    .argument('[flow]', 'in the syntax of ovs-ofctl')
    .option('-f, --file <file>', 'flows, one a line; - reads standard input');
  const loose = name === 'mod' || name === 'del';
  if (loose) command.option('--strict', 'only flows with exactly this match and priority');
  command.action(async (flow: string | undefined, options: FlowOptions) => {
    const text = flowText(flow, options.file);
    const required = name === 'add' || name === 'mod' || options.strict;
    if (text === undefined && required)
      throw new UsageError(`flows ${name}: found nothing, expected FLOW or -f FILE`);
    const action: FlowCommand = options.strict
      ? `${ACTIONS[name] as 'modify' | 'delete'}-strict`
      : ACTIONS[name];
    const path = await findTarget(options);
    await print(...(await askSwitch(path, { command: 'flows', action, text: text ?? '' })));
  });
}

function flowText(flow: string | undefined, file: string | undefined): string | undefined {
  if (file === undefined) return flow;
  if (flow !== undefined) throw new UsageError('found FLOW and -f FILE, expected one of them');
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
}
