/**
 * What the owner of the tables has others do, in order, before it goes on: a change, which every replica is to
 * follow, or a round, in which every flow is credited and brought up to date. Written down as steps, what is asked
 * of it reads the same whether the others are threads, which take their time, or on this very thread.
 */
import type { TableChange } from './change.ts';

export type Step = TableChange | 'round';
export type Steps<T> = Generator<Step, T, void>;

/** Does each step at once. */
export function takeSteps<T>(steps: Steps<T>, take: (step: Step) => void): T {
  for (;;) {
    const { value, done } = steps.next();
    if (done) return value;
    take(value);
  }
}

/** Waits for each step. */
export async function awaitSteps<T>(steps: Steps<T>, take: (step: Step) => Promise<void>): Promise<T> {
  for (;;) {
    const { value, done } = steps.next();
    if (done) return value;
    await take(value);
  }
}
