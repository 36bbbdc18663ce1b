/** News of network interfaces from the kernel (rtnetlink(7)): that something has changed, not what. */
import { closeSync } from 'node:fs';
import { check, libc } from './libc.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const NETLINK_ROUTE = 0;
const RTMGRP_LINK = 1;

/** Opens a socket that hears of interfaces that come, go or change; close it with closeSync. @throws SystemError. */
export function openLinkNews(): number {
  const fd = check(
    libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE),
    'netlink',
  );
  const address = Buffer.alloc(12); // struct sockaddr_nl: family, port, groups
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(RTMGRP_LINK, 8);
  try {
    check(libc().bind(fd, address, address.length), 'binding the netlink socket');
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Whether anything has been heard since the last call. */
export function takeLinkNews(fd: number): boolean {
  const buffer = new Uint8Array(8192);
  let heard = false;
  while (libc().read(fd, buffer, buffer.length) >= 0) heard = true;
  return heard;
}
