/** pcapng: blocks, options, clocks and sections that are read, and what is refused. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { CaptureReader } from '../../src/port/capture/reader.ts';
import {
  block,
  enhancedPacket,
  folder,
  interfaceBlock,
  lay,
  oldPacket,
  option,
  type Part,
  readBytes,
  section,
  simplePacket,
} from './build.ts';

/** More digits than a double has: what is read must be the double nearest to them. */
const NANOSECONDS_MS = Number('1700000000123.456789');

for (const little of [true, false]) {
  test(`pcapng, ${little ? 'little' : 'big'} endian, every kind of packet block`, (t) => {
    const read = readBytes(
      join(folder(t), 'in'),
      Buffer.concat([
        section(little),
        interfaceBlock(little, { name: 'eth0', snapLength: 4 }),
        interfaceBlock(little, { name: 'bücher', tsresol: 9 }),
        block(little, 0x0bad, ['0102030405']),
        enhancedPacket(little, 0, 1_700_000_000_123_456n, 'aabbcc', 1500),
        enhancedPacket(little, 1, 1_700_000_000_123_456_789n, 'dd'),
        simplePacket(little, '01020304', 9),
        simplePacket(little, '010203'),
        oldPacket(little, 1, 77, 5_000_000_000n, 'eeff'),
        block(little, 5, [
          [4, 0],
          [8, 0],
        ]),
      ]),
    );
    assert.deepEqual(read, {
      format: 'pcapng',
      interfaces: [
        { name: 'eth0', linkType: 1, snapLength: 4 },
        { name: 'bücher', linkType: 1, snapLength: 0 },
      ],
      frames: [
        { interfaceIndex: 0, timeMs: 1_700_000_000_123.456, originalLength: 1500, hex: 'aabbcc' },
        { interfaceIndex: 1, timeMs: NANOSECONDS_MS, originalLength: 1, hex: 'dd' },
        { interfaceIndex: 0, timeMs: NANOSECONDS_MS, originalLength: 9, hex: '01020304' },
        { interfaceIndex: 0, timeMs: NANOSECONDS_MS, originalLength: 3, hex: '010203' },
        { interfaceIndex: 1, timeMs: 5000, originalLength: 2, hex: 'eeff' },
      ],
      ended: true,
    });
  });
}

test('a section may turn the byte order, and numbers its interfaces anew', (t) => {
  const read = readBytes(
    join(folder(t), 'in'),
    Buffer.concat([
      section(true),
      interfaceBlock(true, { name: 'a' }),
      enhancedPacket(true, 0, 1000n, 'aa'),
      section(false),
      interfaceBlock(false, { name: 'b', tsresol: 3 }),
      interfaceBlock(false, { name: 'c' }),
      enhancedPacket(false, 0, 2n, 'bb'),
      simplePacket(false, 'cc'),
      enhancedPacket(false, 1, 3000n, 'dd'),
    ]),
  );
  assert.deepEqual(
    read.frames.map(({ interfaceIndex, timeMs, hex }) => [interfaceIndex, timeMs, hex]),
    [
      [0, 1, 'aa'],
      [1, 2, 'bb'],
      [1, 2, 'cc'],
      [2, 3, 'dd'],
    ],
  );
  assert.deepEqual(
    read.interfaces.map(({ name }) => name),
    ['a', 'b', 'c'],
  );
});

test('interfaces described before the first frame are known when the file is open', (t) => {
  const path = join(folder(t), 'in');
  readBytes(
    path,
    Buffer.concat([
      section(true),
      interfaceBlock(true, { name: 'early' }),
      block(true, 4, []),
      interfaceBlock(true, { name: 'too' }),
      enhancedPacket(true, 0, 1n, 'aa'),
      interfaceBlock(true, { name: 'late' }),
    ]),
  );
  const capture = CaptureReader.open(path);
  const names = () => capture.interfaces.map(({ name }) => name);
  assert.deepEqual(names(), ['early', 'too']);
  while (capture.next());
  assert.deepEqual(names(), ['early', 'too', 'late']);
  capture.close();
});

for (const [tsresol, ticks, timeMs] of [
  [0, 1_700_000_000n, 1_700_000_000_000],
  [3, 1_700_000_000_123n, 1_700_000_000_123],
  [7, 17_000_000_001_234_567n, Number('1700000000123.4567')],
  [9, 1_700_000_000_999_999_999n, Number('1700000000999.999999')],
  [12, 1_500_000_000n, 1.5],
  [0x80 | 10, 1_740_800_000_512n, 1_700_000_000_500],
  [0x80 | 32, (1_700_000_000n << 32n) | (1n << 31n), 1_700_000_000_500],
] as const)
  test(`if_tsresol ${tsresol}: ${ticks} ticks are ${timeMs} ms`, (t) => {
    const read = readBytes(
      join(folder(t), 'in'),
      Buffer.concat([section(true), interfaceBlock(true, { tsresol }), enhancedPacket(true, 0, ticks, 'aa')]),
    );
    assert.equal(read.frames[0]?.timeMs, timeMs);
  });

