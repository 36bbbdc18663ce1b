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
} from '../datapath.ts';
import { findUpInterface } from '../sys/interface.ts';
import {
  hostAddress,
  joinFanout,
  openPacketSocket,
  receiveMessages,
  sendMessages,
  takeMissed,
} from '../sys/packet.ts';
import type { DriverSpec, Opening, OpenQueue, Port, PortBasics, PortContext, PortType } from './port.ts';

const { EAGAIN, ENOBUFS, ENETDOWN, ENODEV, ENXIO } = constants.errno;

/** The interface is not there any more, or down: no later frame will do better. */
const GONE: readonly number[] = [ENETDOWN, ENODEV, ENXIO];

interface PacketOptions extends PortBasics {
  interface: string;
}

interface PacketSpec extends DriverSpec {
  fd: number;
  /** Arena address of the queue's area. */
  area: number;
}

export const portType: PortType<PacketOptions, PacketSpec> = {
  open: (options, context) => new PacketOpening(options, context),
  drive: (datapath, spec) => new PacketPort(datapath, spec),
};

class PacketOpening implements Opening {
  readonly #options: PacketOptions;
  readonly #context: PortContext;
  readonly #interfaceIndex: number;
  readonly #areas: number[];
  /** The fanout group of the queues, when there are several and the first is open. */
  #group: number | undefined;

  constructor(options: PacketOptions, context: PortContext) {
    this.#options = options;
    this.#context = context;
    this.#interfaceIndex = findUpInterface(options.interface).index;
    this.#areas = context.areas.take(options.queues);
  }

  openQueue(queue: number): OpenQueue {
    const { number, queues } = this.#options;
    const area = this.#areas[queue]!;
    writeRecord(this.#context.arena, area);
    const fd = openPacketSocket(this.#interfaceIndex, true);
    try {
      if (queues > 1) this.#group = joinFanout(fd, this.#group);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    let rxMissed = 0;
    const driver: PacketSpec = { type: 'packet', number, fd, area };
    return {
      driver,
      counts() {
        rxMissed += takeMissed(fd);
        return { rxMissed, rxDropped: 0 };
      },
      close: () => closeSync(fd),
    };
  }

  link() {
    const { index, mtu, carrier } = findUpInterface(this.#options.interface);
    if (index !== this.#interfaceIndex) throw new Error(`${this.#options.interface} is another one now`);
    return { mtu, carrier, maxLength: MAX_LENGTH };
  }

  close(): void {
    this.#context.areas.give(this.#areas);
  }
}

/**
 * Makes the record of a queue as new, and tells the module where the arena is in the process, for the addresses in
 * its messages. A thread that died over the queue has left it as it was; its frames are taken back by themselves.
 */
export function writeRecord({ memory }: Arena, area: number): void {
  const record = area + PACKET_QUEUE;
  const host = hostAddress(new Uint8Array(memory.buffer));
  new Uint8Array(memory.buffer, record, PacketQueue.size).fill(0);
  new BigUint64Array(memory.buffer)[(record + PacketQueue.host) >> 3] = host;
}

/** Sends the frames queued for a port through a packet socket. */
export class PacketSender {
  readonly #datapath: Datapath;
  readonly #number: number;
  readonly #fd: number;
  readonly #queue: number;
  readonly #messages: bigint;

  constructor(datapath: Datapath, number: number, fd: number, area: number) {
    this.#datapath = datapath;
    this.#number = number;
    this.#fd = fd;
    this.#queue = area + PACKET_QUEUE;
    this.#messages = hostAddress(datapath.u8) + BigInt(this.#queue + PACKET_TX);
  }

  transmit(): void {
    const { exports } = this.#datapath;
    const [number, queue] = [this.#number, this.#queue];
    for (let n = exports.packetFill(number, queue); n > 0; n = exports.packetFill(number, queue)) {
      const sent = sendMessages(this.#fd, this.#messages, n);
      if (sent > 0) exports.packetSent(number, queue, sent);
      else this.#refused(-sent);
    }
  }

  #refused(errno: number): void {
    if (GONE.includes(errno)) this.#datapath.reportFailure(this.#number, errno);
    this.#datapath.exports.packetRefused(this.#number, this.#queue, errno === EAGAIN || errno === ENOBUFS);
  }
}

class PacketPort implements Port {
  readonly descriptors: readonly number[];
  readonly #datapath: Datapath;
  readonly #number: number;
  readonly #fd: number;
  readonly #queue: number;
  readonly #messages: bigint;
  readonly #sender: PacketSender;

  constructor(datapath: Datapath, { number, fd, area }: PacketSpec) {
    this.#datapath = datapath;
    this.#number = number;
    this.#fd = fd;
    this.descriptors = [fd];
    this.#queue = area + PACKET_QUEUE;
    this.#messages = hostAddress(datapath.u8) + BigInt(this.#queue + PACKET_RX);
    this.#sender = new PacketSender(datapath, number, fd, area);
  }

  poll(): number {
    const { exports } = this.#datapath;
    const armed = exports.packetArm(this.#queue);
    if (armed === 0) return 0;
    const n = receiveMessages(this.#fd, this.#messages, Math.min(armed, BATCH));
    if (n > 0) exports.packetReceived(this.#number, this.#queue, n);
    else if (n < 0) this.#datapath.reportFailure(this.#number, -n);
    return Math.max(n, 0);
  }

  transmit(): void {
    this.#sender.transmit();
  }

  dueMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.#datapath.exports.packetDisarm(this.#queue);
  }
}
