/** `heddle check`: validates a configuration without opening anything, and prints its flows in normal form. */
import { Command } from 'commander';
import { loadConfig, normalFlows } from '../control/config.ts';
import { print } from './stdout.ts';

export function checkCommand(): Command {
  return new Command('check')
    .description('Validates CONFIG and prints its flows in normal form.')
    .argument('<config>', 'configuration, in YAML')
    .action(async (file: string) => print(...normalFlows(loadConfig(file))));
}
