/** A switch under load to which things happen, drawn from a seed, for as long as one likes. */
import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as later } from 'node:timers/promises';
import { toItsEnd } from '../support/ending.ts';
import { chance, Random } from '../support/seeded.ts';
import { otherDeaths, unbalanced } from './books.ts';
import { miscounted } from './counts.ts';
import { type Actor, portsActor, tablesActor, troubleActor } from './operations.ts';
import { STEADY, type Stage, withStage } from './stage.ts';
import { type Resident, Watch } from './watch.ts';

export interface ChurnOptions {
  seconds: number;
  seed: number;
  /** Also real interfaces. */
  root: boolean;
  /** Is told what goes on, once a minute. */
  say(line: string): void;
  signal: AbortSignal;
}

export interface Churned {
  seed: number;
  seconds: number;
  /** How often what was done. */
  operations: Record<string, number>;
  restarts: number;
  packetsReceived: number;
  packetsForwarded: number;
  dropped: Record<string, number>;
  copies: number;
  /** At most in use at a time. */
  framesMostUsed: number;
  frames: number;
  residentMiB: Resident;
  violations: string[];
}

const SAY_MS = 60_000;
/** The three of them, and how long each pauses at most before the next thing: trouble is rarer. */
const ACTORS = [
  { make: portsActor, pauseMs: 300 },
  { make: tablesActor, pauseMs: 300 },
  { make: troubleActor, pauseMs: 1500 },
];
/** So much of the time, again, rules are seen to count. */
const COUNTED = 5;
/** At the end it is stopped under load. */
const LAST_MS = 1000;

/** Rejects when it is interrupted, or when something cannot even begin; what must not be is in the report. */
export async function churn(options: ChurnOptions): Promise<Churned> {
  const { seed, root } = options;
  let prefix: string | undefined;
  const churned = await toItsEnd((ending) =>
    withStage(ending, root, async (stage) => {
      prefix = stage.prefix;
      return run(stage, options);
    }),
  );
  churned.violations.push(...leftOver(prefix));
  return { ...churned, seed };
}

async function run(stage: Stage, { seconds, seed, say, signal }: ChurnOptions): Promise<Churned> {
  const { heddle, loads } = stage;
  const operations: Record<string, number> = {};
  const watch = new Watch(heddle);
  const { violations } = watch;
  const endMs = Date.now() + seconds * 1000;
  const lines = setInterval(() => say(minute(watch, operations)), SAY_MS);
  const act = async (actor: Actor, random: Random, pauseMs: number): Promise<void> => {
    while (Date.now() < endMs && !signal.aborted && violations.length === 0) {
      try {
        const name = await actor();
        operations[name] = (operations[name] ?? 0) + 1;
      } catch (error) {
        violations.push(`an operation failed: ${(error as Error).message}`);
      }
      // Some come at once after the one before.
      if (chance(random, 0.7)) await later(random.below(pauseMs));
    }
  };
  try {
    await Promise.all(
      ACTORS.map(({ make, pauseMs }, i) => {
        const random = new Random(seed + i);
        return act(make(stage, random), random, pauseMs);
      }),
    );
  } finally {
    clearInterval(lines);
    await watch.stop();
  }
  signal.throwIfAborted();
  if (violations.length > 0) say(heddle.log());
  const { books, wrong } = await unbalanced(heddle);
  violations.push(...wrong, ...otherDeaths(heddle));
  violations.push(...(await miscounted(stage, new Random(seed + ACTORS.length), seconds / COUNTED)));
  await loads.stop();
  violations.push(...loads.faults.slice(0, 10));
  const restarts = (await heddle.show('threads')).reduce((sum, thread) => sum + thread.restarts, 0);

  for (const { name, options } of STEADY) {
    await heddle.ask({ command: 'port', action: 'add', name, text: JSON.stringify(options) });
  }
  await later(LAST_MS);
  const summary = await heddle.stop().catch((error) => void violations.push((error as Error).message));
  if (summary && summary.packetsReceived === books.received) violations.push('nothing came in at the end');
  return {
    seed,
    seconds,
    operations,
    restarts,
    packetsReceived: summary?.packetsReceived ?? books.received,
    packetsForwarded: summary?.packetsForwarded ?? books.forwarded,
    dropped: summary?.dropped ?? books.dropped,
    copies: books.copied,
    framesMostUsed: books.frames.mostUsed,
    frames: books.frames.all,
    residentMiB: watch.resident,
    violations,
  };
}

function minute({ books, resident, violations }: Watch, operations: Record<string, number>): string {
  const done = Object.values(operations).reduce((a, b) => a + b, 0);
  const counted =
    books && `${books.received} packets in, ${books.forwarded} out, ${books.underWay} under way`;
  return `${done} operations, ${counted}, ${resident.last} MiB, ${violations.length} violations`;
}

/** Namespaces and interfaces whose names begin with `prefix`. */
function leftOver(prefix: string | undefined): string[] {
  if (prefix === undefined) return [];
  return ['/run/netns', '/sys/class/net']
    .flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []))
    .filter((name) => name.startsWith(prefix))
    .map((name) => `${name} is left over`);
}
