/** `heddle bench`: measures, and prints the figure. With --json, one row a line. */

import { Command, Option } from 'commander';
import { benchClassifier, type ClassifierOptions, FLOWS, SUBTABLES } from '../bench/classifier.ts';
import { benchForward, type ForwardOptions, FRAMES, type Measured, SIZES } from '../bench/forward.ts';
import { median } from '../bench/median.ts';
import { MemoryBench, STRUCTURES, type Structure, THREADS } from '../bench/memory.ts';
import { plural } from '../plural.ts';
import { addPausesBench } from './bench-pauses.ts';
import { describeRow, type Row, round3, row, summarize } from './bench-rows.ts';
import { addSlowPathBenches } from './bench-slow-path.ts';
import { addTrackingBenches } from './bench-tracking.ts';
import { print } from './stdout.ts';
import { seconds, UsageError, whole } from './usage.ts';

export function benchCommand(): Command {
  const bench = new Command('bench')
    .description('Measures, and prints the figure.')
    .argument('[name]', 'what to measure; without it, the benches are listed')
    .action(async (name?: string) => {
      if (name === undefined) return print(...bench.commands.map(describeBench));
      const names = bench.commands.map((one) => one.name()).join(', ');
      throw new UsageError(`bench: found "${name}", expected one of ${names}`);
    });
  bench
    .command('forward')
    .description('the packet path alone: from parsing to output, in memory')
    .option('--flows <n>', 'flows, one for each destination', whole(1, FRAMES), 1000)
    .option('--size <bytes>', 'of a frame, with its check sequence', whole(SIZES.least, SIZES.most), 64)
    .option('--threads <n>', 'datapath threads; more than 1 are compared with 1', whole(1, 16), 1)
    .option('--seconds <seconds>', 'length of a round', seconds, 2)
    .option('--rounds <n>', 'rounds, of which the median counts', whole(1, 1000), 5)
    .option('--json', 'print one JSON object a line')
    .action(forward);
  bench
    .command('classifier')
    .description('the look-up of flows alone, without the cache in front of it')
    .option('--seconds <seconds>', 'least length of a round', seconds, 0.2)
    .option('--rounds <n>', 'rounds, of which the median counts', whole(1, 1000), 5)
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', CLASSIFIER_HELP)
    .action(classifier);
  bench
    .command('memory')
    .description('the structures that threads share: one operation, alone and between two threads')
    .addOption(new Option('--only <name>', 'one structure').choices(Object.keys(STRUCTURES)))
    .option('--seconds <seconds>', 'length of a round', seconds, 0.2)
    .option('--rounds <n>', 'rounds, of which the median counts', whole(1, 1000), 3)
    .option('--json', 'print one JSON object a line')
    .action(memory);
  addTrackingBenches(bench);
  addPausesBench(bench);
  addSlowPathBenches(bench);
  return bench;
}

const CLASSIFIER_HELP = `
Measures nanoseconds a packet for ${SUBTABLES.join(', ')} masks (subtables) and ${FLOWS.join(', ')} flows. Flows are
installed as the handler does it, evenly over the masks; 262,144 keys wait in 32 MiB of memory, each for a flow
drawn at random, with random bits wherever the mask has none. Batches of 32 are copied to where parsing leaves
them and looked up, all in turn; the figure of a round is the median of slices of 64 batches, less that of slices
which only copy. Before that every key must have found its own flow. Parsing, the cache and actions are not in it.`;

function describeBench(bench: Command): string {
  return `${bench.name().padEnd(14)}${bench.description()}`;
}

async function forward({ json, ...options }: ForwardOptions & { json?: boolean }): Promise<void> {
  const rounds: Measured[][] = [];
  await benchForward(options, async (round) => {
    rounds.push(round);
    if (!json) await print(`round ${rounds.length}  ${round.map(describe).join('   ')}`);
  });
  const { flows, size, threads } = options;
  const parameters = { flows, size, rounds: rounds.length };
  const last = (round: Measured[]) => round.at(-1)!;
  const rows: Row[] = rounds[0]!.map((one, i) => ({
    ...row('forward', 'Mpps', rounds, (round) => round[i]!.mpps),
    ...parameters,
    threads: one.threads,
    nsPerPacket: round3(median(rounds.map((round) => round[i]!.nsPerPacket))),
  }));
  if (threads > 1) {
    const ratio = row('forward-scaling', 'ratio', rounds, (round) => last(round).mpps / round[0]!.mpps);
    rows.push({ ...ratio, ...parameters, threads });
  }
  await print(...rows.map((row) => (json ? JSON.stringify(row) : describeRow(row))));
}

async function classifier({ json, ...options }: ClassifierOptions & { json?: boolean }): Promise<void> {
  for (const subtables of SUBTABLES) {
    for (const flows of FLOWS) {
      const rounds = benchClassifier(subtables, flows, options);
      const figures = row('classifier', 'ns', rounds, ({ nsPerPacket }) => nsPerPacket);
      const { bytesPerFlow } = rounds[0]!;
      const result = { ...figures, subtables, flows, rounds: rounds.length, bytesPerFlow };
      await print(json ? JSON.stringify(result) : describeClassified(result));
    }
  }
}

function describeClassified({ value, min, max, subtables, flows, bytesPerFlow }: Row): string {
  const what = `${plural(Number(subtables), 'subtable')}, ${flows} flows`;
  return `median   ${what}: ${value.toFixed(1)} ns/packet (${min} to ${max}), ${bytesPerFlow} bytes a flow`;
}

interface MemoryOptions {
  only?: Structure;
  seconds: number;
  rounds: number;
  json?: boolean;
}

async function memory({ only, seconds, rounds, json }: MemoryOptions): Promise<void> {
  const bench = new MemoryBench();
  try {
    for (const structure of only ? [only] : (Object.keys(STRUCTURES) as Structure[])) {
      for (const threads of THREADS) {
        const figures: number[] = [];
        for (let i = 0; i < rounds; i++) figures.push(await bench.measure(structure, threads, seconds));
        const figure = summarize(`memory-${structure}`, 'ns/operation', figures);
        const one: Row = { ...figure, threads, rounds, operation: STRUCTURES[structure] };
        await print(json ? JSON.stringify(one) : describeRow(one));
      }
    }
  } finally {
    await bench.end();
  }
}

function describe({ threads, mpps, nsPerPacket }: Measured): string {
  return `${threads} thread${threads > 1 ? 's' : ''} ${mpps.toFixed(2)} Mpps, ${nsPerPacket.toFixed(1)} ns/packet`;
}
