/** Map, queue, barrier, sequence lock, tallies and epochs against naive twins, on one JavaScript thread. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CUCKOO_SLOTS, NONE, regionAddress } from '../../src/datapath.ts';
import type { TestDatapath } from '../support/module.ts';
import { Rig } from '../support/rig.ts';
import { pick, type Random, seeded, word } from '../support/seeded.ts';

/** Memory that nobody else uses. */
const scratch = ({ arena }: TestDatapath): number => regionAddress(arena, 'queues');

/** All numbers that the map has for a hash. */
function allOf({ exports }: TestDatapath, map: number, hash: number): number[] {
  const found: number[] = [];
  for (let n = exports.findInMap(map, hash) >>> 0; n !== NONE; n = exports.findNextInMap() >>> 0)
    found.push(n);
  return found.sort((a, b) => a - b);
}

test(
  'a cuckoo map has for each hash the numbers that were inserted and not removed',
  seeded((random) => {
    const { datapath } = new Rig();
    const { exports } = datapath;
    const map = scratch(datapath);
    const buckets = 2 ** (1 + random.below(6));
    exports.formatMap(map, buckets);
    const hashes = Array.from({ length: 4 * buckets }, () => word(random));
    hashes.push(0, NONE);
    const twin = new Map<number, Set<number>>(hashes.map((hash) => [hash, new Set<number>()]));
    let count = 0;
    for (let i = 0; i < 5000; i++) {
      const hash = pick(random, hashes);
      const numbers = twin.get(hash)!;
      const number = random.below(2) === 0 ? random.below(6) : word(random) % NONE;
      if (random.below(5) < 3 && !numbers.has(number)) {
        if (exports.insertInMap(map, hash, number)) {
          numbers.add(number);
          count++;
        } else {
          assert.ok(count >= CUCKOO_SLOTS, `no room at ${count} in ${buckets} buckets`);
        }
      } else {
        const gone = numbers.size > 0 && random.below(2) === 0 ? pick(random, [...numbers]) : number;
        const wasThere = numbers.delete(gone);
        assert.equal(exports.removeFromMap(map, hash, gone), wasThere ? 1 : 0);
        if (wasThere) count--;
      }
      assert.deepEqual(
        allOf(datapath, map, hash),
        [...numbers].sort((a, b) => a - b),
      );
    }
    for (const [hash, numbers] of twin) {
      assert.deepEqual(
        allOf(datapath, map, hash),
        [...numbers].sort((a, b) => a - b),
      );
    }
  }),
);

test(
  'nine tenths of a cuckoo map fill, and what has no room changes nothing',
  seeded((random) => {
    const { datapath } = new Rig();
    const { exports } = datapath;
    const map = scratch(datapath);
    const buckets = 4096;
    exports.formatMap(map, buckets);
    const hashes: number[] = [];
    for (let hash = word(random); exports.insertInMap(map, hash, hashes.length); hash = word(random)) {
      hashes.push(hash);
    }
    const share = hashes.length / (CUCKOO_SLOTS * buckets);
    assert.ok(share > 0.9, `full at ${share}`);
    for (const [number, hash] of hashes.entries()) assert.ok(allOf(datapath, map, hash).includes(number));
  }),
);

test('two buckets are room for fourteen numbers of one hash, and no more', () => {
  const { datapath } = new Rig();
  const { exports } = datapath;
  const map = scratch(datapath);
  exports.formatMap(map, 64);
  const numbers = Array.from({ length: 2 * CUCKOO_SLOTS }, (_, number) => number);
  for (const number of numbers) assert.equal(exports.insertInMap(map, 7, number), 1);
  assert.equal(exports.insertInMap(map, 7, 99), 0);
  assert.deepEqual(allOf(datapath, map, 7), numbers);
});

test(
  'a queue gives numbers in the order in which they were pushed, and the same ones again later',
  seeded((random) => {
    const rig = new Rig({ threads: 3 });
    const queue = scratch(rig.datapath);
    const NUMBERS = 20;
    rig.datapath.exports.formatQueue(queue, queue + 256, 64);
    const twin: number[] = [];
    for (let i = 0; i < 5000; i++) {
      if (random.below(2) === 0) {
        const number = random.below(NUMBERS);
        if (twin.includes(number)) continue;
        pick(random, rig.threads).exports.push(queue, number);
        twin.push(number);
      } else {
        assert.equal(rig.handler.exports.pop(queue) >>> 0, twin.shift() ?? NONE);
      }
    }
  }),
);

