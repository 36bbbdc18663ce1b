/**
 * What the packet path knows of a port: who owns it and what it can carry.
 *
 * The control side writes `queue` before any thread attaches, and `owner` and `maxLength` before it stores
 * `state`, atomically. Threads that find a port up by an atomic load of `state` may read the rest.
 */
import { map } from '../memory/arena';
import { self } from '../memory/thread';

@unmanaged
export class PortRecord {
  state: u32; // PORT_NONE or PORT_UP
  owner: u32; // thread that receives from it and transmits to it
  maxLength: u32; // longest frame that it takes, Ethernet header included, one VLAN tag not counted
  queue: usize; // QUEUE_SIZE bytes of its own; the port's type says what is there
}

export const PORT_STRIDE: u32 = 64;

/** Each port has this much arena for rings or messages that it shares with the kernel. */
export const QUEUE_SIZE: u32 = 524288;

/** Its second half is for packet sockets, whatever the first is for. */
export const PACKET_QUEUE: u32 = 262144;

export const PORT_NONE: u32 = 0;
export const PORT_UP: u32 = 1;

export function portAt(port: u32): PortRecord {
  return changetype<PortRecord>(map.ports + <usize>(port * PORT_STRIDE));
}

export function isUp(port: u32): bool {
  return port < map.portCount && atomic.load<u32>(changetype<usize>(portAt(port))) == PORT_UP;
}

/**
 * The frames that one thread has for one port and has not sent yet, in order. That thread alone uses it:
 * the owner sends them, any other passes them to the owner at the end of its batch.
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
