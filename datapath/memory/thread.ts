/**
 * What the arena knows of a thread: where it is in the epochs, whether it sleeps, and its small lists.
 *
 *     line 0   epoch                         this thread writes, reclaimers read (epoch.ts)
 *     line 1   sleeping, rung, mail          the doorbell (below)
 *     line 2   nowMs, lists of this batch    this thread alone (and its own TypeScript)
 *
 * The doorbell. Before it sleeps a thread stores how it sleeps in `sleeping`, then looks once more for
 * work; whoever gives it work does so first and then reads `sleeping`. Both are sequentially consistent,
 * so one of the two sees the other. A thread in `poll()` is woken by its eventfd, which takes a system
 * call: the module notes it in `wakeMask` and the thread's TypeScript makes the call after the batch.
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
  sleeping: u32; // AWAKE, ASLEEP_IN_POLL or ASLEEP_IN_WAIT
  rung: u32; // what a thread ASLEEP_IN_WAIT waits on: goes up by one at each ring
  mail: u32; // not 0: the control side has a message for this thread's TypeScript
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
  readyPorts: u32; // how many ports of this thread have something to transmit (numbers: readyPort)
  retiredHead: u32; // flows that wait for their epoch, oldest first; number + 1, 0 none
  retiredTail: u32;
  pad156: u32;
  pad160: u64;
  pad168: u64;
  pad176: u64;
  pad184: u64;
  // MAX_PORTS × u16: numbers of the ports of this thread that have something to transmit
}

export const MAX_THREADS: u32 = 32;
export const MAX_PORTS: u32 = 256;
export const THREAD_READY_PORTS: usize = 192;
export const THREAD_STRIDE: u32 = 704; // 192 + 2 × MAX_PORTS

export const AWAKE: u32 = 0;
export const ASLEEP_IN_POLL: u32 = 1;
export const ASLEEP_IN_WAIT: u32 = 2;

export function threadAt(number: u32): Thread {
  return changetype<Thread>(map.threads + <usize>(number * THREAD_STRIDE));
}

/** The thread that this instance of the module belongs to. */
export let self: Thread = changetype<Thread>(0);

/** Makes this instance thread `number`'s. Called once, before anything else. */
export function attach(number: u32): void {
  self = threadAt(number);
  self.number = number;
}

/** Wakes `number` if it sleeps; call after the work for it is visible. */
export function ring(number: u32): void {
  const thread = threadAt(number);
  const address = changetype<usize>(thread);
  const sleeping = atomic.load<u32>(address + offsetof<Thread>('sleeping'));
  if (sleeping == ASLEEP_IN_POLL) {
    self.wakeMask |= 1 << number;
  } else if (sleeping == ASLEEP_IN_WAIT) {
    atomic.add<u32>(address + offsetof<Thread>('rung'), 1);
    atomic.notify(address + offsetof<Thread>('rung'), 1);
  }
}

/** Notes that a port of this thread has frames to transmit. */
export function noteReady(port: u32): void {
  store<u16>(changetype<usize>(self) + THREAD_READY_PORTS + ((<usize>self.readyPorts) << 1), <u16>port);
  self.readyPorts++;
}
