/** What a translation is given, with nothing in it but what a test says. */

import { MacTable } from '../../src/table/mac.ts';
import { Numbers } from '../../src/table/numbers.ts';
import { Tables } from '../../src/table/tables.ts';
import type { Frozen, Punt, TranslationContext } from '../../src/table/translation.ts';

export interface TestContext extends TranslationContext {
  readonly punts: Numbers<Punt>;
  readonly tallies: Numbers<{ group: number; bucket: number | undefined }>;
}

export function contextOf(given: Partial<TranslationContext>): TestContext {
  const punts = new Numbers<Punt>(1000);
  const frozen = new Numbers<Frozen>(1000);
  const tallies = new Numbers<{ group: number; bucket: number | undefined }>(1000);
  return {
    tables: new Tables(),
    groups: new Map(),
    meters: new Map(),
    macs: new MacTable(8192, 300_000),
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
