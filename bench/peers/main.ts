/**
 * Heddle beside its peers on this machine: the same two hosts, joined by each system in turn, under the same
 * load. Systems take turns within every round, so that what else the machine does hits them alike; a figure
 * is the median over the rounds. A system that cannot run here is named with the reason, never made up.
 *
 *     npm run bench:peers -- [--rounds 5] [--seconds 3] [--only NAME,…] [--measure NAME,…]
 *                           [--baseline NAME] [--json]
 */
import { availableParallelism, cpus, release } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { lacking } from '../../src/lab/command.ts';
import { MEASURES } from './measures/index.ts';
import type { Measure, Reading } from './measures/measure.ts';
import { Results, tables } from './report.ts';
import { SYSTEMS } from './systems/index.ts';
import type { System } from './systems/system.ts';
import { awaitTraffic, buildTopology } from './topology.ts';

interface Options {
  rounds: number;
  seconds: number;
  only: readonly System[];
  measure: readonly Measure[];
  baseline: string;
  json?: boolean;
}

const options = new Command('bench:peers')
  .description('compare Heddle with other switches on this machine (root)')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .option('--rounds <count>', 'how often each system has its turn', positive, 5)
  .option('--seconds <seconds>', 'how long each load lasts', positive, 3)
  .option('--only <names>', `systems: ${names(SYSTEMS)}`, (text) => choose(SYSTEMS, text), SYSTEMS)
  .option('--measure <names>', `measures: ${names(MEASURES)}`, (text) => choose(MEASURES, text), MEASURES)
  .option('--baseline <name>', 'what ratios refer to', (text) => choose(SYSTEMS, text)[0].name, 'ovs-afxdp')
  .option('--json', 'one row a line')
  .parse()
  .opts<Options>();

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());

const MACHINE = {
  cpus: availableParallelism(),
  cpu: cpus()[0]?.model ?? '',
  kernel: release(),
  node: process.version,
};
const say = (text: string) => void process.stderr.write(`${text}\n`);

const skipped: { name: 'skipped'; system: string; value: null; unit: ''; reason: string }[] = [];
const results = new Results();
const systems = await usable(options.only);
const measures = options.measure.filter(({ name, tools }) => {
  const why = lacking(...tools);
  if (why) say(`${name} is not measured: ${why}`);
  return !why;
});

for (let round = 1; round <= options.rounds && !stop.signal.aborted; round++)
  for (const system of systems) {
    if (stop.signal.aborted) break;
    say(`round ${round} of ${options.rounds}: ${system.name}`);
    try {
      await turn(system);
    } catch (error) {
      if (!stop.signal.aborted) record(system, { name: 'run', unit: '', failure: (error as Error).message });
    }
  }

const rows = results.rows(options.baseline);
if (options.json) for (const row of [...rows, ...skipped]) console.log(JSON.stringify(row));
else {
  console.log(tables(rows));
  for (const { system, reason } of skipped) console.log(`${system} was skipped: ${reason}`);
}
process.exitCode = rows.some(({ value }) => value !== null) && !stop.signal.aborted ? 0 : 1;

/** One system, all measures, on hosts of its own. */
async function turn(system: System): Promise<void> {
  const topology = await buildTopology(system.offload, system.direct ?? false, stop.signal);
  try {
    const running = await system.start(topology);
    try {
      await awaitTraffic(topology);
      for (const measure of measures) {
        if (stop.signal.aborted) break;
        try {
          const trial = { topology, running, seconds: options.seconds, signal: stop.signal };
          for (const reading of await measure.take(trial)) record(system, reading, running.parameters);
        } catch (error) {
          if (stop.signal.aborted) break;
          record(
            system,
            { name: measure.name, unit: '', failure: (error as Error).message },
            running.parameters,
          );
        }
      }
    } finally {
      await running.stop();
    }
  } finally {
    await topology.down();
  }
}

function record(system: System, reading: Reading, parameters = {}): void {
  const { name, value, unit, failure } = reading;
  say(`  ${name}: ${value === undefined ? failure : `${Number(value.toPrecision(4))} ${unit}`}`);
  results.add(system.name, reading, {
    offload: system.offload,
    seconds: options.seconds,
    ...MACHINE,
    ...parameters,
  });
}

/** The systems that can run here; the others go to `skipped`. */
async function usable(wanted: readonly System[]): Promise<System[]> {
  const found: System[] = [];
  for (const system of wanted) {
    const reason = await system.unavailable();
    if (reason) {
      skipped.push({ name: 'skipped', system: system.name, value: null, unit: '', reason });
      say(`${system.name} is skipped: ${reason}`);
    } else found.push(system);
  }
  return found;
}

function names(list: readonly { name: string }[]): string {
  return list.map(({ name }) => name).join(', ');
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('expected a whole number from 1 to 9999');
  return Number(text);
}

function choose<T extends { name: string }>(list: readonly T[], text: string): T[] {
  return text.split(',').map((wanted) => {
    const found = list.find(({ name }) => name === wanted);
    if (!found) throw new InvalidArgumentError(`no "${wanted}"; expected some of ${names(list)}`);
    return found;
  });
}
