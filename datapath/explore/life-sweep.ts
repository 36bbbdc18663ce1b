/**
 * Lives of flows: a flow was evicted, and a handler wants its place when the sweep is about to unlink it. One of the two
 * retires it.
 */
import { checkLives, dumpAll, installFor, order, packetFor, setUpLives, sweepAll } from '../explore-lives';
import { beginDump } from '../flow/dump';
import { reclaim } from '../flow/retire';
import { NONE } from '../memory/arena';

export function setUp(): void {
  setUpLives(2, 1);
  installFor(1);
  packetFor(1);
  beginDump();
  order(1, 0, -1);
  dumpAll();
}

/** The handler. */
export function thread0(): void {
  if (installFor(1) != NONE) assert(packetFor(1), 'a flow was installed and takes no packets');
  for (let i = 0; i < 3; i++) reclaim();
}

/** The revalidator. */
export function thread1(): void {
  order(1, 0, -1);
  sweepAll();
  for (let i = 0; i < 3; i++) reclaim();
}

export function thread2(): void {
  packetFor(1);
}

export function check(): void {
  checkLives();
}
