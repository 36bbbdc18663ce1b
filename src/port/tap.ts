/**
 * Tap port: the switch is the cable of a network device, which a virtual machine, a container or this host has.
 * Whole segments and partial checksums come and go as they are. The kernel gives and takes one frame a call.
 *
 * In memory it is a packet socket's queue (`datapath/port/packet.ts`): the same slots, each with vectors for an
 * offload header and a frame, read and written one by one.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import {
  type Datapath,
  MAX_LENGTH,
  PACKET_QUEUE,
  PACKET_RX_SLOTS,
  PACKET_SLOT,
  PACKET_TX_SLOTS,
  PACKET_VECTORS,
} from '../datapath.ts';
import { findUpInterface } from '../sys/interface.ts';
import { ip, ipIn } from '../sys/ip.ts';
import { hostAddress } from '../sys/packet.ts';
import { openTapQueue, readFrame, writeFrame } from '../sys/tap.ts';
import { writeRecord } from './packet.ts';
import type {
  DriverSpec,
  Link,
  Opening,
  OpenQueue,
  Port,
  PortBasics,
  PortContext,
  PortType,
} from './port.ts';

const { EAGAIN, EIO, ENOBUFS } = constants.errno;
const EBADFD = 77; // Node.js has no name for it

/** The device was deleted, or is down: no later frame will do better. */
const GONE: readonly number[] = [EBADFD, EIO];

interface TapOptions extends PortBasics {
  device: string;
  /** Network namespace, as `ip netns` names it, that the device is moved to. */
  namespace?: string | undefined;
  /** What the device is given; undefined: left as it is. */
  mtu?: number | undefined;
  mac?: string | undefined;
  /** With their prefix lengths. */
  addresses: readonly string[];
}

interface TapSpec extends DriverSpec {
  fd: number;
  /** Arena address of the queue's area. */
  area: number;
}

export const portType: PortType<TapOptions, TapSpec> = {
  open: (options, context) => new TapOpening(options, context),
  drive: (datapath, spec) => new TapPort(datapath, spec),
};

class TapOpening implements Opening {
  readonly #options: TapOptions;
  readonly #context: PortContext;
  readonly #areas: number[];
  /** Of the first queue: until it is open there may be no device. */
  #isSetUp = false;

  constructor(options: TapOptions, context: PortContext) {
    this.#options = options;
    this.#context = context;
    this.#areas = context.areas.take(options.queues);
  }

  /** The first creates the device or adopts one that is there, moves it where it belongs, and sets it up. */
  openQueue(queue: number): OpenQueue {
    const { number, queues, device } = this.#options;
    const area = this.#areas[queue]!;
    writeRecord(this.#context.arena, area);
    const fd = openTapQueue(device, queues > 1);
    try {
      if (!this.#isSetUp) setUp(this.#options);
      this.#isSetUp = true;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    const driver: TapSpec = { type: 'tap', number, fd, area };
    return { driver, close: () => closeSync(fd) };
  }

  link(): Link {
    const { device, namespace } = this.#options;
    // Asked every second: a program is started only where the interface is out of reach.
    if (namespace === undefined) {
      const { mtu, carrier } = findUpInterface(device);
      return { mtu, carrier, maxLength: MAX_LENGTH };
    }
    const [link] = JSON.parse(ipIn(namespace, '-json', 'link', 'show', device)) as [IpLink];
    if (!link.flags.includes('UP')) throw new Error(`${device} is down (ip link set ${device} up)`);
    return { mtu: link.mtu, maxLength: MAX_LENGTH, carrier: !link.flags.includes('NO-CARRIER') };
  }

  close(): void {
    this.#context.areas.give(this.#areas);
  }
}

/** What `ip -json link show` tells, as far as it matters here. */
interface IpLink {
  flags: string[];
  mtu: number;
}

/** A device that moves loses its addresses and goes down, so it moves first. */
function setUp({ device, namespace, mtu, mac, addresses }: TapOptions): void {
  if (namespace !== undefined) ip('link', 'set', device, 'netns', namespace);
  if (mtu !== undefined) ipIn(namespace, 'link', 'set', device, 'mtu', String(mtu));
  if (mac !== undefined) ipIn(namespace, 'link', 'set', device, 'address', mac);
  for (const address of addresses) {
    // Usable at once: whoever configures an address knows that nobody else has it.
    const once = address.includes(':') ? ['nodad'] : [];
    ipIn(namespace, 'address', 'replace', address, 'dev', device, ...once);
  }
  ipIn(namespace, 'link', 'set', device, 'up');
}

class TapPort implements Port {
  readonly descriptors: readonly number[];
  readonly #datapath: Datapath;
  readonly #number: number;
  readonly #fd: number;
  readonly #queue: number;
  /** Host address of the same. */
  readonly #host: bigint;

  constructor(datapath: Datapath, { number, fd, area }: TapSpec) {
    this.#datapath = datapath;
    this.#number = number;
    this.#fd = fd;
    this.descriptors = [fd];
    this.#queue = area + PACKET_QUEUE;
    this.#host = hostAddress(datapath.u8) + BigInt(this.#queue);
  }

  poll(): number {
    const { exports } = this.#datapath;
    const armed = exports.packetArm(this.#queue);
    let n = 0;
    for (; n < armed; n++) {
      const length = readFrame(this.#fd, this.#vectors(PACKET_RX_SLOTS, n));
      if (length < 0) {
        this.#failed(-length);
        break;
      }
      exports.packetRead(this.#queue, n, length);
    }
    if (n > 0) exports.packetReceived(this.#number, this.#queue, n);
    return n;
  }

  transmit(): void {
    const { exports } = this.#datapath;
    const [number, queue] = [this.#number, this.#queue];
    for (let n = exports.packetFill(number, queue); n > 0; n = exports.packetFill(number, queue)) {
      let sent = 0;
      let written = 0;
      while (sent < n && written >= 0) {
        written = writeFrame(this.#fd, this.#vectors(PACKET_TX_SLOTS, sent));
        if (written >= 0) sent++;
      }
      if (sent > 0) exports.packetSent(number, queue, sent);
      if (written >= 0) continue;
      this.#failed(-written);
      exports.packetRefused(number, queue, -written === EAGAIN || -written === ENOBUFS);
    }
  }

  #failed(errno: number): void {
    if (GONE.includes(errno)) this.#datapath.reportFailure(this.#number, errno);
  }

  /** Host address of the two vectors of slot `i`. */
  #vectors(slots: number, i: number): bigint {
    return this.#host + BigInt(slots + i * PACKET_SLOT + PACKET_VECTORS);
  }

  dueMs(): number {
    return Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.#datapath.exports.packetDisarm(this.#queue);
  }
}
