/** Ring and pool, against an array and a set. On one thread; `threads.test.ts` has them on several. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { NONE, POOL_CACHE, POOL_FLOWS, RING_SLOTS } from '../../src/datapath.ts';
import { Rig } from '../support/rig.ts';
import { pick, seeded, word } from '../support/seeded.ts';

/** Arena offset of the consumer's line of a ring (`datapath/memory/ring.ts`). */
const CONSUMER = 64;

for (const start of [0, 2 ** 32 - 500]) {
  test(
    `a ring gives what was put, in order, from count ${start} on`,
    seeded((random) => {
      const { datapath } = new Rig();
      const { exports, u32 } = datapath;
      const ring = exports.ringBetween(0, 1);
      for (const at of [0, 4, 8, CONSUMER, CONSUMER + 4]) u32[(ring + at) >> 2] = start;
      const twin: number[] = [];
      for (let i = 0; i < 2000; i++) {
        const isFilling = random.below(2) === 0;
        for (let n = random.below(400); n > 0; n--) {
          if (isFilling) {
            const value = word(random);
            assert.equal(exports.put(ring, value), twin.length < RING_SLOTS ? 1 : 0);
            if (twin.length < RING_SLOTS) twin.push(value);
          } else {
            // What it says may be what it last saw; that there is nothing it says only when it is so.
            const available = exports.available(ring) >>> 0;
            assert.ok(available <= twin.length && available > 0 === twin.length > 0);
            if (available > 0) assert.equal(exports.get(ring) >>> 0, twin.shift());
          }
        }
      }
    }),
  );
}

test('rings between threads are apart', () => {
  const rig = new Rig({ threads: 3 });
  const { exports } = rig.datapath;
  const pairs = [0, 1, 2].flatMap((from) => [0, 1, 2].map((to) => [from, to] as const));
  for (const [from, to] of pairs) exports.put(exports.ringBetween(from, to), 10 * from + to);
  for (const [from, to] of pairs) {
    const ring = exports.ringBetween(from, to);
    assert.equal(exports.available(ring), 1);
    assert.equal(exports.get(ring), 10 * from + to);
    assert.equal(exports.available(ring), 0);
  }
});

test(
  'a pool hands each number to one holder at a time, and has all of them back in the end',
  seeded((random) => {
    const rig = new Rig({ threads: 3, flows: 768 });
    const { exports } = rig.datapath;
    const held = new Set<number>();
    for (let i = 0; i < 2000; i++) {
      const thread = random.below(3);
      const isTaking = random.below(2) === 0;
      for (let n = random.below(200); n > 0; n--) {
        if (isTaking) {
          const number = exports.take(thread, POOL_FLOWS) >>> 0;
          if (number === NONE) {
            assert.ok(768 - held.size <= 2 * POOL_CACHE, 'only what others have cached is out of reach');
            break;
          }
          assert.ok(number < 768 && !held.has(number));
          held.add(number);
        } else if (held.size > 0) {
          const number = pick(random, [...held].slice(0, 10));
          exports.give(thread, POOL_FLOWS, number);
          held.delete(number);
        }
      }
      assert.equal(rig.free(POOL_FLOWS) + held.size, 768);
    }
    for (const number of held) exports.give(random.below(3), POOL_FLOWS, number);
    assert.equal(rig.free(POOL_FLOWS), 768);
  }),
);

test('a thread alone takes every number there is', () => {
  const rig = new Rig({ threads: 3, flows: 768 });
  const { exports } = rig.datapath;
  const taken = Array.from({ length: 768 }, () => exports.take(1, POOL_FLOWS) >>> 0);
  assert.deepEqual(
    taken.sort((a, b) => a - b),
    Array.from({ length: 768 }, (_, n) => n),
  );
  assert.equal(exports.take(1, POOL_FLOWS) >>> 0, NONE);
  assert.equal(exports.take(2, POOL_FLOWS) >>> 0, NONE);
});
