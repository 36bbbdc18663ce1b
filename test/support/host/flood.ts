/**
 * Sends small packets as fast as one thread can, as a program:
 *
 *     flood udp ADDRESS SECONDS      datagrams of 18 bytes to port 9, in frames of 64
 *     flood strangers SECONDS        frames out of eth0, each from a MAC address that nobody has heard of
 *
 * Prints how many it sent.
 */

import { findInterface } from '../../../src/sys/interface.ts';
import { check, libc } from '../../../src/sys/libc.ts';
import { hostAddress } from '../../../src/sys/packet.ts';

const AF_INET = 2;
const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;

const BATCH = 64;
const MESSAGE = 64; // sizeof(struct mmsghdr)
const VECTOR = 16;

const [what, ...rest] = process.argv.slice(2);
const strangers = what === 'strangers';
const seconds = Number(rest.at(-1));
const length = strangers ? 60 : 18;

const fd = check(
  libc().socket(strangers ? AF_PACKET : AF_INET, strangers ? SOCK_RAW : SOCK_DGRAM, 0),
  'socket',
);
const target = Buffer.alloc(strangers ? 20 : 16); // struct sockaddr_ll or sockaddr_in
if (strangers) {
  target.writeUInt16LE(AF_PACKET, 0);
  target.writeInt32LE(findInterface('eth0').index, 4);
} else {
  target.writeUInt16LE(AF_INET, 0);
  target.writeUInt16BE(9, 2);
  target.set(rest[0]!.split('.').map(Number), 4);
}

const packets = Buffer.alloc(BATCH * length);
const vectors = Buffer.alloc(BATCH * VECTOR);
const messages = Buffer.alloc(BATCH * MESSAGE);
for (let i = 0; i < BATCH; i++) {
  vectors.writeBigUInt64LE(hostAddress(packets) + BigInt(i * length), i * VECTOR);
  vectors.writeBigUInt64LE(BigInt(length), i * VECTOR + 8);
  messages.writeBigUInt64LE(hostAddress(target), i * MESSAGE);
  messages.writeUInt32LE(target.length, i * MESSAGE + 8);
  messages.writeBigUInt64LE(hostAddress(vectors) + BigInt(i * VECTOR), i * MESSAGE + 16);
  messages.writeBigUInt64LE(1n, i * MESSAGE + 24);
  if (strangers) packets.write('ffffffffffff02ff0000000088b5', i * length, 'hex');
}

let sent = 0;
for (const endMs = performance.now() + seconds * 1000; performance.now() < endMs; ) {
  if (strangers) for (let i = 0; i < BATCH; i++) packets.writeUInt32BE(sent + i, i * length + 8);
  sent += Math.max(libc().sendmmsg(fd, messages, BATCH, 0), 0);
}
console.log(sent);
