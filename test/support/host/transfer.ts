/**
 * A host's end of a TCP connection or of UDP datagrams, as a program:
 *
 *     transfer serve PORT                      answers on both until it is ended; prints a line when it listens
 *     transfer tcp ADDRESS PORT BYTES SEED     sends BYTES made from SEED; prints "SHA256 SHA256": of what was
 *                                              sent, and as the server says of what came
 *     transfer udp ADDRESS PORT SIZE...        sends a datagram of each size, one at a time; fails when one
 *                                              does not come back as it was within a second
 *     transfer segments ADDRESS PORT           sends 50 datagrams of 1000 bytes as one segment (udp(7),
 *                                              UDP_SEGMENT); fails when not all come back as they were
 */
import { createCipheriv, createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { check, int32, libc } from '../../../src/sys/libc.ts';

const PIECE = 256 << 10;

const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const SEGMENTS = 50;
const SEGMENT_BYTES = 1000;

/** Bytes that look random and are the same for the same seed. */
function* random(bytes: number, seed: number): Generator<Buffer> {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  for (let left = bytes; left > 0; left -= PIECE) yield cipher.update(Buffer.alloc(Math.min(left, PIECE)));
}

async function serve(port: number): Promise<void> {
  const tcp = createServer({ allowHalfOpen: true }, async (socket) => {
    const hash = createHash('sha256');
    socket.on('error', () => {});
    socket.on('data', (bytes) => hash.update(bytes));
    socket.on('end', () => socket.end(hash.digest('hex')));
  }).listen(port, '::');
  const udp = createSocket('udp6').bind(port, '::');
  udp.on('message', (bytes, { address, port }) => udp.send(bytes, port, address));
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
  console.log('listening');
}

async function sendTcp(address: string, port: number, bytes: number, seed: number): Promise<void> {
  const hash = createHash('sha256');
  const socket = createConnection({ host: address, port, allowHalfOpen: true });
  let answer = '';
  socket.setEncoding('latin1').on('data', (text) => {
    answer += text;
  });
  const answered = once(socket, 'end');
  await pipeline(
    (function* () {
      for (const piece of random(bytes, seed)) {
        hash.update(piece);
        yield piece;
      }
    })(),
    socket,
  );
  await answered;
  console.log(hash.digest('hex'), answer);
}

async function sendUdp(address: string, port: number, sizes: number[]): Promise<void> {
  const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  for (const [seed, size] of sizes.entries()) {
    const sent = Buffer.concat([...random(size, seed)]);
    udp.send(sent, port, address);
    const [came] = await once(udp, 'message', { signal: AbortSignal.timeout(1000) });
    if (!sent.equals(came)) throw new Error(`a datagram of ${size} bytes came back changed`);
  }
  udp.close();
}

async function sendSegments(address: string, port: number): Promise<void> {
  const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  udp.connect(port, address);
  await once(udp, 'connect');
  const { fd } = (udp as unknown as { _handle: { fd: number } })._handle;
  check(libc().setsockopt(fd, SOL_UDP, UDP_SEGMENT, int32(SEGMENT_BYTES), 4), 'UDP_SEGMENT');
  const sent = Buffer.concat([...random(SEGMENTS * SEGMENT_BYTES, 1)]);
  const back: Buffer[] = [];
  const all = new Promise<void>((resolve) =>
    udp.on('message', (bytes) => {
      if (back.push(bytes) === SEGMENTS) resolve();
    }),
  );
  const late = once(AbortSignal.timeout(2000), 'abort');
  udp.send(sent);
  await Promise.race([all, late]);
  if (!sent.equals(Buffer.concat(back)))
    throw new Error(`${back.length} of ${SEGMENTS} came back, or changed`);
  udp.close();
}

const [what, ...rest] = process.argv.slice(2);
if (what === 'serve') await serve(Number(rest[0]));
else if (what === 'tcp') await sendTcp(rest[0]!, Number(rest[1]), Number(rest[2]), Number(rest[3]));
else if (what === 'segments') await sendSegments(rest[0]!, Number(rest[1]));
else await sendUdp(rest[0]!, Number(rest[1]), rest.slice(2).map(Number));
