/** Limits of zones as the handler sets and lists them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { SmallSwitch } from './small-switch.ts';

const change = (small: SmallSwitch, action: 'set' | 'del', text: string) =>
  small.request({ command: 'changeLimits', action, text });

const NO_DEFAULT = { zone: 'default', limit: null, count: null };

test('at first there is no limit', () => {
  assert.deepEqual(new SmallSwitch('').request({ command: 'limits' }), [NO_DEFAULT]);
});

test('limits that are set are listed until they are deleted', () => {
  const small = new SmallSwitch('');
  assert.deepEqual(change(small, 'set', 'default=10 zone=1,limit=0'), ['2 limits set']);
  assert.deepEqual(small.request({ command: 'limits' }), [
    { zone: 'default', limit: 10, count: null },
    { zone: 1, limit: 0, count: 0 },
  ]);
  assert.deepEqual(change(small, 'set', 'default=0'), ['1 limit set']);
  assert.deepEqual(change(small, 'del', 'zone=1,1,7'), ['1 limit deleted']);
  assert.deepEqual(small.request({ command: 'limits' }), [NO_DEFAULT]);
});

test('a change that is wrong changes nothing', () => {
  const small = new SmallSwitch('');
  for (const text of ['default=5 zone=1', 'zone=1,limit=3,zone=x', '']) {
    assert.throws(() => change(small, 'set', text), { name: 'FlowError' });
  }
  assert.throws(() => change(small, 'del', ''), { name: 'FlowError' });
  assert.deepEqual(small.request({ command: 'limits' }), [NO_DEFAULT]);
});
