/**
 * AF_XDP sockets (linux/if_xdp.h, Documentation/networking/af_xdp.rst): the UMEM is a stretch of the
 * arena, and the four rings are mapped onto pages of the arena, so that the module works on them in place.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { check, int32, libc } from './libc.ts';

const AF_XDP = 44;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x80000;
const SOL_XDP = 283;
const XDP_MMAP_OFFSETS = 1;
const XDP_RX_RING = 2;
const XDP_TX_RING = 3;
const XDP_UMEM_REG = 4;
const XDP_UMEM_FILL_RING = 5;
const XDP_UMEM_COMPLETION_RING = 6;
const XDP_STATISTICS = 7;
const XDP_USE_NEED_WAKEUP = 8;
const XDP_COPY = 2;

const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_POPULATE = 0x8000;

const MSG_DONTWAIT = 0x40;
const { EBUSY } = constants.errno;

/** Entries of each ring. */
export const XDP_RING_ENTRIES = 2048;

/** Where a ring is mapped, and the offsets in it. All in bytes. */
export interface XdpRing {
  at: number;
  producer: number;
  consumer: number;
  flags: number;
  descriptors: number;
}

export interface XdpSocket {
  fd: number;
  rx: XdpRing;
  tx: XdpRing;
  fill: XdpRing;
  completion: XdpRing;
}

export interface XdpRequest {
  interfaceIndex: number;
  queue: number;
  /** The arena, and the stretch of it that is the UMEM. */
  memory: Uint8Array;
  umem: { at: number; bytes: number; chunk: number };
  /** Arena address of four ring areas of `ringBytes` each, page aligned. */
  rings: number;
  ringBytes: number;
}

/** The rings in the order of their areas: option, page offset for mmap, bytes an entry. */
const RINGS = [
  ['rx', XDP_RX_RING, 0, 16],
  ['tx', XDP_TX_RING, 0x80000000, 16],
  ['fill', XDP_UMEM_FILL_RING, 0x100000000, 8],
  ['completion', XDP_UMEM_COMPLETION_RING, 0x180000000, 8],
] as const;

/** Opens and binds a socket. @throws SystemError. */
export function openXdpSocket(request: XdpRequest): XdpSocket {
  const fd = check(libc().socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), 'AF_XDP socket');
  try {
    const socket = { fd, ...mapRings(fd, request) };
    bind(fd, request);
    return socket;
  } catch (error) {
    closeXdpSocket(fd, request);
    throw error;
  }
}

function set(fd: number, option: number, value: Uint8Array, what: string): void {
  check(libc().setsockopt(fd, SOL_XDP, option, value, value.length), what);
}

function mapRings(fd: number, request: XdpRequest): Omit<XdpSocket, 'fd'> {
  const { memory, umem, rings, ringBytes } = request;
  const base = libc().address(memory);
  const region = Buffer.alloc(32);
  region.writeBigUInt64LE(base + BigInt(umem.at), 0);
  region.writeBigUInt64LE(BigInt(umem.bytes), 8);
  region.writeUInt32LE(umem.chunk, 16);
  set(fd, XDP_UMEM_REG, region, 'registering the frames with AF_XDP');
  for (const [name, option] of RINGS) set(fd, option, int32(XDP_RING_ENTRIES), `making the ${name} ring`);

  const offsets = Buffer.alloc(128);
  const length = int32(offsets.length);
  check(libc().getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, offsets, length), 'XDP_MMAP_OFFSETS');
  const offset = (i: number, field: number) => Number(offsets.readBigUInt64LE(32 * i + 8 * field));
  const mapped = RINGS.map(([name, , page, entryBytes], i) => {
    const at = rings + i * ringBytes;
    const ring = {
      at,
      producer: at + offset(i, 0),
      consumer: at + offset(i, 1),
      descriptors: at + offset(i, 2),
      flags: at + offset(i, 3),
    };
    const bytes = offset(i, 2) + XDP_RING_ENTRIES * entryBytes;
    if (bytes > ringBytes)
      throw new Error(`the ${name} ring needs ${bytes} bytes, ${ringBytes} are reserved`);
    mapFixed(base + BigInt(at), bytes, MAP_SHARED | MAP_POPULATE, fd, page);
    return [name, ring];
  });
  return Object.fromEntries(mapped);
}

function mapFixed(at: bigint, bytes: number, flags: number, fd: number, offset: number): void {
  const got = libc().mmap(at, bytes, PROT_READ_WRITE, flags | MAP_FIXED, fd, offset);
  check(got === at ? 0 : -1, 'mmap');
}

/** The kernel lets go of a queue a moment after its socket was closed: so long it may be busy. */
const BUSY_MS = 1000;
const pause = new Int32Array(new SharedArrayBuffer(4));

function bind(fd: number, { interfaceIndex, queue }: XdpRequest): void {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_XDP, 0);
  address.writeUInt32LE(interfaceIndex, 4);
  address.writeUInt32LE(queue, 8);
  // Without a copy where the driver can, else with one: an older kernel wants to be asked for it.
  for (const endMs = performance.now() + BUSY_MS; ; Atomics.wait(pause, 0, 0, 5)) {
    for (const flags of [XDP_USE_NEED_WAKEUP, XDP_USE_NEED_WAKEUP | XDP_COPY]) {
      address.writeUInt16LE(flags, 2);
      if (libc().bind(fd, address, address.length) === 0) return;
    }
    if (libc().errno() !== EBUSY || performance.now() > endMs) check(-1, 'binding the AF_XDP socket');
  }
}

/** Closes the socket and puts plain memory back where its rings were. */
export function closeXdpSocket(fd: number, { memory, rings, ringBytes }: XdpRequest): void {
  closeSync(fd);
  const base = libc().address(memory);
  mapFixed(base + BigInt(rings), RINGS.length * ringBytes, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/**
 * Asks the kernel to send what is on the transmit ring. What it took of it, the ring's consumer tells.
 * Returns the errno for which it will not, or 0.
 */
export function kickTransmit(fd: number): number {
  return libc().sendto(fd, null, 0, MSG_DONTWAIT, null, 0) < 0 ? libc().errno() : 0;
}

/** Frames that did not get through the socket since it was opened: for want of room, and for other reasons. */
export function xdpStatistics(fd: number): { noRoom: number; refused: number } {
  const statistics = Buffer.alloc(48); // struct xdp_statistics: six counters of 64 bits
  check(libc().getsockopt(fd, SOL_XDP, XDP_STATISTICS, statistics, int32(48)), 'XDP_STATISTICS');
  const counter = (i: number) => Number(statistics.readBigUInt64LE(8 * i));
  const [RX_DROPPED, RX_RING_FULL] = [0, 3];
  return { noRoom: counter(RX_RING_FULL), refused: counter(RX_DROPPED) };
}
