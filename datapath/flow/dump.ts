/**
 * The dump: revalidators go over all flows, each over its share, and do what needs no tables: credit what was counted,
 * evict what is idle, too much or too expensive, and list what TypeScript is to look at.
 *
 *     flow numbers   0 …… 255 │ 256 …… 511 │ 512 …… 767 │ …      256 at a time to each revalidator in turn
 *     scratch        [ Dump: the orders, and how many are listed ][ Due ][ Due ] …
 *
 * All revalidators are in the same dump, whose number is `map.dump`; each flow is dealt with once in it. A flow is worked
 * on under its life's lock, which is let go before TypeScript hears of it: so it is listed by number and serial.
 */
import { BATCH_SCRATCH, batch } from '../batch';
import {
  COUNT_DUMPED_DUPLICATE_FLOW,
  COUNT_DUMPED_INCONSISTENT_FLOW,
  COUNT_DUMPED_NEW_FLOW,
  COUNT_UPCALL_UKEY_CONTENTION,
  count,
} from '../counters';
import { ArenaMap, map, NONE } from '../memory/arena';
import { release } from '../memory/lock';
import { everTaken, POOL_FLOWS } from '../memory/pool';
import { self } from '../memory/thread';
import { credit } from './credit';
import { evict } from './evict';
import { flowAt, isLive } from './flow';
import {
  CREATED,
  EVICT_FLOW_IDLE,
  EVICT_FLOW_LIMIT,
  EVICT_TOO_EXPENSIVE,
  EVICT_UPDATE_FAIL,
  INCONSISTENT,
  LIFE_NORMAL,
  LIFE_TELLS,
  Life,
  lifeAt,
  move,
  OPERATIONAL,
  PLACE_DUMP,
  stateOf,
  tryLock,
  VISIBLE,
} from './life';

/** What a step is to go by, and its answer; in this thread's scratch. */
@unmanaged
export class Dump {
  revalidators: u32; // so many share the flows
  index: u32; // which of them this one is
  version: u32; // of the tables
  learned: u32; // generation of the learned addresses
  killsAll: u32; // not 0: every flow is evicted, for there are far too many
  purges: u32; // not 0: the sweep evicts every flow
  minPacketsPerSecond: u32; // a flow with fewer is not worth another translation when time is short; 0: each is
  due: u32; // answer: so many are listed
  seen: u32; // answer: so many were there
  pad36: u32;
  maxIdleMs: f64;
  lastDumpMs: f64; // how long the last dump took
  maxDumpMs: f64; // time is short when it took half of that
}

/** A flow that TypeScript is to look at. */
@unmanaged
export class Due {
  flow: u32;
  serial: u32;
  why: u32; // DUE_…, bits
}

export const DUE_TRANSLATE: u32 = 1; // the tables have changed since it was translated
export const DUE_TELL: u32 = 2; // packets have come that tell something

export const DUMP_LIST: usize = 64;
export const DUE_STRIDE: u32 = 12;
/** So many flows may be gone over in a step. */
export const MOST_DUMPED: u32 = 256;

const SHARE_SHIFT: u32 = 8;

export function dumpOrders(): Dump {
  return changetype<Dump>(batch() + BATCH_SCRATCH);
}

/** Begins another dump. Returns its number. */
export function beginDump(): u32 {
  return atomic.add<u32>(changetype<usize>(map) + offsetof<ArenaMap>('dump'), 1) + 1;
}

export function currentDump(): u32 {
  return atomic.load<u32>(changetype<usize>(map) + offsetof<ArenaMap>('dump'));
}

/** The first number from `number` on that is this revalidator's. */
export function firstOfShare(number: u32, dump: Dump): u32 {
  while ((number >>> SHARE_SHIFT) % dump.revalidators != dump.index) {
    number = ((number >>> SHARE_SHIFT) + 1) << SHARE_SHIFT;
  }
  return number;
}

