/**
 * The batch: the frames that one thread works on at a time, and what it has found out about each.
 * One for each thread, used by it alone.
 *
 *     frames   BATCH × u32      frame numbers, as received
 *     hashes   BATCH × u32      of the keys
 *     flows    BATCH × u32      address of the flow each takes; 0: none found
 *     misses   BATCH × u32      which of them the cache did not have
 *     punts    1 + BATCH × u32  how many, and their frame numbers: of the handler's batch, for the controller
 *     keys     BATCH × 128      flow keys
 *     segment  64               what the packet at hand says to its connection (conntrack/segment.ts)
 *     inner    64               tuple of the packet that is quoted in an ICMP error (conntrack/extract.ts)
 */

import { Key } from './flow/key';
import { self } from './memory/thread';

export const BATCH: u32 = 32;
export const BATCH_FRAMES: usize = 0;
export const BATCH_HASHES: usize = 128;
export const BATCH_FLOWS: usize = 256;
export const BATCH_MISSES: usize = 384;
export const BATCH_PUNT_COUNT: usize = 512;
export const BATCH_PUNTS: usize = 516;
export const BATCH_KEYS: usize = 704;
/**
 * Where TypeScript puts a mask, a key, a program and what else there is to say of a flow (flow/install.ts) for the
 * module to take; or the orders of a dump, and the module behind them the flows that are listed (flow/dump.ts); or a
 * filter of connections, and the module behind it the connections that pass.
 */
export const BATCH_SCRATCH: usize = 4800;
export const SCRATCH_SIZE: u32 = 5376; // 256 bytes, PROGRAM_WORDS and ABOUT_SIZE bytes
// Of the packet that is being tracked: what it says, and tuples (conntrack).
export const BATCH_SEGMENT: usize = 10176; // behind SCRATCH_SIZE bytes of scratch
export const BATCH_INNER: usize = 10240;
export const BATCH_TUPLE: usize = 10304;
export const BATCH_ANSWER: usize = 10368;
export const BATCH_TRIAL: usize = 10432; // room for a connection
export const BATCH_EXPECTED: usize = 10624; // tuple of a connection that is looked for among the expectations
export const BATCH_EXPECTATION: usize = 10688; // which of them it meets
export const BATCH_ANNOUNCEMENT: usize = 10752; // what a line of FTP says, and the text that replaces it
export const BATCH_STRIDE: u32 = 10880;

export function batch(): usize {
  return self.batch;
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
