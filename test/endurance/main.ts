/**
 * Endurance runs: a real switch under load, to which things happen that it must survive.
 *
 *     npm run endurance -- churn --minutes 10 [--seed S] [--root] [--json]
 *     npm run endurance -- kill --times 10 [--root] [--json]
 *
 * Exit codes: 0 it endured, 1 it did not, and the seed is printed, 2 the arguments are wrong.
 */
import { randomInt } from 'node:crypto';
import { loadavg } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { lacking } from '../../src/lab/command.ts';
import { type Churned, churn } from './churn.ts';
import { type Drilled, drill, drillTable } from './kill.ts';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => interrupted.abort(new Error(`ended by ${signal}`)));
}
const { signal } = interrupted;

const program = new Command('endurance')
  .description('Has a switch under load endure what may happen to it.')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));

program
  .command('churn')
  .description('ports, flows, mirrors come and go, threads die, interfaces vanish')
  .option('--minutes <n>', 'how long', positive, 10)
  .option('--seed <n>', 'what happens is drawn from it', positive, randomInt(2 ** 32))
  .option('--root', 'also with real interfaces')
  .option('--json', 'the summary as one JSON object')
  .action(async ({ minutes, seed, root = false, json = false }) => {
    if (root) needRoot();
    report(churned, await churn({ seconds: minutes * 60, seed, root, say, signal }), json);
  });

program
  .command('kill')
  .description('how soon ports work again after their thread died')
  .option('--times <n>', 'how often each thread is killed', positive, 10)
  .option('--root', 'also with real interfaces')
  .option('--json', 'the summary as one JSON object')
  .action(async ({ times, root = false, json = false }) => {
    if (root) needRoot();
    report(drilled, await drill({ times, root, say, signal }), json);
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(`endurance: ${(error as Error).message}`);
  process.exitCode = 1;
}

function report<Result extends { violations: string[] }>(
  lines: (result: Result) => string[],
  result: Result,
  json: boolean,
): void {
  const { violations } = result;
  if (json) console.log(JSON.stringify(result));
  else console.log([...lines(result), ...violations.map((one) => `VIOLATION: ${one}`)].join('\n'));
  if (violations.length > 0) process.exitCode = 1;
}

function churned(result: Churned): string[] {
  const listed = (values: object) => Object.entries(values).map(([name, n]) => `  ${name.padEnd(28)}${n}`);
  const { operations, dropped, residentMiB: resident } = result;
  return [
    `seed ${result.seed}, ${result.seconds} s`,
    'operations',
    ...listed(operations),
    `threads started anew: ${result.restarts}`,
    `packets: ${result.packetsReceived} received, ${result.packetsForwarded} forwarded, ${result.copies} copies`,
    'dropped',
    ...listed(dropped),
    `frames: at most ${result.framesMostUsed} of ${result.frames} in use`,
    `resident: first third ${resident.first} MiB, middle ${resident.middle} MiB, last ${resident.last} MiB`,
  ];
}

function drilled(result: Drilled): string[] {
  return drillTable(result);
}

function say(line: string): void {
  const time = new Date().toISOString().slice(11, 19);
  console.error(`${time} load ${loadavg()[0]!.toFixed(1)}: ${line}`);
}

function needRoot(): void {
  const why = lacking('ip', 'ethtool', 'ping', 'iperf3');
  if (why) throw new Error(`--root: ${why}`);
}

function positive(text: string): number {
  const value = Number(text);
  if (/^\d{1,10}(\.\d+)?$/.test(text) && value > 0) return value;
  throw new InvalidArgumentError('Expected a number over 0.');
}
