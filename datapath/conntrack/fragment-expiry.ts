/**
 * Fragments whose datagram is not complete in time: 15 seconds from its first fragment on. They are dropped, by whoever
 * sweeps (the handler, as it does connections) or brings the next fragment. Datagrams are in the table in the order of
 * their age, so who looks at the oldest looks at enough; each is taken out under the lock, and its fragments are dropped
 * after.
 */
import { COUNT_FRAGMENTS_EXPIRED, count } from '../counters';
import { DROP_FRAGMENT_INCOMPLETE } from '../drop';
import { map } from '../memory/arena';
import { self } from '../memory/thread';
import { drop } from '../transmit';
import {
  datagramAt,
  familyOf,
  lockDatagrams,
  oldestDatagram,
  removeDatagram,
  takeFromDatagram,
  unlockDatagrams,
} from './datagrams';
import { fragmentAt } from './fragment';

/** Drops the fragments of datagrams whose time is over by this thread's clock. Returns how many. */
export function sweepFragments(): u32 {
  return dropUntil(self.nowMs);
}

/** Drops all fragments: nothing more comes in. Returns how many. */
export function dropAllFragments(): u32 {
  return dropUntil(Infinity);
}

/** When `sweepFragments` has something to do; Infinity: there is nothing to wait for. */
export function fragmentsDueMs(): f64 {
  if (map.fragmentLimit == 0) return Infinity;
  lockDatagrams();
  const at = oldestDatagram();
  const due = at != 0 ? datagramAt(at - 1).expiresMs : Infinity;
  unlockDatagrams();
  return due;
}

function dropUntil(nowMs: f64): u32 {
  let dropped: u32 = 0;
  while (takeOldest(nowMs)) dropped += dropFragments(taken, DROP_FRAGMENT_INCOMPLETE);
  return dropped;
}

/** The fragments of the datagram that this thread has just removed: the first, number + 1. */
let taken: u32 = 0;

/** Removes the oldest datagram if its time is over at `nowMs`; whether it did. */
function takeOldest(nowMs: f64): bool {
  if (map.fragmentLimit == 0) return false;
  lockDatagrams();
  const at = oldestDatagram();
  const isOver = at != 0 && datagramAt(at - 1).expiresMs <= nowMs;
  if (isOver) {
    taken = takeFromDatagram(datagramAt(at - 1));
    removeDatagram(at);
  }
  unlockDatagrams();
  return isOver;
}

/** Drops the fragment `first`, number + 1, and those behind it. Returns how many. */
export function dropFragments(first: u32, reason: u32): u32 {
  let n: u32 = 0;
  for (let at = first; at != 0; n++) {
    const number = at - 1;
    at = fragmentAt(number).next;
    if (reason == DROP_FRAGMENT_INCOMPLETE) countFragment(COUNT_FRAGMENTS_EXPIRED, number);
    drop(number, reason);
  }
  return n;
}

/** Counts a fragment under one of COUNT_FRAGMENTS_…. */
export function countFragment(which: u32, number: u32): void {
  count(which + familyOf(number), 1);
}
