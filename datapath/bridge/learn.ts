/**
 * What threads do with the stations that NORMAL knows: learn, look up, list and forget them. Each takes the lock for one
 * station at a time, so nobody waits for a walk over a table of 100,000; what others change meanwhile, a walk may see or
 * not.
 */
import { map, NONE } from '../memory/arena';
import {
  addStation,
  findStation,
  lockStations,
  removeStation,
  renewStation,
  STATION_STRIDE,
  StationTable,
  stationAt,
  stationTable,
  unlockStations,
} from './stations';

/** The group bit, the first to be sent (IEEE 802 §8.2), in the upper 16 bits of an address. */
const GROUP: u32 = 0x100;

/** `macHigh`: the upper 16 of an address's 48 bits. */
function keyOf(vlan: u32, macHigh: u32, macLow: u32): u64 {
  return ((<u64>((vlan << 16) | macHigh)) << 32) | macLow;
}

/**
 * Notes that a station was heard on a port, whether it is known or not. A multicast address is no station, and old
 * news is no news.
 */
export function learnAgain(vlan: u32, macHigh: u32, macLow: u32, port: u32, heardMs: f64): void {
  if (macHigh & GROUP) return;
  const key = keyOf(vlan, macHigh, macLow);
  lockStations();
  const at = findStation(key);
  if (at == 0) addStation(key, port, heardMs);
  else if (heardMs >= stationAt(at - 1).heardMs) renewStation(at, port, heardMs);
  unlockStations();
}

/** Copies the station with that address to `copy`; false: it is not known. */
export function lookUpStation(vlan: u32, macHigh: u32, macLow: u32, copy: usize): bool {
  const key = keyOf(vlan, macHigh, macLow);
  lockStations();
  const at = findStation(key);
  if (at != 0) copyOut(at, copy);
  unlockStations();
  return at != 0;
}

/** Copies the first station from record `from` on to `copy`. Returns its record's number; NONE: there is none. */
export function nextStation(from: u32, copy: usize): u32 {
  for (let number = from; number < everUsed(); number++) {
    lockStations();
    const isThere = stationAt(number).port != 0;
    if (isThere) copyOut(number + 1, copy);
    unlockStations();
    if (isThere) return number;
  }
  return NONE;
}

/** Forgets what has not been heard for `ageingMs`: from the longest unheard on, up to the first that has. */
export function expireStations(nowMs: f64, ageingMs: f64): void {
  while (expireOldest(nowMs, ageingMs)) {}
}

function expireOldest(nowMs: f64, ageingMs: f64): bool {
  lockStations();
  const oldest = stationTable().oldest;
  const isOver = oldest != 0 && stationAt(oldest - 1).heardMs + ageingMs <= nowMs;
  if (isOver) removeStation(oldest);
  unlockStations();
  return isOver;
}

/** Forgets what was heard behind ports that are gone: `gone` has a byte for each port number, 1 when it is. */
export function forgetStations(gone: usize): void {
  for (let number: u32 = 0; number < everUsed(); number++) {
    lockStations();
    const port = stationAt(number).port;
    if (port != 0 && load<u8>(gone + <usize>port) != 0) removeStation(number + 1);
    unlockStations();
  }
}

/** Records from this number on have never been a station's. Goes up only. */
function everUsed(): u32 {
  return atomic.load<u32>(map.stationTable + offsetof<StationTable>('everUsed'));
}

function copyOut(at: u32, copy: usize): void {
  memory.copy(copy, changetype<usize>(stationAt(at - 1)), STATION_STRIDE);
}
