/** The endurance runs, for some seconds. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seeded } from '../support/seeded.ts';
import { churn } from './churn.ts';
import { drill } from './kill.ts';

const { signal } = new AbortController();
const say = () => {};
const timeout = 120_000;

test(
  'ports, flows and mirrors come and go while threads die',
  { timeout },
  seeded(async (random) => {
    const seed = random.word() >>> 0;
    const { violations, operations } = await churn({ seconds: 3, seed, root: false, say, signal });
    assert.deepEqual(violations, []);
    assert(Object.keys(operations).length > 5, JSON.stringify(operations));
  }),
);

test('a thread of each kind dies, and the others go on', { timeout }, async () => {
  const { violations } = await drill({
    times: 1,
    root: false,
    mostMs: Number.POSITIVE_INFINITY,
    say,
    signal,
  });
  assert.deepEqual(violations, []);
});
