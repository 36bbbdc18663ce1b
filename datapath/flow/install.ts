/**
 * Installs flows: takes a record, writes flow and life whole, links it. Called by handler threads.
 *
 * What there is to say of a flow beside mask, key and program, TypeScript puts into this thread's scratch:
 *
 *     scratch   [ mask 128 ][ key 128 ][ program, PROGRAM_WORDS ][ About │ effects, MOST_EFFECTS words ]
 *
 * A flow with the same mask and masked key may be there. If it is live, that is the one. If it was evicted and waits
 * for the sweep, the new one takes its place: until then its packets would miss each time. Sweep and handler may both
 * want to unlink it; whoever moves its life from EVICTED to DELETED does, under the life's lock, and retires it. The
 * other finds another state when he gets the lock, or does not get it.
 */
import { PROGRAM_WORDS } from '../action/opcode';
import { isSound } from '../action/program';
import {
  COUNT_HANDLER_DUPLICATE_UPCALL,
  COUNT_UKEY_REPLACE_CONTENTION,
  COUNT_UPCALL_FLOW_LIMIT_HIT,
  COUNT_UPCALL_UKEY_REPLACE,
  count,
} from '../counters';
import { ArenaMap, map, NONE } from '../memory/arena';
import { release } from '../memory/lock';
import { give, POOL_FLOWS, take } from '../memory/pool';
import { self } from '../memory/thread';
import {
  find,
  isAtFlowLimit,
  link,
  lockClassifier,
  relink,
  subtableFor,
  unlockClassifier,
} from './classifier';
import { clearCounters } from './credit';
import { endEffects, MOST_EFFECTS, setEffects } from './effects';
import { flowAt, flowNumber, isLive, setKey } from './flow';
import { KEY_SIZE, Key } from './key';
import {
  begin,
  DELETED,
  EVICTED,
  LIFE_KEY,
  Life,
  lifeAt,
  move,
  PLACE_INSTALL,
  PLACE_REPLACE,
  stateOf,
  tryLock,
  VISIBLE,
} from './life';
import { retire } from './retire';
import { NO_SUBTABLE } from './subtable';
import { giveBlocks, writeProgram } from './write-program';

@unmanaged
export class About {
  version: u32; // of the tables, and generation of the learned addresses, that it was translated under
  learned: u32;
  flags: u32; // LIFE_…
  effects: u32; // words, which follow at ABOUT_EFFECTS
  isNew: u32; // answer: the flow that was asked for was installed, and was not there already
}

export const ABOUT_EFFECTS: usize = 32;
export const ABOUT_SIZE: u32 = 1024; // and MOST_EFFECTS words

/**
 * Installs a flow: KEY_SIZE bytes of mask, as many of key, a program that ends with OP_END, and what `about` says.
 * Returns its number; the number of the live flow that was there; or NONE when flows, blocks or subtables have run
 * out, there are as many flows as may be, one that was evicted is in the way, or the program is none that the datapath
 * runs (program.ts).
 */
export function install(mask: usize, key: usize, program: usize, about: usize): u32 {
  const request = changetype<About>(about);
  request.isNew = 0;
  if (!isSoundProgram(program)) return NONE;
  lockClassifier();
  const number = installLocked(changetype<Key>(mask), changetype<Key>(key), program, request);
  unlockClassifier();
  return number;
}

export function isSoundProgram(program: usize): bool {
  return isSound(program, program + ((<usize>PROGRAM_WORDS) << 2));
}

function installLocked(mask: Key, key: Key, program: usize, about: About): u32 {
  const there = find(mask, key);
  if (there && isLive(there)) {
    count(COUNT_HANDLER_DUPLICATE_UPCALL, 1);
    return flowNumber(there);
  }
  if (isAtFlowLimit()) {
    count(COUNT_UPCALL_FLOW_LIMIT_HIT, 1);
    return NONE;
  }
  if (there) return replaceEvicted(flowNumber(there), key, program, about);
  const number = makeFlow(changetype<usize>(key), program, about);
  if (number == NONE) return NONE;
  const subtable = subtableFor(mask);
  if (subtable == NO_SUBTABLE) {
    discardFlow(number);
    return NONE;
  }
  setKey(flowAt(number), key, mask);
  link(flowAt(number), subtable, key);
  move(lifeAt(number), VISIBLE, PLACE_INSTALL);
  about.isNew = 1;
  return number;
}

/** Installs a flow in the place of one that is linked and was evicted. */
function replaceEvicted(old: u32, key: Key, program: usize, about: About): u32 {
  if (atomic.load<u32>(changetype<usize>(map) + offsetof<ArenaMap>('keepsEvicted')) != 0) return NONE;
  const life = lifeAt(old);
  if (!tryLock(life)) {
    count(COUNT_UKEY_REPLACE_CONTENTION, 1);
    return NONE;
  }
  const number = replaceLocked(old, key, program, about);
  release(changetype<usize>(life));
  return number;
}

function replaceLocked(old: u32, key: Key, program: usize, about: About): u32 {
  const life = lifeAt(old);
  if (stateOf(life) != EVICTED) {
    count(COUNT_HANDLER_DUPLICATE_UPCALL, 1);
    return NONE;
  }
  const number = makeFlow(changetype<usize>(key), program, about);
  if (number == NONE) return NONE;
  const heir = lifeAt(number);
  heir.dump = life.dump;
  relink(flowAt(old), flowAt(number));
  move(life, DELETED, PLACE_REPLACE);
  retire(old);
  move(heir, VISIBLE, PLACE_REPLACE);
  count(COUNT_UPCALL_UKEY_REPLACE, 1);
  about.isNew = 1;
  return number;
}

/**
 * Takes a flow's record and begins a life, CREATED, made for the packet with `key`. What is left to do is to give it its
 * key and link it. NONE when flows or blocks have run out.
 */
export function makeFlow(key: usize, program: usize, about: About): u32 {
  const number = take(self.number, POOL_FLOWS);
  if (number == NONE) return NONE;
  const life = lifeAt(number);
  begin(life);
  describe(life, about);
  life.dump = atomic.load<u32>(changetype<usize>(map) + offsetof<ArenaMap>('dump'));
  memory.copy(changetype<usize>(life) + LIFE_KEY, key, KEY_SIZE);
  if (!writeProgram(number, program)) {
    give(self.number, POOL_FLOWS, number);
    return NONE;
  }
  if (!setAboutEffects(life, about)) {
    discardFlow(number);
    return NONE;
  }
  clearCounters(number);
  return number;
}

/** Gives back a flow that was made and never linked. */
function discardFlow(number: u32): void {
  endEffects(lifeAt(number));
  giveBlocks(number);
  give(self.number, POOL_FLOWS, number);
}

/** Notes what a flow was translated under. */
export function describe(life: Life, about: About): void {
  life.version = about.version;
  life.learned = about.learned;
  life.flags = about.flags;
}

/** Gives a life the effects behind `about`; false, and it keeps its own, when blocks have run out. */
export function setAboutEffects(life: Life, about: About): bool {
  const words = changetype<usize>(about) + ABOUT_EFFECTS;
  return setEffects(life, words, min<u32>(about.effects, MOST_EFFECTS));
}
