/**
 * What the packet path knows of a port: whether it is up, what it can carry, and who sends for whom.
 *
 * A port has one queue or several. A queue belongs to one datapath thread, which alone receives from it and
 * sends through it; a thread has at most one queue of a port. A thread that has none passes its frames for the
 * port to one that has, always the same, so that frames of one flow do not overtake each other; a handler passes what
 * it has from a thread to the one that sends for that:
 *
 *     senders   of a port with queues on threads 1 and 2, in a switch of five threads
 *
 *               thread    0  1  2  3  4
 *               sender    1  1  2  2  1
 *
 * The control side writes senders and `maxLength`, and stores `state` after them, atomically. Threads that find
 * a port up by an atomic load of `state` may read the rest. While it is up, only `maxLength` changes, and any
 * value it has had will do for frames under way. It changes `mirrorIn` and `mirrorOut` at any time, each a word,
 * which threads read anew for each batch and frame. `failure` is set by any thread that drives the port, and
 * cleared by the control side; atomic.
 */
import { map } from '../memory/arena';
import { self } from '../memory/thread';

@unmanaged
export class PortRecord {
  state: u32; // PORT_…
  maxLength: u32; // longest frame that it takes, Ethernet header included, one VLAN tag not counted
  mirrorIn: u32; // up to four ports, a byte each, that get a copy of what it receives
  mirrorOut: u32; // and of what is sent to it
  failure: u32; // errno for which the kernel refuses to go on with the port; 0: none
}

export const PORT_STRIDE: u32 = 64;

/** Where in the record the senders are: MAX_THREADS × u8, thread numbers. */
export const PORT_SENDERS: u32 = 32;

/** A queue of a port may have this much arena, its area, for rings or messages that it shares with the kernel. */
export const QUEUE_SIZE: u32 = 524288;

/** The area's second half is for packet sockets, whatever the first is for. */
export const PACKET_QUEUE: u32 = 262144;

export const PORT_NONE: u32 = 0; // no port has the number
export const PORT_UP: u32 = 1;
export const PORT_DOWN: u32 = 2; // there is one, and it cannot carry frames at present

export function portAt(port: u32): PortRecord {
  return changetype<PortRecord>(map.ports + <usize>(port * PORT_STRIDE));
}

export function stateOf(port: u32): u32 {
  return port < map.portCount ? atomic.load<u32>(changetype<usize>(portAt(port))) : PORT_NONE;
}

export function isUp(port: u32): bool {
  return stateOf(port) == PORT_UP;
}

/** The thread that sends what `thread` has for a port. */
export function senderOf(port: u32, thread: u32): u32 {
  return <u32>load<u8>(changetype<usize>(portAt(port)) + PORT_SENDERS + thread);
}

/** The thread that sends what this one has for a port. */
export function senderFor(port: u32): u32 {
  return senderOf(port, self.number);
}

/**
 * The frames that one thread has for one port and has not sent yet, in order. That thread alone uses it: it
 * sends them if it has a queue of the port, and else passes them on at the end of its batch. What does not fit
 * the ring to the other thread stays until the next round.
 */
@unmanaged
export class TransmitQueue {
  count: u32;
  // TRANSMIT_SLOTS frame numbers follow
}

export const TRANSMIT_SLOTS: u32 = 511;
export const TRANSMIT_STRIDE: u32 = 2048;

export function transmitQueue(port: u32): TransmitQueue {
  return transmitQueueOf(self.number, port);
}

export function transmitQueueOf(thread: u32, port: u32): TransmitQueue {
  return changetype<TransmitQueue>(
    map.transmitQueues + <usize>((thread * map.portCount + port) * TRANSMIT_STRIDE),
  );
}

export function queued(queue: TransmitQueue, i: u32): u32 {
  return load<u32>(changetype<usize>(queue) + 4 + ((<usize>i) << 2));
}

export function setQueued(queue: TransmitQueue, i: u32, frame: u32): void {
  store<u32>(changetype<usize>(queue) + 4 + ((<usize>i) << 2), frame);
}
