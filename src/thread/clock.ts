/**
 * The switch clock in milliseconds: the same in every thread of a process, from when the switch was opened.
 * `performance.now()` counts from each thread's own beginning, which `performance.timeOrigin` tells.
 */
export type Clock = () => number;

/** What a thread needs to tell the time: structured-clonable. */
export function clockOrigin(): number {
  return performance.timeOrigin + performance.now();
}

/** What this thread adds to `performance.now()`. */
export const clockShift = (origin: number): number => performance.timeOrigin - origin;

export function clockFrom(origin: number): Clock {
  const shift = clockShift(origin);
  return () => performance.now() + shift;
}
