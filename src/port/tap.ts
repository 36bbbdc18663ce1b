/**
 * Tap port: the switch is the cable of a network device, which a virtual machine, a container or this host has.
 * Whole segments and partial checksums come and go as they are. The kernel gives and takes one frame a call.
 *
 * In memory it is a packet socket's port (`datapath/port/packet.ts`): the same slots, each with vectors for
 * an offload header and a frame, read and written one by one.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import {
  type Arena,
  type Datapath,
  MAX_LENGTH,
  PACKET_QUEUE,
  PACKET_RX_SLOTS,
  PACKET_SLOT,
  PACKET_TX_SLOTS,
  PACKET_VECTORS,
  queueAddress,
} from '../datapath.ts';
import { findInterface } from '../sys/interface.ts';
import { ip, ipIn } from '../sys/ip.ts';
import { hostAddress } from '../sys/packet.ts';
import { openTapQueue, readFrame, writeFrame } from '../sys/tap.ts';
import { tellHostAddress } from './packet.ts';
import type { OpenPort, Port, TapOptions } from './port.ts';

const { EAGAIN, ENOBUFS } = constants.errno;

/** Creates the device or adopts one that is there, moves it where it belongs, and sets it up. */
export function openTap(number: number, options: TapOptions, arena: Arena): OpenPort {
  const fd = openTapQueue(options.device, false);
  try {
    tellHostAddress(arena, number);
    const mtu = setUp(options);
    return {
      driver: { type: 'tap', number, fd },
      mtu,
      maxLength: MAX_LENGTH,
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Returns the MTU. A device that moves loses its addresses and goes down, so it moves first. */
function setUp({ device, namespace, mtu, mac, addresses }: TapOptions): number {
  if (namespace !== undefined) ip('link', 'set', device, 'netns', namespace);
  if (mtu !== undefined) ipIn(namespace, 'link', 'set', device, 'mtu', String(mtu));
  if (mac !== undefined) ipIn(namespace, 'link', 'set', device, 'address', mac);
  for (const address of addresses) {
    // Usable at once: whoever configures an address knows that nobody else has it.
    const once = address.includes(':') ? ['nodad'] : [];
    ipIn(namespace, 'address', 'replace', address, 'dev', device, ...once);
  }
  ipIn(namespace, 'link', 'set', device, 'up');
  if (namespace === undefined) return findInterface(device).mtu;
  const [link] = JSON.parse(ipIn(namespace, '-json', 'link', 'show', device)) as { mtu: number }[];
  return link!.mtu;
}

/** The thread's side. */
export class TapPort implements Port {
  readonly descriptors: readonly number[];
  readonly #datapath: Datapath;
  readonly #number: number;
  readonly #fd: number;
  readonly #queue: number;
  /** Host address of the same. */
  readonly #host: bigint;

  constructor(datapath: Datapath, number: number, fd: number) {
    this.#datapath = datapath;
    this.#number = number;
    this.#fd = fd;
    this.descriptors = [fd];
    this.#queue = queueAddress(datapath.arena, number) + PACKET_QUEUE;
    this.#host = hostAddress(datapath.u8) + BigInt(this.#queue);
  }

  poll(): number {
    const { exports } = this.#datapath;
    const armed = exports.packetArm(this.#number);
    let n = 0;
    for (; n < armed; n++) {
      const length = readFrame(this.#fd, this.#vectors(PACKET_RX_SLOTS, n));
      if (length < 0) break;
      exports.packetRead(this.#number, n, length);
    }
    if (n > 0) exports.packetReceived(this.#number, n);
    return n;
  }

  transmit(): void {
    const { exports } = this.#datapath;
    for (let n = exports.packetFill(this.#number); n > 0; n = exports.packetFill(this.#number)) {
      let sent = 0;
      let error = 0;
      for (; sent < n && error >= 0; sent++) {
        error = writeFrame(this.#fd, this.#vectors(PACKET_TX_SLOTS, sent));
        if (error < 0) break;
      }
      if (sent > 0) exports.packetSent(this.#number, sent);
      if (error < 0) exports.packetRefused(this.#number, error === -EAGAIN || error === -ENOBUFS);
    }
  }

  /** Host address of the two vectors of slot `i`. */
  #vectors(slots: number, i: number): bigint {
    return this.#host + BigInt(slots + i * PACKET_SLOT + PACKET_VECTORS);
  }

  dueMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.#datapath.exports.packetDisarm(this.#number);
  }
}
