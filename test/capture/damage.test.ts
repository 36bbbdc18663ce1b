/** Damaged files: everything before the damage is delivered, and the damage is a CaptureError or the end. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import {
  block,
  enhancedPacket,
  folder,
  interfaceBlock,
  oldPacket,
  pcapHeader,
  pcapRecord,
  readBytes,
  section,
  simplePacket,
} from './build.ts';

/** Small files in parts, each part a header, record or block: between them a file may end. */
const FILES = [true, false].flatMap((little) => [
  {
    name: `pcap, ${little ? 'little' : 'big'} endian`,
    frames: 3,
    parts: [
      pcapHeader({ little }),
      pcapRecord(little, 1, 2, '01'.repeat(14)),
      pcapRecord(little, 1, 3, '', 60),
      pcapRecord(little, 1, 4, '03'.repeat(61)),
    ],
  },
  {
    name: `pcapng, ${little ? 'little' : 'big'} endian`,
    frames: 4,
    parts: [
      section(little),
      interfaceBlock(little, { name: 'eth0', tsresol: 9, tsoffset: 1 }),
      block(little, 4, ['00'.repeat(9)]),
      enhancedPacket(little, 0, 1n << 33n, '01'.repeat(15)),
      oldPacket(little, 0, 3, 7n, '02'.repeat(14)),
      section(!little),
      interfaceBlock(!little, { snapLength: 20 }),
      simplePacket(!little, '03'.repeat(20), 99),
      enhancedPacket(!little, 0, 1n, ''),
    ],
  },
]);

for (const { name, frames, parts } of FILES) {
  const whole = Buffer.concat(parts);
  const ends = parts.map((_, index) => parts.slice(0, index + 1).reduce((sum, part) => sum + part.length, 0));

  test(`${name}: cut anywhere, the frames before the cut are delivered`, (t) => {
    const path = join(folder(t), 'in');
    const all = readBytes(path, whole);
    assert.deepEqual([all.frames.length, all.ended], [frames, true]);
    for (let length = 0; length < whole.length; length++) {
      const read = readBytes(path, whole.subarray(0, length));
      const complete = parts.filter((part, index) => isFrame(part, index) && ends[index]! <= length).length;
      assert.deepEqual(read.frames, all.frames.slice(0, complete), `cut at ${length}`);
      assert.equal(read.ended, ends.includes(length), `cut at ${length}`);
      if (read.error) assert.match(read.error.message, /ends after|is empty|not a capture/);
    }
  });

  test(`${name}: flipped bits leave the frames before them alone, and never hang or crash`, (t) => {
    const path = join(folder(t), 'in');
    const all = readBytes(path, whole);
    const bits = fc.uniqueArray(fc.nat(whole.length * 8 - 1), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(bits, (flips) => {
        const damaged = Buffer.from(whole);
        for (const bit of flips) damaged[bit >> 3]! ^= 1 << (bit & 7);
        const read = readBytes(path, damaged);
        assert.notEqual(read.ended, read.error !== undefined);

        const first = Math.min(...flips) >> 3;
        const sound = parts.filter((part, index) => isFrame(part, index) && ends[index]! <= first).length;
        assert.deepEqual(read.frames.slice(0, sound), all.frames.slice(0, sound));
      }),
      { numRuns: 2000 },
    );
  });

  function isFrame(part: Buffer, index: number): boolean {
    if (name.startsWith('pcap,')) return index > 0;
    const type = part.readUInt32LE();
    return [6, 3, 2].some((packet) => type === packet || part.readUInt32BE() === packet);
  }
}

test('random bytes behind a good start never hang or crash', (t) => {
  const path = join(folder(t), 'in');
  const starts = FILES.map(({ parts }) => Buffer.concat(parts.slice(0, 2)));
  fc.assert(
    fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 200 }), (start, bytes) => {
      const read = readBytes(path, Buffer.concat([start, bytes]));
      assert.notEqual(read.ended, read.error !== undefined);
    }),
    { numRuns: 1000 },
  );
});
