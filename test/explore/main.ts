/**
 * The schedule explorer: runs the structures that threads share in every order that it has time for.
 *
 *     npm run explore                                        all schedules with up to 2 preemptions
 *     npm run explore -- --schedules 100000 --seed 7         and so many more for each structure, drawn
 *     npm run explore -- --only mpsc --preemptions 3
 *     npm run explore -- --only mpsc --replay '0x12 1x3'    one schedule, as a failure printed it
 *     npm run explore -- --planted published-before-linked   a bug planted on purpose is found
 *
 * A structure comes under test by a scenario: one file, `datapath/explore/NAME.ts`, of which
 * `datapath/explore.ts` says what it may do and how. Nothing else needs to know of it.
 *
 *     compile.ts      a scenario and what it uses, as a module of its own
 *     instrument.ts   in it, every access to memory asks first
 *     stage.ts        runs its threads in the order of a schedule
 *     schedules.ts    all, drawn, or told
 *     explore.ts      runs them until one fails
 *     planted.ts      bugs that it must find
 */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { scenarioNames } from './compile.ts';
import { type Explored, explore } from './explore.ts';
import { PLANTED } from './planted.ts';
import { parseDecisions, printDecisions, Told } from './schedules.ts';
import { Stage } from './stage.ts';

interface Options {
  schedules: number;
  seed: number;
  preemptions: number;
  most: number;
  only?: string;
  replay?: readonly number[];
  planted?: string;
}

const program = new Command('explore')
  .description('Runs the structures that threads share in every order that it has time for.')
  .option(
    '--schedules <n>',
    'schedules to draw for each structure, beside those that are all tried',
    whole,
    0,
  )
  .option('--seed <n>', 'what they are drawn from', whole, 1)
  .option('--preemptions <n>', 'try all schedules with up to so many; "none" tries none', bound, 2)
  .option('--most <n>', 'but for each structure no more of them than this', whole, 1_000_000)
  .option('--only <name>', 'one structure')
  .option('--replay <schedule>', 'run this schedule alone; needs --only or --planted', decisions)
  .option('--planted <name>', 'one structure with a bug planted in it')
  .allowExcessArguments(false)
  .exitOverride();

try {
  program.parse();
  process.exitCode = await main(program.opts<Options>());
} catch (error) {
  const isUsage = error instanceof CommanderError;
  if (!isUsage) console.error(`explore: ${error instanceof Error ? error.message : error}`);
  process.exitCode = isUsage && error.exitCode === 0 ? 0 : 2;
}

async function main({ only, planted, replay, ...options }: Options): Promise<number> {
  const bug = PLANTED.find(({ name }) => name === planted);
  if (planted !== undefined && !bug)
    throw unknown(
      planted,
      'bug',
      PLANTED.map(({ name }) => name),
    );
  const all = scenarioNames();
  if (only !== undefined && !all.includes(only)) throw unknown(only, 'structure', all);
  const name = bug?.scenario ?? only;
  if (replay && name === undefined) throw new Error('--replay needs --only NAME or --planted NAME');
  const total = { structures: 0, schedules: 0, failures: 0 };
  for (const scenario of name === undefined ? all : [name]) {
    const stage = await Stage.open(scenario, bug?.edit);
    const beginMs = performance.now();
    const result = replay ? replayed(stage, replay) : explore(stage, options);
    const seconds = (performance.now() - beginMs) / 1000;
    total.structures++;
    total.schedules += result.schedules;
    const speed = `${Math.round(result.schedules / seconds)} schedules/s, ${result.steps} steps`;
    const cut = result.isCut ? `, stopped at --most ${options.most}` : '';
    console.log(`${scenario.padEnd(12)} ${String(result.schedules).padStart(8)} schedules, ${speed}${cut}`);
    if (result.failure === undefined) continue;
    total.failures++;
    const which = bug ? `--planted ${bug.name}` : `--only ${scenario}`;
    console.log(`  failed: ${result.failure}`);
    console.log(`  again:  npm run explore -- ${which} --replay '${result.schedule}'`);
  }
  const { structures, schedules, failures } = total;
  console.log(`${structures} structures, ${schedules} schedules, ${failures} failures`);
  return failures === 0 ? 0 : 1;
}

function replayed(stage: Stage, decisions: readonly number[]): Explored {
  const { steps, failure } = stage.run(new Told(decisions));
  return { schedules: 1, steps, isCut: false, failure, schedule: printDecisions(decisions) };
}

function unknown(found: string, what: string, names: readonly string[]): Error {
  return new Error(`found no ${what} "${found}", expected one of ${names.join(', ')}`);
}

function whole(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number.');
}

function bound(text: string): number {
  return text === 'none' ? -1 : whole(text);
}

function decisions(text: string): number[] {
  try {
    return parseDecisions(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}
