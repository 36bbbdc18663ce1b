/**
 * Installs and removes flows: takes a record, writes it whole, links it; unlinks it, and gives it back two
 * epochs later. Called by handler threads only.
 */
import { OP_DROP, OP_END, OP_NEXT, OP_OUTPUT, OP_PUSH_VLAN, OP_SET } from '../action/opcode';
import { FLOW_COUNTERS_STRIDE } from '../counters';
import { ArenaMap, map, NONE } from '../memory/arena';
import { advance, currentEpoch } from '../memory/epoch';
import { acquire, release } from '../memory/lock';
import { give, POOL_BLOCKS, POOL_FLOWS, take } from '../memory/pool';
import { self } from '../memory/thread';
import { find, firstIn, link, NO_SUBTABLE, subtableFor, unlink } from './classifier';
import {
  BLOCK_STRIDE,
  BLOCK_WORDS,
  FLOW_KEY,
  FLOW_PROGRAM,
  FLOW_PROGRAM_WORDS,
  flowAt,
  flowNumber,
} from './flow';
import { KEY_SIZE, Key } from './key';

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
  const flow = flowAt(number);
  const at = changetype<usize>(flow);
  const subtable = subtableFor(changetype<Key>(mask));
  if (subtable == NO_SUBTABLE || !writeProgram(at + FLOW_PROGRAM, program)) {
    give(self.number, POOL_FLOWS, number);
    return NONE;
  }
  flow.subtable = subtable;
  memory.copy(at + FLOW_KEY, key, KEY_SIZE);
  clearCounters(number);
  link(flow);
  return number;
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

/** The block that the words at `at` go on in, or NONE. */
export function nextBlock(at: usize): u32 {
  for (let operation = load<u32>(at); operation != OP_END; operation = load<u32>(at)) {
    if (operation == OP_NEXT) return load<u32>(at + 4);
    at += (<usize>operationWords(operation)) << 2;
  }
  return NONE;
}

/** Gives back the blocks that the program at `at` goes on in. */
function giveBlocks(at: usize): void {
  let block = nextBlock(at);
  while (block != NONE) {
    const next = nextBlock(blockAt(block));
    give(self.number, POOL_BLOCKS, block);
    block = next;
  }
}

/** Hides a live flow; its record is reused two epochs later. */
export function remove(number: u32): void {
  const flow = flowAt(number);
  acquire(lockAddress(), self.number);
  unlink(flow);
  release(lockAddress());
  flow.retiredEpoch = currentEpoch();
  flow.nextRetired = 0;
  if (self.retiredTail == 0) self.retiredHead = number + 1;
  else flowAt(self.retiredTail - 1).nextRetired = number + 1;
  self.retiredTail = number + 1;
}

/** Hides every live flow: the handler that knew what they are for has died, and this is the next one. */
export function removeAll(): void {
  for (let i: u32 = 0; i <= map.bucketMask; i++) {
    for (let first = firstIn(i); first != 0; first = firstIn(i)) remove(first - 1);
  }
}

/** Gives back the flows that this thread retired at least two epochs ago. */
export function reclaim(): void {
  if (self.retiredHead == 0) return;
  advance();
  const epoch = currentEpoch();
  while (self.retiredHead != 0) {
    const number = self.retiredHead - 1;
    const flow = flowAt(number);
    if (epoch - flow.retiredEpoch < 2) return;
    self.retiredHead = flow.nextRetired;
    if (self.retiredHead == 0) self.retiredTail = 0;
    giveBlocks(changetype<usize>(flow) + FLOW_PROGRAM);
    give(self.number, POOL_FLOWS, number);
  }
}
