/** Explores one scenario: all schedules up to some preemptions, then others drawn from a seed. */
import { Drawn, Enumeration, printDecisions, Told } from './schedules.ts';
import type { Outcome, Stage } from './stage.ts';

export interface Explored {
  schedules: number;
  steps: number;
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

/** Runs schedules until one fails. What it found, it has seen twice: a failure is replayed before it is told. */
export function explore(stage: Stage, { preemptions, most, schedules, seed }: ExploreOptions): Explored {
  const result: Explored = { schedules: 0, steps: 0 };
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
  const enumeration = new Enumeration(preemptions);
  for (let more = preemptions >= 0; more && result.schedules < most; more = enumeration.next()) {
    if (!isFine(stage.run(enumeration))) return result;
  }
  const drawn = new Drawn(seed);
  for (let i = 0; i < schedules; i++) {
    drawn.draw(i);
    if (!isFine(stage.run(drawn))) return result;
  }
  stage.checkDeclared();
  return result;
}
