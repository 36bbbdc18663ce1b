/**
 * The MAC learning table: behind which port a station was last heard, for each VLAN (IEEE 802.1Q §8.7). All threads of
 * the slow path share it.
 *
 *     bucket ─▶ station ─▶ station     found by VLAN and address: a chain for each bucket
 *     oldest ─▶ … ─▶ newest            the order in which they were last heard: the first is the one to forget
 *     free ─▶ …                        records that were used before
 *
 * Records are as many as stations may be known; a bucket's head stands in the record of its number. One lock is over
 * all of it, held for as long as it takes to find one station and to put it elsewhere. The generation alone is read
 * without it: who has read it, and then looked a station up, sees it change when the station does.
 *
 * A thread may die with the lock, between any two stores. At every moment
 *
 *     the order, followed from `oldest` by `newer`, has every station but at most one, which is being changed
 *     each chain has its end, and only stations of its bucket
 *
 * because a station leaves the order before it leaves its chain, and comes into its chain, with all that is to be known
 * of it, before it comes into the order. So whoever releases the lock in the dead thread's name makes the rest anew
 * from the order first: nobody sees a table that is not whole, and no more than the station in hand is forgotten. That
 * takes some ten nanoseconds a station. Links are stored atomically, so that these stores stay in order.
 */
import { map, NONE } from '../memory/arena';
import { acquire, release, releaseAfter } from '../memory/lock';
import { self } from '../memory/thread';

@unmanaged
export class StationTable {
  lock: u32;
  oldest: u32; // stations: number + 1; 0: none
  newest: u32;
  free: u32; // of records that were used before, joined by `next`
  everUsed: u32; // records
  count: u32; // stations; others may look
  // at STATION_GENERATION, on a line of its own: u32; written under the lock, read by all with atomic loads
}

@unmanaged
export class Station {
  key: u64; // VLAN << 48 | address
  heardMs: f64; // switch clock
  port: u32; // 0: the record is free
  bucket: u32; // first of the stations whose hash says this record's number; number + 1
  next: u32; // in its bucket, or of the free ones
  older: u32;
  newer: u32;
}

export const STATION_TABLE_SIZE: u32 = 128;
export const STATION_GENERATION: usize = 64;
export const STATION_STRIDE: u32 = 40;

export function stationTable(): StationTable {
  return changetype<StationTable>(map.stationTable);
}

export function stationAt(number: u32): Station {
  return changetype<Station>(map.stations + <usize>number * STATION_STRIDE);
}

/** Goes up when a station is added, moves to another port or is removed, not when it is heard again. */
export function stationGeneration(): u32 {
  return atomic.load<u32>(map.stationTable + STATION_GENERATION);
}

function changeGeneration(): void {
  atomic.add<u32>(map.stationTable + STATION_GENERATION, 1);
}

export function lockStations(): void {
  acquire(map.stationTable, self.number);
}

export function unlockStations(): void {
  release(map.stationTable);
}

/** Number + 1 of the station with that key; 0: it is not known. The rest of the file is for who has the lock. */
export function findStation(key: u64): u32 {
  let at = load<u32>(bucketOf(key));
  while (at != 0 && stationAt(at - 1).key != key) at = stationAt(at - 1).next;
  return at;
}

/** Address of the head of a key's bucket. By multiply and shift, as in flow/hash.ts. */
function bucketOf(key: u64): usize {
  const hash = (key * (load<u64>(map.hashSalts) | 1)) >>> 32;
  const number = <u32>((hash * <u64>map.stationLimit) >>> 32);
  return changetype<usize>(stationAt(number)) + offsetof<Station>('bucket');
}

/** Makes a station known, in place of the oldest when there are as many as there may be. */
export function addStation(key: u64, port: u32, heardMs: f64): void {
  const table = stationTable();
  if (table.free == 0 && table.everUsed == map.stationLimit) removeStation(table.oldest);
  const at = takeRecord();
  const station = stationAt(at - 1);
  station.key = key;
  station.heardMs = heardMs;
  station.port = port;
  chain(at);
  append(at);
  table.count++;
  changeGeneration();
}

/** Notes that a station was heard again. */
export function renewStation(at: u32, port: u32, heardMs: f64): void {
  const station = stationAt(at - 1);
  if (station.port != port) changeGeneration();
  station.port = port;
  station.heardMs = heardMs;
  takeOut(at);
  append(at);
}

export function removeStation(at: u32): void {
  takeOut(at);
  unchain(at);
  giveRecord(at);
  stationTable().count--;
  changeGeneration();
}

function takeRecord(): u32 {
  const table = stationTable();
  const at = table.free;
  if (at == 0) return ++table.everUsed;
  table.free = stationAt(at - 1).next;
  return at;
}

function giveRecord(at: u32): void {
  const table = stationTable();
  stationAt(at - 1).port = 0;
  stationAt(at - 1).next = table.free;
  table.free = at;
}

function chain(at: u32): void {
  const bucket = bucketOf(stationAt(at - 1).key);
  stationAt(at - 1).next = load<u32>(bucket);
  atomic.store<u32>(bucket, at);
}

/** Takes a record out of its bucket's chain, if it is there. */
function unchain(at: u32): void {
  let link = bucketOf(stationAt(at - 1).key);
  while (load<u32>(link) != at) {
    if (load<u32>(link) == 0) return;
    link = changetype<usize>(stationAt(load<u32>(link) - 1)) + offsetof<Station>('next');
  }
  atomic.store<u32>(link, stationAt(at - 1).next);
}

/** Address of the link that leads to whatever comes behind a station in the order; behind 0 comes the oldest. */
function linkBehind(at: u32): usize {
  if (at == 0) return map.stationTable + offsetof<StationTable>('oldest');
  return changetype<usize>(stationAt(at - 1)) + offsetof<Station>('newer');
}

/** Takes a station out of the order. */
function takeOut(at: u32): void {
  const station = stationAt(at - 1);
  atomic.store<u32>(linkBehind(station.older), station.newer);
  if (station.newer == 0) stationTable().newest = station.older;
  else stationAt(station.newer - 1).older = station.older;
}

/** Makes a station, which is not in the order, the newest. */
function append(at: u32): void {
  const table = stationTable();
  stationAt(at - 1).older = table.newest;
  stationAt(at - 1).newer = 0;
  atomic.store<u32>(linkBehind(table.newest), at);
  table.newest = at;
}

/** Releases the lock if `thread`, which is dead, holds it, over a table that is whole; whether it did. */
export function releaseStations(thread: u32): bool {
  if (atomic.load<u32>(map.stationTable) == thread + 1) mend();
  return releaseAfter(map.stationTable, thread);
}

/** Keeps the stations that are in the order, and frees all other records. */
function mend(): void {
  const table = stationTable();
  for (let number: u32 = 0; number < table.everUsed; number++) stationAt(number).older = NONE;
  table.newest = 0;
  table.count = 0;
  for (let at = table.oldest; at != 0; at = stationAt(at - 1).newer) {
    stationAt(at - 1).older = table.newest;
    table.newest = at;
    table.count++;
  }
  table.free = 0;
  for (let number: u32 = 0; number < table.everUsed; number++) {
    if (stationAt(number).older != NONE) continue;
    unchain(number + 1);
    giveRecord(number + 1);
  }
  changeGeneration();
}
