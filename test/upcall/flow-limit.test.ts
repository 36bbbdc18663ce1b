/** How the flow limit follows from how long a round took. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  COUNT_UPCALL_FLOW_LIMIT_GREW,
  COUNT_UPCALL_FLOW_LIMIT_REDUCED,
  COUNT_UPCALL_FLOW_LIMIT_SCALED,
} from '../../src/datapath.ts';
import { nextFlowLimit } from '../../src/upcall/flow-limit.ts';
import { seeded } from '../support/seeded.ts';

const MOST = 200_000;

test('a round that takes long brings the limit down, a short one over many flows lets it go up', () => {
  const after = (ms: number, limit = 40_000, flows = 40_000, most = MOST) =>
    nextFlowLimit(limit, flows, ms, most);
  assert.deepEqual(after(4999), { limit: 10_000, event: COUNT_UPCALL_FLOW_LIMIT_SCALED }, 'a quarter');
  assert.deepEqual(after(2001), { limit: 20_000, event: COUNT_UPCALL_FLOW_LIMIT_SCALED }, 'half');
  assert.deepEqual(after(2000), { limit: 30_000, event: COUNT_UPCALL_FLOW_LIMIT_REDUCED });
  assert.deepEqual(after(1301), { limit: 30_000, event: COUNT_UPCALL_FLOW_LIMIT_REDUCED });
  assert.deepEqual(after(1300), { limit: 40_000, event: undefined });
  assert.deepEqual(after(1000), { limit: 40_000, event: undefined });
  assert.deepEqual(after(999), { limit: 41_000, event: COUNT_UPCALL_FLOW_LIMIT_GREW });
  assert.deepEqual(after(999, 40_000, 39_960), { limit: 40_000, event: undefined }, '40,000 in a second');
  assert.deepEqual(after(0, 40_000, 40), { limit: 40_000, event: undefined }, 'no less than a millisecond');
});

test('the limit is 1,000 at least, unless no more may be', () => {
  assert.equal(nextFlowLimit(1500, 0, 1_000_000, MOST).limit, 1000);
  assert.equal(nextFlowLimit(200_000, 200_000, 1, MOST).limit, MOST);
  assert.equal(nextFlowLimit(10, 20, 1, 10).limit, 10);
  assert.equal(nextFlowLimit(0, 0, 1, 0).limit, 0);
});

/** With whole numbers, as it is written down for Open vSwitch. */
function expected(limit: bigint, flows: bigint, took: bigint, most: bigint): bigint {
  const ms = took > 1n ? took : 1n;
  let next = limit;
  if (ms > 2000n) next = limit / (ms / 1000n);
  else if (ms > 1300n) next = (limit * 3n) / 4n;
  else if (ms < 1000n && limit < (flows * 1000n) / ms) next = limit + 1000n;
  const least = next > 1000n ? next : 1000n;
  return least < most ? least : most;
}

test(
  'the limit is what whole numbers say',
  seeded((random) => {
    for (let i = 0; i < 20_000; i++) {
      const [limit, flows, most] = [0, 0, 0].map(() => random.below(300_000)) as [number, number, number];
      const ms = random.below(random.below(2) === 0 ? 20 : 6000);
      const { limit: next } = nextFlowLimit(limit, flows, ms, most);
      const args = [limit, flows, ms, most].map(BigInt) as [bigint, bigint, bigint, bigint];
      assert.equal(BigInt(next), expected(...args), `limit ${limit}, ${flows} flows, ${ms} ms, most ${most}`);
    }
  }),
);
