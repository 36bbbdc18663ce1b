/** What the configuration says of connection tracking, put where the threads read it: before any of them starts. */
import { type Arena, Datapath } from '../datapath.ts';
import { giveTimeouts } from '../upcall/zone-timeouts.ts';
import type { Config } from './config.ts';
import { configureFragments } from './fragments.ts';

export function configureTracking(
  arena: Arena,
  { sequenceChecking, defaultLimit, zones, fragments }: Config['conntrack'],
): void {
  // In the place of the handler, which will set what changes later.
  const datapath = new Datapath(arena, arena.limits.threads - 1);
  const { exports } = datapath;
  exports.setSequenceChecking(sequenceChecking);
  exports.setDefaultLimit(defaultLimit);
  for (const [key, { limit, timeoutSeconds }] of Object.entries(zones)) {
    const zone = Number(key);
    if (limit !== undefined) exports.setZoneLimit(zone, limit);
    giveTimeouts(datapath, zone, timeoutSeconds);
  }
  configureFragments(arena, fragments);
}
