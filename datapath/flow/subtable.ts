/**
 * A subtable: all flows of one mask.
 *
 *     line 0      how many flows, where the mask has anything; the first 48 bytes of the mask
 *     line 1, 2   the rest of the mask
 *
 * Written under the classifier's lock. `flows` is read without it, atomically, to pass over empty subtables;
 * whoever has seen it above 0, or a live flow of the subtable, may read mask and bitmap until its
 * batch ends: they change only while the subtable is empty and has been for two epochs.
 */
import { map } from '../memory/arena';
import { currentEpoch } from '../memory/epoch';
import { FLOW_KEY_SIZE, Flow, keyRest, keyStart } from './flow';
import { hashMasked } from './hash';
import { KEY_SIZE, Key } from './key';

@unmanaged
export class Subtable {
  flows: u32;
  emptyEpoch: u32; // when the last of its flows was unlinked
  lanes: u32; // in which of its 16-byte lanes the mask has anything, bit by number
}

export const SUBTABLE_STRIDE: u32 = 192;
export const SUBTABLE_MASK: usize = 16;
/** A look-up that finds nothing pays for every one of them: about 5 ns each. */
export const MAX_SUBTABLES: u32 = 512;
export const NO_SUBTABLE: u32 = 0xffffffff;

/** Bitmap of the lanes whose key is in a flow's head. */
const FIRST_LANES: u32 = 7;

export function subtableAt(i: u32): Subtable {
  return changetype<Subtable>(map.subtables + <usize>(i * SUBTABLE_STRIDE));
}

export function maskAt(i: u32): Key {
  return changetype<Key>(changetype<usize>(subtableAt(i)) + SUBTABLE_MASK);
}

/** Whether a subtable has no flows. */
export function isEmpty(i: u32): bool {
  return atomic.load<u32>(changetype<usize>(subtableAt(i))) == 0;
}

/** Counts a flow in. Under the lock. */
export function countIn(i: u32): void {
  const subtable = subtableAt(i);
  atomic.store<u32>(changetype<usize>(subtable), subtable.flows + 1);
}

/** Counts out a flow that is unlinked. Under the lock. */
export function countOut(i: u32): void {
  const subtable = subtableAt(i);
  atomic.store<u32>(changetype<usize>(subtable), subtable.flows - 1);
  subtable.emptyEpoch = currentEpoch(); // read after the store: who saw a flow here entered in it or before
}

/** Says that all subtables are empty, while all threads stand still; then each flow is counted in again. */
export function emptySubtables(): void {
  for (let i: u32 = 0; i < map.subtableCount; i++) {
    subtableAt(i).flows = 0;
    subtableAt(i).emptyEpoch = currentEpoch();
  }
}

/** Whether a subtable may take another mask. Under the lock. */
export function isFree(i: u32): bool {
  const subtable = subtableAt(i);
  return subtable.flows == 0 && currentEpoch() - subtable.emptyEpoch >= 2;
}

/** Gives a subtable that nobody reads its mask. Under the lock. */
export function setMask(i: u32, mask: Key): void {
  memory.copy(changetype<usize>(maskAt(i)), changetype<usize>(mask), KEY_SIZE);
  let lanes: u32 = 0;
  for (let lane: u32 = 0; lane < KEY_SIZE / 16; lane++) {
    const isUsed = v128.any_true(v128.load(changetype<usize>(mask) + ((<usize>lane) << 4)));
    lanes |= (<u32>isUsed) << lane;
  }
  subtableAt(i).lanes = lanes;
}

/** The hash of a key under a subtable's mask. */
export function hashIn(i: u32, key: Key): u32 {
  return hashMasked(key, maskAt(i), subtableAt(i).lanes, i);
}

/** Whether a subtable has exactly this mask. */
export function hasMask(i: u32, mask: Key): bool {
  return memory.compare(changetype<usize>(maskAt(i)), changetype<usize>(mask), KEY_SIZE) == 0;
}

/** Whether `flow`, which was live in this epoch, takes packets with `key`. */
export function takes(flow: Flow, key: Key): bool {
  return takesStart(flow, key) && (!hasRest(flow) || takesRest(flow, key));
}

/** The same for the lanes whose key is in the flow's head. */
export function takesStart(flow: Flow, key: Key): bool {
  const k = changetype<usize>(key);
  const m = changetype<usize>(maskAt(flow.subtable));
  const f = keyStart(flow);
  const first = v128.or(differs(k, m, f), differs(k + 16, m + 16, f + 16));
  return !v128.any_true(v128.or(first, differs(k + 32, m + 32, f + 32)));
}

/** Whether there are others. */
export function hasRest(flow: Flow): bool {
  return subtableAt(flow.subtable).lanes > FIRST_LANES;
}

/** The same for the others. */
export function takesRest(flow: Flow, key: Key): bool {
  const m = changetype<usize>(maskAt(flow.subtable));
  const f = keyRest(flow) - FLOW_KEY_SIZE;
  for (let lanes = subtableAt(flow.subtable).lanes & ~FIRST_LANES; lanes != 0; lanes &= lanes - 1) {
    const at = (<usize>ctz<u32>(lanes)) << 4;
    if (v128.any_true(differs(changetype<usize>(key) + at, m + at, f + at))) return false;
  }
  return true;
}

/** The bits in which 16 bytes of a key under a mask are not a flow's. */
function differs(key: usize, mask: usize, masked: usize): v128 {
  return v128.xor(v128.and(v128.load(key), v128.load(mask)), v128.load(masked));
}
