/** Lives of flows: two revalidators dump and sweep the same share, in which one flow goes and one came just now. */
import { checkLives, dumpAll, installFor, order, packetFor, setUpLives, sweepAll } from '../explore-lives';
import { beginDump } from '../flow/dump';
import { reclaim } from '../flow/retire';

export function setUp(): void {
  setUpLives(2, 1);
  installFor(1);
  packetFor(1);
  beginDump();
  installFor(2);
}

function revalidate(): void {
  order(1, 0, -1);
  dumpAll();
  sweepAll();
  reclaim();
}

export function thread0(): void {
  revalidate();
}

export function thread1(): void {
  revalidate();
}

export function thread2(): void {
  packetFor(1);
}

export function check(): void {
  checkLives();
  assert(!packetFor(1), 'a flow was to go and did not');
  assert(packetFor(2), 'a flow that the dump need not see is gone');
}
