import assert from 'node:assert/strict';
import test from 'node:test';
import { Prefixes } from '../../src/table/prefixes.ts';
import { chance, pick, seeded } from '../support/seeded.ts';

/** How many leading bits tell `word` from all others, by trying each of them. */
function bitsToTell(set: ReadonlySet<number>, word: number): number {
  const common = [...set].filter((other) => other !== word).map((other) => Math.clz32(other ^ word));
  return common.length === 0 ? 0 : Math.max(...common) + 1;
}

test(
  'a set of words says how many bits tell a word from all others',
  seeded((random) => {
    for (let run = 0; run < 50; run++) {
      const prefixes = new Prefixes();
      const set = new Set<number>();
      const universe = Array.from({ length: 40 }, () => random.word() >> (random.below(4) * 8));
      for (let step = 0; step < 200; step++) {
        const word = pick(random, universe);
        if (chance(random, 0.5)) {
          prefixes.add(word);
          set.add(word);
        } else {
          prefixes.remove(word);
          set.delete(word);
        }
        const asked = chance(random, 0.5) ? pick(random, universe) : random.word() | 0;
        assert.equal(prefixes.bitsToTell(asked), bitsToTell(set, asked), `${asked} in ${[...set]}`);
      }
    }
  }),
);
