/**
 * Sends the smallest Ethernet frames as fast as one thread can: `flood ADDRESS SECONDS`, run in the sending
 * host. One send with UDP_SEGMENT hands the kernel 64 datagrams, which leave as 64 frames when the interface
 * does not take them whole. Prints how many it sent.
 *
 * A thread may not call a socket from JavaScript without a native library, so this loads koffi itself.
 */
import koffi from 'koffi';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const PORT = 9; // discard, RFC 863

/** 64 bytes of Ethernet = 14 header + 20 IP + 8 UDP + 18 payload + 4 check sequence. */
const PAYLOAD_BYTES = 18;
/** UDP_MAX_SEGMENTS of Linux before 6.9. */
const SEGMENTS = 64;

const [address, seconds] = process.argv.slice(2);
const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const connect = libc.func('int connect(int fd, const void *address, unsigned int length)');
const setsockopt = libc.func(
  'int setsockopt(int fd, int level, int name, const void *value, unsigned int length)',
);
const send = libc.func('long send(int fd, const void *data, size_t length, int flags)');

function check(result: number, what: string): number {
  if (result >= 0) return result;
  const errno = koffi.errno();
  const hint = errno === koffi.os.errno.EIO ? ' (without checksum offload UDP_SEGMENT needs Linux 6.11)' : '';
  throw new Error(`flood: ${what}: errno ${errno}${hint}`);
}

const fd = check(socket(AF_INET, SOCK_DGRAM, 0), 'socket');
const target = Buffer.alloc(16); // struct sockaddr_in: family in host order, port and address in network order
target.writeUInt16LE(AF_INET, 0);
target.writeUInt16BE(PORT, 2);
target.set(address.split('.').map(Number), 4);
check(connect(fd, target, target.length), 'connect');
const size = Buffer.alloc(4);
size.writeInt32LE(PAYLOAD_BYTES);
check(setsockopt(fd, SOL_UDP, UDP_SEGMENT, size, size.length), 'UDP_SEGMENT');

const payload = Buffer.alloc(PAYLOAD_BYTES * SEGMENTS);
const deadlineMs = performance.now() + Number(seconds) * 1000;
let sent = 0;
while (performance.now() < deadlineMs) {
  for (let turn = 0; turn < 16; turn++) {
    const taken = Number(send(fd, payload, payload.length, 0));
    if (taken > 0) sent += taken / PAYLOAD_BYTES;
    else if (koffi.errno() !== koffi.os.errno.ENOBUFS) check(taken, 'send');
  }
}
console.log(sent);
