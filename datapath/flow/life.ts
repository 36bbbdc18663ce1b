/**
 * The life of a flow: how far it has come, and what those must know who look after flows. One record a flow number:
 *
 *     line 0      lock, state, who moved it last; the tables that it was translated under
 *     line 1      when it was made and last used; what of its counters has been credited
 *     line 2, 3   the key of the packet that it was made for, bits outside the mask too
 *     line 4      effects (effects.ts)
 *
 *     CREATED ─▶ VISIBLE ─▶ OPERATIONAL ─▶ INCONSISTENT ─▶ EVICTING ─▶ EVICTED ─▶ DELETED
 *                 installed   a dump saw    could not be     hidden     out of     out of the
 *                             it            changed                     sight      classifier
 *
 * A state only moves forward, one step or by the short cuts of `movesFrom`; whoever tries another is refused, counted,
 * and noted in the ring of bad moves. A number that is used again begins another life, with another serial.
 *
 * Two facts are no states and are kept apart from them. Whether the flow is in the datapath, so that packets take
 * it: its generation is odd (flow.ts). Whether its removal is under way: `removal`.
 *
 * CREATED: the record is its maker's. From VISIBLE to EVICTED: `lock` guards it, which is only tried, never waited
 * for: whoever does not get it passes over the flow for this time. So it may be tried with the classifier's lock held,
 * and that lock may be taken with this one held. DELETED: it belongs to whoever made that move, and he retires it:
 * since the move is made under the lock and from EVICTED alone, that is one thread (retire.ts).
 */
import { COUNT_BAD_MOVES, count } from '../counters';
import { map } from '../memory/arena';
import { releaseAfter, tryAcquire } from '../memory/lock';
import { everTaken, POOL_FLOWS } from '../memory/pool';
import { self } from '../memory/thread';

@unmanaged
export class Life {
  lock: u32; // lock.ts
  serial: u32; // goes up with each life of the number
  state: u32; // read by all with atomic loads; written by `move` and `begin` alone
  thread: u32; // who moved it last
  place: u32; // PLACE_…, where that was
  reason: u32; // EVICT_…, why it was evicted
  removal: u32; // REMOVAL_…
  flags: u32; // LIFE_…
  version: u32; // of the tables that it was translated under
  learned: u32; // generation of the learned addresses that it was translated under
  dump: u32; // the last that it was seen in
  missedDumps: u32; // so many since have not seen it in the datapath
  effects: u32; // words of effects
  pad52: u32;
  pad56: u64;
  createdMs: f64;
  usedMs: f64; // of what has been credited; 0: never
  packets: u64; // credited so far
  bytes: u64;
}

export const LIFE_KEY: usize = 128;
export const LIFE_EFFECTS: usize = 256;
export const LIFE_STRIDE: u32 = 320;

// States.
export const CREATED: u32 = 0;
export const VISIBLE: u32 = 1;
export const OPERATIONAL: u32 = 2;
export const INCONSISTENT: u32 = 3;
export const EVICTING: u32 = 4;
export const EVICTED: u32 = 5;
export const DELETED: u32 = 6;

/** Its translation looked at learned addresses. */
export const LIFE_NORMAL: u32 = 1;
/** Its packets tell what only TypeScript can act on. */
export const LIFE_TELLS: u32 = 2;

export const REMOVAL_NONE: u32 = 0;
export const REMOVAL_QUEUED: u32 = 1; // the sweep is to unlink it
export const REMOVAL_RETIRED: u32 = 2; // it waits for its epochs

// Places in the code that move flows.
export const PLACE_INSTALL: u32 = 1;
export const PLACE_REPLACE: u32 = 2;
export const PLACE_DUMP: u32 = 3;
export const PLACE_CHANGE: u32 = 4;
export const PLACE_EVICT_FLOW: u32 = 5;
export const PLACE_FAIL_FLOW: u32 = 6;
export const PLACE_SWEEP: u32 = 7;
export const PLACE_REMOVE: u32 = 8;
export const PLACE_RECLAIM: u32 = 9;

