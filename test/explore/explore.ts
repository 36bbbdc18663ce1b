/** Explores one scenario: all schedules up to some preemptions, then others drawn from a seed. */
import { Drawn, Enumeration, printDecisions, Told } from './schedules.ts';
import type { Outcome, Stage } from './stage.ts';

export interface Explored {
  schedules: number;
  steps: number;
  /** Not all schedules up to the bound were tried. */
  isCut: boolean;
  /** Of the first schedule that went wrong. */
  failure?: string;
  /** That schedule, in short. */
  schedule?: string;
}

export interface ExploreOptions {
  /** Preemptions of the schedules that are all tried; -1: none is. */
  preemptions: number;
  /** At most so many of those. */
  most: number;
  /** How many to draw. */
  schedules: number;
  seed: number;
}

/**
 * Runs schedules until one fails: first those without preemption, then those with up to one, and so on, so that
 * what is found needs as few as can be. (The few that a lower bound has are run again.) A failure is replayed
 * before it is told.
 */
export function explore(stage: Stage, { preemptions, most, schedules, seed }: ExploreOptions): Explored {
  const result: Explored = { schedules: 0, steps: 0, isCut: false };
  const isFine = (outcome: Outcome): boolean => {
    result.schedules++;
    result.steps += outcome.steps;
    if (outcome.failure === undefined) return true;
    result.failure = outcome.failure;
    result.schedule = printDecisions(outcome.decisions);
    const again = stage.run(new Told(outcome.decisions)).failure;
    if (again !== outcome.failure) result.failure += ` (found "${again}" when replayed)`;
    return false;
  };
  for (let bound = 0; bound <= preemptions; bound++) {
    const enumeration = new Enumeration(bound);
    do {
      if (result.schedules >= most) result.isCut = true;
      else if (!isFine(stage.run(enumeration))) return result;
    } while (!result.isCut && enumeration.next());
  }
  const drawn = new Drawn(seed);
  for (let i = 0; i < schedules; i++) {
    drawn.draw(i);
    if (!isFine(stage.run(drawn))) return result;
  }
  stage.checkDeclared();
  return result;
}
