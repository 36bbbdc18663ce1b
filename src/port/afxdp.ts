/**
 * AF_XDP port: the kernel hands over frames of queues of an interface in memory that both sides share. The
 * module works on the rings in place; this side opens them and makes the one system call, the kick.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import {
  type Arena,
  type Datapath,
  FRAME_HEADROOM,
  FRAME_SIZE,
  regionAddress,
  XDP_AREA,
  XDP_HELD,
  XDP_QUEUE,
  XdpQueue,
} from '../datapath.ts';
import { createSocketMap, redirectQueues, setSocket, XDP_MODE_GENERIC, XDP_MODE_NATIVE } from '../sys/bpf.ts';
import { countReceiveQueues, findUpInterface, type Interface } from '../sys/interface.ts';
import type { SystemError } from '../sys/libc.ts';
import { openPacketSocket } from '../sys/packet.ts';
import {
  closeXdpSocket,
  kickTransmit,
  openXdpSocket,
  XDP_RING_ENTRIES,
  type XdpRequest,
  type XdpSocket,
  xdpStatistics,
} from '../sys/xdp.ts';
import { PacketSender, writeRecord } from './packet.ts';
import type { DriverSpec, Opening, OpenQueue, Port, PortBasics, PortContext, PortType } from './port.ts';

interface AfxdpOptions extends PortBasics {
  interface: string;
  /** The interface's queue that is the port's first; the others follow. */
  queue: number;
  mode: 'auto' | 'native' | 'generic';
}

interface AfxdpSpec extends DriverSpec {
  fd: number;
  /** Arena address of the queue's area. */
  area: number;
  /** Packet socket for whole segments, where the interface takes such. */
  sender: number | undefined;
}

export const portType: PortType<AfxdpOptions, AfxdpSpec> = {
  open: (options, context) => new AfxdpOpening(options, context),
  drive: (datapath, spec) => new AfxdpPort(datapath, spec),
};

/** An Ethernet header. */
const HEADER = 14;
const VLAN_TAG = 4;
const LONGEST_MTU = FRAME_SIZE - FRAME_HEADROOM - HEADER - VLAN_TAG;

/** An interface that an AF_XDP port can use. @throws Error saying why it cannot. */
function usable(name: string): Interface {
  const link = findUpInterface(name);
  if (link.mtu <= LONGEST_MTU) return link;
  throw new Error(`the MTU of ${name} is ${link.mtu}; AF_XDP ports take at most ${LONGEST_MTU}`);
}

/** The program is attached first: until a queue has its socket, the kernel keeps what comes in there. */
class AfxdpOpening implements Opening {
  readonly #options: AfxdpOptions;
  readonly #context: PortContext;
  readonly #interface: Interface;
  /** The program's map of sockets, and the link that it hangs on. */
  readonly #map: number;
  readonly #redirect: number;
  readonly #areas: number[];
  /** Frames that each queue gives the kernel to receive into. */
  readonly #fillTargets: number[] = [];

