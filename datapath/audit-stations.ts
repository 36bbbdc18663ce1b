/** What must hold of the table of stations whenever its lock is free. For tests alone. */
import { findStation, lockStations, stationAt, stationTable, unlockStations } from './bridge/stations';
import { map, NONE } from './memory/arena';

/** How many stations there are; NONE: what leads to them does not agree. Nobody can use the table meanwhile. */
export function auditStations(): u32 {
  lockStations();
  const table = stationTable();
  const n = countInOrder();
  const isRight = n == table.count && countInChains() == n && n + countFree() == table.everUsed;
  unlockStations();
  return isRight ? n : NONE;
}

/** Stations in the order; NONE: it does not lead back, or one of them is not found by its address. */
function countInOrder(): u32 {
  const table = stationTable();
  let n: u32 = 0;
  let before: u32 = 0;
  for (let at = table.oldest; at != 0; at = stationAt(at - 1).newer) {
    const station = stationAt(at - 1);
    if (station.older != before || station.port == 0 || findStation(station.key) != at) return NONE;
    if (n++ == map.stationLimit) return NONE;
    before = at;
  }
  return table.newest == before ? n : NONE;
}

function countInChains(): u32 {
  let n: u32 = 0;
  for (let number: u32 = 0; number < map.stationLimit; number++) {
    for (let at = stationAt(number).bucket; at != 0 && n <= map.stationLimit; at = stationAt(at - 1).next)
      n++;
  }
  return n;
}

function countFree(): u32 {
  let n: u32 = 0;
  for (let at = stationTable().free; at != 0 && n <= map.stationLimit; at = stationAt(at - 1).next) n++;
  return n;
}
