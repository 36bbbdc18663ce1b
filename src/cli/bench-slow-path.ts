/** `heddle bench replace`, `upcalls` and `revalidation`: what the slow path does, and what that costs. */
import type { Command } from 'commander';
import { ReplaceBench, type Replaced } from '../bench/replace.ts';
import {
  type ChangeRound,
  ROUNDS as REVALIDATIONS,
  RevalidationBench,
  type RevalidationRound,
} from '../bench/revalidation.ts';
import { PARTS, UpcallsBench, type UpcallsRound } from '../bench/upcalls.ts';
import { type Row, row, summarize } from './bench-rows.ts';
import { print } from './stdout.ts';
import { seconds, whole } from './usage.ts';

const MOST_FLOWS = 1_000_000;

export function addSlowPathBenches(bench: Command): void {
  bench
    .command('replace')
    .description('a flow that is evicted in a dump while its packets come in: how many of them miss')
    .option('--rate <n>', 'packets a second', whole(1000, 1_000_000), 100_000)
    .option('--flows <n>', 'others, which the dump translates again', whole(100, MOST_FLOWS), 50_000)
    .option('--rounds <n>', 'rounds, of which the median counts', whole(1, 1000), 5)
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', REPLACE_HELP)
    .action(replace);
  bench
    .command('upcalls')
    .description('flow set-ups a second behind a stateful firewall')
    .option('--handlers <n>', 'threads that set flows up', whole(1, 8), 1)
    .option('--flows <n>', 'in a round', whole(100, 65_536), 50_000)
    .option('--rounds <n>', 'rounds, of which the median counts', whole(1, 1000), 5)
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', UPCALLS_HELP)
    .action(upcalls);
  bench
    .command('revalidation')
    .description('rounds over many flows, forwarding beside them, and a change under full load')
    .option('--flows <n>', 'live, half as many for the change', whole(1000, MOST_FLOWS), 200_000)
    .option('--revalidators <n>', 'threads that look after them', whole(1, 8), 1)
    .option('--seconds <seconds>', 'least length of a measurement of forwarding', seconds, 0.5)
    .option('--rounds <n>', 'rounds, of which the median counts', whole(1, 1000), 5)
    .option('--json', 'print one JSON object a line')
    .addHelpText('after', REVALIDATION_HELP)
    .action(revalidation);
}

const REPLACE_HELP = `
Packets of one flow come in by the clock. It is evicted early in a dump, behind which the sweep would unlink it: a dump
over --flows others, each of which is translated again since the tables have changed.

replaceUpcalls    packets that missed until one found a flow again; a handler may put one in the place of the evicted
replaceMs         from the eviction until then
replaceInFlight   how many of these packets waited for the handler at a time, at most
withoutUpcalls    the same three, when it may not: until the sweep has unlinked what was evicted
withoutMs
withoutInFlight

In each row max is the worst of the rounds.`;

const UPCALLS_HELP = `
Each packet begins a connection to a server and a service that no other has, so it needs a flow of its own. Its rate is
what the handlers can do: there are always some misses that wait. Flows are counted, not packets.

upcalls        flows installed a second
upcalls-PART   microseconds of handlers a flow: translate (walking the tables), install, parse (with taking packets
               from the ring), act (with connection tracking, and sending), rest`;

const REVALIDATION_HELP = `
revalidation-idle          a round, dump and sweep, over flows that no packet took since the last
revalidation-used          the same while packets of all flows come in, as fast as can be
revalidation-changed       the same after the tables have changed: each flow is translated again
revalidation-alone         nanoseconds a packet of the datapath thread's time, without rounds
revalidation-beside        the same while one round follows the other
revalidation-added         what the rounds add to that, in percent
revalidation-bytes-REGION  of the arena, a flow; of the blocks only long programs touch any
revalidation-bytes-touched what all flows together have touched of the arena, a flow
revalidation-bytes-heap    what the process grew by beside the arena, a flow
change-acknowledged        with half as many flows, all under full load: from "flows modify" until it was acknowledged
change-valid               until the last packet was sent that followed the old rule
change-packets             that were sent meanwhile
change-lost                of these
change-by-old-rule         of those that came in after the acknowledgement
change-stale               flows that were not up to date by then`;

interface Common {
  flows: number;
  rounds: number;
  json?: boolean;
}

