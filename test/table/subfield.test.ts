import assert from 'node:assert/strict';
import test from 'node:test';
import { FIELDS, type Subfield, TABLE_KEY_SIZE } from '../../src/table/fields.ts';
import { parseSubfield, placed, printSubfield, readSubfield } from '../../src/table/subfield.ts';
import { randomBytes, seeded } from '../support/seeded.ts';

const bits = (text: string): Subfield => parseSubfield({ text, line: 1, column: 1 });

test('bits of a field go by wire name or plain name, and are printed by wire name', () => {
  const names: [string, string][] = [
    ['reg0', 'NXM_NX_REG0[]'],
    ['NXM_NX_REG0[0..31]', 'NXM_NX_REG0[]'],
    ['reg3[4..7]', 'NXM_NX_REG3[4..7]'],
    ['xxreg1[127]', 'NXM_NX_XXREG1[127]'],
    ['OXM_OF_ETH_SRC[]', 'NXM_OF_ETH_SRC[]'],
    ['dl_src[]', 'NXM_OF_ETH_SRC[]'],
    ['metadata[0]', 'OXM_OF_METADATA[0]'],
  ];
  for (const [text, printed] of names) assert.equal(printSubfield(bits(text)), printed);
});

test('registers of every width share their bits', () => {
  const key = new Uint8Array(TABLE_KEY_SIZE);
  const { value } = placed(bits('xxreg0'), 0x00010203_04050607_08090a0b_0c0d0e0fn);
  key.set(value, bits('xxreg0').field.offset);
  assert.equal(readSubfield(key, bits('reg0')), 0x00010203n);
  assert.equal(readSubfield(key, bits('reg3[0..7]')), 0x0fn);
  assert.equal(readSubfield(key, bits('xreg1[32..63]')), 0x08090a0bn);
});

test(
  'what is placed in some bits of a key is read there, and nothing else changes',
  seeded((random) => {
    for (let round = 0; round < 2000; round++) {
      const field = FIELDS[random.below(FIELDS.length)]!;
      // The key has eight bits of these; the rest are zero.
      const width = field.name === 'arp_op' ? 8 : field.name === 'ct_state' ? 8 : field.width;
      const first = random.below(width);
      const count = 1 + random.below(width - first);
      // Of the type of service, the two lowest bits are another field's.
      if (field.name === 'nw_tos' && first < 2) continue;
      if (field.kind === 'port' && count === field.width) continue;
      const subfield = { field, first, bits: count };
      const key = randomBytes(random, TABLE_KEY_SIZE);
      const number = BigInt.asUintN(count, BigInt(random.word() >>> 0) * 0x1_0000_0001_0000_0001n);
      const { value, mask } = placed(subfield, number);
      const written = key.slice();
      for (let i = 0; i < field.bytes; i++) {
        const at = field.offset + i;
        assert.equal(value[i]! & ~mask[i]!, 0);
        written[at] = (written[at]! & ~mask[i]!) | value[i]!;
      }
      assert.equal(readSubfield(written, subfield), number, printSubfieldOf(subfield));
      if (first > 0) {
        const below = { field, first: 0, bits: first };
        assert.equal(readSubfield(written, below), readSubfield(key, below));
      }
    }
  }),
);

const printSubfieldOf = ({ field, first, bits }: Subfield): string =>
  `${field.name}[${first}..${first + bits - 1}]`;
