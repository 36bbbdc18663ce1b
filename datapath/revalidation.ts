/**
 * The rounds of the revalidators. What all of them do now follows from the phase of one barrier alone:
 *
 *     phase mod 3    BEGIN    wait: the first of them arrives when a round is due
 *                    DUMP     each goes over its share of the flows
 *                    SWEEP    each removes from its share what is finished
 *
 * So one that starts anew joins in whatever goes on, and one that dies holds nobody up: it is taken off the barrier.
 * What its share lacks then the next round makes good; whoever wants every flow to have been seen looks at `deaths`.
 * No revalidator waits in the module: it announces that it is done and is rung when the phase moves on.
 *
 * Settings are the control side's, numbers about rounds the leader's, who is the first that is there. Others read both
 * with atomic loads.
 */
import { map } from './memory/arena';
import { announce, Barrier, join, leave, membersOf, phaseNow } from './memory/barrier';
import { ring } from './memory/doorbell';
import { self } from './memory/thread';

@unmanaged
export class Revalidation {
  sets: u64; // the barrier (barrier.ts)
  phase: u32;
  deaths: u32; // revalidators that were taken off. By the control side
  pad16: u64;
  pad24: u64;
  pad32: u64;
  pad40: u64;
  pad48: u64;
  pad56: u64;
  // Settings, and what is asked
  mostFlows: u32; // the flow limit is never higher
  maxIdleMs: u32;
  maxRevalidatorMs: u32;
  minRevalidatePps: u32;
  isPaused: u32;
  isPurging: u32; // sweeps evict every flow. The leader ends it after a round that saw to all of them
  // About rounds
  dumpMs: u32; // how long the last one took
  rounds: u32;
  mostLive: u32; // flows at a time, ever
  pad100: u32;
  averageLive: f64; // … at the beginning of a round, each counting half of what the next does
  // At REVALIDATION_FLOWS a u32 a thread: the flows that it found in its share the last time. Its own
}

export const REVALIDATION_FLOWS: usize = 128;
export const REVALIDATION_SIZE: u32 = 256; // and MAX_THREADS × u32

export const PHASE_BEGIN: u32 = 0;
export const PHASE_DUMP: u32 = 1;
export const PHASE_SWEEP: u32 = 2;
export const PHASES: u32 = 3;

/** Where this thread has arrived and waits; not told by what it held before, so another's death does not matter. */
let arrivedIn: u32 = 0;
let hasArrived: bool = false;

function barrier(): Barrier {
  return changetype<Barrier>(map.revalidation);
}

/** This thread takes part from now on. */
export function joinRevalidation(): void {
  hasArrived = false;
  join(barrier(), self.number);
}

/** The present phase, counted from the start. */
export function revalidationPhase(): u32 {
  return phaseNow(barrier());
}

/** Whether this thread waits for others to arrive where it has. */
export function waitsForOthers(): bool {
  return hasArrived && phaseNow(barrier()) == arrivedIn;
}

/** Whether this thread says when a round begins: of those that are there it is the first. */
export function leadsRevalidation(): bool {
  return ctz<u32>(membersOf(barrier())) == self.number;
}

/** How many take part. */
export function revalidatorsThere(): u32 {
  return popcnt<u32>(membersOf(barrier()));
}

/** This thread is done with the present phase. */
export function endPhase(): void {
  arrivedIn = phaseNow(barrier());
  hasArrived = true;
  announce(barrier(), self.number);
  if (phaseNow(barrier()) != arrivedIn) ringRevalidators();
}

/** Takes this thread, which is dead, off; the others go on. In its place, and once. */
export function leaveRevalidation(): void {
  if (((membersOf(barrier()) >>> self.number) & 1) == 0) return;
  leave(barrier(), self.number);
  atomic.add<u32>(map.revalidation + offsetof<Revalidation>('deaths'), 1);
  ringRevalidators();
}

/** Wakes whoever takes part: there may be something to do. */
export function ringRevalidators(): void {
  for (let rest = membersOf(barrier()); rest != 0; rest &= rest - 1) {
    if (ctz<u32>(rest) != self.number) ring(ctz<u32>(rest));
  }
}
