/**
 * Lives of flows: a handler installs a flow, and again when its packet misses, while a revalidator evicts all it dumps and
 * sweeps; the numbers are used again as soon as they may be.
 */
import { checkLives, dumpAll, installFor, order, packetFor, setUpLives, sweepAll } from '../explore-lives';
import { beginDump } from '../flow/dump';
import { reclaim } from '../flow/retire';

export function setUp(): void {
  setUpLives(1, 1);
  installFor(1);
  beginDump();
}

/** The handler. */
export function thread0(): void {
  for (let i = 0; i < 2; i++) {
    if (!packetFor(1)) installFor(1);
    reclaim();
  }
}

/** The revalidator. */
export function thread1(): void {
  order(1, 0, -1);
  dumpAll();
  sweepAll();
  for (let i = 0; i < 3; i++) reclaim();
}

export function check(): void {
  checkLives();
}