async function replace({ rate, flows, rounds, json }: Common & { rate: number }): Promise<void> {
  const bench = await ReplaceBench.start({ flows, rate });
  const [replaced, without]: [Replaced[], Replaced[]] = [[], []];
  try {
    for (let i = 0; i < rounds; i++) {
      replaced.push(await bench.round(true));
      without.push(await bench.round(false));
    }
  } finally {
    await bench.end();
  }
  const rowsOf = (what: string, measured: Replaced[]): Row[] => [
    row(`${what}Upcalls`, 'packets', measured, ({ upcalls }) => upcalls),
    row(`${what}Ms`, 'ms', measured, ({ ms }) => ms),
    row(`${what}InFlight`, 'packets', measured, ({ inFlight }) => inFlight),
  ];
  const rows = [...rowsOf('replace', replaced), ...rowsOf('without', without)];
  await printRows(rows, { rate, flows, rounds }, json);
}

async function upcalls({ handlers, flows, rounds, json }: Common & { handlers: number }): Promise<void> {
  const bench = await UpcallsBench.start({ handlers, flows });
  const measured: UpcallsRound[] = [];
  try {
    await bench.round(); // until all is compiled
    for (let i = 0; i < rounds; i++) measured.push(await bench.round());
  } finally {
    await bench.end();
  }
  const rows = [
    row('upcalls', 'flows/s', measured, ({ setUps }) => setUps),
    ...PARTS.map((part) => row(`upcalls-${part}`, 'us/flow', measured, ({ parts }) => parts[part])),
  ];
  await printRows(rows, { handlers, flows, rounds }, json);
}

async function revalidation({
  flows,
  revalidators,
  seconds,
  rounds,
  json,
}: Common & { revalidators: number; seconds: number }): Promise<void> {
  const options = { flows, revalidators, seconds };
  await printRows(await measureRounds(options, rounds), { flows, revalidators, rounds }, json);
  const half = { ...options, flows: Math.ceil(flows / 2) };
  await printRows(await measureChanges(half, rounds), { flows: half.flows, revalidators, rounds }, json);
}

type RevalidationOptions = Parameters<typeof RevalidationBench.start>[0];

async function measureRounds(options: RevalidationOptions, rounds: number): Promise<Row[]> {
  const bench = await RevalidationBench.start(options);
  const measured: RevalidationRound[] = [];
  try {
    for (let i = 0; i < rounds; i++) measured.push(await bench.round());
  } finally {
    await bench.end();
  }
  return [
    ...REVALIDATIONS.map((what) =>
      row(`revalidation-${what}`, 'ms', measured, (round) => round.rounds[what]),
    ),
    row('revalidation-alone', 'ns/packet', measured, ({ alone }) => alone),
    row('revalidation-beside', 'ns/packet', measured, ({ beside }) => beside),
    row('revalidation-added', '%', measured, ({ alone, beside }) => 100 * (beside / alone - 1)),
    ...Object.entries(bench.bytes).map(([of, bytes]) =>
      summarize(`revalidation-bytes-${of}`, 'bytes/flow', [bytes]),
    ),
  ];
}

async function measureChanges(options: RevalidationOptions, rounds: number): Promise<Row[]> {
  const bench = await RevalidationBench.start(options);
  const measured: ChangeRound[] = [];
  try {
    for (let i = 0; i < rounds; i++) measured.push(await bench.change());
  } finally {
    await bench.end();
  }
  return [
    row('change-acknowledged', 'ms', measured, ({ acknowledgedMs }) => acknowledgedMs),
    row('change-valid', 'ms', measured, ({ validMs }) => validMs),
    row('change-packets', 'packets', measured, ({ packets }) => packets),
    row('change-lost', 'packets', measured, ({ lost }) => lost),
    row('change-by-old-rule', 'packets', measured, ({ byOldRule }) => byOldRule),
    row('change-stale', 'flows', measured, ({ stale }) => stale),
  ];
}

async function printRows(
  rows: readonly Row[],
  parameters: Readonly<Record<string, number>>,
  json: boolean | undefined,
): Promise<void> {
  await print(...rows.map((one) => (json ? JSON.stringify({ ...one, ...parameters }) : describe(one))));
}

function describe({ name, value, unit, min, max }: Row): string {
  return `median   ${name}: ${value} ${unit} (${min} to ${max})`;
}