test(
  'a barrier lets its last member through at once, also when the others have left',
  seeded((random) => {
    const { datapath } = new Rig();
    const { exports, u32 } = datapath;
    const barrier = scratch(datapath);
    const members = new Set(Array.from({ length: 32 }, (_, thread) => thread));
    exports.formatBarrier(barrier, 0xffffffff);
    while (members.size > 1) {
      const thread = random.below(32);
      exports.leaveBarrier(barrier, thread);
      members.delete(thread);
    }
    const [last] = members;
    for (let phase = 1; phase < 4; phase++) {
      assert.equal(exports.arrive(barrier, last!), 1);
      assert.equal(exports.arrive(barrier, (last! + 1) % 32), 0, 'who has left is turned away');
    }
    assert.deepEqual([u32[barrier >> 2]!, u32[(barrier >> 2) + 1]!], [(1 << last!) >>> 0, 0]);
  }),
);

test('a reader of a sequence lock keeps what it copied unless somebody wrote', () => {
  const { datapath } = new Rig();
  const { exports, u32 } = datapath;
  const sequence = scratch(datapath);
  const [payload, copy] = [sequence + 64, sequence + 128];
  const write = (value: number): void => {
    exports.beginWrite(sequence);
    u32.fill(value, payload >> 2, (payload >> 2) + 4);
    exports.endWrite(sequence);
  };
  write(1);
  const begun = exports.beginRead(sequence);
  exports.copyOut(copy, payload, 16);
  assert.equal(exports.isWhole(sequence, begun), 1);
  assert.deepEqual([...u32.subarray(copy >> 2, (copy >> 2) + 4)], [1, 1, 1, 1]);
  write(2);
  assert.equal(exports.isWhole(sequence, begun), 0, 'written since');
  exports.beginWrite(sequence);
  assert.equal(exports.isWhole(sequence, exports.beginRead(sequence)), 0, 'being written');
});

test(
  'tallies of several threads sum up',
  seeded((random) => {
    const rig = new Rig({ threads: 3 });
    const tallies = scratch(rig.datapath);
    const PER_THREAD = 16;
    const twin = new Array<bigint>(PER_THREAD).fill(0n);
    for (let i = 0; i < 2000; i++) {
      const { exports, thread } = pick(random, rig.threads);
      const which = random.below(PER_THREAD);
      const n = BigInt(word(random));
      exports.add(exports.tallyAt(tallies, PER_THREAD, thread, which), n);
      twin[which]! += n;
    }
    const { exports } = rig.datapath;
    const sums = twin.map((_, which) => exports.sumOf(tallies, PER_THREAD, 3, which));
    assert.deepEqual(sums, twin);
  }),
);

test(
  'two epochs after a record was hidden, every batch that could see it has ended',
  seeded((random: Random) => {
    const rig = new Rig({ threads: 3 });
    const batches = rig.threads.map(() => 0); // number of each thread's batch; 0: it is in none
    let batch = 0;
    let retired: { epoch: number; seenBy: number[] }[] = [];
    let reused = 0;
    for (let i = 0; i < 5000; i++) {
      const thread = random.below(3);
      const { exports } = rig.threads[thread]!;
      const what = random.below(5);
      if (what < 2) {
        exports.enter();
        batches[thread] = ++batch;
      } else if (what === 2) {
        exports.leave();
        batches[thread] = 0;
      } else if (what === 3) {
        retired.push({ epoch: exports.currentEpoch(), seenBy: batches.filter((number) => number !== 0) });
      } else {
        exports.advance();
      }
      const now = exports.currentEpoch();
      const free = retired.filter(({ epoch }) => now - epoch >= 2);
      for (const { seenBy } of free) {
        assert.ok(
          seenBy.every((number) => !batches.includes(number)),
          'a batch that saw it goes on',
        );
      }
      reused += free.length;
      retired = retired.filter((record) => !free.includes(record));
    }
    assert.ok(reused > 100, 'or nothing ever comes free');
  }),
);
