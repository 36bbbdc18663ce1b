/**
 * A datapath flow (megaflow): what to do with every packet whose key, under the mask, is the flow's.
 *
 *     line 0      life and place in the classifier
 *     line 1, 2   key, already masked; the mask is the subtable's
 *     line 3      program; a long one goes on in blocks, each of which ends with the number of the next
 *
 * Written by the thread that installs it before `generation` becomes odd, and again only after it was
 * retired and two epochs have passed (epoch.ts). Read by every datapath thread: through the classifier,
 * which shows only live flows, or through a remembered number, and then `generation` must be odd before
 * the compare and the same after it. While it is live only `next` changes, under the classifier's lock and
 * atomically. `retiredEpoch` and `nextRetired` are the handler's that retired it.
 */
import { map } from '../memory/arena';
import { Key } from './key';

@unmanaged
export class Flow {
  generation: u32; // odd while live; goes up at installation and at removal
  next: u32; // next flow of the bucket; number + 1, 0 none
  hash: u32; // of the masked key
  subtable: u32;
  retiredEpoch: u32;
  nextRetired: u32; // number + 1, 0 none
  blocks: u32; // first block of the program; number + 1, 0 none
}

export const FLOW_STRIDE: u32 = 256;
export const FLOW_KEY: usize = 64;
export const FLOW_PROGRAM: usize = 192;

/** 32-bit words of a program that stand in the flow itself, and in each block. */
export const FLOW_PROGRAM_WORDS: u32 = 16;
export const BLOCK_WORDS: u32 = 63;
export const BLOCK_LINK: usize = 252; // next block; number + 1, 0 none
export const BLOCK_STRIDE: u32 = 256;

export function flowAt(number: u32): Flow {
  return changetype<Flow>(map.flows + <usize>(number * FLOW_STRIDE));
}

export function blockAt(number: u32): usize {
  return map.blocks + <usize>(number * BLOCK_STRIDE);
}

export function flowNumber(flow: Flow): u32 {
  return <u32>(changetype<usize>(flow) - map.flows) / FLOW_STRIDE;
}

export function flowKey(flow: Flow): Key {
  return changetype<Key>(changetype<usize>(flow) + FLOW_KEY);
}

/** Whether `key` under `mask` is `masked`. KEY_SIZE bytes each. */
export function matches(key: Key, mask: Key, masked: Key): bool {
  const k = changetype<usize>(key);
  const m = changetype<usize>(mask);
  const f = changetype<usize>(masked);
  return sameLine(k, m, f) && sameLine(k + 64, m + 64, f + 64);
}

function sameLine(k: usize, m: usize, f: usize): bool {
  const a = v128.xor(v128.and(v128.load(k), v128.load(m)), v128.load(f));
  const b = v128.xor(v128.and(v128.load(k, 16), v128.load(m, 16)), v128.load(f, 16));
  const c = v128.xor(v128.and(v128.load(k, 32), v128.load(m, 32)), v128.load(f, 32));
  const d = v128.xor(v128.and(v128.load(k, 48), v128.load(m, 48)), v128.load(f, 48));
  return !v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)));
}
