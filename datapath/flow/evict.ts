/**
 * Evicts flows: out of the datapath with one store, without the classifier's lock. The flow stays linked, and the sweep
 * unlinks it, or a handler that wants its place (install.ts).
 */
import { count, EVICTIONS } from '../counters';
import { conceal, lockClassifier, unlink, unlockClassifier } from './classifier';
import { credit } from './credit';
import { flowAt, isLive } from './flow';
import { DELETED, EVICTED, EVICTING, lifeAt, move, REMOVAL_QUEUED } from './life';
import { retire } from './retire';

/** Evicts a flow, for `reason`. Under its life's lock. */
export function evict(number: u32, reason: u32, place: u32): void {
  const life = lifeAt(number);
  if (!move(life, EVICTING, place)) return;
  life.reason = reason;
  if (isLive(flowAt(number))) conceal(flowAt(number));
  credit(number);
  life.removal = REMOVAL_QUEUED;
  move(life, EVICTED, place);
  count(EVICTIONS + reason, 1);
}

/** Unlinks a flow that was evicted, and retires it. Under its life's lock. */
export function deleteEvicted(number: u32, place: u32): void {
  lockClassifier();
  unlink(flowAt(number));
  unlockClassifier();
  move(lifeAt(number), DELETED, place);
  retire(number);
}
