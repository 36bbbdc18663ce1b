import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { KEY_SIZE, MAX_LENGTH, OP_END, OP_OUTPUT, QueueAreas } from '../../src/datapath.ts';
import type { Port } from '../../src/port/port.ts';
import { parseAddress, removeStale } from '../../src/port/stream/address.ts';
import { StreamLink } from '../../src/port/stream/link.ts';
import { portType } from '../../src/port/stream.ts';
import { Rig } from '../support/rig.ts';
import { type Random, randomBytes, seeded } from '../support/seeded.ts';

const PORT = 1;
const MAC_TYPE = Uint8Array.of(0xf0, 0x0d);

/** A port that sends back what it receives, its thread polled whenever it is rung. */
class Echo {
  readonly rig = new Rig({ frames: 2048, largeFrames: 128 });
  readonly link: StreamLink;
  readonly #area: number;
  readonly #port: Port;

  constructor(t: TestContext) {
    const { arena, datapath, handler, ports } = this.rig;
    this.rig.open(PORT);
    ports.open(PORT, 0, 9014);
    const mask = new Uint8Array(KEY_SIZE).fill(0xff, 0, 4);
    const key = new Uint8Array(KEY_SIZE);
    key[0] = PORT;
    handler.install(mask, key, Uint32Array.of(OP_OUTPUT, PORT, OP_END));
    [this.#area] = new QueueAreas(arena).take(1) as [number];
    this.#port = portType.drive(datapath, { type: 'stream', number: PORT, area: this.#area });
    this.link = new StreamLink(arena, this.#area, () => setImmediate(() => this.#round(datapath)));
    t.after(() => this.link.close());
  }

  #round(datapath: Rig['datapath']): void {
    while (this.#port.poll() > 0) {
      const ready = datapath.exports.flush();
      if (ready > 0) this.#port.transmit();
      datapath.clearReadyPorts();
    }
  }

  /** Resolves when the link is as the pattern says: why there is no peer, or empty. */
  async is(absence: RegExp): Promise<void> {
    while (!absence.test(this.link.absence)) await new Promise(setImmediate);
  }
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'heddle-stream-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

async function listening(t: TestContext): Promise<{ echo: Echo; path: string }> {
  const path = join(folder(t), 'vm.sock');
  const echo = new Echo(t);
  await echo.link.listen({ path });
  return { echo, path };
}

async function dialled(t: TestContext, path: string): Promise<Socket> {
  const socket = dial(path);
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

const frame = (random: Random, length: number): Buffer => {
  const bytes = Buffer.from(randomBytes(random, length));
  bytes.set(MAC_TYPE, 12);
  return bytes;
};

const framed = (frames: readonly Buffer[]): Buffer =>
  Buffer.concat(
    frames.flatMap((bytes) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );

/** Reads `bytes` bytes. */
async function read(socket: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= bytes) break;
  }
  return Buffer.concat(chunks);
}

test('frames go through in order and whole, however the stream is cut', async (t) => {
  await seeded(async (random) => {
    const { echo, path } = await listening(t);
    const socket = await dialled(t, path);
    const frames = Array.from({ length: 500 }, () => frame(random, 14 + random.below(3000)));
    const sent = framed(frames);
    const answer = read(socket, sent.length);
    for (let at = 0; at < sent.length; ) {
      const n = 1 + random.below(random.below(10) === 0 ? 20_000 : 7);
      socket.write(sent.subarray(at, at + n));
      at += n;
      if (random.below(8) === 0) await new Promise(setImmediate);
    }
    assert.ok((await answer).equals(sent));
    assert.equal(echo.rig.observer.totals().received, 500);
    assert.deepEqual(echo.rig.observer.totals().dropped, {});
    echo.link.close();
  })();
});

test('a frame that the port may not send is dropped, with a reason', async (t) => {
  const { echo, path } = await listening(t);
  const socket = await dialled(t, path);
  const long = Buffer.alloc(9100);
  long.set(MAC_TYPE, 12);
  const short = long.subarray(0, 60);
  const answer = read(socket, 64);
  socket.write(framed([long, short]));
  assert.ok((await answer).equals(framed([short])));
  assert.deepEqual(echo.rig.observer.totals().dropped, { too_long: 1 });
});

for (const length of [0, MAX_LENGTH + 1, 0xffff_ffff]) {
  test(`a frame of ${length} bytes ends the connection and says so; the next one works`, async (t) => {
    const { echo, path } = await listening(t);
    const bad = await dialled(t, path);
    const head = Buffer.alloc(8);
    head.writeUInt32BE(length);
    bad.write(head);
    await once(bad, 'close');
    await echo.is(new RegExp(`a frame of ${length} bytes; expected 1 to ${MAX_LENGTH}`));
    const good = await dialled(t, path);
    const bytes = framed([Buffer.alloc(60)]);
    const answer = read(good, bytes.length);
    good.write(bytes);
    assert.ok((await answer).equals(bytes));
  });
}

test('what a connection left half sent is forgotten when the next one comes', async (t) => {
  const { echo, path } = await listening(t);
  const first = await dialled(t, path);
  first.end(framed([Buffer.alloc(500)]).subarray(0, 300));
  await echo.is(/hung up/);
  const second = await dialled(t, path);
  const bytes = framed([Buffer.alloc(64, 1)]);
  const answer = read(second, bytes.length);
  second.write(bytes);
  assert.ok((await answer).equals(bytes));
  assert.equal(echo.link.absence, '');
});

test('a second peer is turned away while the first is there', async (t) => {
  const { path } = await listening(t);
  await dialled(t, path);
  const second = await dialled(t, path);
  await once(second, 'close');
});

test('a peer that does not read holds up nothing: what does not fit is dropped and counted', async (t) => {
  const { echo, path } = await listening(t);
  const socket = await dialled(t, path);
  const frames = Array.from({ length: 64 }, () => Buffer.alloc(9000));
  const { rig } = echo;
  for (let round = 0; round < 200; round++) {
    socket.write(framed(frames));
    const want = (round + 1) * 64;
    while (rig.observer.totals().received < want) await new Promise(setImmediate);
  }
  const { received, forwarded, dropped } = rig.observer.totals();
  assert.ok(dropped.transmit_queue_full! > 0);
  assert.equal(received, forwarded + dropped.transmit_queue_full!);
});

test('connecting is tried again until there is a listener, and when it has gone and come back', async (t) => {
  const path = join(folder(t), 'vm.sock');
  const echo = new Echo(t);
  echo.link.connect({ path });
  await echo.is(/ENOENT/);
  const serve = async (): Promise<[Server, Socket]> => {
    const server = createServer().listen(path);
    const [socket] = (await once(server, 'connection')) as [Socket];
    return [server, socket];
  };
  for (let i = 0; i < 2; i++) {
    const [server, socket] = await serve();
    const bytes = framed([Buffer.alloc(100, i)]);
    const answer = read(socket, bytes.length);
    socket.write(bytes);
    assert.ok((await answer).equals(bytes));
    socket.destroy();
    server.close();
  }
});

test('a socket that nobody listens on any more is replaced, one that answers or is no socket is not', async (t) => {
  const place = folder(t);
  const live = join(place, 'live.sock');
  const server = createServer().listen(live);
  t.after(() => server.close());
  await once(server, 'listening');
  await assert.rejects(new Echo(t).link.listen({ path: live }), /EADDRINUSE/);
  const file = join(place, 'file');
  writeFileSync(file, 'precious');
  await removeStale({ path: file });
  assert.ok(existsSync(file));
});

test('addresses are paths, or hosts and ports', () => {
  assert.deepEqual(parseAddress('/run/vm.sock'), { path: '/run/vm.sock' });
  assert.deepEqual(parseAddress('./vm.sock'), { path: './vm.sock' });
  assert.deepEqual(parseAddress('127.0.0.1:5555'), { host: '127.0.0.1', port: 5555 });
  assert.deepEqual(parseAddress('[::1]:5555'), { host: '::1', port: 5555 });
  for (const wrong of [
    'vm.sock',
    'localhost',
    ':1',
    'a:0',
    'a:65536',
    '::1:5555',
    `/${'x'.repeat(107)}`,
    '',
  ]) {
    assert.equal(parseAddress(wrong), undefined, wrong);
  }
});
