/** Lives of flows: two revalidators evict and sweep flows of one bucket, each its share; both credit one rule. */
import { checkLives, installFor, order, packetFor, setUpLives } from '../explore-lives';
import { beginDump, dumpStep } from '../flow/dump';
import { reclaim } from '../flow/retire';
import { sweepStep } from '../flow/sweep';
import { give, POOL_FLOWS, take } from '../memory/pool';

export function setUp(): void {
  setUpLives(1, 256);
  give(0, POOL_FLOWS, take(1, POOL_FLOWS));
  for (let id: u32 = 1; id <= 2; id++) {
    installFor(id);
    packetFor(id);
  }
  beginDump();
}

function revalidate(index: u32): void {
  order(2, index, -1);
  dumpStep(0, 1);
  sweepStep(0, 1);
  for (let i = 0; i < 3; i++) reclaim();
}

export function thread0(): void {
  revalidate(0);
}

export function thread1(): void {
  revalidate(1);
}

export function thread2(): void {
  packetFor(1);
  packetFor(2);
}

export function check(): void {
  checkLives();
  assert(!packetFor(1) && !packetFor(2), 'a flow was to go and did not');
}
