/**
 * Installs, replaces and removes flows: takes a record, writes it whole, links it; unlinks it, and gives it back
 * two epochs later. Called by handler threads only.
 */
import { OP_END, OP_NEXT, OP_SELECT, operationWords, PROGRAM_WORDS } from '../action/opcode';
import { isSound, programsInside } from '../action/program';
import { FLOW_COUNTERS_STRIDE } from '../counters';
import { ArenaMap, map, NONE } from '../memory/arena';
import { advance, currentEpoch } from '../memory/epoch';
import { acquire, release } from '../memory/lock';
import { give, POOL_BLOCKS, POOL_FLOWS, take } from '../memory/pool';
import { self } from '../memory/thread';
import { BUCKET_SLOTS, firstIn } from './buckets';
import { find, link, relink, subtableFor, unlink } from './classifier';
import {
  BLOCK_LINK,
  BLOCK_WORDS,
  blockAt,
  FLOW_PROGRAM_WORDS,
  flowAt,
  flowNumber,
  programAt,
  setKey,
  Upkeep,
  upkeepAt,
} from './flow';
import { KEY_SIZE, Key } from './key';
import { NO_SUBTABLE } from './subtable';

function lockAddress(): usize {
  return changetype<usize>(map) + offsetof<ArenaMap>('classifierLock');
}

/**
 * Installs a flow: KEY_SIZE bytes of mask, as many of key (masked here), and a program that ends with OP_END.
 * Returns its number; the number of the flow that was there when one with this mask and key is; or NONE
 * when flows, blocks or subtables have run out, or the program is none that the datapath runs (program.ts).
 */
export function install(mask: usize, key: usize, program: usize): u32 {
  if (!isSound(program, program + ((<usize>PROGRAM_WORDS) << 2))) return NONE;
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
  if (subtable == NO_SUBTABLE || !writeProgram(number, program)) {
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
  if (!writeProgram(heir, program)) {
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

/**
 * Copies a sound program into a flow, going on in blocks where it does not fit (program.ts); false, with nothing
 * held, when they run out. Before whatever must not be parted, two words are kept free to lead on.
 */
function writeProgram(number: u32, program: usize): bool {
  let at = programAt(number);
  let room: u32 = FLOW_PROGRAM_WORDS;
  let link = changetype<usize>(upkeepAt(number)) + offsetof<Upkeep>('blocks');
  store<u32>(link, 0);
  let buckets: u32 = 0; // of an OP_SELECT, still to come
  for (let open: u32 = 1; open != 0; ) {
    const operation = load<u32>(program); // or a bucket
    const words: u32 = buckets != 0 ? 2 : operationWords(operation);
    const isLast = buckets == 0 && open == 1 && operation == OP_END;
    if (words + (isLast ? 0 : 2) > room) {
      const block = addBlock(link);
      if (block == NONE) {
        giveBlocks(number);
        return false;
      }
      store<u32>(at, buckets != 0 ? block : OP_NEXT);
      store<u32>(at + 4, buckets != 0 ? NONE : block);
      at = blockAt(block);
      room = BLOCK_WORDS;
      link = at + BLOCK_LINK;
    }
    memory.copy(at, program, (<usize>words) << 2);
    if (buckets != 0) {
      buckets--;
    } else {
      if (operation == OP_SELECT) buckets = load<u32>(program + 8);
      open += programsInside(program);
      if (operation == OP_END) open--;
    }
    at += (<usize>words) << 2;
    program += (<usize>words) << 2;
    room -= words;
  }
  return true;
}

/** Takes a block, the last of a program so far, and has `link` lead to it. NONE when there is none. */
function addBlock(link: usize): u32 {
  const block = take(self.number, POOL_BLOCKS);
  if (block == NONE) return NONE;
  store<u32>(link, block + 1);
  store<u32>(blockAt(block) + BLOCK_LINK, 0);
  return block;
}

/** Gives back the blocks that a flow's program goes on in. */
function giveBlocks(number: u32): void {
  for (let next = upkeepAt(number).blocks; next != 0; ) {
    const block = next - 1;
    next = load<u32>(blockAt(block) + BLOCK_LINK);
    give(self.number, POOL_BLOCKS, block);
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
  const upkeep = upkeepAt(number);
  upkeep.retiredEpoch = currentEpoch();
  upkeep.nextRetired = 0;
  if (self.retiredTail == 0) self.retiredHead = number + 1;
  else upkeepAt(self.retiredTail - 1).nextRetired = number + 1;
  self.retiredTail = number + 1;
}

/** Hides every live flow: the handler that knew what they are for has died, and this is the next one. */
export function removeAll(): void {
  for (let bucket: u32 = 0; bucket < map.bucketCount; bucket++) {
    for (let slot: u32 = 0; slot < BUCKET_SLOTS; slot++) {
      for (let first = firstIn(bucket, slot); first != 0; first = firstIn(bucket, slot)) remove(first - 1);
    }
  }
}

/** Gives back the flows that this thread retired at least two epochs ago. */
export function reclaim(): void {
  if (self.retiredHead == 0) return;
  advance();
  const epoch = currentEpoch();
  while (self.retiredHead != 0) {
    const number = self.retiredHead - 1;
    const upkeep = upkeepAt(number);
    if (epoch - upkeep.retiredEpoch < 2) return;
    self.retiredHead = upkeep.nextRetired;
    if (self.retiredHead == 0) self.retiredTail = 0;
    giveBlocks(number);
    give(self.number, POOL_FLOWS, number);
  }
}
