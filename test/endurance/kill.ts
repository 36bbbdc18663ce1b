/**
 * The kill drill: a thread of each kind dies under load, again and again. Measured is how long its ports stand
 * still; for a handler how long its misses wait, for the first revalidator how long no flow of its share is seen to.
 * The other thread's ports must go on, and nothing may be lost.
 */
import { setTimeout as later } from 'node:timers/promises';
import { table } from '../../src/view/table.ts';
import { type Ending, toItsEnd } from '../support/ending.ts';
import { numbered } from '../support/hosts.ts';
import { withLab } from '../support/lab.ts';
import { type TestConfig, type TestSwitch, withSwitch } from '../support/switch.ts';
import { otherDeaths, unbalanced } from './books.ts';
import { Loads } from './loads.ts';
import { THREADS } from './stage.ts';

export interface DrillOptions {
  /** How often each thread is killed. */
  times: number;
  /** Also real interfaces. */
  root: boolean;
  /** A longer pause is too long. */
  mostMs: number;
  say(line: string): void;
  signal: AbortSignal;
}

export interface Drilled {
  kinds: KindDrilled[];
  violations: string[];
}

/** A kind of thread. */
interface KindDrilled {
  kind: string;
  /** From each command to die to the first packet after it. */
  pausedMs: number[];
  /** What the other ports sent meanwhile, at least. */
  othersSent: number;
}

const PROBE_MS = 10;
/** Load before each death. */
const LOADED_MS = 1000;
/** Longer than this is never. */
const NEVER_MS = 10_000;
/** The first of each kind of the slow path, which leads the others, or does what only one does. */
const SLOW_THREADS: Readonly<Record<string, number>> = { handler: 3, revalidator: 5 };
/** Flows go so soon: there is always something to see to. */
const IDLE_MS = 300;

/** Rejects when it is interrupted, or when something cannot even begin; what must not be is in the report. */
export async function drill({ times, root, mostMs, say, signal }: DrillOptions): Promise<Drilled> {
  const drilled: Drilled = { kinds: [], violations: [] };
  for (const kind of ['traffic', ...Object.keys(SLOW_THREADS), ...(root ? ['packet', 'afxdp'] : [])]) {
    say(kind);
    const violations: string[] = [];
    const found = await toItsEnd((ending) =>
      withKind(ending, kind, async (heddle, loads) => {
        const result = await killAgainAndAgain(heddle, kind, times, signal);
        await loads.stop();
        violations.push(...(await unbalanced(heddle)).wrong, ...otherDeaths(heddle));
        return result;
      }),
    );
    const slow = found.pausedMs.filter((ms) => ms > mostMs);
    if (slow.length > 0) violations.push(`${slow.length} of ${times} times it paused for over ${mostMs} ms`);
    if (found.othersSent === 0) violations.push('the other ports sent nothing meanwhile');
    drilled.kinds.push(found);
    drilled.violations.push(...violations.map((one) => `${kind}: ${one}`));
  }
  return drilled;
}

/** The ports a1 and a2, of thread 1, talk to each other, and so do b1 and b2, of thread 2. */
async function withKind<T>(
  ending: Ending,
  kind: string,
  work: (heddle: TestSwitch, loads: Loads) => Promise<T>,
): Promise<T> {
  const hosts = (thread: number, peer: string) => ({
    type: 'traffic',
    thread,
    peers: [peer],
    hosts: 20,
    connectionsPerSecond: 500,
  });
  const simulated = { a1: hosts(1, 'a2'), a2: hosts(1, 'a1'), b1: hosts(2, 'b2'), b2: hosts(2, 'b1') };
  const run = (ports: TestConfig['ports'], load?: (loads: Loads) => void) => {
    // Every connection is a miss.
    const flows =
      'priority=1,udp,tp_src=1,actions=drop\npriority=1,tcp,tp_src=1,actions=drop\npriority=0,actions=NORMAL';
    const config = { ports, threads: THREADS, flows, revalidation: { maxIdleMs: IDLE_MS } };
    return withSwitch(ending, config, (heddle) => {
      const loads = new Loads(ending);
      load?.(loads);
      return work(heddle, loads);
    });
  };
  if (kind === 'traffic' || kind in SLOW_THREADS) return run(simulated);
  return withLab(
    ending,
    numbered(2, () => ({ offload: kind === 'packet' })),
    (lab) => {
      const port = (host: string) => ({ type: kind, interface: lab.host(host).port, thread: 1 });
      return run({ ...simulated, a1: port('h1'), a2: port('h2') }, (loads) => {
        for (const [from, to] of [
          ['h1', '10.1.1.2'],
          ['h2', '10.1.1.1'],
        ] as const) {
          const ping = () =>
            lab.host(from).spawn('ping', ['-n', '-q', '-i', '0.002', to], { stdio: 'ignore' });
          loads.keep(ping, 60_000);
        }
      });
    },
  );
}

