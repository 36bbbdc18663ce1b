/** `heddle bench conntrack` and `heddle bench connections`: what connection tracking costs. */

import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { benchConnections, CONNECTIONS, FIGURES, type Figure, THREADS } from '../bench/connections.ts';
import { BATCH_MOST, ConntrackBench, type ConntrackOptions, measurePeer } from '../bench/conntrack.ts';
import { plural } from '../plural.ts';
import { type Row, row, summarize } from './bench-rows.ts';
import { print } from './stdout.ts';
import { UsageError, whole } from './usage.ts';

const PEER_ROUNDS = 5;

export function addTrackingBenches(bench: Command): void {
  bench
    .command('conntrack')
    .description('tracking one connection: what "ovstest test-conntrack benchmark" of Open vSwitch measures')
    .argument('<threads>', 'each with a connection of its own', whole(1, 16))
    .argument('<packets>', 'of each thread', whole(1, 1_000_000_000))
    .argument('<batch>', 'packets at a time', whole(1, BATCH_MOST))
    .argument('[change]', '1: to destination port 3 instead of 2', whole(0, 1), 0)
    .option('--peer <path>', 'that ovstest, to be run in turn with the same arguments')
    .option('--rounds <n>', `rounds (default: 1, with --peer ${PEER_ROUNDS})`, whole(1, 1000))
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', CONNTRACK_HELP)
    .action(conntrack);
  bench
    .command('connections')
    .description('connections that begin, are found among many, are translated, and end')
    .option('--connections <n>', `so many only, not ${CONNECTIONS.join(' and ')}`, whole(1000, 1_000_000))
    .option('--threads <n>', `so many only, not ${THREADS.join(' and ')}`, whole(1, 16))
    .option('--rounds <n>', 'rounds, of which the median counts', whole(1, 1000), 5)
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', CONNECTIONS_HELP)
    .action(connections);
}

const CONNTRACK_HELP = `
Each thread tracks a batch of one UDP packet again and again, in zone 0, with commit, at a clock that does not move.
The figure is how many milliseconds the slowest thread takes for all its packets. Before that each thread has
tracked a million, so that the packet path is compiled, as a program in C is.`;

const CONNECTIONS_HELP = `
setup               UDP connections begun a second, each by one packet
lookup              nanoseconds a packet of these connections, drawn at random
snat                the same as setup, with sources translated to 8 addresses
lives               TCP connections a second from SYN to the last ACK: 7 packets
bytesPerConnection  of the arena

What making the packets takes, 10 to 20 ns each, is measured apart and taken off. Of the lives half as many as there
are connections are closed and wait for their time to be over: 30 seconds, by a clock that moves so much faster. The
sweeper removes them beside, and threads wait for it when it falls behind.`;

interface ConntrackArguments {
  peer?: string;
  rounds?: number;
  json?: boolean;
}

async function conntrack(
  threads: number,
  packets: number,
  batch: number,
  change: number,
  { peer, rounds = peer === undefined ? 1 : PEER_ROUNDS, json }: ConntrackArguments,
): Promise<void> {
  if (peer !== undefined && !statSync(peer, { throwIfNoEntry: false })?.isFile()) {
    throw new UsageError(`--peer: found no file ${peer}, expected the path of ovstest`);
  }
  const options: ConntrackOptions = { threads, packets, batch, change };
  const [ours, theirs]: [number[], number[]] = [[], []];
  const bench = new ConntrackBench(options);
  try {
    await bench.warmUp();
    for (let round = 0; round < rounds; round++) {
      ours.push(await bench.measure());
      if (!json) await print(`conntrack: ${ours.at(-1)!.toFixed(0)} ms`);
      if (peer === undefined) continue;
      theirs.push(await measurePeer(peer, options));
      if (!json) await print(`ovstest:   ${theirs.at(-1)!.toFixed(0)} ms`);
    }
  } finally {
    await bench.end();
  }
  const rows = [summarize('conntrack', 'ms', ours)];
  if (peer !== undefined) {
    rows.push(summarize('conntrack-peer', 'ms', theirs));
    rows.push(
      summarize(
        'conntrack-ratio',
        'ratio',
        ours.map((ms, round) => theirs[round]! / ms),
      ),
    );
  }
  if (json) await print(...rows.map((row) => JSON.stringify({ ...row, ...options, rounds })));
  else if (rounds > 1) await print(...rows.map(describeConntrack));
}

function describeConntrack({ name, value, unit, min, max }: Row): string {
  const [digits, what] = unit === 'ms' ? [0, unit] : [2, 'times as fast as the peer'];
  const [least, most] = [min, max].map((figure) => figure.toFixed(digits));
  return `median   ${name}: ${value.toFixed(digits)} ${what} (${least} to ${most})`;
}

interface ConnectionsArguments {
  connections?: number;
  threads?: number;
  rounds: number;
  json?: boolean;
}

async function connections({ rounds, json, ...only }: ConnectionsArguments): Promise<void> {
  for (const connections of only.connections ? [only.connections] : CONNECTIONS) {
    for (const threads of only.threads ? [only.threads] : THREADS) {
      const measured = await benchConnections(connections, threads, rounds);
      for (const [figure, unit] of Object.entries(FIGURES)) {
        const figures = row(`connections-${figure}`, unit, measured, (round) => round[figure as Figure]);
        const result = { ...figures, connections, threads, rounds };
        await print(json ? JSON.stringify(result) : describeConnections(result));
      }
    }
  }
}

function describeConnections({ name, value, unit, min, max, connections, threads }: Row): string {
  const what = `${name}, ${connections} connections, ${plural(Number(threads), 'thread')}`;
  const [middle, least, most] = [value, min, max].map((figure) => figure.toFixed(figure < 1000 ? 1 : 0));
  return `median   ${what}: ${middle} ${unit} (${least} to ${most})`;
}