// Why a flow was evicted.
export const EVICT_NONE: u32 = 0;
export const EVICT_AVOID_CACHING: u32 = 1;
export const EVICT_BAD_ODP_FIT: u32 = 2;
export const EVICT_FLOW_IDLE: u32 = 3;
export const EVICT_FLOW_LIMIT: u32 = 4;
export const EVICT_FLOW_MISSING_DP: u32 = 5;
export const EVICT_FLOW_WILDCARDED: u32 = 6;
export const EVICT_NO_OFPROTO: u32 = 7;
export const EVICT_PURGE: u32 = 8;
export const EVICT_TOO_EXPENSIVE: u32 = 9;
export const EVICT_UPDATE_FAIL: u32 = 10;
export const EVICT_XLATION_ERROR: u32 = 11;
export const EVICT_REASONS: u32 = 12;

export function lifeAt(number: u32): Life {
  return changetype<Life>(map.lives + <usize>(number * LIFE_STRIDE));
}

export function stateOf(life: Life): u32 {
  return atomic.load<u32>(changetype<usize>(life) + offsetof<Life>('state'));
}

/** Takes a life's lock if it is free; whether it did. */
export function tryLock(life: Life): bool {
  return tryAcquire(changetype<usize>(life), self.number);
}

/** Releases the locks of lives that `thread`, which is dead, holds. Returns how many. */
export function releaseLives(thread: u32): u32 {
  let released: u32 = 0;
  for (let number: u32 = 0; number < everTaken(POOL_FLOWS); number++) {
    if (releaseAfter(changetype<usize>(lifeAt(number)), thread)) released++;
  }
  return released;
}

/** Begins another life of a number that this thread has taken: nobody else does more than look at its state. */
export function begin(life: Life): void {
  life.serial++;
  life.thread = self.number;
  life.place = PLACE_INSTALL;
  life.reason = EVICT_NONE;
  life.removal = REMOVAL_NONE;
  life.dump = 0;
  life.missedDumps = 0;
  life.createdMs = self.nowMs;
  life.usedMs = 0;
  life.packets = 0;
  life.bytes = 0;
  atomic.store<u32>(changetype<usize>(life) + offsetof<Life>('state'), CREATED);
}

/** The states that a life may move to, bit by number. */
function movesFrom(state: u32): u32 {
  switch (state) {
    case CREATED:
      return 1 << VISIBLE;
    case VISIBLE:
      return (1 << OPERATIONAL) | (1 << INCONSISTENT) | (1 << EVICTING) | (1 << EVICTED);
    case OPERATIONAL:
      return (1 << OPERATIONAL) | (1 << INCONSISTENT) | (1 << EVICTING);
    case INCONSISTENT:
      return 1 << EVICTING;
    case EVICTING:
      return 1 << EVICTED;
    case EVICTED:
      return 1 << DELETED;
    default:
      return 0;
  }
}

/** Moves a life on, under its lock or as its maker, and notes who did it and where. False: it may not, and stays. */
export function move(life: Life, to: u32, place: u32): bool {
  const from = stateOf(life);
  if (((movesFrom(from) >>> to) & 1) == 0) {
    refuse(life, from, to, place);
    return false;
  }
  life.thread = self.number;
  life.place = place;
  atomic.store<u32>(changetype<usize>(life) + offsetof<Life>('state'), to);
  return true;
}

// Bad moves: how many were noted, how many were begun, and the last of them, each in the slot that the latter says.

@unmanaged
export class BadMove {
  flow: u32;
  serial: u32;
  from: u32;
  to: u32;
  thread: u32; // who had moved it last, and where
  place: u32;
  byThread: u32; // who tried this, and where
  byPlace: u32;
}

export const BAD_MOVES: u32 = 16;
const BAD_MOVES_BEGUN: usize = 4;
export const BAD_MOVES_LIST: usize = 64;
export const BAD_MOVE_STRIDE: u32 = 32;
export const BAD_MOVES_SIZE: u32 = 576; // BAD_MOVES_LIST + BAD_MOVES × BAD_MOVE_STRIDE

function refuse(life: Life, from: u32, to: u32, place: u32): void {
  const slot = atomic.add<u32>(map.badMoves + BAD_MOVES_BEGUN, 1) & (BAD_MOVES - 1);
  const bad = changetype<BadMove>(map.badMoves + BAD_MOVES_LIST + <usize>(slot * BAD_MOVE_STRIDE));
  bad.flow = <u32>(changetype<usize>(life) - map.lives) / LIFE_STRIDE;
  bad.serial = life.serial;
  bad.from = from;
  bad.to = to;
  bad.thread = life.thread;
  bad.place = life.place;
  bad.byThread = self.number;
  bad.byPlace = place;
  atomic.add<u32>(map.badMoves, 1); // whoever sees this sees the record
  count(COUNT_BAD_MOVES, 1);
}
