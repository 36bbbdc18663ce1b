/**
 * Installs, replaces and removes flows: takes a record, writes it whole, links it; unlinks it, and gives it back
 * two epochs later. Called by handler threads only.
 */
import { OP_DROP, OP_END, OP_NEXT, OP_OUTPUT, OP_PUSH_VLAN, OP_SET } from '../action/opcode';
import { FLOW_COUNTERS_STRIDE } from '../counters';
import { ArenaMap, map, NONE } from '../memory/arena';
import { advance, currentEpoch } from '../memory/epoch';
import { acquire, release } from '../memory/lock';
import { give, POOL_BLOCKS, POOL_FLOWS, take } from '../memory/pool';
import { self } from '../memory/thread';
import { find, link, relink, subtableFor, unlink } from './classifier';
import {
  BLOCK_STRIDE,
  BLOCK_WORDS,
  FLOW_PROGRAM_WORDS,
  flowAt,
  flowNumber,
  programAt,
  retiredAt,
  setKey,
} from './flow';
import { KEY_SIZE, Key } from './key';
import { NO_SUBTABLE } from './subtable';

function lockAddress(): usize {
  return changetype<usize>(map) + offsetof<ArenaMap>('classifierLock');
}

/**
 * Installs a flow: KEY_SIZE bytes of mask, as many of key (masked here), and a program that ends with OP_END.
 * Returns its number; the number of the flow that was there when one with this mask and key is; or NONE
 * when flows, blocks or subtables have run out.
 */
export function install(mask: usize, key: usize, program: usize): u32 {
  acquire(lockAddress(), self.number);
  const number = installLocked(mask, key, program);
  release(lockAddress());
  return number;
}

function installLocked(mask: usize, key: usize, program: usize): u32 {
  for (let i: usize = 0; i < KEY_SIZE; i += 8) store<u64>(key + i, load<u64>(key + i) & load<u64>(mask + i));
  const there = find(changetype<Key>(mask), changetype<Key>(key));
  if (there) return flowNumber(there);
  const number = take(self.number, POOL_FLOWS);
  if (number == NONE) return NONE;
  const subtable = subtableFor(changetype<Key>(mask));
  if (subtable == NO_SUBTABLE || !writeProgram(programAt(number), program)) {
    give(self.number, POOL_FLOWS, number);
    return NONE;
  }
  const flow = flowAt(number);
  setKey(flow, changetype<Key>(key));
  clearCounters(number);
  link(flow, subtable, changetype<Key>(key));
  return number;
}

/**
 * Gives a live flow another program: a new flow takes its place, so that a look-up finds the one or the other
 * and never none. Returns the new flow's number, whose counters start at zero; or NONE, and the old one
 * stays, when flows or blocks have run out.
 */
export function replace(number: u32, program: usize): u32 {
  const heir = take(self.number, POOL_FLOWS);
  if (heir == NONE) return NONE;
  if (!writeProgram(programAt(heir), program)) {
    give(self.number, POOL_FLOWS, heir);
    return NONE;
  }
  clearCounters(heir);
  acquire(lockAddress(), self.number);
  relink(flowAt(number), flowAt(heir));
  release(lockAddress());
  retire(number);
  return heir;
}

/** A record's counters start at zero; nobody counts on it while it is not live. */
function clearCounters(number: u32): void {
  for (let thread: u32 = 0; thread < map.threadCount; thread++) {
    const at = map.flowCounters + <usize>((thread * map.flowCount + number) * FLOW_COUNTERS_STRIDE);
    memory.fill(at, 0, FLOW_COUNTERS_STRIDE);
  }
}

function operationWords(operation: u32): u32 {
  if (operation == OP_SET) return 4;
  return operation == OP_OUTPUT || operation == OP_PUSH_VLAN || operation == OP_DROP ? 2 : 1;
}

/** Copies a program, going on in blocks where it does not fit; false, with nothing held, when they run out. */
function writeProgram(first: usize, program: usize): bool {
  let at = first;
  let room = FLOW_PROGRAM_WORDS;
  while (true) {
    const operation = load<u32>(program);
    const words = operationWords(operation);
    if (words + 2 > room && !(operation == OP_END && room >= 1)) {
      const block = take(self.number, POOL_BLOCKS);
      if (block == NONE) {
        store<u32>(at, OP_END);
        giveBlocks(first);
        return false;
      }
      store<u32>(at, OP_NEXT);
      store<u32>(at + 4, block);
      at = blockAt(block);
      room = BLOCK_WORDS;
    }
    memory.copy(at, program, (<usize>words) << 2);
    if (operation == OP_END) return true;
    at += (<usize>words) << 2;
    program += (<usize>words) << 2;
    room -= words;
  }
}

export function blockAt(number: u32): usize {
  return map.blocks + <usize>(number * BLOCK_STRIDE);
}

/** Gives back the blocks that the program at `at` goes on in. */
function giveBlocks(at: usize): void {
  for (let operation = load<u32>(at); operation != OP_END; operation = load<u32>(at)) {
    if (operation == OP_NEXT) {
      const block = load<u32>(at + 4);
      at = blockAt(block);
      give(self.number, POOL_BLOCKS, block);
    } else {
      at += (<usize>operationWords(operation)) << 2;
    }
  }
}

/** Hides a live flow; its record is reused two epochs later. */
export function remove(number: u32): void {
  const flow = flowAt(number);
  acquire(lockAddress(), self.number);
  unlink(flow);
  release(lockAddress());
  retire(number);
}

/** Has the record of a flow that is hidden given back in time. */
function retire(number: u32): void {
  const retired = retiredAt(number);
  retired.epoch = currentEpoch();
  retired.next = 0;
  if (self.retiredTail == 0) self.retiredHead = number + 1;
  else retiredAt(self.retiredTail - 1).next = number + 1;
  self.retiredTail = number + 1;
}

/** Gives back the flows that this thread retired at least two epochs ago. */
export function reclaim(): void {
  if (self.retiredHead == 0) return;
  advance();
  const epoch = currentEpoch();
  while (self.retiredHead != 0) {
    const number = self.retiredHead - 1;
    const retired = retiredAt(number);
    if (epoch - retired.epoch < 2) return;
    self.retiredHead = retired.next;
    if (self.retiredHead == 0) self.retiredTail = 0;
    giveBlocks(programAt(number));
    give(self.number, POOL_FLOWS, number);
  }
}
