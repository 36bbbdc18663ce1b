/** What programs name is named the same on all threads, and each of them reads what it is. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { NAME_STATE } from '../../src/datapath.ts';
import type { Frozen, Punt } from '../../src/table/translation.ts';
import { Names } from '../../src/upcall/names.ts';
import { leaveNumbers } from '../support/names.ts';
import { Rig } from '../support/rig.ts';
import { parseFlow } from '../table/flow.ts';

const SWEEP_MS = 5000;

const state = (actions: string): Frozen => ({
  visits: [{ actions: parseFlow(`actions=${actions}`).actions, next: 1, table: 2, cookie: 7n, depth: 0 }],
  pipeline: new Uint8Array(96).fill(9),
  inPort: 3,
  stack: [1n << 100n],
  actionSet: [],
  isWhole: true,
});
const punt = (table: number): Punt => ({
  kind: 'packetIn',
  table,
  cookie: 0n,
  reason: 'action',
  maxLength: 0xffff,
  controller: 0,
});

/** Two threads of a switch, with numbers for three states, and whole sweeps, each five seconds after the last. */
function twoThreads() {
  const rig = new Rig({ threads: 2 });
  leaveNumbers(rig, NAME_STATE, 3);
  const [one, other] = rig.threads.map((datapath) => new Names(datapath));
  const sweep = (): void => {
    rig.datapath.setClock(rig.datapath.nowMs + SWEEP_MS);
    one!.maintain();
  };
  return { one: one!, other: other!, sweep };
}

test('equal things have one number on two threads, and each reads what the other named', () => {
  const { one, other } = twoThreads();
  const [first, second] = [one.begin(), other.begin()];
  const number = one.context.freeze(state('load:1->NXM_NX_REG0[],output:2'))!;
  assert.equal(other.context.freeze(state('load:1->NXM_NX_REG0[],output:2')), number);
  assert.notEqual(other.context.freeze(state('load:2->NXM_NX_REG0[],output:2')), number);
  assert.deepStrictEqual(other.context.thaw(number), state('load:1->NXM_NX_REG0[],output:2'));
  assert.equal(other.context.punt(punt(5)), one.context.punt(punt(5)));
  const [punted] = first.punts;
  assert.deepStrictEqual(other.punt(punted!), punt(5));
  assert.deepEqual([first.frozen.length, second.frozen.length], [1, 2]);
});

test('what a thread remembers of a number that has become another is not told', () => {
  const { one, other, sweep } = twoThreads();
  const { context } = one;
  const number = context.freeze(state('output:1'))!;
  const read = () => other.context.thaw(number);
  assert.deepStrictEqual(read(), state('output:1'));
  for (let i = 0; i < 3; i++) sweep();
  assert.equal(read(), undefined);
  const next = [2, 3, 4, 5].map((port) => context.freeze(state(`output:${port}`)));
  assert.equal(next[2], number);
  assert.equal(next[3], undefined, 'no number is left');
  assert.deepStrictEqual(read(), state('output:4'));
});
