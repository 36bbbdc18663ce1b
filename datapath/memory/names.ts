/**
 * Names: what programs name by number, and a packet only meets later: packet-ins, and states that packets wait in
 * for another round. What they are TypeScript knows; here they are bytes. Equal bytes have one number on all
 * threads, and every thread can read what a number stands for.
 *
 *     name     │ hold │ serial │ … │ bucket │ next │          two kinds × NAMES; number 0 is none
 *                                 │  └ first whose hash says this record's place ─▶ next ─▶ …
 *     block    │ next │ 60 bytes │ ◀─┘ first                   its bytes, from the first on
 *     numbers  … 17 4 9 …                                      free ones, a queue a kind: the longest unused first
 *
 * Who keeps a number says so (`retainName`) and says when it is done (`releaseName`). A number that nobody keeps is
 * still good for a while, since packets may be under way with it: it goes when the second sweep finds that it was
 * neither kept nor asked for. All that this takes is one word, `hold`, so that of who keeps a number and who forgets
 * it one comes first: its low half is 0 if it is free, else 1 + keepers; its high half says how many sweeps had begun
 * when it was last asked for or let go.
 *
 * `hold` is changed with compare-and-exchange alone, by anybody; from and to free under the lock. `serial`, odd
 * while the number names something, is read by all with atomic loads: as long as it is the same, so is the name. All
 * else is read and written under the lock.
 *
 * What the lock protects is usable at every moment: a record is in its bucket when it is whole, a number in its
 * queue when its record is not. So a lock that a dead thread left is released at once; a number and blocks that it
 * had in hand are not used again.
 */
import { map, NONE } from './arena';
import { acquire, release, releaseAfter, tryAcquire } from './lock';
import { self } from './thread';

@unmanaged
export class NameTable {
  lock: u32;
  sweeps: u32; // so many have begun. Atomic
  left: u32; // numbers that the last one has still to look at: the lowest
  freeBlock: u32; // of blocks that were used before, joined by their links; + 1
  blocksUsed: u32; // the first so many were ever used
  dueMs: f64; // when the next sweep may begin
  // from NAME_QUEUES on: NameQueue × NAME_KINDS
}

/** Free numbers of a kind; they stand in `map.nameNumbers`, NAMES × u16. */
@unmanaged
export class NameQueue {
  taken: u64; // in all
  put: u64; // in all, those included that there were at the beginning
}

@unmanaged
export class Name {
  hold: u64;
  serial: u32;
  hash: u32;
  length: u32; // bytes
  first: u32; // of its blocks; + 1
  bucket: u32; // first of the names whose hash says this record's place; place + 1
  next: u32; // in its bucket
}

export const NAME_PUNT: u32 = 0;
export const NAME_STATE: u32 = 1;
export const NAME_KINDS: u32 = 2;
/** Numbers of a kind: 1 to 65535, for a state's has 16 bits in the flow key. */
export const NAMES: u32 = 65536;

export const NAME_STRIDE: u32 = 32;
export const NAME_TABLE_SIZE: u32 = 96;
export const NAME_QUEUES: u32 = 64;
export const NAME_QUEUE_STRIDE: u32 = 16;
export const NAME_BLOCK_STRIDE: u32 = 64;
const BLOCK_BYTES: u32 = 60; // behind the link
/** What a thread writes a name to, and reads it from, in its part of `map.nameBuffers`: none has more bytes. */
export const NAME_BYTES_MOST: u32 = 65536;

/** A number that nobody keeps is good for so long at least: longer than any packet is under way. */
const SWEEP_MS: f64 = 5000;
/** Numbers of each kind that a sweep looks at without letting others have the lock. */
const STEP: u32 = 64;

const FREE: u32 = 0;
const UNKEPT: u32 = 1;

export function nameTable(): NameTable {
  return changetype<NameTable>(map.nameTable);
}

function queueOf(kind: u32): NameQueue {
  return changetype<NameQueue>(map.nameTable + NAME_QUEUES + <usize>(kind * NAME_QUEUE_STRIDE));
}

/** Where the `i`th number that was ever put in a queue stands. */
function slotOf(kind: u32, i: u64): usize {
  return map.nameNumbers + ((<usize>(kind * NAMES + (<u32>i & (NAMES - 1)))) << 1);
}

function placeOf(kind: u32, number: u32): u32 {
  return kind * NAMES + number;
}

function nameAt(place: u32): Name {
  return changetype<Name>(map.names + <usize>(place * NAME_STRIDE));
}

/** The record of a number, which begins with its `hold`. */
export function nameOf(kind: u32, number: u32): Name {
  return nameAt(placeOf(kind, number));
}

/** The record that has the head of a hash's bucket. */
export function bucketOfName(hash: u32): Name {
  return nameAt(hash & (NAME_KINDS * NAMES - 1));
}

function blockAt(block: u32): usize {
  return map.nameBlocks + <usize>((block - 1) * NAME_BLOCK_STRIDE);
}