  constructor(options: AfxdpOptions, context: PortContext) {
    this.#options = options;
    this.#context = context;
    this.#interface = usable(options.interface);
    checkQueues(options);
    this.#areas = context.areas.take(options.queues);
    const undo = [() => context.areas.give(this.#areas)];
    try {
      for (let i = 0; i < options.queues; i++) {
        const share = context.kernelFrames.take(XDP_RING_ENTRIES);
        this.#fillTargets.push(share);
        undo.push(() => context.kernelFrames.give(share));
      }
      this.#map = createSocketMap(options.queue + options.queues);
      undo.push(() => closeSync(this.#map));
      this.#redirect = attach(this.#interface.index, options.mode, this.#map);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  /** Every queue keeps the interface promiscuous through a packet socket, which also sends whole segments. */
  openQueue(i: number): OpenQueue {
    const { arena } = this.#context;
    const area = this.#areas[i]!;
    const { index, takesSegments } = this.#interface;
    const queue = this.#options.queue + i;
    const request = xdpRequest(arena, index, queue, area);
    const { fd, ...rings } = openXdpSocket(request);
    let packets: number | undefined;
    try {
      writeQueue(arena, area, rings, this.#fillTargets[i]!);
      writeRecord(arena, area);
      packets = openPacketSocket(index, false);
      setSocket(this.#map, queue, fd);
    } catch (error) {
      if (packets !== undefined) closeSync(packets);
      closeXdpSocket(fd, request);
      throw error;
    }
    const { number } = this.#options;
    const driver: AfxdpSpec = {
      type: 'afxdp',
      number,
      fd,
      area,
      sender: takesSegments ? packets : undefined,
    };
    return {
      driver,
      counts() {
        const { noRoom, refused } = xdpStatistics(fd);
        return { rxMissed: noRoom, rxDropped: refused };
      },
      close() {
        closeSync(packets);
        closeXdpSocket(fd, request);
      },
    };
  }

  link() {
    const { index, mtu, carrier } = usable(this.#options.interface);
    if (index !== this.#interface.index) throw new Error(`${this.#options.interface} is another one now`);
    return { mtu, carrier, maxLength: mtu + HEADER };
  }

  close(): void {
    closeSync(this.#redirect);
    closeSync(this.#map);
    for (const frames of this.#fillTargets) this.#context.kernelFrames.give(frames);
    this.#context.areas.give(this.#areas);
  }
}

function checkQueues({ interface: name, queue, queues }: AfxdpOptions): void {
  const there = countReceiveQueues(name);
  if (queue + queues <= there) return;
  const wanted = queues === 1 ? `queue ${queue}` : `queues ${queue} to ${queue + queues - 1}`;
  throw new Error(`${name} has ${there === 1 ? '1 queue' : `${there} queues`}, from 0; expected ${wanted}`);
}

function xdpRequest(arena: Arena, interfaceIndex: number, queue: number, area: number): XdpRequest {
  const bytes = arena.limits.frames * FRAME_SIZE;
  return {
    interfaceIndex,
    queue,
    memory: new Uint8Array(arena.memory.buffer),
    umem: { at: regionAddress(arena, 'frames'), bytes, chunk: FRAME_SIZE },
    rings: area,
    ringBytes: XDP_AREA,
  };
}

/**
 * In the driver where it can, else in the generic path; but where somebody else has the driver (EBUSY), two would
 * be one too many. Returns the link's descriptor.
 */
function attach(interfaceIndex: number, mode: AfxdpOptions['mode'], map: number): number {
  if (mode !== 'generic') {
    try {
      return redirectQueues(interfaceIndex, map, XDP_MODE_NATIVE);
    } catch (error) {
      if (mode === 'native' || (error as SystemError).code === 'EBUSY') throw error;
    }
  }
  return redirectQueues(interfaceIndex, map, XDP_MODE_GENERIC);
}

function writeQueue(arena: Arena, area: number, rings: Omit<XdpSocket, 'fd'>, fillTarget: number): void {
  const { rx, tx, fill, completion } = rings;
  // What a thread that died over the queue had lent to the kernel is taken back by itself.
  new Uint8Array(arena.memory.buffer, area + XDP_HELD, Math.ceil(arena.limits.frames / 8)).fill(0);
  const u32 = new Uint32Array(arena.memory.buffer);
  const set = (field: number, value: number) => {
    u32[(area + XDP_QUEUE + field) >> 2] = value;
  };
  set(XdpQueue.rxProducer, rx.producer);
  set(XdpQueue.rxConsumer, rx.consumer);
  set(XdpQueue.rxDescriptors, rx.descriptors);
  set(XdpQueue.txProducer, tx.producer);
  set(XdpQueue.txConsumer, tx.consumer);
  set(XdpQueue.txDescriptors, tx.descriptors);
  set(XdpQueue.fillProducer, fill.producer);
  set(XdpQueue.fillConsumer, fill.consumer);
  set(XdpQueue.fillDescriptors, fill.descriptors);
  set(XdpQueue.completionProducer, completion.producer);
  set(XdpQueue.completionConsumer, completion.consumer);
  set(XdpQueue.completionDescriptors, completion.descriptors);
  set(XdpQueue.entries, XDP_RING_ENTRIES);
  set(XdpQueue.fillTarget, fillTarget);
}

/**
 * Nobody tells when the kernel has room again: so long after a kick that got nowhere comes the next, unless
 * there is more to transmit before. While an interface is down the kernel takes nothing at all.
 */
const RETRY_MS = 5;

const { EAGAIN, EBUSY, ENOBUFS } = constants.errno;

/** The kernel is at it, or has no room for the moment. */
const PASSING: readonly number[] = [0, EAGAIN, EBUSY, ENOBUFS];

class AfxdpPort implements Port {
  readonly descriptors: readonly number[];
  readonly #datapath: Datapath;
  readonly #number: number;
  readonly #fd: number;
  readonly #queue: number;
  /** Only where the interface takes whole segments: elsewhere joining them costs more than it saves. */
  readonly #sender: PacketSender | undefined;
  /** When to kick again for frames on the transmit ring that the kernel did not take; Infinity: there are none. */
  #retryMs = Number.POSITIVE_INFINITY;

  constructor(datapath: Datapath, { number, fd, area, sender }: AfxdpSpec) {
    this.#datapath = datapath;
    this.#number = number;
    this.#fd = fd;
    this.descriptors = [fd];
    this.#queue = area + XDP_QUEUE;
    if (sender !== undefined) this.#sender = new PacketSender(datapath, number, sender, area);
  }

  poll(): number {
    if (this.#retryMs !== Number.POSITIVE_INFINITY && this.#datapath.nowMs >= this.#retryMs) this.#kick();
    return this.#datapath.exports.xdpPoll(this.#number, this.#queue);
  }

  /**
   * Segments of one connection that came together go as one, through a packet socket: then the kernel does
   * its work for them once. What is on the ring already goes first, so that nothing overtakes.
   */
  transmit(): void {
    const isBehind = this.#retryMs !== Number.POSITIVE_INFINITY;
    if (this.#sender && !isBehind && this.#datapath.exports.coalesce(this.#number) > 0) {
      this.#sender.transmit();
      return;
    }
    this.#datapath.exports.xdpTransmit(this.#number, this.#queue);
    this.#kick();
  }

  /** One call sends a budget of frames; as long as that gets somewhere, the rest follows. */
  #kick(): void {
    let backlog = this.#datapath.exports.xdpBacklog(this.#queue);
    while (backlog > 0) {
      const errno = kickTransmit(this.#fd);
      if (!PASSING.includes(errno)) this.#datapath.reportFailure(this.#number, errno);
      const left = this.#datapath.exports.xdpBacklog(this.#queue);
      if (left >= backlog) break;
      backlog = left;
    }
    this.#retryMs = backlog > 0 ? this.#datapath.nowMs + RETRY_MS : Number.POSITIVE_INFINITY;
  }

  dueMs(): number {
    return this.#retryMs;
  }

  /** The socket is closed, and with it what the kernel did with these frames. */
  close(): void {
    this.#datapath.exports.xdpRelease(this.#queue);
  }
}
