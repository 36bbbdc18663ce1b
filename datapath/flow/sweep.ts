/**
 * The sweep, after each dump: revalidators go over their shares once more, unlink and retire what was evicted, and look
 * at flows that the dump did not come by. Orders and list are the dump's (dump.ts).
 */
import {
  COUNT_REVALIDATE_MISSED_DP_FLOW,
  COUNT_REVALIDATE_MISSING_DP_FLOW,
  COUNT_UPCALL_UKEY_CONTENTION,
  count,
} from '../counters';
import { NONE } from '../memory/arena';
import { release } from '../memory/lock';
import { everTaken, POOL_FLOWS } from '../memory/pool';
import { currentDump, DUE_TRANSLATE, Dump, dumpOrders, firstOfShare, isStale, list } from './dump';
import { deleteEvicted, evict } from './evict';
import { flowAt, isLive } from './flow';
import {
  CREATED,
  DELETED,
  EVICT_FLOW_MISSING_DP,
  EVICT_NONE,
  EVICT_PURGE,
  EVICT_UPDATE_FAIL,
  EVICTED,
  INCONSISTENT,
  Life,
  lifeAt,
  OPERATIONAL,
  PLACE_REMOVE,
  PLACE_SWEEP,
  stateOf,
  tryLock,
} from './life';

/** A flow that so many dumps have not found in the datapath goes. */
const MOST_MISSED: u32 = 4;

/** Goes over up to `budget` flows of this thread's share, from number `from` on. Returns where to go on, or NONE. */
export function sweepStep(from: u32, budget: u32): u32 {
  const dump = dumpOrders();
  dump.due = 0;
  dump.seen = 0;
  const end = everTaken(POOL_FLOWS);
  let number = firstOfShare(from, dump);
  for (; number < end; number = firstOfShare(number + 1, dump)) {
    if (budget-- == 0) return number;
    sweepFlow(number, dump);
  }
  return NONE;
}

function sweepFlow(number: u32, dump: Dump): void {
  const life = lifeAt(number);
  const seen = stateOf(life);
  if (seen == CREATED || seen == DELETED) return; // nobody's concern; what a look without the lock may tell
  dump.seen++;
  if (!tryLock(life)) {
    count(COUNT_UPCALL_UKEY_CONTENTION, 1);
    return;
  }
  const state = stateOf(life);
  if (state == EVICTED) deleteEvicted(number, PLACE_SWEEP);
  else if (state != CREATED && state <= INCONSISTENT) judge(number, life, dump);
  release(changetype<usize>(life));
}

/** Looks at a flow that was not evicted. */
function judge(number: u32, life: Life, dump: Dump): void {
  if (dump.purges != 0) {
    evict(number, EVICT_PURGE, PLACE_SWEEP);
  } else if (stateOf(life) == INCONSISTENT) {
    evict(number, EVICT_UPDATE_FAIL, PLACE_SWEEP);
  } else if (!isLive(flowAt(number))) {
    if (++life.missedDumps < MOST_MISSED) return;
    count(COUNT_REVALIDATE_MISSING_DP_FLOW, 1);
    evict(number, EVICT_FLOW_MISSING_DP, PLACE_SWEEP);
  } else {
    life.missedDumps = 0;
    if (stateOf(life) != OPERATIONAL || life.dump == currentDump() || !isStale(life, dump)) return;
    count(COUNT_REVALIDATE_MISSED_DP_FLOW, 1);
    list(dump, number, DUE_TRANSLATE);
  }
}

/** Evicts a flow and unlinks it at once; whether it did, for somebody else may have it. */
export function remove(number: u32): bool {
  const life = lifeAt(number);
  if (!tryLock(life)) return false;
  const state = stateOf(life);
  if (state != CREATED && state <= INCONSISTENT) evict(number, EVICT_NONE, PLACE_REMOVE);
  const isEvicted = stateOf(life) == EVICTED;
  if (isEvicted) deleteEvicted(number, PLACE_REMOVE);
  release(changetype<usize>(life));
  return isEvicted;
}
