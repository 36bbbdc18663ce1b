/** CRC32c against a bit at a time, and its linearity, by which SCTP's is kept right. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { crc32cOf } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { randomBytes, seeded, word } from '../support/seeded.ts';

const rig = new Rig();
const { exports, u8 } = rig.datapath;
const at = rig.keyAddress();

function crc32c(bytes: Uint8Array, start = at): number {
  u8.set(bytes, start);
  return ~exports.crc32c(0xffffffff, start, bytes.length) >>> 0;
}

test('the check value of the polynomial', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
});

test(
  'bytes of any length, from any address',
  seeded((random) => {
    for (let i = 0; i < 1000; i++) {
      const bytes = randomBytes(random, random.below(300));
      assert.equal(crc32c(bytes, at + random.below(8)), crc32cOf(bytes));
    }
  }),
);

test(
  'zeros without looking at any',
  seeded((random) => {
    for (let i = 0; i < 1000; i++) {
      const crc = word(random);
      const zeros = random.below(300);
      u8.fill(0, at, at + zeros);
      assert.equal(exports.crc32cZeros(crc, zeros), exports.crc32c(crc, at, zeros));
    }
    assert.equal(exports.crc32cZeros(5, 0), 5);
  }),
);

test(
  'a changed word changes the register by its own difference, moved along',
  seeded((random) => {
    for (let i = 0; i < 1000; i++) {
      const bytes = randomBytes(random, 4 + random.below(2000));
      const place = random.below(bytes.length - 3);
      const view = new DataView(bytes.buffer);
      const before = view.getUint32(place, true);
      const crc = crc32cOf(bytes);
      const after = word(random);
      view.setUint32(place, after, true);
      const change = exports.crc32cZeros(before ^ after, bytes.length - place) >>> 0;
      assert.equal((crc ^ change) >>> 0, crc32cOf(bytes));
    }
  }),
);
