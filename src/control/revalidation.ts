/**
 * How installed flows are looked after (src/revalidation.ts): the section of a configuration, and what is set while the
 * switch runs, put where the threads read it:
 *
 *     heddle upcalls set flow-limit=50000 max-idle=2000
 */
import type { z } from 'zod';
import { type Arena, DEFAULT_REVALIDATION, FIRST_FLOW_LIMIT, Rounds } from '../datapath.ts';
import type { UpcallAction } from '../model.ts';
import { plural } from '../plural.ts';
import { fail, lineToken, optionsOf, parseNumber, splitItems, valueFor } from '../table/syntax.ts';
import { section, whole } from '../yaml/schema.ts';

/** So many flows a switch may have room for. */
export const MOST_FLOWS = 1_048_576;
const MOST_MS = 3_600_000;
const MOST_RATE = 1_000_000;
/** A flow that nobody used for a shorter time says little. */
const LEAST_IDLE_MS = 100;
const LEAST_ROUND_MS = 100;

export const revalidationSection = section({
  flowLimit: whole(0, MOST_FLOWS).default(DEFAULT_REVALIDATION.mostFlows),
  maxIdleMs: whole(LEAST_IDLE_MS, MOST_MS).default(DEFAULT_REVALIDATION.maxIdleMs),
  maxRevalidatorMs: whole(LEAST_ROUND_MS, MOST_MS).default(DEFAULT_REVALIDATION.maxRevalidatorMs),
  minPacketsPerSecond: whole(0, MOST_RATE).default(DEFAULT_REVALIDATION.minRevalidatePps),
});

/** Before any thread starts. */
export function configureRevalidation(
  arena: Arena,
  { flowLimit, maxIdleMs, maxRevalidatorMs, minPacketsPerSecond }: z.output<typeof revalidationSection>,
): void {
  const rounds = new Rounds(arena);
  const mostFlows = Math.min(flowLimit, arena.limits.flows);
  rounds.set('mostFlows', mostFlows);
  rounds.set('maxIdleMs', maxIdleMs);
  rounds.set('maxRevalidatorMs', maxRevalidatorMs);
  rounds.set('minRevalidatePps', minPacketsPerSecond);
  rounds.flowLimit = Math.min(mostFlows, FIRST_FLOW_LIMIT);
}

/** What can be set, by the names of Open vSwitch: its bounds, and how it is put in place. */
interface Setting {
  readonly least: number;
  readonly most: number;
  readonly what: string;
  set(rounds: Rounds, value: number): void;
}

function settingsOf({ limits }: Arena): Record<string, Setting> {
  return {
    'flow-limit': {
      least: 0,
      most: limits.flows,
      what: 'a number of flows within limits.flows,',
      set(rounds, flows) {
        rounds.set('mostFlows', flows);
        rounds.flowLimit = flows;
      },
    },
    'max-idle': {
      least: LEAST_IDLE_MS,
      most: MOST_MS,
      what: 'milliseconds',
      set: (rounds, ms) => rounds.set('maxIdleMs', ms),
    },
    'max-revalidator': {
      least: LEAST_ROUND_MS,
      most: MOST_MS,
      what: 'milliseconds',
      set: (rounds, ms) => rounds.set('maxRevalidatorMs', ms),
    },
    'min-revalidate-pps': {
      least: 0,
      most: MOST_RATE,
      what: 'packets a second',
      set: (rounds, rate) => rounds.set('minRevalidatePps', rate),
    },
  };
}

/** What can be done without waiting for a round. */
export type SettingAction = Exclude<UpcallAction, 'wait' | 'purge'>;

/** Returns lines for people. @throws FlowError when the text is wrong, and then nothing has changed */
export function changeRevalidation(arena: Arena, action: SettingAction, text: string): string[] {
  const rounds = new Rounds(arena);
  switch (action) {
    case 'set':
      return [`${plural(setAll(arena, rounds, text), 'setting')} changed`];
    case 'pause':
      rounds.set('isPaused', 1);
      return ['revalidation is paused'];
    case 'resume':
      rounds.set('isPaused', 0);
      return ['revalidation goes on'];
    case 'replace':
      if (text !== 'on' && text !== 'off') fail(lineToken(text, 1), `"${text}"`, 'on or off');
      rounds.replacesEvicted = text === 'on';
      return [`replacing evicted flows is ${text}`];
  }
}

/** Returns how many have been set. */
function setAll(arena: Arena, rounds: Rounds, text: string): number {
  const settings = settingsOf(arena);
  const names = Object.keys(settings);
  const line = lineToken(text, 1);
  const items = splitItems(line);
  if (items.length === 0) fail(line, 'nothing', names.map((name) => `${name}=NUMBER`).join(' or '));
  const values = [...optionsOf(items, names)].map(([name, item]) => {
    const { what, most, least } = settings[name]!;
    return [name, parseNumber(valueFor(item, `${name}=NUMBER`), what, most, least)] as const;
  });
  for (const [name, value] of values) settings[name]!.set(rounds, value);
  return values.length;
}
