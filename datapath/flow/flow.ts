/**
 * A datapath flow (megaflow): what to do with every packet whose key, under the mask, is the flow's. It is in
 * two parts, both found by its number:
 *
 *     head    a line       life and place in the classifier; the first 48 bytes of the key
 *     body    line 0       program; a long one goes on in blocks, each of which ends with the next one's number
 *             line 1, 2    the rest of the key; upkeep
 *
 * The key is masked already; the mask is the subtable's. Most masks have nothing beyond byte 48, so to verify
 * a flow is to read its head; and heads lie close together, which spares the processor's caches and the
 * tables by which it translates addresses.
 *
 * Written by the thread that installs it before `generation` becomes odd, and again only after it was
 * retired and two epochs have passed (epoch.ts). Read by every datapath thread: through the classifier or
 * through a remembered number, and `generation`, read atomically, must be odd: a flow live in this epoch is
 * whole until the thread's batch ends. One that was evicted stays in its bucket, not live, until it is swept
 * (life.ts). While it is there only `next` changes, under the classifier's lock and atomically. `Upkeep` is
 * for the thread that installs or retires it.
 */
import { map } from '../memory/arena';
import { KEY_SIZE, Key } from './key';

@unmanaged
export class Flow {
  generation: u32; // odd while live; goes up at installation and at removal
  next: u32; // next flow of the slot (buckets.ts); number + 1, 0 none
  hash: u32; // of the masked key
  subtable: u32;
}

/** What packets have nothing to do with. */
@unmanaged
export class Upkeep {
  blocks: u32; // first block of the program; number + 1, 0 none
  retiredEpoch: u32; // in which the flow was removed
  nextRetired: u32; // number + 1, 0 none
}

export const FLOW_STRIDE: u32 = 64;
export const FLOW_KEY: usize = 16;
/** Bytes of the key that are in the head. */
export const FLOW_KEY_SIZE: u32 = 48;

export const BODY_STRIDE: u32 = 192;
export const BODY_PROGRAM: usize = 0;
export const BODY_KEY: usize = 64;
export const BODY_UPKEEP: usize = 144;

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

function bodyAt(number: u32): usize {
  return map.flowBodies + <usize>(number * BODY_STRIDE);
}

export function programAt(number: u32): usize {
  return bodyAt(number) + BODY_PROGRAM;
}

export function upkeepAt(number: u32): Upkeep {
  return changetype<Upkeep>(bodyAt(number) + BODY_UPKEEP);
}

/** Address of the first FLOW_KEY_SIZE bytes of a flow's key. */
export function keyStart(flow: Flow): usize {
  return changetype<usize>(flow) + FLOW_KEY;
}

/** Address of the others. */
export function keyRest(flow: Flow): usize {
  return bodyAt(flowNumber(flow)) + BODY_KEY;
}

/** Gives a flow the bits of `key` that are in `mask`. */
export function setKey(flow: Flow, key: Key, mask: Key): void {
  const from = changetype<usize>(key);
  const under = changetype<usize>(mask);
  for (let i: usize = 0; i < KEY_SIZE; i += 8) {
    const to = i < FLOW_KEY_SIZE ? keyStart(flow) : keyRest(flow) - FLOW_KEY_SIZE;
    store<u64>(to + i, load<u64>(from + i) & load<u64>(under + i));
  }
}

/** Gives `heir` the key of `flow`, and with it its hash and place. */
export function inherit(heir: Flow, flow: Flow): void {
  memory.copy(keyStart(heir), keyStart(flow), FLOW_KEY_SIZE);
  memory.copy(keyRest(heir), keyRest(flow), KEY_SIZE - FLOW_KEY_SIZE);
  heir.hash = flow.hash;
  heir.subtable = flow.subtable;
}

/** Whether packets take a flow, so that it is in the datapath. */
export function isLive(flow: Flow): bool {
  return (atomic.load<u32>(changetype<usize>(flow)) & 1) != 0;
}

/** Atomically: another thread may be changing it. */
export function nextOf(flow: Flow): u32 {
  return atomic.load<u32>(changetype<usize>(flow) + offsetof<Flow>('next'));
}
