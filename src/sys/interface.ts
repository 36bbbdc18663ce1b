/** Network interfaces: what a port must know of one before it opens it. ioctls of netdevice(7). */
import { closeSync } from 'node:fs';
import { check, libc } from './libc.ts';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFMTU = 0x8921;
const IFF_UP = 1;
const NAME_LENGTH = 16;

export interface Interface {
  name: string;
  index: number;
  mtu: number;
  up: boolean;
}

/** @throws Error naming the interface when there is none, SystemError when it cannot be read. */
export function findInterface(name: string): Interface {
  const index = libc().if_nametoindex(name);
  if (index === 0) throw new Error('no such network interface');
  const fd = check(libc().socket(AF_INET, SOCK_DGRAM, 0), 'socket');
  try {
    const ask = (request: number, what: string) => {
      const ifreq = Buffer.alloc(40);
      ifreq.write(name, 0, NAME_LENGTH - 1, 'latin1');
      check(libc().ioctl(fd, request, ifreq), what);
      return ifreq.readInt32LE(NAME_LENGTH);
    };
    const flags = ask(SIOCGIFFLAGS, 'SIOCGIFFLAGS');
    return { name, index, mtu: ask(SIOCGIFMTU, 'SIOCGIFMTU'), up: (flags & IFF_UP) !== 0 };
  } finally {
    closeSync(fd);
  }
}