// Holding

/** A number that is kept, or asked for, as of now. */
function holdNow(holders: u32): u64 {
  const sweeps = atomic.load<u32>(map.nameTable + offsetof<NameTable>('sweeps'));
  return ((<u64>sweeps) << 32) | <u64>holders;
}

/** Keeps a number; false: it names nothing any more. */
export function retainName(kind: u32, number: u32): bool {
  const at = changetype<usize>(nameOf(kind, number));
  while (true) {
    const hold = atomic.load<u64>(at);
    if (<u32>hold == FREE) return false;
    if (atomic.cmpxchg<u64>(at, hold, hold + 1) == hold) return true;
  }
}

/** One less keeps it. */
export function releaseName(kind: u32, number: u32): void {
  const at = changetype<usize>(nameOf(kind, number));
  while (true) {
    const hold = atomic.load<u64>(at);
    assert(<u32>hold > UNKEPT, 'a number is let go that nobody keeps');
    if (atomic.cmpxchg<u64>(at, hold, holdNow(<u32>hold - 1)) == hold) return;
  }
}

/** Nobody keeps any number; for when all that kept them is gone, or says so again. All other threads stand still. */
export function forgetKeepers(): void {
  for (let kind: u32 = 0; kind < NAME_KINDS; kind++) {
    for (let number = highest(kind); number != 0; number--) {
      const name = nameOf(kind, number);
      if (<u32>name.hold > UNKEPT) name.hold = holdNow(UNKEPT);
    }
  }
}

// Naming

/** The number of the name in `length` bytes at `at`, from now on if it had none; NONE when there is no room. */
export function internName(kind: u32, at: usize, length: u32): u32 {
  const hash = hashName(kind, at, length);
  acquire(map.nameTable, self.number);
  let place = find(kind, hash, at, length);
  if (place == NONE) place = add(kind, hash, at, length);
  else ask(nameAt(place));
  release(map.nameTable);
  return place == NONE ? NONE : place & (NAMES - 1);
}

/** The number of a name, which nothing becomes of; NONE: it has none. */
export function findName(kind: u32, at: usize, length: u32): u32 {
  const hash = hashName(kind, at, length);
  acquire(map.nameTable, self.number);
  const place = find(kind, hash, at, length);
  release(map.nameTable);
  return place == NONE ? NONE : place & (NAMES - 1);
}

/**
 * A polynomial in the name's words, modulo a prime (Carter and Wegman, "Universal classes of hash functions", 1979),
 * at a place drawn from the arena's seed: states tell of packets, and what an attacker sends does not choose its
 * bucket.
 */
export function hashName(kind: u32, at: usize, length: u32): u32 {
  const prime: u64 = 4294967291; // the last below 2³²
  const x = <u64>load<u32>(map.hashSalts);
  const whole = length & ~3;
  let hash = <u64>placeOf(kind, length);
  for (let i: u32 = 0; i < whole; i += 4) hash = (hash * x + <u64>load<u32>(at + <usize>i)) % prime;
  for (let i = whole; i < length; i++) hash = (hash * x + <u64>load<u8>(at + <usize>i)) % prime;
  return <u32>hash;
}

function find(kind: u32, hash: u32, at: usize, length: u32): u32 {
  for (let next = bucketOfName(hash).bucket; next != 0; next = nameAt(next - 1).next) {
    const name = nameAt(next - 1);
    const isSame = name.hash == hash && name.length == length && (next - 1) / NAMES == kind;
    if (isSame && <u32>name.hold != FREE && equals(name, at)) return next - 1;
  }
  return NONE;
}

function equals(name: Name, at: usize): bool {
  let block = name.first;
  for (let done: u32 = 0; done < name.length; done += BLOCK_BYTES) {
    const bytes = min<u32>(BLOCK_BYTES, name.length - done);
    if (memory.compare(blockAt(block) + 4, at + <usize>done, bytes) != 0) return false;
    block = load<u32>(blockAt(block));
  }
  return true;
}

/** Somebody asked for a name: it is as if it were let go now. */
function ask(name: Name): void {
  const at = changetype<usize>(name);
  while (true) {
    const hold = atomic.load<u64>(at);
    if (atomic.cmpxchg<u64>(at, hold, holdNow(<u32>hold)) == hold) return;
  }
}

function add(kind: u32, hash: u32, at: usize, length: u32): u32 {
  const queue = queueOf(kind);
  if (queue.taken == queue.put) return NONE;
  const first = writeBlocks(at, length);
  if (first == 0) return NONE;
  const place = placeOf(kind, <u32>load<u16>(slotOf(kind, queue.taken)));
  queue.taken++;
  const name = nameAt(place);
  name.hash = hash;
  name.length = length;
  name.first = first;
  name.next = bucketOfName(hash).bucket;
  atomic.add<u32>(changetype<usize>(name) + offsetof<Name>('serial'), 1);
  atomic.store<u64>(changetype<usize>(name), holdNow(UNKEPT));
  bucketOfName(hash).bucket = place + 1;
  return place;
}

