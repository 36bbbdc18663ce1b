/**
 * AF_PACKET port: any interface, its offloads left on. Whole segments and partial checksums come and go as
 * they are; one system call receives or sends a batch.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import {
  type Arena,
  BATCH,
  type Datapath,
  MAX_LENGTH,
  PACKET_QUEUE,
  PACKET_RX,
  PACKET_TX,
  PacketQueue,
  queueAddress,
} from '../datapath.ts';
import { findInterface } from '../sys/interface.ts';
import { hostAddress, openPacketSocket, receiveMessages, sendMessages, takeMissed } from '../sys/packet.ts';
import type { OpenPort, PacketOptions, Port } from './port.ts';

const { EAGAIN, ENOBUFS } = constants.errno;

export function openPacket(number: number, options: PacketOptions, arena: Arena): OpenPort {
  const link = findInterface(options.interface);
  if (!link.up) throw new Error(`${options.interface} is down (ip link set ${options.interface} up)`);
  tellHostAddress(arena, number);
  const fd = openPacketSocket(link.index, true);
  let missed = 0;
  return {
    driver: { type: 'packet', number, fd },
    mtu: link.mtu,
    maxLength: MAX_LENGTH,
    missed() {
      missed += takeMissed(fd);
      return missed;
    },
    close: () => closeSync(fd),
  };
}

/** Tells the module where the arena is in the process, for the addresses in its messages. */
export function tellHostAddress(arena: Arena, number: number): void {
  const { buffer } = arena.memory;
  const queue = queueAddress(arena, number) + PACKET_QUEUE;
  new BigUint64Array(buffer)[(queue + PacketQueue.host) >> 3] = hostAddress(new Uint8Array(buffer));
}

/** Sends the frames queued for a port through a packet socket. */
export class PacketSender {
  readonly #datapath: Datapath;
  readonly #number: number;
  readonly #fd: number;
  readonly #messages: bigint;

  constructor(datapath: Datapath, number: number, fd: number) {
    this.#datapath = datapath;
    this.#number = number;
    this.#fd = fd;
    this.#messages = messagesAt(datapath, number, PACKET_TX);
  }

  transmit(): void {
    const { exports } = this.#datapath;
    for (let n = exports.packetFill(this.#number); n > 0; n = exports.packetFill(this.#number)) {
      const sent = sendMessages(this.#fd, this.#messages, n);
      if (sent > 0) exports.packetSent(this.#number, sent);
      else exports.packetRefused(this.#number, sent === -EAGAIN || sent === -ENOBUFS);
    }
  }
}

/** Host address of one of a port's message arrays. */
function messagesAt(datapath: Datapath, number: number, array: number): bigint {
  return hostAddress(datapath.u8) + BigInt(queueAddress(datapath.arena, number) + PACKET_QUEUE + array);
}

/** The thread's side. */
export class PacketPort implements Port {
  readonly descriptors: readonly number[];
  readonly #datapath: Datapath;
  readonly #number: number;
  readonly #fd: number;
  readonly #messages: bigint;
  readonly #sender: PacketSender;

  constructor(datapath: Datapath, number: number, fd: number) {
    this.#datapath = datapath;
    this.#number = number;
    this.#fd = fd;
    this.descriptors = [fd];
    this.#messages = messagesAt(datapath, number, PACKET_RX);
    this.#sender = new PacketSender(datapath, number, fd);
  }

  poll(): number {
    const armed = this.#datapath.exports.packetArm(this.#number);
    if (armed === 0) return 0;
    const n = receiveMessages(this.#fd, this.#messages, Math.min(armed, BATCH));
    if (n > 0) this.#datapath.exports.packetReceived(this.#number, n);
    return n;
  }

  transmit(): void {
    this.#sender.transmit();
  }

  dueMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.#datapath.exports.packetDisarm(this.#number);
  }
}