test('if_tsoffset moves the clock, also back', (t) => {
  const read = readBytes(
    join(folder(t), 'in'),
    Buffer.concat([
      section(false),
      interfaceBlock(false, { tsoffset: 1_700_000_000 }),
      interfaceBlock(false, { tsoffset: -1 }),
      enhancedPacket(false, 0, 123_456n, 'aa'),
      enhancedPacket(false, 1, 3_000_000n, 'aa'),
    ]),
  );
  assert.deepEqual(
    read.frames.map(({ timeMs }) => timeMs),
    [1_700_000_000_123.456, 2000],
  );
});

test('a block of no interest may be longer than any buffer', (t) => {
  const read = readBytes(
    join(folder(t), 'in'),
    Buffer.concat([
      section(true),
      interfaceBlock(true),
      block(true, 10, [new Uint8Array(5_000_001)]),
      enhancedPacket(true, 0, 1n, 'aa'),
    ]),
  );
  assert.deepEqual([read.frames.length, read.ended], [1, true]);
});

test('an interface of another link type does no harm before a packet comes from it', (t) => {
  const path = join(folder(t), 'in');
  const read = readBytes(
    path,
    Buffer.concat([
      section(true),
      interfaceBlock(true, { name: 'any', linkType: 276 }),
      interfaceBlock(true),
      enhancedPacket(true, 1, 1n, 'aa'),
      enhancedPacket(true, 0, 1n, 'bb'),
    ]),
  );
  assert.equal(read.frames.length, 1);
  assert.match(
    read.error?.message ?? '',
    /: frame 2 at byte \d+: packet of interface 0 \('any'\) with link type 276 \(LINUX_SLL2\); expected 1 \(ETHERNET\)$/,
  );
});

/** What follows a section header, an interface and one good frame, and what is said about it. */
const refused: [string, Part[], string][] = [
  [
    'a block length that is no multiple of 4',
    [[4, 6], [4, 33], '00'.repeat(25)],
    'packet block says 33 bytes; expected a multiple of 4, at least 32',
  ],
  [
    'an empty block',
    [
      [4, 0],
      [4, 0],
      [4, 0],
    ],
    'type 0x00000000 block says 0 bytes; expected a multiple of 4, at least 12',
  ],
  [
    'a packet block beyond reason',
    [
      [4, 6],
      [4, 0x7ffffffc],
      [4, 0],
    ],
    'packet block says 2147483644 bytes; expected at most 1048576',
  ],
  [
    'an unknown block beyond the file',
    [
      [4, 0xbad],
      [4, 0xfffffffc],
      [4, 0],
    ],
    'type 0x00000bad block says 4294967292 bytes, the file ends after 12',
  ],
  [
    'a trailer that differs',
    [
      [4, 0xbad],
      [4, 16],
      [4, 0],
      [4, 20],
    ],
    'type 0x00000bad block says 16 bytes at its start, 20 at its end',
  ],
  [
    'a packet longer than its block',
    [block(true, 6, [[4, 0], [8, 0], [4, 5], [4, 5], 'aabbccdd'])],
    'packet says 5 bytes, its block has room for 4',
  ],
  [
    'a packet longer than any frame',
    [block(true, 6, [[4, 0], [8, 0], [4, 262_145], [4, 5], new Uint8Array(262_148)])],
    'packet says 262145 bytes; a frame has at most 262144',
  ],
  [
    'a simple packet longer than its block',
    [simplePacket(true, 'aabbccdd', 9)],
    'packet says 9 bytes, its block has room for 4',
  ],
  [
    'a packet of an interface that is not there',
    [enhancedPacket(true, 1, 0n, 'aa')],
    'packet of interface 1; its section has described 1 until here',
  ],
  [
    'an option beyond its block',
    [block(true, 1, [[2, 1], [2, 0], [4, 0], [2, 2], [2, 9], 'aabbccdd'])],
    'interface option 2 says 9 bytes, its block ends after 4',
  ],
  [
    'a resolution of two bytes',
    [block(true, 1, [[2, 1], [2, 0], [4, 0], option(true, 9, [[2, 6]])])],
    'interface option if_tsresol has 2 bytes; expected 1',
  ],
  [
    'an offset of four bytes',
    [block(true, 1, [[2, 1], [2, 0], [4, 0], option(true, 14, [[4, 6]])])],
    'interface option if_tsoffset has 4 bytes; expected 8',
  ],
  ['a section of another version', [section(true, 2)], 'section header has version 2; expected 1'],
  [
    'a section of no byte order',
    [block(true, 0x0a0d0d0a, [[4, 0x01020304], '00'.repeat(12)])],
    'section header has byte order 0x01020304; expected 0x1a2b3c4d',
  ],
  [
    'a cut block header',
    [
      [4, 6],
      [4, 32],
    ],
    'a block has at least 12 bytes, the file ends after 8',
  ],
];

for (const [name, parts, message] of refused)
  test(`corrupt: ${name}`, (t) => {
    const path = join(folder(t), 'in');
    const good = Buffer.concat([section(true), interfaceBlock(true), enhancedPacket(true, 0, 1n, 'aa')]);
    const read = readBytes(path, Buffer.concat([good, lay(true, parts)]));
    assert.equal(read.frames.length, 1);
    assert.equal(read.error?.message, `${path}: frame 2 at byte ${good.length}: ${message}`);
    assert.deepEqual([read.error.frame, read.error.offset], [2, good.length]);
  });
