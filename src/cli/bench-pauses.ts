/** `heddle bench pauses`: whether a datapath thread goes on while a million connections come due, are flushed, are listed. */
import type { Command } from 'commander';
import { GOING_ON, PausesBench, type PausesRound } from '../bench/pauses.ts';
import type { LapTimes } from '../bench/stopwatch.ts';
import { type Row, row } from './bench-rows.ts';
import { print } from './stdout.ts';
import { whole } from './usage.ts';

export function addPausesBench(bench: Command): void {
  bench
    .command('pauses')
    .description('the longest pause of a datapath thread while connections expire, are flushed, are listed')
    .option('--connections <n>', 'due together', whole(1000, 1_000_000), 1_000_000)
    .option('--rounds <n>', 'rounds, of which the median counts', whole(1, 1000), 3)
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', HELP)
    .action(pauses);
}

const HELP = `
A thread forwards packets of established TCP connections, 32 at a time, and one in a thousand packets begins another.
A pause is the time from the end of a batch to the end of the next.

nothing    with nothing else going on: what the operating system and the machine do
listing    while all connections are listed, as by "heddle show connections"
flushing   while all are flushed, as by "heddle flush connections"
expiring   while all expire, which were made at one moment
rounds     the same of the handler's rounds, while all that goes on: so long may a packet wait that it has to look at
gone       from when the connections were due until none was left

Each as passed by the clock; and as worked, by the processor time of the thread, which leaves out that the operating
system let others run, and not that the thread waited for a lock.`;

interface PausesArguments {
  connections: number;
  rounds: number;
  json?: boolean;
}

async function pauses({ connections, rounds, json }: PausesArguments): Promise<void> {
  const bench = new PausesBench(connections);
  const measured: PausesRound[] = [];
  try {
    await bench.round(); // until all is compiled and the arena's pages have been touched
    for (let i = 0; i < rounds; i++) measured.push(await bench.round());
  } finally {
    await bench.end();
  }
  const rows = GOING_ON.flatMap((what) => rowsOf(what, measured, (round) => round.pauses[what]));
  rows.push(...rowsOf('rounds', measured, (round) => round.rounds));
  rows.push(row('pauses-gone', 'ms', measured, (round) => round.goneMs));
  const results = rows.map((one) => ({ ...one, connections, rounds }));
  await print(...results.map((one) => (json ? JSON.stringify(one) : describe(one))));
}

/** A row by the clock, and one by the processor time if that is known. */
function rowsOf(what: string, rounds: PausesRound[], watched: (round: PausesRound) => LapTimes): Row[] {
  return (['passed', 'worked'] as const).flatMap((by) => {
    if (!watched(rounds[0]!)[by]) return [];
    const figure = (which: 'median' | 'p999' | 'longest') =>
      row(`pauses-${what}-${by}`, 'ms', rounds, (round) => watched(round)[by]![which]);
    return [{ ...figure('longest'), p50: figure('median').value, p999: figure('p999').value }];
  });
}

function describe({ name, value, min, max, p50, p999 }: Row): string {
  const others = p50 === undefined ? '' : `, half of all ${p50}, 99.9 % ${p999}`;
  return `median   ${name}: ${value} ms (${min} to ${max})${others}`;
}
