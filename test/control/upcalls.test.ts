/** How a running switch shows and changes the way in which it looks after installed flows. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConfig } from '../../src/control/config.ts';
import { Refusals } from '../../src/control/refusals.ts';
import { openSwitch, type Switch } from '../../src/control/switch.ts';
import {
  BAD_MOVE_STRIDE,
  BAD_MOVES,
  BAD_MOVES_LIST,
  BadMove,
  DELETED,
  PLACE_INSTALL,
  PLACE_SWEEP,
  regionAddress,
  VISIBLE,
} from '../../src/datapath.ts';
import type { UpkeepRow } from '../../src/model.ts';
import { Rig } from '../support/rig.ts';

const PORTS = `
ports:
  web: { type: traffic, hosts: 4 }
  office: { type: traffic, hosts: 20, connectionsPerSecond: 200, peers: [web] }
control: none`;
const THREADS = 'threads: { datapath: 1, handler: 2, revalidator: 2 }';
const timeout = 60_000;

async function upkeep(control: Switch): Promise<UpkeepRow> {
  const [row] = await control.show('upcalls');
  assert.ok(row?.kind === 'flows');
  return row;
}

const looking = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await looking();
}

test('rounds on threads are paused, waited for, and purge', { timeout }, async (t) => {
  const revalidation = 'revalidation: { flowLimit: 300, maxIdleMs: 60000 }';
  const control = await openSwitch(parseConfig('test.yaml', `${PORTS}\n${THREADS}\n${revalidation}`));
  t.after(() => control.stop());
  await until(async () => (await upkeep(control)).current > 20);

  assert.deepEqual(await control.changeUpcalls('pause', ''), ['revalidation is paused']);
  const before = await upkeep(control);
  assert.deepEqual([before.isPaused, before.limit, before.ceiling], [true, 300, 300]);
  await control.changeUpcalls('wait', '');
  const { rounds } = await upkeep(control);
  assert.ok(rounds > before.rounds, 'one that is wanted is made');

  const [removed] = await control.changeUpcalls('purge', '');
  assert.match(removed!, /^\d+ flows removed$/);
  const { evicted } = await upkeep(control);
  assert.equal(`${evicted.purge} flows removed`, removed);
  assert.ok(evicted.purge! > 20);

  assert.deepEqual(await control.changeUpcalls('set', 'flow-limit=0 max-idle=500'), ['2 settings changed']);
  assert.deepEqual(await control.changeUpcalls('resume', ''), ['revalidation goes on']);
  await until(async () => (await upkeep(control)).current === 0);
  await assert.rejects(control.changeUpcalls('set', 'max-idle=1'), { name: 'FlowError' });

  const rows = await control.show('upcalls');
  assert.deepEqual(
    rows.slice(1).map((row) => row.kind !== 'flows' && [row.kind, row.thread]),
    [
      ['datapath', 1],
      ['handler', 2],
      ['handler', 3],
      ['revalidator', 4],
      ['revalidator', 5],
    ],
  );
  const counters = new Map((await control.show('counters')).map(({ name, value }) => [name, value]));
  assert.equal(counters.get('evicted.purge'), evicted.purge);
  assert.equal(counters.get('refusedMoves'), 0);
  assert.ok(counters.get('upcall_flow_limit_hit')! > 0);
});

test('who waits for a round gets it though its leader dies', { timeout }, async (t) => {
  const control = await openSwitch(parseConfig('test.yaml', `${PORTS}\n${THREADS}`));
  t.after(() => control.stop());
  const [leader, other] = [4, 5];
  for (const thread of [leader, other, leader]) {
    await until(async () => (await upkeep(control)).current > 20);
    await control.changeUpcalls('pause', '');
    const { evicted: before, current: was } = await upkeep(control);
    const purged = control.changeUpcalls('purge', '');
    await control.kill(thread);
    const said = await purged;
    const { evicted, isPaused } = await upkeep(control);
    assert.ok(
      (evicted.purge ?? 0) - (before.purge ?? 0) > 20,
      JSON.stringify([thread, before, was, said, evicted]),
    );
    assert.ok(isPaused, 'settings outlast threads');
    await control.changeUpcalls('resume', '');
  }
});

test('coverage counters have the names of Open vSwitch', { timeout }, async (t) => {
  const control = await openSwitch(parseConfig('test.yaml', `${PORTS}\nthreads: inline`));
  t.after(() => control.stop());
  const names = (await control.show('counters')).map(({ name }) => name);
  const coverage = `dumped_duplicate_flow dumped_inconsistent_flow dumped_new_flow handler_duplicate_upcall
    revalidate_missed_dp_flow revalidate_missing_dp_flow ukey_dp_change ukey_invalid_stat_reset
    ukey_replace_contention upcall_flow_limit_grew upcall_flow_limit_hit upcall_flow_limit_kill
    upcall_flow_limit_reduced upcall_flow_limit_scaled upcall_ukey_contention upcall_ukey_replace`;
  for (const name of coverage.split(/\s+/)) assert.ok(names.includes(name), name);
  assert.deepEqual(
    (await control.show('upcalls')).map((row) => row.kind),
    ['flows', 'datapath', 'handler', 'revalidator'],
    'one thread is both',
  );
});

/** Notes a move as refused, as the module does. */
function refuse(rig: Rig, flow: number): void {
  const at = regionAddress(rig.arena, 'badMoves') >> 2;
  const { u32 } = rig.datapath;
  const slot = at + ((BAD_MOVES_LIST + (u32[at]! % BAD_MOVES) * BAD_MOVE_STRIDE) >> 2);
  const move = { flow, from: VISIBLE, to: DELETED, thread: 1, place: PLACE_INSTALL };
  const whole = { ...move, byThread: 2, byPlace: PLACE_SWEEP };
  for (const [field, value] of Object.entries(whole)) {
    u32[slot + (BadMove[field as keyof typeof whole] >> 2)] = value;
  }
  u32[at]!++;
}

test('refused moves are told of once, by who tried them and where, and no more than some at a time', (t) => {
  const rig = new Rig();
  const lines: string[] = [];
  const refusals = new Refusals(rig.arena, (line) => lines.push(line));
  t.after(() => refusals.end());
  const look = () => {
    refusals.look();
    return lines.splice(0);
  };
  assert.deepEqual(look(), []);
  refuse(rig, 17);
  const of = (flow: number) =>
    `flow ${flow}: refused visible → deleted by thread 3 in sweep; last moved to visible by thread 2 in install`;
  assert.deepEqual(look(), [of(17)]);
  assert.deepEqual(look(), []);
  for (let flow = 0; flow < 3; flow++) refuse(rig, flow);
  assert.deepEqual(look(), [0, 1, 2].map(of));
  for (let flow = 0; flow < 100; flow++) refuse(rig, flow);
  const [first, , , rest] = look();
  assert.deepEqual([first, rest], [of(100 - BAD_MOVES), '97 more moves of flows refused']);
});
