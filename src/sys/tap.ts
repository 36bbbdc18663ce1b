/** Tap devices (Documentation/networking/tuntap.rst) with offload headers, for whole segments. */
import { closeSync, constants, openSync } from 'node:fs';
import { check, libc, SystemError } from './libc.ts';

const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const IFF_TAP = 0x0002;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
/** TUN_F_CSUM, TUN_F_TSO4 and TUN_F_TSO6: the kernel may hand over partial checksums and whole segments. */
const OFFLOADS = 0x01 | 0x02 | 0x04;
const NAME_LENGTH = 16;
const O_CLOEXEC = 0x80000;

/**
 * Opens one queue of a tap device, which is created when there is none of that name. It goes when its last queue
 * is closed, unless it was made persistent (`ip tuntap add`).
 * @param multiQueue whether the device has several; all who open it must agree
 * @throws Error saying what is in the way
 */
export function openTapQueue(device: string, multiQueue: boolean): number {
  const fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK | O_CLOEXEC);
  try {
    const ifreq = Buffer.alloc(40);
    ifreq.write(device, 0, NAME_LENGTH - 1, 'latin1');
    ifreq.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multiQueue ? IFF_MULTI_QUEUE : 0), NAME_LENGTH);
    check(libc().ioctl(fd, TUNSETIFF, ifreq), `tap device ${device}`);
    check(libc().ioctl(fd, TUNSETOFFLOAD, BigInt(OFFLOADS)), `offloads of ${device}`);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw explained(error, device);
  }
}

function explained(error: unknown, device: string): unknown {
  if (!(error instanceof SystemError)) return error;
  if (error.code === 'EINVAL') {
    return new Error(`${device} is no tap device, or has another number of queues than asked for`);
  }
  return error.code === 'EBUSY' ? new Error(`${device} is in use by another program`) : error;
}

/** Reads one frame into two vectors at a host address: bytes, offload header included; or minus the errno. */
export function readFrame(fd: number, vectors: bigint): number {
  const length = libc().readv(fd, vectors, 2);
  return length < 0 ? -libc().errno() : length;
}

/** Writes one frame from two vectors; negative: minus the errno. */
export function writeFrame(fd: number, vectors: bigint): number {
  const length = libc().writev(fd, vectors, 2);
  return length < 0 ? -libc().errno() : length;
}
