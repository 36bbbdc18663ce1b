/**
 * Removal from a cuckoo map, under no lock: two entries are removed while an insertion moves them, the one from its
 * first bucket to its second, the other back. They must go, and nothing else.
 */
import { scratch } from '../explore';
import { hashOf, lock, makeMap, map } from '../explore-cuckoo';
import { NONE } from '../memory/arena';
import { CUCKOO_SLOTS, find, findNext, insert, remove } from '../memory/cuckoo';
import { acquire, release } from '../memory/lock';
import { self } from '../memory/thread';

const BUCKETS: u32 = 8;
const GOES: u32 = 1000;
const STAYS: u32 = 2000;
const COMES: u32 = 3000;

/** Of the entries that go: the first is in bucket 0, and may be in 1; the second in 4, its second, and may be in 5. */
function goes(i: u32): u32 {
  return load<u32>(scratch() + 64 + ((<usize>i) << 2));
}

/** Of the entries that come to where these are. */
function comes(i: u32): u32 {
  return load<u32>(scratch() + 72 + ((<usize>i) << 2));
}

function add(hash: u32, number: u32): void {
  assert(insert(map(), hash, number), 'not set up as planned');
}

/** Fills the rest of `bucket`, and all of `other`, so that a newcomer for both moves the entry that goes. */
function fill(bucket: u32, other: u32, i: u32): void {
  for (let n: u32 = 1; n < CUCKOO_SLOTS; n++) add(hashOf(bucket, other, 10), STAYS + 10 * i + n);
  for (let n: u32 = 0; n < CUCKOO_SLOTS; n++) add(hashOf(other, 7 - bucket, 11), n);
}

export function setUp(): void {
  const m = map();
  makeMap(BUCKETS);
  store<u32>(scratch() + 64, hashOf(0, 1, 1));
  store<u32>(scratch() + 68, hashOf(5, 4, 2));
  store<u32>(scratch() + 72, hashOf(0, 2, 3));
  store<u32>(scratch() + 76, hashOf(4, 6, 4));
  add(goes(0), GOES);
  fill(0, 2, 0);
  // The second finds its first bucket full.
  for (let n: u32 = 0; n < CUCKOO_SLOTS; n++) add(hashOf(5, 1, 12), n);
  add(goes(1), GOES + 1);
  for (let n: u32 = 0; n < CUCKOO_SLOTS; n++) remove(m, hashOf(5, 1, 12), n);
  fill(4, 6, 1);
}

function isFound(hash: u32, number: u32): bool {
  for (let found = find(map(), hash); found != NONE; found = findNext()) if (found == number) return true;
  return false;
}

export function thread0(): void {
  acquire(lock(), self.number);
  for (let i: u32 = 0; i < 2; i++) assert(insert(map(), comes(i), COMES + i), 'no room');
  release(lock());
}

export function thread1(): void {
  assert(remove(map(), goes(0), GOES), 'the first was not there');
}

export function thread2(): void {
  assert(remove(map(), goes(1), GOES + 1), 'the second was not there');
}

export function check(): void {
  for (let i: u32 = 0; i < 2; i++) {
    assert(!isFound(goes(i), GOES + i), 'what was removed is there again');
    assert(isFound(comes(i), COMES + i), 'what came is lost');
  }
  for (let n: u32 = 1; n < CUCKOO_SLOTS; n++) {
    assert(isFound(hashOf(0, 2, 10), STAYS + n), 'what stays by the first is lost');
    assert(isFound(hashOf(4, 6, 10), STAYS + 10 + n), 'what stays by the second is lost');
  }
  assert(map().count == 4 * CUCKOO_SLOTS, 'the count is wrong');
}
