/** How long a thread has worked: its processor time, which stands still while the operating system lets others run. */
import { check, hasLibc, libc } from './libc.ts';

const CLOCK_THREAD_CPUTIME_ID = 3;
/** Eight bytes of seconds, eight of nanoseconds. */
const TIMESPEC_SIZE = 16;

/** Tells the milliseconds of the calling thread, always the one that asked for it; undefined: nobody can. */
export function processorTime(): (() => number) | undefined {
  if (!hasLibc()) return undefined;
  const { clock_gettime } = libc();
  const bytes = new Uint8Array(TIMESPEC_SIZE);
  const words = new Uint32Array(bytes.buffer);
  return () => {
    check(clock_gettime(CLOCK_THREAD_CPUTIME_ID, bytes), 'clock_gettime');
    return words[0]! * 1000 + words[2]! / 1e6;
  };
}
