/**
 * The batch: the frames that one thread works on at a time, and what it has found out about each.
 * One for each thread, used by it alone.
 *
 *     frames   BATCH × u32      frame numbers, as received
 *     hashes   BATCH × u32      of the keys
 *     flows    BATCH × u32      address of the flow each takes; 0: none found
 *     punts    1 + BATCH × u32  how many, and their frame numbers: of the handler's batch, for the controller
 *     keys     BATCH × 128      flow keys
 */

import { Key } from './flow/key';
import { map } from './memory/arena';
import { self } from './memory/thread';

export const BATCH: u32 = 32;
export const BATCH_FRAMES: usize = 0;
export const BATCH_HASHES: usize = 128;
export const BATCH_FLOWS: usize = 256;
export const BATCH_PUNT_COUNT: usize = 384;
export const BATCH_PUNTS: usize = 388;
export const BATCH_KEYS: usize = 576;
/** Where TypeScript puts a mask, a key and a program for the module to take. */
export const BATCH_SCRATCH: usize = 4672;
export const BATCH_STRIDE: u32 = 9024; // keys, then 256 bytes and PROGRAM_WORDS of scratch, to a line

export function batch(): usize {
  return map.batches + <usize>(self.number * BATCH_STRIDE);
}

export function frameIn(i: u32): u32 {
  return load<u32>(batch() + BATCH_FRAMES + ((<usize>i) << 2));
}

export function setFrameIn(i: u32, number: u32): void {
  store<u32>(batch() + BATCH_FRAMES + ((<usize>i) << 2), number);
}

export function keyIn(i: u32): Key {
  return changetype<Key>(batch() + BATCH_KEYS + ((<usize>i) << 7));
}
