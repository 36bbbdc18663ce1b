/** A packet's table key in flow syntax. */
import { KEY_SIZE, Key } from '../datapath.ts';
import { areEqual } from './bytes.ts';
import { FIELDS, type Field, fieldOf } from './fields.ts';
import { bytesOf, KEY_WORDS, Match } from './match.ts';
import { CONNECTION_WORDS } from './packet.ts';
import { printMatch } from './print.ts';
import { meets } from './protocols.ts';
import { type PortNames, printValue } from './values.ts';

const CT_STATE = fieldOf('ct_state');
const PIPELINE_WORD = KEY_SIZE >> 2;
/** The recirculation number shares a word with the port. */
const PORT_BITS = 0xffff;
const ALL = new Uint32Array(KEY_WORDS).fill(0xffff_ffff);
/** What names the protocol. */
const KIND = ['eth_type', 'nw_proto'].map(fieldOf);
/** What a packet has when it is on a wire. */
const ON_WIRE = [...FIELDS.filter(({ printed }) => printed), fieldOf('vlan_tci')].filter(
  ({ name, offset }) => offset < KEY_SIZE && name !== 'in_port' && !name.startsWith('ct_'),
);

const isTracked = (words: Uint32Array): boolean => (words[Key.ctState >> 2]! & 0xff) !== 0;

/** All that is known of a packet; of what only the tables see, and of its connection, what there is. */
export function printPacket(words: Uint32Array, names: PortNames): string {
  const mask = new Uint32Array(KEY_WORDS).fill(0xffff_ffff);
  mask[0] = PORT_BITS;
  for (let word = 0; word < KEY_WORDS; word++) {
    const isThere =
      word >= PIPELINE_WORD ? words[word] !== 0 : isTracked(words) || !CONNECTION_WORDS.includes(word);
    if (!isThere) mask[word] = 0;
  }
  return printMatch(masked(words, mask), names);
}

/** What is another than it was, of what a packet on a wire has; empty: nothing. */
export function changesBetween(before: Uint32Array, after: Uint32Array, names: PortNames): string {
  const [was, is] = [new Match(before, ALL), new Match(after, ALL)];
  const mask = new Uint32Array(KEY_WORDS);
  for (const field of ON_WIRE) {
    if (!meets(field.requires, is) || areEqual(was.get(field).value, is.get(field).value)) continue;
    add(mask, field);
    for (const kind of KIND) if (meets(kind.requires, is)) add(mask, kind);
  }
  return printMatch(masked(after, mask), names);
}

/** Puts a field's bits into a mask. */
function add(mask: Uint32Array, { offset, bits }: Field): void {
  const bytes = bytesOf(mask);
  for (const [i, own] of bits.entries()) bytes[offset + i]! |= own;
}

/** The bits of ct_state. */
export const printState = (state: number): string =>
  printValue({ value: Uint8Array.of(state), mask: CT_STATE.bits }, CT_STATE);

const masked = (words: Uint32Array, mask: Uint32Array): Match =>
  new Match(
    words.map((word, i) => word & mask[i]!),
    mask,
  );
