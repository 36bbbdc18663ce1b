/** The classifier against a walk over all rules, while rules come and go. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Action } from '../../src/table/action.ts';
import { type Candidate, Classifier, type Subject } from '../../src/table/classifier.ts';
import { Pipeline } from '../../src/table/fields.ts';
import { KEY_WORDS, Match } from '../../src/table/match.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';
import { naiveLookUp } from './naive-lookup.ts';

const CONJUNCTION_ID = Pipeline.conjunctionId / 4;

/** A packet that notes what is looked at. */
class Watched implements Subject {
  readonly words: Uint32Array;
  readonly seen = new Uint32Array(KEY_WORDS);

  constructor(words: Uint32Array) {
    this.words = words;
  }

  look(word: number, bits: number): void {
    this.seen[word]! |= bits;
  }

  isSettled(word: number, bits: number): boolean {
    return (this.seen[word]! & bits) !== 0;
  }
}

/** Words of each stage, and few masks, so that rules share subtables. */
const WORDS = [0, 36, CONJUNCTION_ID, 2, 5, 7, 8, 9, 12, 6];
const MASKS = [0xffff_ffff, 0xffff_ffff, 0x0000_ffff, 0x00ff_ffff, 0xffff_0000, 0x0000_000f];

const value = (random: Random, word: number): number =>
  word === CONJUNCTION_ID
    ? pick(random, [0, 0, 0x0100_0000])
    : pick(random, [0, 1, 0x0100_0001, 0x8000_0001]);

function randomMatch(random: Random): Match {
  const [values, mask] = [new Uint32Array(KEY_WORDS), new Uint32Array(KEY_WORDS)];
  for (let n = random.below(4); n > 0; n--) {
    const word = pick(random, WORDS);
    mask[word] = word === CONJUNCTION_ID ? 0xffff_ffff : pick(random, MASKS);
    values[word] = value(random, word) & mask[word]!;
  }
  return new Match(values, mask);
}

function randomActions(random: Random): readonly Action[] {
  if (chance(random, 0.7)) return [];
  return [{ kind: 'conjunction', id: 1 + random.below(2), clause: 1 + random.below(2), of: 2 }];
}

const randomPacket = (random: Random): Uint32Array => {
  const words = new Uint32Array(KEY_WORDS);
  for (const word of WORDS) if (word !== CONJUNCTION_ID) words[word] = value(random, word);
  return words;
};

test(
  'the rule found is the right one for every packet that is alike in what was looked at',
  seeded((random) => {
    let alike = 0;
    for (let run = 0; run < 40; run++) {
      const classifier = new Classifier<Candidate>();
      let rules: Candidate[] = [];
      for (let step = 0; step < 60; step++) {
        if (rules.length > 0 && chance(random, 0.3)) {
          const gone = pick(random, rules);
          classifier.remove(gone);
          rules = rules.filter((rule) => rule !== gone);
        } else {
          const rule = {
            id: run * 100 + step,
            priority: random.below(4),
            match: randomMatch(random),
            actions: randomActions(random),
          };
          classifier.add(rule);
          rules.push(rule);
        }
        const packet = new Watched(randomPacket(random));
        const found = classifier.lookUp(packet);
        assert.equal(found, naiveLookUp(rules, packet.words));
        for (let i = 0; i < 10; i++) {
          const other = randomPacket(random).map(
            (word, at) => (word & ~packet.seen[at]!) | (packet.words[at]! & packet.seen[at]!),
          );
          if (other.some((word, at) => word !== packet.words[at])) alike++;
          assert.equal(naiveLookUp(rules, other), found, 'a packet that is alike');
        }
      }
    }
    assert.ok(alike > 5000, `only ${alike} packets were alike`);
  }),
);

function rule(
  id: number,
  priority: number,
  fields: Record<number, [value: number, mask: number]>,
): Candidate {
  const [values, mask] = [new Uint32Array(KEY_WORDS), new Uint32Array(KEY_WORDS)];
  for (const [word, pair] of Object.entries(fields)) [values[+word], mask[+word]] = pair;
  return { id, priority, match: new Match(values, mask), actions: [] };
}

const ALL = 0xffff_ffff;
const looked = (rules: readonly Candidate[], words: Record<number, number>): Record<number, number> => {
  const classifier = new Classifier<Candidate>();
  for (const one of rules) classifier.add(one);
  const key = new Uint32Array(KEY_WORDS);
  for (const [word, bits] of Object.entries(words)) key[+word] = bits;
  const packet = new Watched(key);
  classifier.lookUp(packet);
  return Object.fromEntries([...packet.seen.entries()].filter(([, bits]) => bits !== 0));
};

test('a subtable that fails at an early stage costs nothing of the later ones', () => {
  const rules = [1, 2, 3].map((n) => rule(n, 5, { 2: [n, ALL], 8: [n, ALL], 6: [n, ALL] }));
  assert.deepEqual(looked(rules, { 2: 9, 8: 1, 6: 1 }), { 2: ALL });
  const half = [rule(1, 5, { 2: [1, ALL], 6: [1, ALL] }), rule(2, 5, { 2: [1, ALL], 6: [2, ALL] })];
  assert.deepEqual(looked(half, { 2: 9, 6: 1 }), { 2: ALL });
});

test('addresses that differ early cost a short prefix', () => {
  const octets = (...bytes: number[]): number =>
    new DataView(Uint8Array.from(bytes).buffer).getUint32(0, true);
  const rules = [octets(10, 0, 0, 1), octets(10, 0, 0, 2), octets(10, 128, 0, 1)].map((address, i) =>
    rule(i, 5, { 9: [address, ALL] }),
  );
  assert.deepEqual(looked(rules, { 9: octets(11, 1, 1, 1) }), { 9: octets(0xff, 0, 0, 0) });
  assert.deepEqual(looked(rules, { 9: octets(10, 129, 0, 1) }), { 9: octets(0xff, 0xff, 0, 0) });
});

test('subtables that cannot hold a better rule are not looked at', () => {
  const rules = [rule(1, 9, { 0: [1, ALL] }), rule(2, 8, { 8: [1, ALL] }), rule(3, 9, { 9: [1, ALL] })];
  assert.deepEqual(looked(rules, { 0: 1, 8: 1, 9: 1 }), { 0: ALL });
});