/** Copies bytes, the last first, to blocks. The first block, + 1; 0: there are not as many. */
function writeBlocks(at: usize, length: u32): u32 {
  let first: u32 = 0;
  for (let left = length; left != 0; ) {
    const block = takeBlock();
    if (block == 0) {
      giveBlocks(first);
      return 0;
    }
    const bytes = ((left - 1) % BLOCK_BYTES) + 1;
    left -= bytes;
    store<u32>(blockAt(block), first);
    memory.copy(blockAt(block) + 4, at + <usize>left, bytes);
    first = block;
  }
  return first;
}

function takeBlock(): u32 {
  const table = nameTable();
  const block = table.freeBlock;
  if (block != 0) table.freeBlock = load<u32>(blockAt(block));
  else if (table.blocksUsed < map.nameBlockCount) return ++table.blocksUsed;
  return block;
}

function giveBlocks(first: u32): void {
  if (first == 0) return;
  let last = first;
  for (let next = first; next != 0; next = load<u32>(blockAt(next))) last = next;
  store<u32>(blockAt(last), nameTable().freeBlock);
  nameTable().freeBlock = first;
}

// Reading

/** Odd while a number names something; another one when that is something else. */
export function nameSerial(kind: u32, number: u32): u32 {
  if (number >= NAMES) return 0;
  return atomic.load<u32>(changetype<usize>(nameOf(kind, number)) + offsetof<Name>('serial'));
}

/** Copies what a number names to `to`, where there is room for the longest. How many bytes it has, or NONE. */
export function readName(kind: u32, number: u32, to: usize): u32 {
  if (number >= NAMES) return NONE;
  const name = nameOf(kind, number);
  acquire(map.nameTable, self.number);
  const length = <u32>name.hold == FREE ? NONE : name.length;
  if (length != NONE) copyBlocks(name, to);
  release(map.nameTable);
  return length;
}

function copyBlocks(name: Name, to: usize): void {
  let block = name.first;
  for (let done: u32 = 0; done < name.length; done += BLOCK_BYTES) {
    memory.copy(to + <usize>done, blockAt(block) + 4, min<u32>(BLOCK_BYTES, name.length - done));
    block = load<u32>(blockAt(block));
  }
}

// Forgetting

/**
 * Goes on with the sweep under way, or begins one that is due. Any thread may, at any time; if another has the lock
 * there is time. Returns how many numbers it looked at; 0: there is nothing to do for now.
 */
export function sweepNames(): u32 {
  const table = nameTable();
  if (!tryAcquire(map.nameTable, self.number)) return 0;
  if (table.left == 0 && self.nowMs >= table.dueMs) {
    atomic.add<u32>(map.nameTable + offsetof<NameTable>('sweeps'), 1);
    table.left = max<u32>(highest(NAME_PUNT), highest(NAME_STATE));
    table.dueMs = self.nowMs + SWEEP_MS;
  }
  const looked = min<u32>(STEP, table.left);
  for (let i: u32 = 0; i < looked; i++) {
    for (let kind: u32 = 0; kind < NAME_KINDS; kind++) look(kind, table.left);
    table.left--;
  }
  release(map.nameTable);
  return looked;
}

/** No number above was ever given: they are given in order at first. */
function highest(kind: u32): u32 {
  return <u32>min<u64>(NAMES - 1, queueOf(kind).taken);
}

/** Forgets what a number names if nobody has kept it or asked for it since the sweep before. */
function look(kind: u32, number: u32): void {
  const at = changetype<usize>(nameOf(kind, number));
  const hold = atomic.load<u64>(at);
  if (<u32>hold != UNKEPT || nameTable().sweeps - <u32>(hold >>> 32) < 2) return;
  if (atomic.cmpxchg<u64>(at, hold, FREE) == hold) forget(kind, number);
}

function forget(kind: u32, number: u32): void {
  const name = nameOf(kind, number);
  atomic.add<u32>(changetype<usize>(name) + offsetof<Name>('serial'), 1);
  unlink(placeOf(kind, number));
  giveBlocks(name.first);
  const queue = queueOf(kind);
  store<u16>(slotOf(kind, queue.put), <u16>number);
  queue.put++;
}

/** Takes a name out of its bucket; it may never have come there, if a thread died over it. */
function unlink(place: u32): void {
  const name = nameAt(place);
  const head = bucketOfName(name.hash);
  if (head.bucket == place + 1) {
    head.bucket = name.next;
    return;
  }
  let before = head.bucket;
  while (before != 0 && nameAt(before - 1).next != place + 1) before = nameAt(before - 1).next;
  if (before != 0) nameAt(before - 1).next = name.next;
}

/** Releases the lock if `thread`, which is dead, holds it; whether it did. */
export function releaseNames(thread: u32): bool {
  return releaseAfter(map.nameTable, thread);
}
