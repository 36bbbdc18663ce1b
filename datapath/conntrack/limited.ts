/** Finds the zones with a limit among all there are, for a list of limits (zones.ts). */
import { NONE } from '../memory/arena';
import { ZONES, zoneCount, zoneLimit } from './zones';

/** The first zone from `from` on that has a limit of its own, or connections counted under the inherited one; or NONE. */
export function nextLimitedZone(from: u32): u32 {
  for (let zone = from; zone < ZONES; zone++) {
    if (zoneLimit(zone) != NONE || zoneCount(zone) != 0) return zone;
  }
  return NONE;
}
