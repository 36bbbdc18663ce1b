/** Sends frames as they are out of a host's eth0, as a program: `raw HEX...`, each from the Ethernet header on. */
import { findInterface } from '../../../src/sys/interface.ts';
import { check, libc } from '../../../src/sys/libc.ts';

const AF_PACKET = 17;
const SOCK_RAW = 3;

const fd = check(libc().socket(AF_PACKET, SOCK_RAW, 0), 'AF_PACKET socket');
const address = Buffer.alloc(20); // struct sockaddr_ll
address.writeUInt16LE(AF_PACKET, 0);
address.writeInt32LE(findInterface('eth0').index, 4);
for (const hex of process.argv.slice(2)) {
  const frame = Buffer.from(hex, 'hex');
  check(Number(libc().sendto(fd, frame, frame.length, 0, address, address.length)), 'sendto');
}
