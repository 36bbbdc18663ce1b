/**
 * The command line. Each command is a module of its own, loaded when it is the one that is wanted, so that
 * no command pays for another's libraries.
 *
 * Exit codes: 0 done, 1 it failed, 2 the arguments or the configuration are wrong.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { UsageError } from './usage.ts';

const COMMANDS: readonly { name: string; summary: string; load: () => Promise<Command> }[] = [
  {
    name: 'run',
    summary: 'run the switch in the foreground',
    load: async () => (await import('./run.ts')).runCommand(),
  },
  {
    name: 'check',
    summary: 'validate a configuration and print its flows',
    load: async () => (await import('./check.ts')).checkCommand(),
  },
  {
    name: 'replay',
    summary: 'what would a configuration do to a capture',
    load: async () => (await import('./replay.ts')).replayCommand(),
  },
  {
    name: 'trace',
    summary: 'why a packet goes where it goes',
    load: async () => (await import('./trace.ts')).traceCommand(),
  },
  {
    name: 'show',
    summary: 'look into a running switch',
    load: async () => (await import('./show.ts')).showCommand(),
  },
  {
    name: 'flush',
    summary: 'remove connections of a running switch',
    load: async () => (await import('./flush.ts')).flushCommand(),
  },
  {
    name: 'events',
    summary: 'watch connections begin and end',
    load: async () => (await import('./events.ts')).eventsCommand(),
  },
  {
    name: 'limits',
    summary: 'limit the connections of a running switch',
    load: async () => (await import('./zones.ts')).limitsCommand(),
  },
  {
    name: 'timeouts',
    summary: 'say how long connections of a zone last',
    load: async () => (await import('./zones.ts')).timeoutsCommand(),
  },
  {
    name: 'upcalls',
    summary: 'say how installed flows are looked after',
    load: async () => (await import('./upcalls.ts')).upcallsCommand(),
  },
  {
    name: 'top',
    summary: 'watch a running switch',
    load: async () => (await import('./top.ts')).topCommand(),
  },
  {
    name: 'flows',
    summary: 'list or change the flows of a running switch',
    load: async () => (await import('./flows.ts')).flowsCommand(),
  },
  {
    name: 'thread',
    summary: 'kill a thread of a running switch, as a drill',
    load: async () => (await import('./thread.ts')).threadCommand(),
  },
  {
    name: 'groups',
    summary: 'list or change the groups of a running switch',
    load: async () => (await import('./groups.ts')).groupsCommand(),
  },
  {
    name: 'meters',
    summary: 'list or change the meters of a running switch',
    load: async () => (await import('./meters.ts')).metersCommand(),
  },
  {
    name: 'monitor',
    summary: 'watch packets for controllers, and flows that go',
    load: async () => (await import('./monitor.ts')).monitorCommand(),
  },
  {
    name: 'port',
    summary: 'add ports to a running switch, or remove them',
    load: async () => (await import('./port.ts')).portCommand(),
  },
  {
    name: 'mirror',
    summary: 'copy what ports of a running switch carry to another port',
    load: async () => (await import('./port.ts')).mirrorCommand(),
  },
  {
    name: 'capture',
    summary: 'write what a port of a running switch carries to a file',
    load: async () => (await import('./capture.ts')).captureCommand(),
  },
  {
    name: 'lab',
    summary: 'hosts in network namespaces, for trying things (root)',
    load: async () => (await import('./lab.ts')).labCommand(),
  },
  {
    name: 'conntrack',
    summary: 'track a capture, or say how strictly a running switch tracks',
    load: async () => (await import('./conntrack.ts')).conntrackCommand(),
  },
  {
    name: 'bench',
    summary: 'measure, and print the figure',
    load: async () => (await import('./bench.ts')).benchCommand(),
  },
];

/** Runs the command line `args` (without node and the script) and sets the process's exit code. */
export async function main(args: readonly string[]): Promise<void> {
  try {
    const program = await build(args);
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error);
  }
}

async function build(args: readonly string[]): Promise<Command> {
  const program = new Command('heddle')
    .description('A multi-threaded software switch.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command');
  const wanted = args[0] === 'help' ? args[1] : args[0];
  for (const { name, summary, load } of COMMANDS) {
    program.addCommand((name === wanted ? await load() : new Command(name)).summary(summary));
  }
  govern(program);
  return program;
}

/** Commander would exit by itself, and with 1 for wrong arguments. */
function govern(command: Command): void {
  command.exitOverride();
  command.configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'heddle: ')) });
  command.commands.forEach(govern);
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')).version;
}

/** Names of errors that mean wrong input, also when a running switch says so. */
const WRONG_INPUT = ['ConfigError', 'FlowError', 'TraceError'];

/** Says what went wrong, and returns the exit code for it. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has printed it. `commander.error` is a command's own verdict, the rest are wrong arguments.
    return error.code === 'commander.error' || error.exitCode === 0 ? error.exitCode : 2;
  }
  const { name, message } = error as Error;
  // A configuration's problems begin with the place, as compilers' do.
  if (name === 'ConfigError') console.error(message);
  else console.error(`heddle: ${message}`);
  if (process.env.HEDDLE_DEBUG) console.error(error);
  return WRONG_INPUT.includes(name) || error instanceof UsageError ? 2 : 1;
}