/** Puts a flow on the list. */
export function list(dump: Dump, number: u32, why: u32): void {
  const at = changetype<usize>(dump) + DUMP_LIST + <usize>(dump.due * DUE_STRIDE);
  const due = changetype<Due>(at);
  due.flow = number;
  due.serial = lifeAt(number).serial;
  due.why = why;
  dump.due++;
}

/** Whether a flow was translated under other tables, or when other addresses were known. */
export function isStale(life: Life, dump: Dump): bool {
  return life.version != dump.version || ((life.flags & LIFE_NORMAL) != 0 && life.learned != dump.learned);
}

/** Goes over up to `budget` flows of this thread's share, from number `from` on. Returns where to go on, or NONE. */
export function dumpStep(from: u32, budget: u32): u32 {
  const dump = dumpOrders();
  dump.due = 0;
  dump.seen = 0;
  const end = everTaken(POOL_FLOWS);
  let number = firstOfShare(from, dump);
  for (; number < end; number = firstOfShare(number + 1, dump)) {
    if (budget-- == 0) return number;
    if (!isLive(flowAt(number))) continue;
    dump.seen++;
    dumpFlow(number, dump);
  }
  return NONE;
}

function dumpFlow(number: u32, dump: Dump): void {
  const life = lifeAt(number);
  if (!tryLock(life)) {
    count(COUNT_UPCALL_UKEY_CONTENTION, 1);
    return;
  }
  const state = stateOf(life);
  if (state != CREATED && state <= INCONSISTENT) dumpLocked(number, life, state, dump);
  release(changetype<usize>(life));
}

function dumpLocked(number: u32, life: Life, state: u32, dump: Dump): void {
  if (life.dump == currentDump()) {
    count(state == VISIBLE ? COUNT_DUMPED_NEW_FLOW : COUNT_DUMPED_DUPLICATE_FLOW, 1);
    return;
  }
  life.dump = currentDump();
  if (state == INCONSISTENT) {
    count(COUNT_DUMPED_INCONSISTENT_FLOW, 1);
    evict(number, EVICT_UPDATE_FAIL, PLACE_DUMP);
    return;
  }
  move(life, OPERATIONAL, PLACE_DUMP);
  const usedMs = life.usedMs;
  const packets = credit(number);
  if (dump.killsAll != 0) evict(number, EVICT_FLOW_LIMIT, PLACE_DUMP);
  else if (self.nowMs - lastMs(life) > dump.maxIdleMs) evict(number, EVICT_FLOW_IDLE, PLACE_DUMP);
  else look(number, packets, usedMs, dump);
}

/**
 * Lists a flow that stays, if there is something to be done about it: or evicts it, if that is not worth it. It counted
 * `packets` since `usedMs`.
 */
function look(number: u32, packets: u64, usedMs: f64, dump: Dump): void {
  const life = lifeAt(number);
  const tells = (life.flags & LIFE_TELLS) != 0 && packets != 0;
  let why: u32 = tells ? DUE_TELL : 0;
  if (isStale(life, dump)) {
    if (!isWorthIt(packets, usedMs, dump)) {
      evict(number, EVICT_TOO_EXPENSIVE, PLACE_DUMP);
      return;
    }
    why |= DUE_TRANSLATE;
  }
  if (why != 0) list(dump, number, why);
}

/** When a flow was last used, or else made. */
function lastMs(life: Life): f64 {
  return max<f64>(life.usedMs, life.createdMs);
}

/**
 * Whether to translate a flow again that counted so many packets since `usedMs`, the last that the dump before knew of;
 * 0: it knew of none. The time since the last packet of all says nothing of how many come.
 */
function isWorthIt(packets: u64, usedMs: f64, dump: Dump): bool {
  if (dump.minPacketsPerSecond == 0 || usedMs == 0) return true;
  if (dump.lastDumpMs < dump.maxDumpMs / 2) return true;
  const betweenMs = (self.nowMs - usedMs) / <f64>max<u64>(packets, 1);
  return betweenMs < 1000 / <f64>dump.minPacketsPerSecond;
}
