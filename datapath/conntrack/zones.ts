/**
 * Limits: how many connections there may be in each zone, and in all.
 *
 *     admission     limit, count │ default: reign, limit     of all; of each zone without a limit of its own
 *     zoneLimits    [ limit + 1 ] × 65,536                   0: the zone inherits the default
 *     zoneCounts    [ reign, count ] × 65,536                one word, changed as one
 *
 * A limit that is set begins a reign, which has a number of its own, and its count begins at 0: it counts what is
 * admitted under it. Each connection notes the reign under which it was counted (`Origin.admission`; 0: none), and
 * when it goes it is taken off only if that still lasts. So whatever is set meanwhile, no count goes wrong.
 * Reigns only go up. The default's comes to a zone when the next connection is admitted there, unless what the zone
 * has is later: since its own limit went.
 *
 * One thread at a time sets limits: of a zone the count first and then the limit. Any thread admits and dismisses;
 * nobody takes a lock, and counts are exact at every moment. A limit that is set below what there is ends nothing, and
 * lets nothing in.
 */
import { map, NONE } from '../memory/arena';
import { connectionAt, ORIGINAL, originOf, tupleOf } from './connection';

@unmanaged
export class Admission {
  all: u64; // atomic: the limit, and how many there are
  pad8: u64;
  pad16: u64;
  pad24: u64;
  pad32: u64;
  pad40: u64;
  pad48: u64;
  pad56: u64;
  byDefault: u64; // atomic: reign and limit of zones that have no limit of their own; limit 0: none
  lastReign: u32; // whoever sets limits
}

export const ADMISSION_SIZE: u32 = 128;
export const ZONES: u32 = 65536;

function admission(): Admission {
  return changetype<Admission>(map.admission);
}

function allAt(): usize {
  return map.admission + offsetof<Admission>('all');
}

function defaultAt(): usize {
  return map.admission + offsetof<Admission>('byDefault');
}

function limitAt(zone: u32): usize {
  return map.zoneLimits + ((<usize>zone) << 2);
}

function countAt(zone: u32): usize {
  return map.zoneCounts + ((<usize>zone) << 3);
}

function reignOf(word: u64): u32 {
  return <u32>(word >>> 32);
}

/** A reign, and a limit or a count under it; or a limit and a count. */
function join(high: u32, low: u32): u64 {
  return ((<u64>high) << 32) | low;
}

// Of all

/** Counts one connection more; false when there are as many as there may be. */
export function countIn(): bool {
  while (true) {
    const all = atomic.load<u64>(allAt());
    if (<u32>all >= <u32>(all >>> 32)) return false;
    if (atomic.cmpxchg<u64>(allAt(), all, all + 1) == all) return true;
  }
}

/** Counts one less. */
export function countOut(): void {
  atomic.sub<u64>(allAt(), 1);
}

/** How many connections there are, also those in the making. */
export function connectionCount(): u32 {
  return <u32>atomic.load<u64>(allAt());
}

/** How many there may be. */
export function connectionLimit(): u32 {
  return <u32>(atomic.load<u64>(allAt()) >>> 32);
}

// Of a zone

/** Counts a connection, which is in the making, under the limit of its zone; false when that is reached. */
export function countInZone(number: u32): bool {
  const zone = <u32>tupleOf(connectionAt(number), ORIGINAL).zone;
  while (true) {
    const own = atomic.load<u32>(limitAt(zone));
    const inherited = atomic.load<u64>(defaultAt());
    if (own == 0 && <u32>inherited == 0) return true;
    const counted = atomic.load<u64>(countAt(zone));
    const reign = own != 0 ? reignOf(counted) : max<u32>(reignOf(counted), reignOf(inherited));
    const n = reignOf(counted) == reign ? <u32>counted : 0;
    if (n >= (own != 0 ? own - 1 : <u32>inherited)) return false;
    if (atomic.cmpxchg<u64>(countAt(zone), counted, join(reign, n + 1)) != counted) continue;
    originOf(connectionAt(number)).admission = reign;
    return true;
  }
}

/** Takes a connection that goes off the count that it is in, if any. Once for each. */
export function dismiss(number: u32): void {
  const reign = originOf(connectionAt(number)).admission;
  if (reign == 0) return;
  const at = countAt(<u32>tupleOf(connectionAt(number), ORIGINAL).zone);
  while (true) {
    const counted = atomic.load<u64>(at);
    if (reignOf(counted) != reign) return;
    if (atomic.cmpxchg<u64>(at, counted, counted - 1) == counted) return;
  }
}

/** How many connections are counted under the limit of a zone, its own or inherited. */
export function zoneCount(zone: u32): u32 {
  const inherited = atomic.load<u64>(defaultAt());
  const counted = atomic.load<u64>(countAt(zone));
  if (atomic.load<u32>(limitAt(zone)) != 0) return <u32>counted;
  return <u32>inherited != 0 && reignOf(counted) >= reignOf(inherited) ? <u32>counted : 0;
}

/** A zone's own limit, or NONE. */
export function zoneLimit(zone: u32): u32 {
  return atomic.load<u32>(limitAt(zone)) - 1;
}

/** The limit of each zone that has none of its own; 0: they have none. */
export function defaultLimit(): u32 {
  return <u32>atomic.load<u64>(defaultAt());
}

// Setting limits

/** Sets how many connections there may be in all: at most `map.connectionLimit`. */
export function setConnectionLimit(limit: u32): void {
  while (true) {
    const all = atomic.load<u64>(allAt());
    if (atomic.cmpxchg<u64>(allAt(), all, join(limit, <u32>all)) == all) return;
  }
}

/** Gives a zone a limit of its own, below NONE; 0: no connection may be made there. Another value keeps the count. */
export function setZoneLimit(zone: u32, limit: u32): void {
  if (zoneLimit(zone) == NONE) beginReign(zone);
  atomic.store<u32>(limitAt(zone), limit + 1);
}

/** Has a zone inherit the default again. */
export function deleteZoneLimit(zone: u32): void {
  if (zoneLimit(zone) == NONE) return;
  beginReign(zone);
  atomic.store<u32>(limitAt(zone), 0);
}

function beginReign(zone: u32): void {
  atomic.store<u64>(countAt(zone), join(++admission().lastReign, 0));
}

/** Sets what zones inherit; 0: no limit. */
export function setDefaultLimit(limit: u32): void {
  const isNew = defaultLimit() == 0 || limit == 0;
  const reign = isNew ? ++admission().lastReign : reignOf(admission().byDefault);
  atomic.store<u64>(defaultAt(), join(reign, limit));
}

// After a death

/** Forgets all counts, while all threads stand still; `countAgain` is then called for each connection. */
export function forgetCounts(): void {
  atomic.store<u64>(allAt(), join(connectionLimit(), 0));
  for (let zone: u32 = 0; zone < ZONES; zone++) {
    const counted = load<u64>(countAt(zone));
    if (<u32>counted != 0) store<u64>(countAt(zone), join(reignOf(counted), 0));
  }
}

/** Counts a live connection as it was counted before. */
export function countAgain(number: u32): void {
  atomic.add<u64>(allAt(), 1); // also beyond a limit that has come down
  const connection = connectionAt(number);
  const at = countAt(<u32>tupleOf(connection, ORIGINAL).zone);
  const counted = load<u64>(at);
  const reign = originOf(connection).admission;
  if (reign != 0 && reignOf(counted) == reign) store<u64>(at, counted + 1);
}
