/** `heddle lab`: hosts in network namespaces, for trying things. */
import { Command } from 'commander';
import { attached } from '../lab/command.ts';
import { type Lab, readLab } from '../lab/file.ts';
import { enter, labDown, labRun, labUp } from '../lab/lab.ts';

/** The command `lab` with its sub-commands up, down, run and exec. */
export function labCommand(): Command {
  const lab = new Command('lab').description('hosts in network namespaces, cabled to ports here (root)');

  lab.command('up').description('bring the hosts of FILE up').argument('<file>').action(act(labUp));
  lab
    .command('down')
    .description('take them down; hosts that are not there are fine')
    .argument('<file>')
    .action(act(labDown));
  lab
    .command('run')
    .description('bring the hosts up, run COMMAND here, take them down')
    .usage('[options] <file> -- <command...>')
    .argument('<file>')
    .argument('<command...>')
    .action(act((lab, argv: string[]) => labRun(lab, argv)));
  lab
    .command('exec')
    .description('run COMMAND in HOST')
    .usage('[options] <file> <host> -- <command...>')
    .argument('<file>')
    .argument('<host>')
    .argument('<command...>')
    .action(act((lab, host: string, argv: string[]) => attached(enter(lab, host, argv))));

  return lab;
}

/** An action on the lab in a file: its number is our exit code. */
function act<A extends unknown[]>(work: (lab: Lab, ...rest: A) => Promise<unknown>) {
  return async (file: string, ...rest: unknown[]): Promise<void> => {
    const code = await work(readLab(file), ...(rest as A));
    if (typeof code === 'number') process.exitCode = code;
  };
}
