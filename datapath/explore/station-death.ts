/**
 * A thread that dies while it changes the table of stations: the second thread keeps what the first would leave behind
 * if it died just then. The table is put right from that, and but for the station in hand nothing is forgotten.
 */
import { auditStations } from '../audit-stations';
import { forgetStations, learnAgain, lookUpStation } from '../bridge/learn';
import { releaseStations, STATION_STRIDE } from '../bridge/stations';
import { scratch, shares } from '../explore';
import { map, NONE } from '../memory/arena';

const LIMIT: u32 = 3;
const GONE: usize = 64; // from here on in scratch memory: ports that are gone
const COPY: usize = 128;
const LEFT: usize = 256; // what the thread leaves behind

function tableBytes(): usize {
  return map.stations - map.stationTable + LIMIT * STATION_STRIDE;
}

export function setUp(): void {
  map.stationLimit = LIMIT;
  shares(map.stationTable, tableBytes());
  for (let mac: u32 = 1; mac <= LIMIT; mac++) learnAgain(0, 0, mac, 1, mac);
  store<u8>(scratch() + GONE + 2, 1);
}

/** Moves the second station, puts one in the place of the first, and forgets the second. The third stays. */
export function thread0(): void {
  learnAgain(0, 0, 2, 2, 4);
  learnAgain(0, 0, 4, 1, 5);
  forgetStations(scratch() + GONE);
}

export function thread1(): void {
  memory.copy(scratch() + LEFT, map.stationTable, tableBytes());
}

export function check(): void {
  memory.copy(map.stationTable, scratch() + LEFT, tableBytes());
  releaseStations(0);
  const n = auditStations();
  assert(n != NONE, 'what leads to the stations does not agree');
  assert(
    n >= LIMIT - 1 && lookUpStation(0, 0, 3, scratch() + COPY),
    'more than the station in hand is forgotten',
  );
  for (let mac: u32 = 5; mac < 5 + LIMIT; mac++) learnAgain(0, 0, mac, 1, 10);
  assert(auditStations() == LIMIT, 'there is no room for as many as there may be');
}
