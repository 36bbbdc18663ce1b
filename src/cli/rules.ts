/** What `heddle flows`, `groups` and `meters` have in common: they list or change rules of a running switch. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { askSwitch } from '../control/ask.ts';
import type { RuleCommand, RuleKind } from '../model.ts';
import { print } from './stdout.ts';
import { findTarget } from './target.ts';
import { type Target, UsageError, withTarget } from './usage.ts';

interface RuleOptions extends Target {
  file?: string;
  strict?: boolean;
}

export interface RuleSubcommand {
  readonly name: string;
  readonly description: string;
  /** What it asks for. */
  readonly action: RuleCommand;
  /** Also asked for with `--strict`. */
  readonly strict?: RuleCommand;
  /** What it takes: text that must be there, that may be, or none. */
  readonly text: 'required' | 'optional' | 'none';
}

/** Adds a command that asks for `action`, its text from the argument or from a file. */
export function addRuleCommand(parent: Command, kind: RuleKind, subcommand: RuleSubcommand): void {
  const { name, description, text, action, strict } = subcommand;
  const what = kind.slice(0, -1);
  const command = withTarget(parent.command(name).description(description));
  if (text !== 'none') {
    command
      .argument(`[${what}]`, 'in the syntax of ovs-ofctl')
      .option('-f, --file <file>', 'read one a line from a file; - reads standard input');
  }
  if (strict) command.option('--strict', 'only flows with exactly this match and priority');
  command.action(async (...given: unknown[]) => {
    const options = command.opts<RuleOptions>();
    const found = text === 'none' ? undefined : textOf(given[0] as string | undefined, options.file, what);
    if (found === undefined && (text === 'required' || options.strict)) {
      throw new UsageError(`${kind} ${name}: found nothing, expected ${what.toUpperCase()} or -f FILE`);
    }
    await ask(kind, (options.strict && strict) || action, found ?? '', options);
  });
}

/** Adds a command that asks for `action` with the text of a file. */
export function addFileCommand(
  parent: Command,
  kind: RuleKind,
  { name, description, action }: Omit<RuleSubcommand, 'text'>,
): void {
  withTarget(parent.command(name).description(description))
    .argument('<file>', 'one change or flow a line; - reads standard input')
    .action(async (file: string, options: RuleOptions) => ask(kind, action, read(file), options));
}

async function ask(kind: RuleKind, action: RuleCommand, text: string, target: Target): Promise<void> {
  const path = await findTarget(target);
  await print(...(await askSwitch(path, { command: 'rules', kind, action, text })));
}

function textOf(given: string | undefined, file: string | undefined, what: string): string | undefined {
  if (file === undefined) return given;
  if (given !== undefined) {
    throw new UsageError(`found ${what.toUpperCase()} and -f FILE, expected one of them`);
  }
  return read(file);
}

function read(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
}
