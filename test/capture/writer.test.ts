/** What the writer wrote, the reader reads back. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { CaptureReader } from '../../src/port/capture/reader.ts';
import { CaptureWriter } from '../../src/port/capture/writer.ts';
import { folder, readAll, type Shown } from './build.ts';

const frame = (interfaces: number) =>
  fc.record({
    interfaceIndex: fc.nat(interfaces - 1),
    microseconds: fc.integer({ min: 0, max: 4_294_967_294_000_000 }),
    bytes: fc.uint8Array({ maxLength: 300 }),
    before: fc.nat(9),
    cutOff: fc.nat(70_000),
  });

type Frame = typeof frame extends (interfaces: number) => fc.Arbitrary<infer F> ? F : never;

/** Writes frames as parts of larger arrays, and returns how they must read. */
function write(path: string, interfaces: readonly string[], frames: readonly Frame[]): Shown[] {
  const writer = CaptureWriter.create(path, interfaces);
  const shown = frames.map(({ interfaceIndex, microseconds, bytes, before, cutOff }) => {
    const around = Buffer.concat([Buffer.alloc(before, 0xee), bytes, Buffer.alloc(5, 0xee)]);
    const timeMs = microseconds / 1000;
    const originalLength = bytes.length + cutOff;
    writer.write(interfaceIndex, timeMs, around, before, bytes.length, originalLength);
    return { interfaceIndex, timeMs, originalLength, hex: Buffer.from(bytes).toString('hex') };
  });
  writer.close();
  return shown;
}

test('pcap round trip: frames, times to the microsecond, lengths', (t) => {
  const path = join(folder(t), 'x.pcap');
  fc.assert(
    fc.property(fc.array(frame(1)), (frames) => {
      const shown = write(path, ['ignored'], frames);
      const read = readAll(path);
      assert.deepEqual(read, {
        format: 'pcap',
        interfaces: [{ name: '', linkType: 1, snapLength: 262_144 }],
        frames: shown,
        ended: true,
      });
    }),
    { numRuns: 300 },
  );
});

test('pcapng round trip: interfaces too', (t) => {
  const path = join(folder(t), 'x.pcapng');
  const names = fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { minLength: 1, maxLength: 5 });
  const files = names.chain((interfaces) =>
    fc.record({ interfaces: fc.constant(interfaces), frames: fc.array(frame(interfaces.length)) }),
  );
  fc.assert(
    fc.property(files, ({ interfaces, frames }) => {
      const shown = write(path, interfaces, frames);
      const read = readAll(path);
      assert.deepEqual(read, {
        format: 'pcapng',
        interfaces: interfaces.map((name) => ({ name, linkType: 1, snapLength: 262_144 })),
        frames: shown,
        ended: true,
      });
    }),
    { numRuns: 300 },
  );
});

for (const ending of ['pcap', 'pcapng'])
  test(`${ending}: frames of every length up to the longest, over many fillings of the buffers`, (t) => {
    const path = join(folder(t), `x.${ending}`);
    const bytes = new Uint8Array(1 << 19).map((_, at) => (at * 2_654_435_761) >>> 24);
    const lengths = [262_144, 262_143, 0, 262_144, 1, 262_142, 60, 262_144, 262_144, 262_144, 14];
    for (let length = 1; length < 3000; length += 7) lengths.push(length);

    const writer = CaptureWriter.create(path, ['a']);
    for (const length of lengths) writer.write(0, length, bytes, length, length);
    writer.close();

    const capture = CaptureReader.open(path);
    for (const length of lengths) {
      assert.ok(capture.next());
      assert.deepEqual([capture.length, capture.originalLength, capture.timeMs], [length, length, length]);
      const read = Buffer.from(capture.buffer.buffer as ArrayBuffer, capture.offset, length);
      assert.ok(read.equals(bytes.subarray(length, 2 * length)));
    }
    assert.equal(capture.next(), false);
    assert.equal(capture.bytesRead, capture.sizeBytes);
    capture.close();
  });

test('flush puts every frame into the file, close ends it', (t) => {
  const path = join(folder(t), 'x.pcap');
  const writer = CaptureWriter.create(path, ['a']);
  writer.write(0, 1, new Uint8Array(60), 0, 60);
  assert.equal(statSync(path).size, 0);
  writer.flush();
  assert.equal(readAll(path).frames.length, 1);
  writer.write(0, 2, new Uint8Array(60), 0, 60);
  writer.close();
  writer.close();
  assert.equal(readAll(path).frames.length, 2);
});

test('frames may lie in shared memory', (t) => {
  const path = join(folder(t), 'x.pcapng');
  const shared = new Uint8Array(new SharedArrayBuffer(64)).fill(7);
  const writer = CaptureWriter.create(path, ['a']);
  writer.write(0, 1, shared, 3, 5);
  writer.close();
  assert.equal(readAll(path).frames[0]?.hex, '0707070707');
});

test('a name in .pcap holds one interface, and the file is not touched for more', (t) => {
  const path = join(folder(t), 'x.pcap');
  assert.throws(() => CaptureWriter.create(path, ['a', 'b']), {
    name: 'RangeError',
    message: `${path}: pcap has one interface, not 2 interfaces (a, b); end the name in .pcapng`,
  });
  assert.equal(existsSync(path), false);
});

test('what no capture can hold is refused by name and leaves no trace', (t) => {
  const path = join(folder(t), 'x.pcapng');
  const writer = CaptureWriter.create(path, ['a']);
  const bytes = new Uint8Array(300_000);
  for (const [args, message] of [
    [[1, 0, bytes, 0, 60], /frame 1: interface 1; there are 1$/],
    [[-1, 0, bytes, 0, 60], /frame 1: interface -1; there are 1$/],
    [[0, -1, bytes, 0, 60], /frame 1: time -1 ms; expected 0 to 4294967295000$/],
    [[0, Number.NaN, bytes, 0, 60], /frame 1: time NaN ms/],
    [[0, 0, bytes, 0, 262_145], /frame 1: a frame of 262145 bytes; expected at most 262144$/],
    [[0, 0, bytes, 299_999, 2], /frame 1: 2 bytes at 299999 of a buffer of 300000$/],
  ] as [[number, number, Uint8Array, number, number], RegExp][])
    assert.throws(() => writer.write(...args), { name: 'RangeError', message });
  writer.close();
  assert.deepEqual(readAll(path).frames, []);
});

test('a disk that refuses is named, with the byte that did not fit', {
  skip: !existsSync('/dev/full') && 'no /dev/full here',
}, () => {
  const writer = CaptureWriter.create('/dev/full', ['a']);
  writer.write(0, 1, new Uint8Array(60), 0, 60);
  const refusal = { name: 'CaptureError', path: '/dev/full', frame: 1, offset: 0, message: /ENOSPC/ };
  assert.throws(() => writer.flush(), refusal);
  assert.throws(() => writer.close(), refusal);
});

test('padding is zero, also where the buffer held other frames', (t) => {
  const path = join(folder(t), 'x.pcapng');
  const bytes = new Uint8Array(64).fill(0xff);
  const writer = CaptureWriter.create(path, ['a']);
  for (let frame = 0; frame < 30_000; frame++) writer.write(0, 1, bytes, 0, frame < 20_000 ? 64 : 61);
  writer.close();
  const file = readFileSync(path);
  // A block of 96 bytes a frame, which ends in the padding and its length.
  for (let end = file.length; end > file.length - 10_000 * 96; end -= 96)
    assert.equal(file.toString('hex', end - 8, end), 'ff00000060000000');
});
