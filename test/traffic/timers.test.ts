/** Timers against a plain list, and the queue of senders against an array. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Outbox, Sender } from '../../src/port/traffic/outbox.ts';
import { noStatistics } from '../../src/port/traffic/statistics.ts';
import { type Timed, Timers } from '../../src/port/traffic/timers.ts';
import { FrameWriter } from '../../src/port/traffic/writer.ts';

const COUNT = 20;

test('timers expire in order of their latest deadline, and not after being cancelled', () => {
  const step = fc.record({
    which: fc.nat(COUNT - 1),
    dueMs: fc.option(fc.nat(100), { nil: Infinity }),
    run: fc.option(fc.nat(100)),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const timers = new Timers();
      const due = new Map<number, number>();
      let expired: number[] = [];
      const all = Array.from({ length: COUNT }, (_, index): Timed => {
        return { dueMs: 0, heapIndex: -1, expire: () => expired.push(index) };
      });
      for (const { which, dueMs, run } of steps) {
        if (dueMs === Infinity) {
          timers.cancel(all[which]);
          due.delete(which);
        } else {
          timers.set(all[which], dueMs);
          due.set(which, dueMs);
        }
        assert.equal(timers.dueMs(), Math.min(Infinity, ...due.values()));
        if (run === null) continue;
        expired = [];
        timers.run(run);
        const expected = [...due].filter(([, dueMs]) => dueMs <= run);
        assert.deepEqual(
          expired.map((index) => due.get(index)),
          expected.map(([, dueMs]) => dueMs).sort((a, b) => a - b),
        );
        assert.equal(new Set(expired).size, expected.length);
        for (const [index] of expected) due.delete(index);
      }
    }),
  );
});

class Named extends Sender {
  private readonly name: number;

  constructor(name: number) {
    super();
    this.name = name;
  }

  override write(): number {
    return this.name;
  }
}

test('senders are served first come, first served, and may leave the queue anywhere', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('push', 'remove', 'write'), fc.nat(7))), (steps) => {
      const outbox = new Outbox(0, noStatistics());
      const senders = Array.from({ length: 8 }, (_, index) => new Named(index + 1));
      const frame = new FrameWriter(0);
      let queue: number[] = [];
      for (const [what, index] of steps) {
        if (what === 'push') {
          outbox.push(senders[index]);
          if (!queue.includes(index + 1)) queue.push(index + 1);
        } else if (what === 'remove') {
          outbox.remove(senders[index]);
          queue = queue.filter((name) => name !== index + 1);
        } else {
          assert.equal(outbox.write(frame, 0), queue.shift() ?? 0);
        }
        assert.equal(outbox.isEmpty, queue.length === 0);
      }
    }),
  );
});
