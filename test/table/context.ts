/** What a translation is given, with nothing in it but what a test says. */

import { Tables } from '../../src/table/tables.ts';
import type { Frozen, Punt, TranslationContext } from '../../src/table/translation.ts';
import { NaiveMacs } from '../support/naive-macs.ts';
import { Numbers } from '../support/numbers.ts';

/** What a test may say. */
export type Given = Partial<Omit<TranslationContext, 'tables'>> & { readonly tables?: Tables };

export interface TestContext extends TranslationContext {
  readonly tables: Tables;
  readonly punts: Numbers<Punt>;
  readonly tallies: Numbers<{ group: number; bucket: number | undefined }>;
}

export function contextOf(given: Given): TestContext {
  const punts = new Numbers<Punt>(1000);
  const frozen = new Numbers<Frozen>(1000);
  const tallies = new Numbers<{ group: number; bucket: number | undefined }>(1000);
  return {
    tables: new Tables(),
    groups: new Map(),
    meters: new Map(),
    macs: new NaiveMacs(8192, 300_000),
    ports: new Map(),
    nowMs: 0,
    learn: false,
    punt: (punt) => punts.numberOf(punt),
    tally: (group, bucket) => tallies.numberOf({ group: group.id, bucket }),
    freeze: (state) => frozen.numberOf(state),
    thaw: (number) => frozen.get(number),
    punts,
    tallies,
    ...given,
  };
}
