/**
 * Where a thread's time goes, by stage of a packet's way. Of a datapath thread's batches only one in some dozens is
 * timed: TypeScript, which knows what a clock is, sets `Thread.timing` for it and lends the module its own as `now`.
 * TypeScript notes the stages outside the module, receiving and transmitting, and all of the slow path, where each
 * packet is timed; what a handler notes as parsing has taking misses from the rings in it.
 *
 *     a thread   [ packets, ns ] × STAGES      written by that thread alone; readers see a batch half noted
 */
import { map } from './memory/arena';
import { self } from './memory/thread';

export const STAGE_RECEIVE: u32 = 0;
export const STAGE_PARSE: u32 = 1;
export const STAGE_LOOK_UP: u32 = 2;
export const STAGE_ACT: u32 = 3;
export const STAGE_TRANSMIT: u32 = 4;
export const STAGE_TRANSLATE: u32 = 5; // handler, revalidator: walking the tables
export const STAGE_INSTALL: u32 = 6; // handler: writing the flow
export const STAGE_DUMP: u32 = 7; // revalidator: flows that it came by, without translating them again
export const STAGE_SWEEP: u32 = 8;
export const STAGES: u32 = 9;

@unmanaged
export class StageTime {
  packets: f64; // of the batches that were timed
  ns: f64; // that the stage took for them
}

export const STAGES_STRIDE: u32 = 192; // STAGES × StageTime, to a line

/** Milliseconds since some moment of this thread's own. */
export declare function now(): f64;

/** Notes that `stage` took `ms` for `packets`. */
export function noteStage(stage: u32, packets: u32, ms: f64): void {
  const at = map.stages + <usize>(self.number * STAGES_STRIDE + stage * offsetof<StageTime>());
  const time = changetype<StageTime>(at);
  time.packets += <f64>packets;
  time.ns += ms * 1e6;
}
