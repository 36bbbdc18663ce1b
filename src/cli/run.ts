/** `heddle run`: the switch, in the foreground. */
import { Command } from 'commander';
import { loadConfig } from '../control/config.ts';
import { openSwitch } from '../control/switch.ts';
import { runInForeground, type Session } from './session.ts';
import { seconds } from './usage.ts';

export function runCommand(): Command {
  return new Command('run')
    .description('Runs the switch that CONFIG describes until Ctrl-C, or for some time.')
    .argument('<config>', 'configuration, in YAML')
    .option('--duration <seconds>', 'stop after so many seconds', seconds)
    .option('--json', 'print only the summary at the end, as one JSON object')
    .action(async (file: string, options: Session) => {
      const config = loadConfig(file);
      const durationMs = options.duration === undefined ? undefined : options.duration * 1000;
      await runInForeground(config, await openSwitch(config, { durationMs }), options);
    });
}
