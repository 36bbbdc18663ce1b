/** The Internet checksum and its incremental update, against adding up 16-bit words. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { checksumOf, get16, onesComplementSum, set16 } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { pick, randomBytes, seeded, word } from '../support/seeded.ts';

const rig = new Rig();
const { exports, u8 } = rig.datapath;
const at = rig.keyAddress();

const swapped = (value: number): number => ((value & 0xff) << 8) | (value >> 8);

test(
  'sums bytes of any length, from any address',
  seeded((random) => {
    for (let i = 0; i < 2000; i++) {
      const bytes = randomBytes(random, random.below(200));
      if (random.below(4) === 0) bytes.fill(0xff);
      const start = at + random.below(8);
      u8.set(bytes, start);
      u8.fill(0xee, start + bytes.length, start + bytes.length + 8);
      assert.equal(exports.fold(exports.sum(start, bytes.length)), swapped(onesComplementSum(bytes)));
    }
  }),
);

test('sums 65,535 bytes of ones', () => {
  const frame = rig.frame(new Uint8Array(65535).fill(0xff));
  const { bytes } = rig.read(frame);
  const data = rig.datapath.dataAddress(rig.read(frame).number);
  assert.equal(exports.fold(exports.sum(data, bytes.length)), swapped(onesComplementSum(bytes)));
  rig.give(frame);
});

test(
  'an updated checksum is what it would be from scratch, at any address',
  seeded((random) => {
    for (let i = 0; i < 20_000; i++) {
      const bytes = randomBytes(random, 12);
      if (random.below(4) === 0) bytes.fill(0xff);
      const extremes = [0, 0xffffffff, 0xffff, 0xffff0000, word(random)];
      const view = new DataView(bytes.buffer);
      view.setUint32(4, pick(random, extremes), true);
      const before = view.getUint32(4, true);
      const after = pick(random, extremes);
      set16(bytes, 10, 0);
      set16(bytes, 10, checksumOf(bytes));

      const start = at + random.below(2);
      const stored = () => get16(u8, start + 10);
      const changed = bytes.slice();
      new DataView(changed.buffer).setUint32(4, after, true);
      u8.set(bytes, start);
      exports.update(start + 10, before, after);
      set16(changed, 10, 0);
      assert.equal(stored(), checksumOf(changed));

      set16(u8, start + 10, onesComplementSum(bytes.subarray(0, 10)));
      exports.updatePartial(start + 10, before, after);
      assert.equal(stored(), onesComplementSum(changed.subarray(0, 10)));
    }
  }),
);
