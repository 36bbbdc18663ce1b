/**
 * Cuckoo map: two threads insert and remove under a lock, so that an entry moves from its second bucket to
 * its first and others move too; two look that entry up all the while, and one that goes.
 */
import { scratch } from '../explore';
import { hashOf, lock, makeMap, map } from '../explore-cuckoo';
import { NONE } from '../memory/arena';
import { CUCKOO_SLOTS, find, findNext, insert, remove } from '../memory/cuckoo';
import { acquire, release } from '../memory/lock';
import { self } from '../memory/thread';

const BUCKETS: u32 = 4;
const STAYS: u32 = 1000;
const STAYS_TOO: u32 = 1001; // under the same hash
const GOES: u32 = 1002;

function stays(): u32 {
  return load<u32>(scratch() + 64);
}
function goes(): u32 {
  return load<u32>(scratch() + 68);
}
function comes(): u32 {
  return load<u32>(scratch() + 72);
}
function comesToo(): u32 {
  return load<u32>(scratch() + 76);
}

export function setUp(): void {
  const m = map();
  makeMap(BUCKETS);
  store<u32>(scratch() + 64, hashOf(0, 1, 1));
  store<u32>(scratch() + 68, hashOf(2, 1, 2));
  store<u32>(scratch() + 72, hashOf(1, 2, 3));
  store<u32>(scratch() + 76, hashOf(2, 1, 4));
  // The entry that stays finds its first bucket full, so it goes to its second; then the first has room.
  const filler = hashOf(0, 3, 5);
  for (let i: u32 = 0; i < CUCKOO_SLOTS; i++) insert(m, filler, i);
  insert(m, stays(), STAYS);
  insert(m, stays(), STAYS_TOO);
  for (let i: u32 = 0; i < 3; i++) remove(m, filler, i);
  insert(m, goes(), GOES);
  // Buckets 1 and 2 are full: whoever comes there moves another.
  for (let i: u32 = 0; i < CUCKOO_SLOTS - 2; i++) insert(m, hashOf(1, 3, 6), 10 + i);
  for (let i: u32 = 0; i < CUCKOO_SLOTS - 1; i++) insert(m, hashOf(2, 3, 7), 20 + i);
  assert(m.count == 2 * CUCKOO_SLOTS + 4, 'the map is not set up as planned');
}

function isFound(hash: u32, number: u32): bool {
  for (let found = find(map(), hash); found != NONE; found = findNext()) {
    assert(found >= 1000 && found < 1010, 'a number of another hash');
    if (found == number) return true;
  }
  return false;
}

export function thread0(): void {
  assert(isFound(stays(), STAYS), 'an entry that stays was missed');
  isFound(goes(), GOES);
}

export function thread1(): void {
  assert(isFound(stays(), STAYS_TOO), 'another of the same hash was missed');
}

export function thread2(): void {
  acquire(lock(), self.number);
  assert(insert(map(), comes(), 1003), 'no room');
  release(lock());
}

export function thread3(): void {
  acquire(lock(), self.number);
  assert(insert(map(), comesToo(), 1004), 'no room');
  assert(remove(map(), goes(), GOES) && !isFound(goes(), GOES), 'not removed');
  release(lock());
}

export function check(): void {
  assert(isFound(stays(), STAYS) && isFound(stays(), STAYS_TOO), 'an entry that stays is lost');
  assert(isFound(comes(), 1003) && isFound(comesToo(), 1004), 'an entry that came is lost');
  assert(map().count == 2 * CUCKOO_SLOTS + 5, 'the count is wrong');
}
