/**
 * Names: two threads ask for the same one, that was not there before; one lets go of a name, and keeps another that
 * nobody has needed for long, while a sweep goes over them.
 */
import { changes, scratch, shares } from '../explore';
import { map, NONE } from '../memory/arena';
import { acquire, release } from '../memory/lock';
import {
  bucketOfName,
  hashName,
  internName,
  NAME_BLOCK_STRIDE,
  NAME_STATE,
  NAME_STRIDE,
  NAME_TABLE_SIZE,
  NAMES,
  nameOf,
  nameSerial,
  nameTable,
  readName,
  releaseName,
  retainName,
  sweepNames,
} from '../memory/names';
import { self } from '../memory/thread';

/** Names are told apart by their last byte. */
const LENGTH: u32 = 61;
const STALE: u8 = 1;
const LET_GO: u8 = 2;
const FRESH: u8 = 3;

/** Of the names that are there at the beginning; the third is the one that comes. */
const STALE_NUMBER: u32 = 1;
const LET_GO_NUMBER: u32 = 2;

/** What this thread has in hand. */
function text(): usize {
  return scratch() + 1024 + <usize>(self.number * 256);
}

function ask(last: u8): u32 {
  store<u8>(text() + LENGTH - 1, last);
  return internName(NAME_STATE, text(), LENGTH);
}

/** What a number names, by its last byte; 0: nothing. */
function read(number: u32): u8 {
  const length = readName(NAME_STATE, number, text());
  assert(length == LENGTH || length == NONE, 'a name has another length');
  return length == NONE ? 0 : load<u8>(text() + LENGTH - 1);
}

function sweep(): void {
  self.nowMs = nameTable().dueMs;
  while (sweepNames() != 0) {}
}

function declareBucket(last: u8): void {
  store<u8>(text() + LENGTH - 1, last);
  changes(changetype<usize>(bucketOfName(hashName(NAME_STATE, text(), LENGTH))), NAME_STRIDE);
}

export function setUp(): void {
  shares(map.nameTable, NAME_TABLE_SIZE);
  shares(changetype<usize>(nameOf(NAME_STATE, 1)), 3 * NAME_STRIDE);
  // Of the queue of free states: its beginning, and its end, where the first that comes back goes.
  changes(map.nameNumbers + 2 * NAMES, 16);
  changes(map.nameNumbers + 4 * NAMES - 16, 16);
  changes(map.nameBlocks, 8 * NAME_BLOCK_STRIDE);
  changes(map.threads, map.batches - map.threads);
  for (let last = STALE; last <= FRESH; last++) declareBucket(last);
  assert(ask(STALE) == STALE_NUMBER && ask(LET_GO) == LET_GO_NUMBER, 'not as planned');
  retainName(NAME_STATE, LET_GO_NUMBER);
  sweep();
}

/** Where a thread notes its number of the fresh name. */
function noted(thread: u32): usize {
  return scratch() + 8 + ((<usize>thread) << 2);
}

function askForFresh(): void {
  const number = ask(FRESH);
  store<u32>(noted(self.number), number);
  assert(read(number) == FRESH, 'a number that was just given names something else');
}

export function thread0(): void {
  askForFresh();
}

export function thread1(): void {
  askForFresh();
}

export function thread2(): void {
  sweep();
}

export function thread3(): void {
  releaseName(NAME_STATE, LET_GO_NUMBER);
  assert(read(LET_GO_NUMBER) == LET_GO, 'a number goes as soon as it is let go');
  const serial = nameSerial(NAME_STATE, STALE_NUMBER);
  const isKept = retainName(NAME_STATE, STALE_NUMBER);
  store<u32>(scratch(), <u32>isKept);
  if (!isKept) return;
  assert(read(STALE_NUMBER) == STALE, 'a number went that somebody keeps');
  assert(nameSerial(NAME_STATE, STALE_NUMBER) == serial, 'a number that somebody keeps was given anew');
}

export function check(): void {
  assert(load<u32>(noted(0)) == load<u32>(noted(1)), 'equal names have two numbers');
  const isKept = load<u32>(scratch()) != 0;
  if (isKept) assert(ask(STALE) == STALE_NUMBER, 'a name that is kept has another number');
  assert(ask(LET_GO) == LET_GO_NUMBER, 'a name that was let go just now is gone');
  // All that is not kept goes, and its blocks are free again.
  sweep();
  sweep();
  acquire(map.nameTable, self.number);
  let free: u32 = 0;
  for (let block = nameTable().freeBlock; block != 0; block = nextBlock(block)) free++;
  assert(free == nameTable().blocksUsed - (isKept ? 2 : 0), 'blocks are lost');
  release(map.nameTable);
}

function nextBlock(block: u32): u32 {
  return load<u32>(map.nameBlocks + <usize>((block - 1) * NAME_BLOCK_STRIDE));
}
