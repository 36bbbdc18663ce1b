/** Classic pcap: what is read of files in every byte order and resolution, and which are refused. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { CaptureReader } from '../../src/port/capture/reader.ts';
import { folder, pcapHeader, pcapRecord, readAll, readBytes } from './build.ts';

const NANOSECONDS = 0xa1b23c4d;

for (const little of [true, false]) {
  const order = little ? 'little' : 'big';

  test(`pcap, ${order} endian, microseconds`, (t) => {
    const read = readBytes(
      join(folder(t), 'in'),
      Buffer.concat([
        pcapHeader({ little, snapLength: 96 }),
        pcapRecord(little, 1_700_000_000, 123_456, 'aabbcc', 1500),
        pcapRecord(little, 1_700_000_001, 0, ''),
      ]),
    );
    assert.deepEqual(read, {
      format: 'pcap',
      interfaces: [{ name: '', linkType: 1, snapLength: 96 }],
      frames: [
        { interfaceIndex: 0, timeMs: 1_700_000_000_123.456, originalLength: 1500, hex: 'aabbcc' },
        { interfaceIndex: 0, timeMs: 1_700_000_001_000, originalLength: 0, hex: '' },
      ],
      ended: true,
    });
  });

  test(`pcap, ${order} endian, nanoseconds`, (t) => {
    const read = readBytes(
      join(folder(t), 'in'),
      Buffer.concat([
        pcapHeader({ little, magic: NANOSECONDS }),
        pcapRecord(little, 2, 123_456_789, 'aa'),
        pcapRecord(little, 1_700_000_000, 123_456_789, 'bb'),
      ]),
    );
    assert.deepEqual(
      read.frames.map(({ timeMs }) => timeMs),
      [2123.456789, Number('1700000000123.456789')],
    );
  });
}

test('a pcap of no frames ends at once', (t) => {
  const read = readBytes(join(folder(t), 'in'), pcapHeader({ little: true }));
  assert.deepEqual([read.frames, read.ended], [[], true]);
});

test('frame numbers and bytes read follow the frames', (t) => {
  const path = join(folder(t), 'in');
  const bytes = Buffer.concat([
    pcapHeader({ little: true }),
    pcapRecord(true, 1, 0, 'aabbcc'),
    pcapRecord(true, 1, 0, 'dd'),
  ]);
  readBytes(path, bytes);
  const capture = CaptureReader.open(path);
  const seen = [[capture.frame, capture.bytesRead]];
  while (capture.next()) seen.push([capture.frame, capture.bytesRead]);
  capture.close();
  assert.deepEqual(seen, [
    [0, 24],
    [1, 43],
    [2, 60],
  ]);
  assert.equal(capture.sizeBytes, 60);
});

test('a named pipe is read to its end', { skip: process.platform === 'win32' && 'no named pipes' }, (t) => {
  const [pipe, path] = ['pipe', 'in'].map((name) => join(folder(t), name)) as [string, string];
  execFileSync('mkfifo', [pipe]);
  const record = pcapRecord(true, 1, 0, '00'.repeat(200_000));
  const read = readBytes(path, Buffer.concat([pcapHeader({ little: true }), ...Array(9).fill(record)]));
  spawn('sh', ['-c', 'cat "$1" > "$2"', 'sh', path, pipe]);
  assert.deepEqual(readAll(pipe), read);
});

test('closing twice is harmless', (t) => {
  const path = join(folder(t), 'in');
  readBytes(path, pcapHeader({ little: true }));
  const capture = CaptureReader.open(path);
  capture.close();
  capture.close();
});

for (const [name, bytes, message] of [
  ['an empty file', '', 'the file is empty; expected a pcap or pcapng capture'],
  [
    'a short file',
    'd4c3b2',
    'not a capture: starts with d4c3b2; expected pcap (a1b2c3d4) or pcapng (0a0d0d0a)',
  ],
  [
    'a file that is no capture',
    Buffer.from('GET / HTTP/1.1'),
    'not a capture: starts with 47455420; expected pcap (a1b2c3d4) or pcapng (0a0d0d0a)',
  ],
  ['a gzip file', '1f8b0800', 'the file is compressed with gzip; decompress it first (gunzip)'],
  ['a zstd file', '28b52ffd24', 'the file is compressed with zstd; decompress it first (unzstd)'],
  [
    'a cut header',
    pcapHeader({ little: true }).subarray(0, 20),
    'a pcap header has 24 bytes, the file ends after 20',
  ],
  ['another version', pcapHeader({ little: true, version: [3, 0] }), 'pcap version 3.0; expected 2.4'],
  [
    'another link type',
    pcapHeader({ little: false, linkType: 113 }),
    'link type 113 (LINUX_SLL); expected 1 (ETHERNET)',
  ],
] as const)
  test(`refused with its reason: ${name}`, (t) => {
    const path = join(folder(t), 'in');
    const { error } = readBytes(path, typeof bytes === 'string' ? Buffer.from(bytes, 'hex') : bytes);
    assert.equal(error?.message, `${path}: at byte 0: ${message}`);
    assert.deepEqual([error.path, error.frame, error.offset], [path, 0, 0]);
  });

test('a folder is refused by name', (t) => {
  const path = folder(t);
  assert.throws(() => CaptureReader.open(path), { name: 'CaptureError', path, message: /EISDIR/ });
});

test('a cut record names frame, byte, what it says and what there is', (t) => {
  const path = join(folder(t), 'in');
  const whole = Buffer.concat([
    pcapHeader({ little: true }),
    pcapRecord(true, 1, 0, 'aabbcc'),
    pcapRecord(true, 1, 0, '00'.repeat(70_000)),
  ]);
  const read = readBytes(path, whole.subarray(0, 24 + 19 + 16 + 812));
  assert.equal(read.frames.length, 1);
  assert.equal(
    read.error?.message,
    `${path}: frame 2 at byte 43: record says 70000 bytes, the file ends after 812`,
  );
  assert.deepEqual([read.error.path, read.error.frame, read.error.offset], [path, 2, 43]);
});

test('a record longer than any frame is corruption, however long the file', (t) => {
  const path = join(folder(t), 'in');
  const header = pcapHeader({ little: true });
  const longest = readBytes(path, Buffer.concat([header, pcapRecord(true, 1, 0, '00'.repeat(262_144))]));
  assert.equal(longest.frames[0]?.originalLength, 262_144);
  const longer = readBytes(path, Buffer.concat([header, pcapRecord(true, 1, 0, '00'.repeat(262_145))]));
  assert.equal(
    longer.error?.message,
    `${path}: frame 1 at byte 24: record says 262145 bytes; a frame has at most 262144`,
  );
});
