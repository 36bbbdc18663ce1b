/**
 * The timing wheel: which connection is to be looked at when. Five wheels of 64 slots; one turn of each is one slot
 * of the next (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987).
 *
 *     level 0   64 slots of 1 ms         level 3   64 slots of 4.4 minutes
 *     level 1   64 slots of 64 ms        level 4   64 slots of 4.7 hours
 *     level 2   64 slots of 4.1 s
 *
 *     slot ──▶ [ connection 7 ]◀──▶[ connection 3 ]      lists, linked both ways, in an array beside the records
 *
 * `tick` is the millisecond that the wheel has come to. A connection is on the level of the highest digit, to base
 * 64, in which its time differs from `tick`, in the slot of its own digit there. So when `tick` comes to where a slot
 * begins, all that is due in it and before it has come up, and what comes up is linked anew or goes. What lies more
 * than a turn of the last level ahead comes up after one, and is linked again. A bit for each slot says whether
 * there is anything in it, so time without work is skipped.
 *
 * All is changed under `lock` alone, by whoever sweeps (expiry.ts). The lock is only ever tried, never waited for:
 * if its holder dies the wheel stays locked until it has been made anew (recover.ts).
 */
import { map, NONE } from '../memory/arena';

@unmanaged
export class Wheel {
  lock: u32; // lock.ts
  retiredHead: u32; // expiry.ts: connections that wait for their epoch, oldest first; number + 1, 0 none
  retiredTail: u32;
  pad12: u32;
  tick: u64; // ms of the switch clock
  // from 24 on: a word for each level, of which slots have something in them; then the slots
}

/** Of one connection. */
@unmanaged
export class WheelLink {
  next: u32; // in the slot; number + 1, 0 none
  previous: u32; // number + 1, or FIRST + slot; 0: it is in none
}

export const WHEEL_LEVELS: u32 = 5;
export const WHEEL_SLOTS: u32 = 64; // of a level
export const WHEEL_SIZE: u32 = 1344; // 24 + 8 × WHEEL_LEVELS, then 4 × WHEEL_LEVELS × WHEEL_SLOTS
export const WHEEL_LINK_STRIDE: u32 = 8;

const OCCUPIED: usize = 24;
const SLOTS: usize = 64;
const DIGIT: u32 = 6; // bits of a tick, for each level
const FIRST: u32 = 0x80000000;

export function wheel(): Wheel {
  return changetype<Wheel>(map.wheel);
}

export function linkAt(number: u32): WheelLink {
  return changetype<WheelLink>(map.wheelLinks + <usize>number * WHEEL_LINK_STRIDE);
}

function occupiedAt(level: u32): usize {
  return map.wheel + OCCUPIED + ((<usize>level) << 3);
}

function slotAt(slot: u32): usize {
  return map.wheel + SLOTS + ((<usize>slot) << 2);
}

/** Leads from `slot` to `next`, number + 1, or 0. */
function setFirst(slot: u32, next: u32): void {
  const occupied = occupiedAt(slot >>> DIGIT);
  const bit = (<u64>1) << (slot & (WHEEL_SLOTS - 1));
  store<u64>(occupied, next != 0 ? load<u64>(occupied) | bit : load<u64>(occupied) & ~bit);
  store<u32>(slotAt(slot), next);
}

/** The slot for what is due at `ms`. */
function slotFor(ms: f64): u32 {
  const tick = wheel().tick;
  const lastShift = DIGIT * (WHEEL_LEVELS - 1);
  const horizon = ((tick >>> lastShift) + WHEEL_SLOTS - 1) << lastShift;
  const due = max(tick, <u64>min(ceil(ms), <f64>horizon));
  const level = min((63 - <u32>clz<u64>((due ^ tick) | 1)) / DIGIT, WHEEL_LEVELS - 1);
  return (level << DIGIT) | (<u32>(due >>> (level * DIGIT)) & (WHEEL_SLOTS - 1));
}

/** Puts a connection, which is in no slot, where it comes up when `ms` is reached, or before and never after. */
export function link(number: u32, ms: f64): void {
  const slot = slotFor(ms);
  const first = load<u32>(slotAt(slot));
  if (first != 0) linkAt(first - 1).previous = number + 1;
  linkAt(number).next = first;
  linkAt(number).previous = FIRST | slot;
  setFirst(slot, number + 1);
}

/** Takes a connection out of its slot, if it is in one. */
export function unlink(number: u32): void {
  const next = linkAt(number).next;
  const previous = linkAt(number).previous;
  if (previous == 0) return;
  if (next != 0) linkAt(next - 1).previous = previous;
  if (previous & FIRST) setFirst(previous & ~FIRST, next);
  else linkAt(previous - 1).next = next;
  linkAt(number).next = 0;
  linkAt(number).previous = 0;
}

/** The first slot that has something in it, or NONE. Of two that begin together the one of the higher level. */
export function nextSlot(): u32 {
  let next = NONE;
  let soonest: u64 = u64.MAX_VALUE;
  for (let level = WHEEL_LEVELS; level-- > 0; ) {
    const occupied = load<u64>(occupiedAt(level));
    if (occupied == 0) continue;
    const here = wheel().tick >>> (level * DIGIT);
    const slot = (level << DIGIT) | (<u32>(here + ctz<u64>(rotr<u64>(occupied, here))) & (WHEEL_SLOTS - 1));
    if (tickOf(slot) >= soonest) continue;
    soonest = tickOf(slot);
    next = slot;
  }
  return next;
}

/** When a slot begins: `tick`, or later. */
export function tickOf(slot: u32): u64 {
  const tick = wheel().tick;
  const shift = (slot >>> DIGIT) * DIGIT;
  const here = tick >>> shift;
  const ahead = (<u64>slot - here) & (WHEEL_SLOTS - 1);
  return max(tick, (here + ahead) << shift);
}

/** The connection at the head of a slot that has something in it. */
export function firstIn(slot: u32): u32 {
  return load<u32>(slotAt(slot)) - 1;
}

/** Makes the wheel empty, while all threads stand still, and takes the first `numbers` connections out. */
export function emptyWheel(numbers: u32): void {
  memory.fill(map.wheel + OCCUPIED, 0, WHEEL_SIZE - <u32>OCCUPIED);
  memory.fill(map.wheelLinks, 0, <usize>numbers * WHEEL_LINK_STRIDE);
  wheel().retiredHead = 0;
  wheel().retiredTail = 0;
}
