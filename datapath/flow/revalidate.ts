/**
 * What TypeScript does with a flow that a dump or the sweep listed, when it has walked the tables for it again. Between
 * the two nobody held the flow's lock: so each names it by number and serial, and does nothing when it is not what it
 * was, or somebody has it.
 */
import { COUNT_UPCALL_UKEY_CONTENTION, count } from '../counters';
import { NONE } from '../memory/arena';
import { release } from '../memory/lock';
import { conceal, lockClassifier, relink, unlockClassifier } from './classifier';
import { credit } from './credit';
import { evict } from './evict';
import { flowAt, isLive } from './flow';
import { About, describe, isSoundProgram, makeFlow, setAboutEffects } from './install';
import {
  DELETED,
  EVICTED,
  EVICTING,
  INCONSISTENT,
  LIFE_KEY,
  lifeAt,
  move,
  OPERATIONAL,
  PLACE_CHANGE,
  PLACE_EVICT_FLOW,
  PLACE_FAIL_FLOW,
  stateOf,
  tryLock,
  VISIBLE,
} from './life';
import { retire } from './retire';
import { hasProgram } from './write-program';

/** Takes the lock of a flow that is in the datapath, and in no state after `last`; whether it did. */
function lockFlow(number: u32, serial: u32, last: u32): bool {
  const life = lifeAt(number);
  if (!tryLock(life)) {
    count(COUNT_UPCALL_UKEY_CONTENTION, 1);
    return false;
  }
  const state = stateOf(life);
  if (life.serial == serial && state >= VISIBLE && state <= last && isLive(flowAt(number))) return true;
  unlockFlow(number);
  return false;
}

function unlockFlow(number: u32): void {
  release(changetype<usize>(lifeAt(number)));
}

/**
 * Has a flow do what its translation says now. With the program that it has, it stays, and has the effects that `about`
 * tells from now on. With another, a new flow takes its place, so that a look-up finds the one or the other and never
 * none; its counters start at zero. What was counted before is credited by the effects of before.
 *
 * Returns the flow's number, the same or the new one's; or NONE, and nothing was done, when it is gone, somebody has it,
 * flows or blocks have run out, or the program is not sound.
 */
export function renewFlow(number: u32, serial: u32, program: usize, about: usize): u32 {
  if (!isSoundProgram(program) || !lockFlow(number, serial, OPERATIONAL)) return NONE;
  const request = changetype<About>(about);
  const renewed = hasProgram(number, program) ? keep(number, request) : change(number, program, request);
  unlockFlow(number);
  return renewed;
}

function keep(number: u32, about: About): u32 {
  const life = lifeAt(number);
  credit(number);
  if (!setAboutEffects(life, about)) return NONE;
  describe(life, about);
  return number;
}

function change(number: u32, program: usize, about: About): u32 {
  const heir = makeFlow(changetype<usize>(lifeAt(number)) + LIFE_KEY, program, about);
  if (heir != NONE) putInPlace(number, heir);
  return heir;
}

/**
 * The flow that is live becomes `heir`, which was made for it and is OPERATIONAL like that: but when somebody still looks
 * at the number for what it was before, the next dump says so.
 */
function putInPlace(number: u32, heir: u32): void {
  const old = lifeAt(number);
  const life = lifeAt(heir);
  const isMine = tryLock(life);
  credit(number);
  life.createdMs = old.createdMs;
  life.usedMs = old.usedMs;
  life.dump = old.dump;
  move(old, EVICTING, PLACE_CHANGE);
  lockClassifier();
  relink(flowAt(number), flowAt(heir));
  conceal(flowAt(number));
  unlockClassifier();
  move(life, VISIBLE, PLACE_CHANGE);
  if (isMine) {
    move(life, OPERATIONAL, PLACE_CHANGE);
    unlockFlow(heir);
  }
  move(old, EVICTED, PLACE_CHANGE);
  move(old, DELETED, PLACE_CHANGE);
  retire(number);
}

/** Evicts a flow, for `reason`; whether it did. */
export function evictFlow(number: u32, serial: u32, reason: u32): bool {
  if (!lockFlow(number, serial, INCONSISTENT)) return false;
  evict(number, reason, PLACE_EVICT_FLOW);
  unlockFlow(number);
  return true;
}

/** Notes that a flow could not be changed as it ought to be: it goes with the next dump or sweep. */
export function failFlow(number: u32, serial: u32): bool {
  if (!lockFlow(number, serial, OPERATIONAL)) return false;
  move(lifeAt(number), INCONSISTENT, PLACE_FAIL_FLOW);
  unlockFlow(number);
  return true;
}
