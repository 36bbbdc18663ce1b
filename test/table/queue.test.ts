import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Queue } from '../../src/table/queue.ts';

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
