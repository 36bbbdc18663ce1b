/** AF_PACKET sockets (packet(7)) with offload headers (PACKET_VNET_HDR), for whole segments. */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
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
const PACKET_STATISTICS = 6;
const PACKET_AUXDATA = 8;
const PACKET_VNET_HDR = 15;
const PACKET_FANOUT = 18;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_MR_PROMISC = 1;
const MSG_DONTWAIT = 0x40;
const { EAGAIN } = constants.errno;

/** Room for a hundred whole segments; more would only make a flood's backlog take longer to work off. */
const BUFFER_BYTES = 8 << 20;

/**
 * Opens a socket that sends on an interface and, if `receives`, sees all that arrives there, whoever it is
 * for, and nothing that is sent. The interface is promiscuous until it is closed. @throws SystemError.
 */
export function openPacketSocket(interfaceIndex: number, receives: boolean): number {
  const fd = check(libc().socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), 'AF_PACKET socket');
  try {
    for (const option of [PACKET_VNET_HDR, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING]) {
      check(libc().setsockopt(fd, SOL_PACKET, option, int32(1), 4), `packet option ${option}`);
    }
    for (const option of [SO_SNDBUFFORCE, SO_RCVBUFFORCE]) {
      check(libc().setsockopt(fd, SOL_SOCKET, option, int32(BUFFER_BYTES), 4), 'socket buffer');
    }
    addPromiscuous(fd, interfaceIndex);
    bind(fd, interfaceIndex, receives ? ETH_P_ALL : 0);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function bind(fd: number, interfaceIndex: number, protocol: number): void {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(protocol, 2);
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

/**
 * A group of packet sockets that share what arrives, as linux/if_packet.h has it. By hash: the kernel's hash of
 * a flow is the same in both directions and for every fragment of a packet, so a flow stays in order on one
 * socket. Neither rolled over to another socket when one is full, which would break that order, nor
 * defragmented, since a switch passes fragments as they come. The group decides for its members whether they see
 * what is sent.
 */
const FANOUT_HASH = 0;
const FANOUT_UNIQUE_ID = 0x2000;
const FANOUT_IGNORE_OUTGOING = 0x4000;

/**
 * Makes a receiving socket a member of group `group`, or of a new one. Returns the group's number. What the
 * socket has received until now is discarded: other members have received it too.
 */
export function joinFanout(fd: number, group: number | undefined): number {
  const flags = FANOUT_HASH | FANOUT_IGNORE_OUTGOING | (group === undefined ? FANOUT_UNIQUE_ID : 0);
  const value = int32((group ?? 0) | (flags << 16));
  check(libc().setsockopt(fd, SOL_PACKET, PACKET_FANOUT, value, 4), 'joining the fanout group');
  if (group !== undefined) {
    discard(fd);
    return group;
  }
  const made = Buffer.alloc(4);
  check(libc().getsockopt(fd, SOL_PACKET, PACKET_FANOUT, made, int32(4)), 'PACKET_FANOUT');
  return made.readUInt16LE(0);
}

function discard(fd: number): void {
  const byte = new Uint8Array(1);
  while (libc().recv(fd, byte, byte.length, MSG_DONTWAIT) >= 0);
}

/** Receives into at most `count` messages at host address `messages`; how many, or minus an errno. */
export function receiveMessages(fd: number, messages: bigint, count: number): number {
  const received = libc().recvmmsg(fd, messages, count, MSG_DONTWAIT, null);
  if (received >= 0) return received;
  const errno = libc().errno();
  return errno === EAGAIN ? 0 : -errno;
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

/** Frames that did not fit the socket's buffer since the last call. */
export function takeMissed(fd: number): number {
  const statistics = Buffer.alloc(8); // struct tpacket_stats: packets, drops
  check(libc().getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, statistics, int32(8)), 'PACKET_STATISTICS');
  return statistics.readUInt32LE(4);
}
