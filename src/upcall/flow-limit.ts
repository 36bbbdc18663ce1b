/** How many flows there may be, so that a round over them does not take too long: as Open vSwitch finds it. */
import {
  COUNT_UPCALL_FLOW_LIMIT_GREW,
  COUNT_UPCALL_FLOW_LIMIT_REDUCED,
  COUNT_UPCALL_FLOW_LIMIT_SCALED,
  LEAST_FLOW_LIMIT,
} from '../datapath.ts';

/** A round that takes longer: the limit comes down to what takes one second. */
const FAR_TOO_LONG_MS = 2000;
/** … comes down by a quarter. */
const TOO_LONG_MS = 1300;
/** A round that takes less lets the limit go up, if there are nearly as many flows as could be done in a second. */
const SHORT_MS = 1000;
const STEP = 1000;

/**
 * The limit after a round over `flows` flows that took `tookMs`, at most `most`, and which event that is (COUNT_…), if
 * it is one.
 */
export function nextFlowLimit(
  limit: number,
  flows: number,
  tookMs: number,
  most: number,
): { limit: number; event: number | undefined } {
  const ms = Math.max(Math.floor(tookMs), 1);
  const within = (next: number) => Math.min(most, Math.max(next, LEAST_FLOW_LIMIT));
  if (ms > FAR_TOO_LONG_MS) {
    return {
      limit: within(Math.floor(limit / Math.floor(ms / 1000))),
      event: COUNT_UPCALL_FLOW_LIMIT_SCALED,
    };
  }
  if (ms > TOO_LONG_MS) {
    return { limit: within(Math.floor((limit * 3) / 4)), event: COUNT_UPCALL_FLOW_LIMIT_REDUCED };
  }
  if (ms < SHORT_MS && limit < Math.floor((flows * 1000) / ms)) {
    return { limit: within(limit + STEP), event: COUNT_UPCALL_FLOW_LIMIT_GREW };
  }
  return { limit: within(limit), event: undefined };
}
