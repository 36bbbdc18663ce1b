/**
 * The switch clock in milliseconds: the same in every thread, from when the switch was opened. It counts with the
 * machine's monotonic clock.
 */
export type Clock = () => number;

const { hrtime } = process;

/** What a thread needs to tell the time: structured-clonable. */
export function clockOrigin(): number {
  return monotonicMs();
}

export function clockFrom(origin: number): Clock {
  return () => monotonicMs() - origin;
}

/** Once compiled with care this leaves no garbage behind; `performance.now()` always does. */
function monotonicMs(): number {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
