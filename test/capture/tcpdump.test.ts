/** tcpdump agrees: it reads what the writer wrote, and the reader reads what it writes. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { CaptureWriter } from '../../src/port/capture/writer.ts';
import { folder, readAll, type Shown } from './build.ts';

const skip = spawnSync('tcpdump', ['--version']).error !== undefined && 'tcpdump is not installed';

const ETHERNET = 'ffffffffffff020000000001';
const FRAMES: Shown[] = [
  {
    interfaceIndex: 0,
    timeMs: 1_700_000_000_123.456,
    originalLength: 60,
    hex: `${ETHERNET}080600010800060400010200000000010a0000010000000000000a000002`,
  },
  {
    interfaceIndex: 0,
    timeMs: 1_700_000_000_123.457,
    originalLength: 47,
    hex: `${ETHERNET}08004500002100000000401166ca0a0000010a000002003500350000d000d8656c6c6f`,
  },
  { interfaceIndex: 0, timeMs: 1_700_000_001_000, originalLength: 1514, hex: `${ETHERNET}88b5010203` },
];

function written(t: TestContext, ending: string): string {
  const path = join(folder(t), `x.${ending}`);
  const writer = CaptureWriter.create(path, ['eth0']);
  for (const { interfaceIndex, timeMs, originalLength, hex } of FRAMES) {
    const bytes = Buffer.from(hex, 'hex');
    writer.write(interfaceIndex, timeMs, bytes, 0, bytes.length, originalLength);
  }
  writer.close();
  return path;
}

function tcpdump(...args: string[]): Buffer {
  return execFileSync('tcpdump', args, { stdio: ['ignore', 'pipe', 'pipe'] });
}

for (const ending of ['pcap', 'pcapng']) {
  test(`tcpdump reads times, lengths and bytes of a written ${ending}`, { skip }, (t) => {
    // -tt: seconds since the epoch; -e: the original length; -xx: every captured byte.
    const text = tcpdump('-r', written(t, ending), '-nn', '-tt', '-e', '-xx').toString();
    const frames = text.split(/^(?=\d)/m).map((frame) => ({
      interfaceIndex: 0,
      timeMs: Number(frame.match(/^\S+/)?.[0].replace('.', '')) / 1000,
      originalLength: Number(frame.match(/, length (\d+):/)?.[1]),
      hex: [...frame.matchAll(/^\t0x\w+: +(.*)$/gm)].map(([, words]) => words!.replaceAll(' ', '')).join(''),
    }));
    assert.deepEqual(frames, FRAMES);
  });

  for (const precision of ['micro', 'nano'])
    test(`what tcpdump makes of a written ${ending} reads the same, in ${precision}seconds`, {
      skip,
    }, (t) => {
      const path = written(t, ending);
      const copy = join(folder(t), 'copy');
      writeFileSync(copy, tcpdump('-r', path, '-w', '-', `--time-stamp-precision=${precision}`));
      const read = readAll(copy);
      assert.deepEqual([read.format, read.frames, read.ended], ['pcap', FRAMES, true]);
    });
}
