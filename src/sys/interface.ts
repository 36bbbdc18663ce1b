/** Network interfaces: what a port must know of one before it opens it. ioctls of netdevice(7). */
import { closeSync } from 'node:fs';
import { check, libc } from './libc.ts';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFMTU = 0x8921;
const SIOCETHTOOL = 0x8946;
const ETHTOOL_GTSO = 0x1e;
const ETHTOOL_GCHANNELS = 0x3c;
const IFF_UP = 1;
const IFF_RUNNING = 0x40;
const NAME_LENGTH = 16;

export interface Interface {
  name: string;
  index: number;
  mtu: number;
  up: boolean;
  /** Whether somebody is at the other end, as far as the driver can tell. */
  carrier: boolean;
  /** Whether it takes TCP segments whole (`ethtool -k`: tcp-segmentation-offload). */
  takesSegments: boolean;
}

/** @throws Error naming the interface when there is none, SystemError when it cannot be read. */
export function findInterface(name: string): Interface {
  const index = libc().if_nametoindex(name);
  if (index === 0) throw new Error(`there is no network interface ${name}`);
  const fd = check(libc().socket(AF_INET, SOCK_DGRAM, 0), 'socket');
  try {
    const ask = (request: number, what: string) => {
      const ifreq = named(name);
      check(libc().ioctl(fd, request, ifreq), what);
      return ifreq.readInt32LE(NAME_LENGTH);
    };
    const flags = ask(SIOCGIFFLAGS, 'SIOCGIFFLAGS');
    return {
      name,
      index,
      mtu: ask(SIOCGIFMTU, 'SIOCGIFMTU'),
      up: (flags & IFF_UP) !== 0,
      carrier: (flags & IFF_RUNNING) !== 0,
      takesSegments: takesSegments(fd, name),
    };
  } finally {
    closeSync(fd);
  }
}

/** As `findInterface`. @throws also when the interface is down. */
export function findUpInterface(name: string): Interface {
  const link = findInterface(name);
  if (!link.up) throw new Error(`${name} is down (ip link set ${name} up)`);
  return link;
}

/** How many receive queues an interface has (`ethtool -l`); one that does not tell has one. */
export function countReceiveQueues(name: string): number {
  const fd = check(libc().socket(AF_INET, SOCK_DGRAM, 0), 'socket');
  try {
    const channels = Buffer.alloc(36); // struct ethtool_channels: command, four maxima, then the counts
    channels.writeUInt32LE(ETHTOOL_GCHANNELS, 0);
    if (ethtool(fd, name, channels) !== 0) return 1;
    const [rx, combined] = [channels.readUInt32LE(20), channels.readUInt32LE(32)];
    return Math.max(rx + combined, 1);
  } finally {
    closeSync(fd);
  }
}

/** A `struct ifreq` that names an interface. */
function named(name: string): Buffer {
  const ifreq = Buffer.alloc(40);
  ifreq.write(name, 0, NAME_LENGTH - 1, 'latin1');
  return ifreq;
}

/** An interface that cannot be asked takes none. */
function takesSegments(fd: number, name: string): boolean {
  const value = Buffer.alloc(8); // struct ethtool_value: command, data
  value.writeUInt32LE(ETHTOOL_GTSO, 0);
  return ethtool(fd, name, value) === 0 && value.readUInt32LE(4) !== 0;
}

/** Gives the driver a command, which it answers in place. Returns what ioctl(2) does. */
function ethtool(fd: number, name: string, command: Buffer): number {
  const ifreq = named(name);
  ifreq.writeBigUInt64LE(libc().address(command), NAME_LENGTH);
  return libc().ioctl(fd, SIOCETHTOOL, ifreq);
}
