/** The explorer itself: it finds what is planted, and its schedules are all there, and the same each time. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { scenarioNames } from './compile.ts';
import { type Explored, explore } from './explore.ts';
import { PLANTED } from './planted.ts';
import { Enumeration, parseDecisions, printDecisions, Told } from './schedules.ts';
import { type Schedule, Stage } from './stage.ts';

for (const { name, scenario, edit, within } of PLANTED) {
  test(`the planted bug ${name} is found, and its schedule replays`, async () => {
    const stage = await Stage.open(scenario, edit);
    const isFound = ({ failure, schedule, schedules }: Explored): void => {
      assert.ok(failure, `not found in ${schedules} schedules`);
      const replay = (on: Stage): string | undefined => on.run(new Told(parseDecisions(schedule!))).failure;
      assert.equal(replay(stage), failure);
    };
    isFound(explore(stage, { preemptions: 2, most: within.all, schedules: 0, seed: 1 }));
    isFound(explore(stage, { preemptions: -1, most: 0, schedules: within.drawn, seed: 1 }));
  });
}

for (const scenario of scenarioNames()) {
  test(`${scenario}: nothing is wrong in some hundred schedules`, async () => {
    const stage = await Stage.open(scenario);
    const { failure, schedule, schedules } = explore(stage, {
      preemptions: 2,
      most: 1000,
      schedules: 500,
      seed: 1,
    });
    assert.equal(failure, undefined, `${failure}, with --only ${scenario} --replay '${schedule}'`);
    assert.ok(schedules > 500);
  });
}

test('a schedule that failed once fails the same way on another day', async () => {
  const { scenario, edit } = PLANTED[0]!;
  const found = explore(await Stage.open(scenario, edit), {
    preemptions: 2,
    most: 1e4,
    schedules: 0,
    seed: 1,
  });
  const again = (await Stage.open(scenario, edit)).run(new Told(parseDecisions(found.schedule!)));
  assert.equal(again.failure, found.failure);
});

test('memory that a scenario changes and does not declare is named', async () => {
  const stage = await Stage.open('epoch', {
    file: 'datapath/explore/epoch.ts',
    find: 'changes(ARENA_MAP, offsetof<ArenaMap>());',
    replace: '',
  });
  const run = (): Explored => explore(stage, { preemptions: 0, most: 10, schedules: 0, seed: 1 });
  assert.throws(run, /^Error: epoch: a thread changed ArenaMap at 0x1[0-9a-f]{4}, not declared in setUp$/);
});

test('an edit that does not fit the source any more is an error', async () => {
  const edit = { file: 'datapath/memory/lock.ts', find: 'no such line', replace: '' };
  await assert.rejects(Stage.open('lock', edit), /lock\.ts: expected "no such line" once/);
});

/** Runs two threads of `steps` steps each, with a decision before every step at which both could go on. */
function interleave(schedule: Schedule, steps: number): string {
  const left = [steps, steps];
  let order = '';
  for (let current = -1; left[0]! + left[1]! > 0; order += current) {
    const able = (left[0]! > 0 ? 1 : 0) | (left[1]! > 0 ? 2 : 0);
    current = able === 3 ? schedule.choose(able, current) : able - 1;
    left[current]!--;
  }
  return order;
}

function allOf(most: number, steps: number): string[] {
  const enumeration = new Enumeration(most);
  const orders: string[] = [];
  do orders.push(interleave(enumeration, steps));
  while (enumeration.next());
  return orders;
}

test('an enumeration has each schedule with few enough preemptions once', () => {
  const every = allOf(99, 4);
  assert.equal(every.length, 70, '8 over 4');
  assert.equal(new Set(every).size, 70);
  const preemptions = (order: string): number => {
    let n = 0;
    for (let i = 1; i < order.length; i++) {
      if (order[i] !== order[i - 1] && order.slice(i).includes(order[i - 1]!)) n++;
    }
    return n;
  };
  for (const most of [0, 1, 2, 3]) {
    assert.deepEqual(allOf(most, 4).sort(), every.filter((order) => preemptions(order) <= most).sort());
  }
});

test('decisions are printed in short and read back', () => {
  const decisions = [0, 0, 0, 2, 1, 1, 0];
  assert.equal(printDecisions(decisions), '0x3 2x1 1x2 0x1');
  assert.deepEqual(parseDecisions('0x3 2x1 1x2 0x1'), decisions);
  assert.throws(() => parseDecisions('0x3 zero'), /found "zero" in a schedule, expected such as 0x12/);
});

function run(...args: string[]): { status: number | null; lines: string[]; stderr: string } {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
  return { status, lines: stdout.trimEnd().split('\n'), stderr };
}

test('the last line counts structures, schedules and failures', () => {
  const { status, lines } = run('--only', 'tally', '--preemptions', 'none', '--schedules', '50');
  assert.equal(status, 0);
  assert.equal(lines.at(-1), '1 structures, 50 schedules, 0 failures');
});

test('a failure prints the command that replays it, and the exit code is 1', () => {
  const found = run('--planted', 'lock-released-twice');
  assert.equal(found.status, 1);
  assert.equal(found.lines.at(-1), '1 structures, 1 schedules, 1 failures');
  const replay = /npm run explore -- (--planted \S+) --replay '(.*)'$/m.exec(found.lines.join('\n'))!;
  const again = run(...replay[1]!.split(' '), '--replay', replay[2]!);
  assert.equal(again.status, 1);
  assert.equal(again.lines[1], found.lines[1]);
});

for (const [args, message] of [
  [['--only', 'nothing'], /^explore: found no structure "nothing", expected one of barrier, /],
  [['--replay', '0x1'], /^explore: --replay needs --only NAME or --planted NAME$/m],
  [['--replay', 'x'], /found "x" in a schedule/],
  [['--schedules', 'many'], /Expected a whole number/],
] as const) {
  test(`explore ${args.join(' ')}: exit code 2 and a reason`, () => {
    const { status, stderr } = run(...args);
    assert.match(stderr, message);
    assert.equal(status, 2);
  });
}
