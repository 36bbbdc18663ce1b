/**
 * What the arena knows of a thread: where it is in the epochs, whether it sleeps, and its small lists.
 *
 *     line 0    epoch                     this thread writes, atomically; reclaimers read (epoch.ts)
 *     line 1    sleeping, rung, mail      atomic (doorbell.ts)
 *     line 2    nowMs … startedMs         this thread alone, in the module and in TypeScript; others may look
 *     line 3 …  numbers of ports          the same: those that are ready, then those held up
 */
import { map } from './arena';

@unmanaged
export class Thread {
  epoch: u32; // epoch in which its current batch began; 0 while it sleeps
  pad4: u32;
  pad8: u64;
  pad16: u64;
  pad24: u64;
  pad32: u64;
  pad40: u64;
  pad48: u64;
  pad56: u64;
  sleeping: u32; // AWAKE, ASLEEP_IN_POLL, ASLEEP_IN_WAIT or HALTED
  rung: u32; // what a thread ASLEEP_IN_WAIT waits on: goes up by one at each ring
  mail: u32; // MAIL_…, bits that the control side sets
  pad76: u32;
  pad80: u64;
  pad88: u64;
  pad96: u64;
  pad104: u64;
  pad112: u64;
  pad120: u64;
  nowMs: f64; // the switch clock, set by TypeScript before each round
  number: u32;
  wakeMask: u32; // threads to be woken through their eventfd, bit by number
  readyPorts: u32; // ports for which this thread has queued frames: so many of the numbers below
  retiredHead: u32; // flows that wait for their epoch, oldest first; number + 1, 0 none
  retiredTail: u32;
  random: u32; // the last of its random numbers (sample.ts), not 0
  heldPorts: u32; // ports with frames that did not fit the ring to their sender: so many of the second list
  timing: u32; // not 0: this batch is timed (stage.ts)
  load: f32; // share of a recent second in which it had work
  batch: usize; // address of its batch (batch.ts), written before any thread attaches
  busyMs: f64; // time in which it had work, since it started
  startedMs: f64; // by the switch clock
  // from line 3 on: MAX_PORTS × u16, the numbers of the ready ports, and again as many, of the held-up ones
}

export const MAX_THREADS: u32 = 32;
export const MAX_PORTS: u32 = 256;
export const THREAD_READY_PORTS: usize = 192;
export const THREAD_HELD_PORTS: usize = 704; // 192 + 2 × MAX_PORTS
export const THREAD_STRIDE: u32 = 1216; // 192 + 2 × 2 × MAX_PORTS

export const AWAKE: u32 = 0;
export const ASLEEP_IN_POLL: u32 = 1;
export const ASLEEP_IN_WAIT: u32 = 2;
export const HALTED: u32 = 3;

export const MAIL_MESSAGE: u32 = 1;
export const MAIL_HALT: u32 = 2;

export function threadAt(number: u32): Thread {
  return changetype<Thread>(map.threads + <usize>(number * THREAD_STRIDE));
}

/** The thread that this instance of the module belongs to. */
export let self: Thread = changetype<Thread>(0);

/** Makes this instance thread `number`'s. Called once, before anything else. */
export function attach(number: u32): void {
  self = threadAt(number);
  self.number = number;
  self.random = ((load<u32>(map.hashSalts) ^ (number * 0x9e3779b1)) * 0x85ebca6b) | 1;
}

/** Forgets what a thread that died was about, in its place: it holds nothing, and stands still until it starts. */
export function beginAgain(): void {
  const address = changetype<usize>(self);
  self.wakeMask = 0;
  self.readyPorts = 0;
  self.heldPorts = 0;
  self.retiredHead = 0;
  self.retiredTail = 0;
  self.timing = 0;
  atomic.store<u32>(address + offsetof<Thread>('epoch'), 0);
  atomic.store<u32>(address + offsetof<Thread>('mail'), 0);
  atomic.store<u32>(address + offsetof<Thread>('sleeping'), HALTED);
}

/** Notes that this thread has frames for a port, whoever owns it. */
export function noteReady(port: u32): void {
  store<u16>(changetype<usize>(self) + THREAD_READY_PORTS + ((<usize>self.readyPorts) << 1), <u16>port);
  self.readyPorts++;
}

/** Notes that this thread holds frames for a port until there is room for them. */
export function noteHeld(port: u32): void {
  store<u16>(changetype<usize>(self) + THREAD_HELD_PORTS + ((<usize>self.heldPorts) << 1), <u16>port);
  self.heldPorts++;
}
