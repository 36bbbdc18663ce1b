/**
 * Lives of flows: a flow gets another program while its packets come, which always find it, and another revalidator
 * comes by.
 */

import { BATCH_SCRATCH, batch } from '../batch';
import {
  checkLives,
  dumpAll,
  installFor,
  order,
  packetFor,
  setUpLives,
  sweepAll,
  writeAbout,
  writeDrop,
} from '../explore-lives';
import { beginDump } from '../flow/dump';
import { lifeAt } from '../flow/life';
import { reclaim } from '../flow/retire';
import { renewFlow } from '../flow/revalidate';

export function setUp(): void {
  setUpLives(2, 1);
  installFor(1);
  beginDump();
}

export function thread0(): void {
  const program = batch() + BATCH_SCRATCH + 256;
  for (let number: u32 = 0; number < 4; number++) {
    renewFlow(number, lifeAt(number).serial, writeDrop(program, 1), writeAbout(program + 64));
  }
  for (let i = 0; i < 3; i++) reclaim();
}

export function thread1(): void {
  order(1, 0, 5);
  dumpAll();
  sweepAll();
}

export function thread2(): void {
  assert(packetFor(1), 'a flow that stays was not found');
  assert(packetFor(1), 'a flow that stays was not found');
}

export function check(): void {
  checkLives();
}
