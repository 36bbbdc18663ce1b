/**
 * Lives of flows: packets are counted on a flow that is evicted, unlinked and given back meanwhile. Each is credited once:
 * the last when nobody can have the flow in hand any more.
 */

import { shares } from '../explore';
import { checkLives, dumpAll, installFor, order, packetFor, setUpLives, sweepAll } from '../explore-lives';
import { countersOf } from '../flow/credit';
import { beginDump } from '../flow/dump';
import { reclaim } from '../flow/retire';

export function setUp(): void {
  setUpLives(1, 1);
  for (let thread: u32 = 0; thread < 3; thread++) shares(changetype<usize>(countersOf(thread, 0)), 64);
  installFor(1);
  beginDump();
}

export function thread0(): void {
  order(1, 0, -1);
  dumpAll();
  sweepAll();
  for (let i = 0; i < 3; i++) reclaim();
}

export function thread1(): void {
  packetFor(1);
  packetFor(1);
}

export function thread2(): void {
  packetFor(1);
}

export function check(): void {
  for (let i = 0; i < 4; i++) reclaim();
  checkLives();
}
