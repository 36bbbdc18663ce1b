/**
 * AF_XDP port: the kernel hands over frames of one queue of an interface in memory that both sides share.
 * The module works on the rings in place; this side opens them and makes the one system call, the kick.
 */
import { closeSync } from 'node:fs';
import {
  type Arena,
  type Datapath,
  FRAME_HEADROOM,
  FRAME_SIZE,
  queueAddress,
  regionAddress,
  XDP_AREA,
  XDP_QUEUE,
  XdpQueue,
} from '../datapath.ts';
import { redirectQueue, XDP_MODE_GENERIC, XDP_MODE_NATIVE } from '../sys/bpf.ts';
import { findInterface } from '../sys/interface.ts';
import { openPacketSocket } from '../sys/packet.ts';
import {
  closeXdpSocket,
  countMissed,
  kickTransmit,
  openXdpSocket,
  XDP_RING_ENTRIES,
  type XdpRequest,
  type XdpSocket,
} from '../sys/xdp.ts';
import { PacketSender, tellHostAddress } from './packet.ts';
import type { AfxdpOptions, OpenPort, Port } from './port.ts';

/** An Ethernet header. */
const HEADER = 14;
const VLAN_TAG = 4;

/**
 * Opens the socket, attaches the program, and puts the rings where the module finds them. The kernel gets
 * `frames` frames to receive into, at most a ring full.
 */
export function openAfxdp(number: number, options: AfxdpOptions, arena: Arena, frames: number): OpenPort {
  const link = findInterface(options.interface);
  if (!link.up) throw new Error(`${options.interface} is down (ip link set ${options.interface} up)`);
  const longest = FRAME_SIZE - FRAME_HEADROOM - HEADER - VLAN_TAG;
  if (link.mtu > longest) {
    throw new Error(`the MTU of ${options.interface} is ${link.mtu}; AF_XDP ports take at most ${longest}`);
  }
  const { limits } = arena;
  const request: XdpRequest = {
    interfaceIndex: link.index,
    queue: options.queue,
    memory: new Uint8Array(arena.memory.buffer),
    umem: { at: regionAddress(arena, 'frames'), bytes: limits.frames * FRAME_SIZE, chunk: FRAME_SIZE },
    rings: queueAddress(arena, number),
    ringBytes: XDP_AREA,
  };
  const socket = openXdpSocket(request);
  const descriptors: number[] = [];
  try {
    writeQueue(arena, number, socket, Math.min(frames, XDP_RING_ENTRIES));
    tellHostAddress(arena, number);
    descriptors.push(openPacketSocket(link.index, false));
    descriptors.push(attach(link.index, options, socket.fd));
  } catch (error) {
    for (const fd of descriptors) closeSync(fd);
    closeXdpSocket(socket.fd, request);
    throw error;
  }
  return {
    driver: { type: 'afxdp', number, fd: socket.fd, sender: link.takesSegments ? descriptors[0] : undefined },
    mtu: link.mtu,
    maxLength: link.mtu + HEADER,
    missed: () => countMissed(socket.fd),
    close() {
      for (const fd of descriptors.reverse()) closeSync(fd);
      closeXdpSocket(socket.fd, request);
    },
  };
}

/** In the driver where it can, else in the generic path. */
function attach(interfaceIndex: number, { mode, queue }: AfxdpOptions, fd: number): number {
  if (mode !== 'generic') {
    try {
      return redirectQueue(interfaceIndex, queue, fd, XDP_MODE_NATIVE);
    } catch (error) {
      if (mode === 'native') throw error;
    }
  }
  return redirectQueue(interfaceIndex, queue, fd, XDP_MODE_GENERIC);
}

function writeQueue(arena: Arena, number: number, socket: XdpSocket, fillTarget: number): void {
  const { rx, tx, fill, completion } = socket;
  const u32 = new Uint32Array(arena.memory.buffer);
  const queue = queueAddress(arena, number);
  const set = (field: number, value: number) => {
    u32[(queue + XDP_QUEUE + field) >> 2] = value;
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

/** The thread's side. */
export class AfxdpPort implements Port {
  readonly descriptors: readonly number[];
  readonly #datapath: Datapath;
  readonly #number: number;
  readonly #fd: number;
  /** Only where the interface takes whole segments: elsewhere joining them costs more than it saves. */
  readonly #sender: PacketSender | undefined;
  /** When to kick again for frames on the transmit ring that the kernel did not take; Infinity: there are none. */
  #retryMs = Number.POSITIVE_INFINITY;

  constructor(datapath: Datapath, number: number, fd: number, sender: number | undefined) {
    this.#datapath = datapath;
    this.#number = number;
    this.#fd = fd;
    this.descriptors = [fd];
    if (sender !== undefined) this.#sender = new PacketSender(datapath, number, sender);
  }

  poll(nowMs: number): number {
    if (nowMs >= this.#retryMs) this.#kick(nowMs);
    return this.#datapath.exports.xdpPoll(this.#number);
  }

  /**
   * Segments of one connection that came together go as one, through a packet socket: then the kernel does
   * its work for them once. What is on the ring already goes first, so that nothing overtakes.
   */
  transmit(nowMs: number): void {
    const isBehind = this.#retryMs !== Number.POSITIVE_INFINITY;
    if (this.#sender && !isBehind && this.#datapath.exports.coalesce(this.#number) > 0) {
      this.#sender.transmit();
      return;
    }
    this.#datapath.exports.xdpTransmit(this.#number);
    this.#kick(nowMs);
  }

  /** One call sends a budget of frames; as long as that gets somewhere, the rest follows. */
  #kick(nowMs: number): void {
    let backlog = this.#datapath.exports.xdpBacklog(this.#number);
    while (backlog > 0) {
      kickTransmit(this.#fd);
      const left = this.#datapath.exports.xdpBacklog(this.#number);
      if (left >= backlog) break;
      backlog = left;
    }
    this.#retryMs = backlog > 0 ? nowMs + RETRY_MS : Number.POSITIVE_INFINITY;
  }

  dueMs(): number {
    return this.#retryMs;
  }

  close(): void {}
}
