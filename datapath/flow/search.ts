/**
 * A thread's own order of the subtables: those that its packets use most come first, for a look-up ends at
 * the first that has a flow.
 *
 *     line 0    how many subtables it knows, batches until the next sorting
 *     open      BATCH × u32          packets of a batch that have no flow yet
 *     hashes    BATCH × u32          of their keys, under the mask that is being tried
 *     order     MAX_SUBTABLES × u16  numbers of subtables
 *     uses      MAX_SUBTABLES × u32  packets that a subtable took of late, by its number
 *
 * Used by its thread alone. The order always holds each subtable below `known` once, empty ones too, so a
 * mask that comes back needs no place; new ones are put last. Every SORT_BATCHES batches that went to the
 * classifier it is sorted anew and all uses are halved, so that what was is forgotten.
 */
import { map } from '../memory/arena';
import { self } from '../memory/thread';

@unmanaged
export class Search {
  known: u32;
  batchesLeft: u32;
}

export const SEARCH_OPEN: usize = 64;
export const SEARCH_HASHES: usize = 192;
export const SEARCH_ORDER: usize = 384;
export const SEARCH_USES: usize = 1408;
export const SEARCH_STRIDE: u32 = 3456;

const SORT_BATCHES: u32 = 1024;

export function search(): Search {
  return changetype<Search>(map.searches + <usize>(self.number * SEARCH_STRIDE));
}

/** Address of room for the numbers of BATCH packets. */
export function openAt(search: Search): usize {
  return changetype<usize>(search) + SEARCH_OPEN;
}

/** Address of room for as many hashes. */
export function hashesAt(search: Search): usize {
  return changetype<usize>(search) + SEARCH_HASHES;
}

/** The subtable to be tried after `at` others. */
export function subtableInOrder(search: Search, at: u32): u32 {
  return <u32>load<u16>(place(search, at));
}

/** Counts `packets` that found their flow in `subtable`. */
export function countUses(search: Search, subtable: u32, packets: u32): void {
  const at = usesAt(search, subtable);
  store<u32>(at, load<u32>(at) + packets);
}

/** Begins a batch that looks in the first `n` subtables. */
export function beginSearch(search: Search, n: u32): void {
  for (; search.known < n; search.known++) store<u16>(place(search, search.known), <u16>search.known);
  if (search.batchesLeft == 0) {
    sort(search);
    search.batchesLeft = SORT_BATCHES;
  }
  search.batchesLeft--;
}

/** By insertion: the order of before is nearly right. */
function sort(search: Search): void {
  for (let from: u32 = 1; from < search.known; from++) {
    const subtable = subtableInOrder(search, from);
    const uses = load<u32>(usesAt(search, subtable));
    let to = from;
    for (; to > 0; to--) {
      const before = subtableInOrder(search, to - 1);
      if (load<u32>(usesAt(search, before)) >= uses) break;
      store<u16>(place(search, to), <u16>before);
    }
    store<u16>(place(search, to), <u16>subtable);
  }
  for (let i: u32 = 0; i < search.known; i++) {
    store<u32>(usesAt(search, i), load<u32>(usesAt(search, i)) >>> 1);
  }
}

function place(search: Search, at: u32): usize {
  return changetype<usize>(search) + SEARCH_ORDER + ((<usize>at) << 1);
}

function usesAt(search: Search, subtable: u32): usize {
  return changetype<usize>(search) + SEARCH_USES + ((<usize>subtable) << 2);
}
