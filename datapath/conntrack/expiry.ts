/**
 * Expiry: removes connections whose time is over, and gives numbers of removed ones back for reuse.
 *
 *     filings ──popped──┐                         ┌── live: into the wheel, for its expiry
 *                       ├──▶ looked at: is it … ──┼── time over: removed ─┐
 *     wheel ──its time──┘                         └── dead ───────────────┴▶ retired ──two epochs──▶ the pool
 *
 * Whoever sweeps does it under the wheel's lock: the one sweeper thread as a rule, now and then a packet thread for
 * which a limit is reached (create.ts). The lock is tried, not waited for. Work is done in steps, each of one
 * connection that is due, one that was filed and one that is given back, so that none of these waits for all of
 * another, and a call takes no longer than its budget however many are due at once.
 *
 * A thread that a limit stops needs no wheel to see that a connection's time is over. If another thread has the
 * wheel, it looks at records as they come, some at a time, until the wheel is free or there is room.
 *
 * A connection that is looked at before its time is over goes where its present expiry says. So packets that refresh
 * it move nothing, and of a day's packets it comes up once or twice.
 *
 * A dead connection is retired when nothing leads to it any more: it is in no slot and not in the queue, and no
 * thread can push it there (filing.ts). Then `WheelLink.next` leads to the one retired after it, and `previous` is
 * the epoch.
 */
import { map, NONE } from '../memory/arena';
import { advance, currentEpoch } from '../memory/epoch';
import { release, tryAcquire } from '../memory/lock';
import { isEmpty, pop } from '../memory/mpsc';
import { everTaken, give, POOL_CONNECTIONS } from '../memory/pool';
import { self } from '../memory/thread';
import { connectionAt, expiryOf, isLive } from './connection';
import { FILED, filedAt, filings, NOT_FILED } from './filing';
import { giveKin } from './kin';
import { endConnection, generationOf, isOver, REMOVED_EXPIRED, removeConnection } from './table';
import { firstIn, link, linkAt, nextSlot, tickOf, unlink, wheel } from './wheel';

/** So many steps a thread helps between two looks at the clock: some 0.4 ms, for its packets wait. */
const HELP: u32 = 2048;
/** Records that one step looks at without the wheel. */
const LOOKS: u32 = 32;

/**
 * Does what is due by this thread's clock, at most `budget` steps of it. Returns how many; 0 also when another thread
 * sweeps. The thread is within an epoch, or asleep by it.
 */
export function sweep(budget: u32): u32 {
  if (map.connectionLimit == 0 || !tryAcquire(map.wheel, self.number)) return 0;
  let steps: u32 = 0;
  while (steps < budget && step()) steps++;
  release(map.wheel);
  return steps;
}

/**
 * When `sweep` is to be called, unless something is filed before; Infinity: there is nothing to wait for. What is
 * retired is given back at whichever sweep comes next.
 */
export function dueMs(): f64 {
  if (map.connectionLimit == 0) return Infinity;
  if (!tryAcquire(map.wheel, self.number)) return self.nowMs;
  const slot = nextSlot();
  const due = !isEmpty(filings()) ? self.nowMs : slot != NONE ? <f64>tickOf(slot) : Infinity;
  release(map.wheel);
  return due;
}

/** The time at which this thread last helped, and how often it did so then. */
let helpedMs: f64 = -1;
let helped: u32 = 0;
/** The record that `seek` looks at next. */
let sought: u32 = 0;

/**
 * Does a step for a thread that finds no room for a connection, for the `nth` time with this one; then there may be
 * some. False: no connection's time is over, or it has helped enough until it looks at the clock again. The first
 * step for a connection is free: if many are over it makes room.
 */
export function help(nth: u32): bool {
  if (map.connectionLimit == 0) return false;
  if (helpedMs != self.nowMs) helped = 0;
  helpedMs = self.nowMs;
  if (nth != 0 && helped++ >= HELP) return false;
  if (!tryAcquire(map.wheel, self.number)) {
    seek();
    return true;
  }
  const did = step();
  release(map.wheel);
  return did;
}

/** Removes the first connection among the next records whose time is over, if there is one. Under no lock. */
function seek(): void {
  const numbers = everTaken(POOL_CONNECTIONS);
  for (let looks: u32 = 0; looks < LOOKS; looks++) {
    const number = sought < numbers ? sought : 0;
    sought = number + 1;
    const generation = generationOf(connectionAt(number));
    if (!isLive(generation) || !isOver(connectionAt(number))) continue;
    if (removeConnection(number, generation, REMOVED_EXPIRED)) return;
  }
}

/** Does what comes next of each kind; false: there was nothing. Under the wheel's lock, as all below. */
function step(): bool {
  const turned = turn();
  const taken = takeFiled();
  const given = giveBack();
  return turned || taken || given;
}

/** Looks at one connection whose turn it is; if there is none, false, and the wheel has come to the present. */
function turn(): bool {
  const now = <u64>self.nowMs;
  const slot = nextSlot();
  const tick = slot != NONE ? tickOf(slot) : u64.MAX_VALUE;
  wheel().tick = max(wheel().tick, min(tick, now));
  if (tick > now) return false;
  const number = firstIn(slot);
  unlink(number);
  look(number);
  return true;
}

/** Looks at one connection that was filed; false if there is none. */
function takeFiled(): bool {
  const number = pop(filings());
  if (number == NONE) return false;
  atomic.store<u32>(filedAt(number), NOT_FILED);
  unlink(number);
  look(number);
  return true;
}

/** Decides what becomes of a connection, which is in no slot. */
function look(number: u32): void {
  const connection = connectionAt(number);
  const generation = generationOf(connection);
  const expiresMs = expiryOf(connection);
  if (!isLive(generation)) letGo(number);
  else if (expiresMs > self.nowMs) link(number, expiresMs);
  else if (endConnection(number, generation, REMOVED_EXPIRED)) letGo(number);
}

/** Retires a dead connection, unless it is in the queue once more: then it comes again. */
function letGo(number: u32): void {
  if (atomic.xchg<u32>(filedAt(number), FILED) == FILED) return;
  const retiredTail = wheel().retiredTail;
  linkAt(number).next = 0;
  linkAt(number).previous = currentEpoch();
  if (retiredTail == 0) wheel().retiredHead = number + 1;
  else linkAt(retiredTail - 1).next = number + 1;
  wheel().retiredTail = number + 1;
}

/** Gives back the number that was retired first, if that is two epochs ago. */
function giveBack(): bool {
  const retiredHead = wheel().retiredHead;
  if (retiredHead == 0) return false;
  const retired = linkAt(retiredHead - 1);
  if (currentEpoch() - retired.previous < 2) advance();
  if (currentEpoch() - retired.previous < 2) return false;
  wheel().retiredHead = retired.next;
  if (retired.next == 0) wheel().retiredTail = 0;
  retired.next = 0;
  retired.previous = 0;
  giveKin(connectionAt(retiredHead - 1));
  give(self.number, POOL_CONNECTIONS, retiredHead - 1);
  return true;
}
