/** AF_PACKET sockets (packet(7)) with offload headers (PACKET_VNET_HDR), for whole segments. */
import { closeSync } from 'node:fs';
import { check, int32, libc } from './libc.ts';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x80000;
const ETH_P_ALL = 3;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_AUXDATA = 8;
const PACKET_VNET_HDR = 15;
const PACKET_QDISC_BYPASS = 20;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_MR_PROMISC = 1;
const MSG_DONTWAIT = 0x40;

/** Room for a hundred whole segments; more would only make a flood's backlog take longer to work off. */
const BUFFER_BYTES = 8 << 20;

/** Opens a socket that sees all that arrives at an interface, and nothing that it sends. @throws SystemError. */
export function openPacketSocket(interfaceIndex: number): number {
  const fd = check(libc().socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), 'AF_PACKET socket');
  try {
    for (const option of [PACKET_VNET_HDR, PACKET_AUXDATA, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING]) {
      check(libc().setsockopt(fd, SOL_PACKET, option, int32(1), 4), `packet option ${option}`);
    }
    for (const option of [SO_SNDBUFFORCE, SO_RCVBUFFORCE]) {
      check(libc().setsockopt(fd, SOL_SOCKET, option, int32(BUFFER_BYTES), 4), 'socket buffer');
    }
    addPromiscuous(fd, interfaceIndex);
    bind(fd, interfaceIndex);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function bind(fd: number, interfaceIndex: number): void {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(ETH_P_ALL, 2);
  address.writeInt32LE(interfaceIndex, 4);
  check(libc().bind(fd, address, address.length), 'binding the packet socket');
}

/** The interface takes all frames, whoever they are for, until the socket is closed. */
function addPromiscuous(fd: number, interfaceIndex: number): void {
  const request = Buffer.alloc(16);
  request.writeInt32LE(interfaceIndex, 0);
  request.writeUInt16LE(PACKET_MR_PROMISC, 4);
  check(libc().setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, request, 16), 'promiscuous mode');
}

/** A socket that does nothing but keep an interface promiscuous while it is open. */
export function joinPromiscuous(interfaceIndex: number): number {
  const fd = check(libc().socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), 'AF_PACKET socket');
  try {
    addPromiscuous(fd, interfaceIndex);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Receives into at most `count` messages at host address `messages`; 0 when there is nothing. */
export function receiveMessages(fd: number, messages: bigint, count: number): number {
  return Math.max(libc().recvmmsg(fd, messages, count, MSG_DONTWAIT, null), 0);
}

/** Sends `count` messages; how many were taken, or minus the errno that refused the first. */
export function sendMessages(fd: number, messages: bigint, count: number): number {
  const sent = libc().sendmmsg(fd, messages, count, MSG_DONTWAIT);
  return sent < 0 ? -libc().errno() : sent;
}

/** Host address of arena address 0. The arena lives as long as the process. */
export function hostAddress(memory: Uint8Array): bigint {
  return libc().address(memory);
}
