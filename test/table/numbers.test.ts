import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Numbers } from '../../src/table/numbers.ts';
import { Queue } from '../../src/table/queue.ts';

test('equal things have one number while anybody may need it', () => {
  const numbers = new Numbers<{ what: string; cookie: bigint }>(2);
  const [a, b, c] = ['a', 'b', 'c'].map((what) => ({ what, cookie: 1n }));
  assert.deepEqual([numbers.numberOf(a!), numbers.numberOf({ ...a! }), numbers.numberOf(b!)], [1, 1, 2]);
  assert.equal(numbers.numberOf(c!), undefined);
  numbers.retain(1);
  numbers.sweep();
  assert.deepEqual(numbers.get(2), b);
  numbers.sweep();
  assert.deepEqual([numbers.get(1), numbers.get(2), numbers.size], [a, undefined, 1]);
  assert.equal(numbers.numberOf(c!), 2);
  numbers.release(1);
  numbers.sweep();
  assert.equal(numbers.numberOf(a!), 1);
  numbers.sweep();
  assert.deepEqual([numbers.get(1), numbers.get(2)], [a, undefined]);
});

test('a queue gives what has the least key', () => {
  const step = fc.record({ item: fc.nat(20), key: fc.option(fc.nat(50)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new Queue<number>();
      const twin = new Map<number, number>();
      for (const { item, key } of steps) {
        if (key === null) {
          queue.delete(item);
          twin.delete(item);
        } else {
          queue.set(item, key);
          twin.set(item, key);
        }
        assert.equal(queue.size, twin.size);
        assert.equal(queue.firstKey, Math.min(...twin.values()));
        assert.equal(
          queue.first === undefined ? undefined : twin.get(queue.first),
          twin.size ? queue.firstKey : undefined,
        );
      }
    }),
  );
});
