/** A short endurance run with real interfaces. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { churn } from '../endurance/churn.ts';
import { rootTools } from '../support/lab.ts';
import { seeded } from '../support/seeded.ts';

const skip = rootTools('ip', 'ethtool', 'ping', 'iperf3');
const timeout = 120_000;

test(
  'interfaces come and go while threads die',
  { skip, timeout },
  seeded(async (random) => {
    const { signal } = new AbortController();
    const options = { seconds: 3, seed: random.word() >>> 0, root: true, say: () => {}, signal };
    assert.deepEqual((await churn(options)).violations, []);
  }),
);
