/** `heddle check`: validates a configuration without opening anything, and prints its flows in normal form. */
import { Command } from 'commander';
import { type Config, loadConfig } from '../control/config.ts';
import { parseFlows } from '../table/parse.ts';
import { printFlow } from '../table/print.ts';
import { print } from './stdout.ts';

export function checkCommand(): Command {
  return new Command('check')
    .description('Validates CONFIG and prints its flows in normal form.')
    .argument('<config>', 'configuration, in YAML')
    .action(async (file: string) => {
      const config = loadConfig(file, parseFlows);
      await print(...normalFlows(config));
    });
}

function normalFlows({ flows, ports }: Config): string[] {
  const numbers = new Map(ports.map(({ name, number }) => [name, number]));
  const names = new Map(ports.map((port) => [port.number, port]));
  return parseFlows(flows, numbers).map((flow) => printFlow(flow, names));
}
