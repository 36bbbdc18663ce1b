/**
 * Retires flows: a record that was unlinked, or replaced, is given back two epochs later. Until then batches that had
 * found it run its program and count on it; so it is then, and not before, that its last packets are credited and its
 * effects end.
 *
 *     Thread.retiredHead ──▶ [ flow │ epoch ]──▶ [ flow │ epoch ]──▶ 0      a list of each thread, oldest first
 *
 * Whoever retires a flow is the only one to have it (life.ts). The lists are their threads' own; while all threads
 * stand still others may walk them (reclaim.ts), and whoever wants every packet credited looks at their heads.
 */

import { map } from '../memory/arena';
import { advance, currentEpoch } from '../memory/epoch';
import { give, POOL_FLOWS } from '../memory/pool';
import { self, Thread, threadAt } from '../memory/thread';
import { credit } from './credit';
import { endEffects } from './effects';
import { upkeepAt } from './flow';
import { lifeAt, REMOVAL_NONE, REMOVAL_RETIRED } from './life';
import { giveBlocks } from './write-program';

/** Has the record of a flow that is not linked any more given back in time. */
export function retire(number: u32): void {
  const life = lifeAt(number);
  assert(life.removal != REMOVAL_RETIRED, 'a record is retired twice');
  life.removal = REMOVAL_RETIRED;
  const upkeep = upkeepAt(number);
  upkeep.retiredEpoch = currentEpoch();
  upkeep.nextRetired = 0;
  if (self.retiredTail == 0) setHead(number + 1);
  else upkeepAt(self.retiredTail - 1).nextRetired = number + 1;
  self.retiredTail = number + 1;
}

/** Gives back the flows that this thread retired at least two epochs ago. */
export function reclaim(): void {
  if (self.retiredHead == 0) return;
  advance();
  const epoch = currentEpoch();
  while (self.retiredHead != 0) {
    const number = self.retiredHead - 1;
    const upkeep = upkeepAt(number);
    if (epoch - upkeep.retiredEpoch < 2) return;
    const next = upkeep.nextRetired;
    giveBack(number);
    if (next == 0) self.retiredTail = 0;
    setHead(next);
  }
}

function giveBack(number: u32): void {
  credit(number);
  const life = lifeAt(number);
  life.removal = REMOVAL_NONE;
  endEffects(life);
  giveBlocks(number);
  give(self.number, POOL_FLOWS, number);
}

/** The head goes on when a flow has been credited for the last time, not before. */
function setHead(next: u32): void {
  atomic.store<u32>(headOf(self), next);
}

function headOf(thread: Thread): usize {
  return changetype<usize>(thread) + offsetof<Thread>('retiredHead');
}

/** Whether each flow that any thread retired in `epoch` or before has been credited for the last time. */
export function areGivenBack(epoch: u32): bool {
  for (let thread: u32 = 0; thread < map.threadCount; thread++) {
    const head = atomic.load<u32>(headOf(threadAt(thread)));
    if (head == 0) continue;
    const retiredEpoch = upkeepAt(head - 1).retiredEpoch;
    // One that was given back meanwhile may have been retired again: who asks comes again.
    if (atomic.load<u32>(headOf(threadAt(thread))) != head || <i32>(retiredEpoch - epoch) <= 0) return false;
  }
  return true;
}
