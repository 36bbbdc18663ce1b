/**
 * The table of stations, with room for two: one is heard on two ports at once, another takes the place of a third, ports
 * and old entries are forgotten, and a fourth thread decides by what it finds.
 */
import { auditStations } from '../audit-stations';
import { expireStations, forgetStations, learnAgain, lookUpStation } from '../bridge/learn';
import { STATION_STRIDE, STATION_TABLE_SIZE, Station, stationGeneration } from '../bridge/stations';
import { changes, scratch, shares } from '../explore';
import { map } from '../memory/arena';

const A: u32 = 0xa;
const B: u32 = 0xb;
const C: u32 = 0xc;

const GONE: usize = 64; // from here on in scratch memory: ports that are gone
const COPY: usize = 128;

export function setUp(): void {
  map.stationLimit = 2;
  shares(map.stationTable, STATION_TABLE_SIZE);
  changes(map.stations, 2 * STATION_STRIDE);
  learnAgain(0, 0, C, 1, 1);
  store<u8>(scratch() + GONE + 1, 1);
}

export function thread0(): void {
  learnAgain(0, 0, A, 1, 10);
}

export function thread1(): void {
  learnAgain(0, 0, B, 2, 11);
  learnAgain(0, 0, A, 2, 12);
}

export function thread2(): void {
  forgetStations(scratch() + GONE);
  expireStations(11, 10);
}

export function thread3(): void {
  store<u32>(scratch(), stationGeneration());
  store<u32>(scratch(), portOf(A), 4);
}

/** 0: it is not known. */
function portOf(mac: u32): u32 {
  const copy = scratch() + COPY;
  return lookUpStation(0, 0, mac, copy) ? changetype<Station>(copy).port : 0;
}

export function check(): void {
  assert(auditStations() == 2, 'what leads to the stations does not agree');
  assert(portOf(A) == 2 && portOf(B) == 2, 'a station is not where it was last heard');
  const isSeen = load<u32>(scratch()) != stationGeneration();
  assert(
    isSeen || load<u32>(scratch(), 4) == portOf(A),
    'a station moved, and the generation did not change',
  );
}