async function killAgainAndAgain(
  heddle: TestSwitch,
  kind: string,
  times: number,
  signal: AbortSignal,
): Promise<KindDrilled> {
  const thread = SLOW_THREADS[kind] ?? 1;
  const found: KindDrilled = { kind, pausedMs: [], othersSent: Number.POSITIVE_INFINITY };
  for (let time = 0; time < times; time++) {
    signal.throwIfAborted();
    await later(LOADED_MS);
    const working = await look(heddle, thread);
    await until(heddle, thread, ({ done }) => done > working.done);
    const before = await look(heddle, thread);
    const killedMs = performance.now();
    await heddle.ask({ command: 'kill', thread });
    const dead = await until(heddle, thread, ({ restarts }) => restarts > before.restarts);
    const after = await until(heddle, thread, ({ done }) => done > dead.done);
    found.pausedMs.push(Math.round(performance.now() - killedMs));
    found.othersSent = Math.min(found.othersSent, after.othersSent - before.othersSent);
  }
  return found;
}

interface Sight {
  restarts: number;
  /** What the thread has done: packets sent through its ports, misses handled, or flows seen to. */
  done: number;
  /** Packets sent through ports of other threads. */
  othersSent: number;
}

async function look(heddle: TestSwitch, thread: number): Promise<Sight> {
  const threads = await heddle.ask({ command: 'show', what: 'threads' });
  const ports = await heddle.ask({ command: 'show', what: 'ports' });
  const sent = (own: boolean) =>
    ports
      .filter((port) => port.threads.includes(thread) === own)
      .reduce((sum, { txPackets }) => sum + txPackets, 0);
  const { restarts, role, packets, stages } = threads[thread - 1]!;
  const dumped = stages.find(({ stage }) => stage === 'dump')?.packets ?? 0;
  const done = { datapath: sent(true), handler: packets, revalidator: dumped }[role];
  return { restarts, done, othersSent: sent(false) };
}

/** Looks every few milliseconds until `condition` holds. */
async function until(
  heddle: TestSwitch,
  thread: number,
  condition: (sight: Sight) => boolean,
): Promise<Sight> {
  const endMs = performance.now() + NEVER_MS;
  for (;;) {
    const sight = await look(heddle, thread);
    if (condition(sight)) return sight;
    if (performance.now() > endMs)
      throw new Error(`thread ${thread} did nothing for ${NEVER_MS} ms: ${heddle.log()}`);
    await later(PROBE_MS);
  }
}

export function drillTable({ kinds }: Drilled): string[] {
  const column = (head: string, cell: (row: KindDrilled) => string) => ({ head, cell, right: true });
  const sorted = (row: KindDrilled) => row.pausedMs.toSorted((a, b) => a - b);
  return table(
    [
      {
        head: 'THREAD WITH',
        cell: ({ kind }: KindDrilled) => (kind in SLOW_THREADS ? `the first ${kind}` : `${kind} ports`),
      },
      column('TIMES', ({ pausedMs }) => String(pausedMs.length)),
      column('MEDIAN MS', (row) => String(sorted(row)[row.pausedMs.length >> 1])),
      column('WORST MS', (row) => String(sorted(row).at(-1))),
      column('OTHERS SENT', ({ othersSent }) => String(othersSent)),
    ],
    kinds,
  );
}
