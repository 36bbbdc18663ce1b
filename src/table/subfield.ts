/**
 * Some bits of a field: how they are written, `NXM_NX_REG0[0..15]`, and where they lie in the table key.
 */
import { areEqual, fromNumber, ones, toNumber } from './bytes.ts';
import { type Field, fieldNames, fieldOnWire, fieldsNamed, type Subfield, wireNames } from './fields.ts';
import { fail, parseNumber, part, suggestion, type Token } from './syntax.ts';
import type { Masked } from './values.ts';

/** All bits of a field. */
export const wholeField = (field: Field): Subfield => ({ field, first: 0, bits: field.width });

export const isWholeField = ({ field, first, bits }: Subfield): boolean =>
  first === 0 && bits === field.width;

/** What was worked out of subfields before. */
const masks = new WeakMap<Subfield, Uint8Array>();

/** Which bits of the field's key bytes these are. */
export function maskOf(subfield: Subfield): Uint8Array {
  const known = masks.get(subfield);
  if (known) return known;
  const mask = isWholePort(subfield) ? subfield.field.bits : place(subfield, ones(subfield.bits));
  masks.set(subfield, mask);
  return mask;
}

/**
 * Where a number stands in the field's key bytes when it is put into these bits, and which bits they are.
 * Bits that the key has no room for are dropped.
 */
export function placed(subfield: Subfield, value: bigint): Masked {
  const { bytes, hostOrder } = subfield.field;
  return {
    value: isWholePort(subfield)
      ? fromNumber(value, bytes, hostOrder)
      : place(subfield, value & ones(subfield.bits)),
    mask: maskOf(subfield),
  };
}

/** A port of 16 bits lies in four bytes, whose other two are never anything but zero. */
const isWholePort = (subfield: Subfield): boolean => subfield.field.kind === 'port' && isWholeField(subfield);

function place({ field, first }: Subfield, number: bigint): Uint8Array {
  const { bytes, hostOrder, shift } = field;
  const own = toNumber(field.bits, hostOrder);
  return fromNumber((number << BigInt(first + shift)) & own, bytes, hostOrder);
}

/** The number that a table key has in these bits. */
export function readSubfield(key: Uint8Array, { field, first, bits }: Subfield): bigint {
  const { offset, bytes, hostOrder, shift } = field;
  const own = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) own[i] = key[offset + i]! & field.bits[i]!;
  return (toNumber(own, hostOrder) >> BigInt(first + shift)) & ones(bits);
}

export const isSameSubfield = (a: Subfield, b: Subfield): boolean =>
  a.field.offset === b.field.offset &&
  a.first === b.first &&
  a.bits === b.bits &&
  areEqual(a.field.bits, b.field.bits);

/** The field that is meant where some of its bits are named, such as `NXM_NX_REG0` or `reg0`. */
export const fieldInBits = (name: string): Field | undefined =>
  fieldOnWire(name) ?? fieldsNamed(name).find(({ nxm }) => nxm.length > 0);

/**
 * The field of a wire name or, where it has no further reading, a plain name.
 * @throws FlowError
 */
function parseFieldName(name: Token): Field {
  const found = fieldInBits(name.text);
  if (found) return found;
  const near = suggestion(name.text, [...wireNames(), ...fieldNames()]);
  return fail(name, `unknown field "${name.text}"${near}`, 'a field such as NXM_NX_REG0[] or reg0[0..15]');
}

/**
 * Reads `FIELD[]`, `FIELD`, `FIELD[BIT]` or `FIELD[FIRST..LAST]`.
 * @throws FlowError
 */
export function parseSubfield(token: Token): Subfield {
  const open = token.text.indexOf('[');
  if (open < 0) return wholeField(parseFieldName(token));
  if (!token.text.endsWith(']')) fail(token, `"${token.text}"`, '"]" at its end');
  const field = parseFieldName(part(token, 0, open));
  const range = part(token, open + 1, token.text.length - 1);
  if (range.text === '') return wholeField(field);
  const dots = range.text.indexOf('..');
  const bit = (at: Token) => parseNumber(at, `a bit of ${field.name}`, field.width - 1);
  const first = bit(dots < 0 ? range : part(range, 0, dots));
  const last = dots < 0 ? first : bit(part(range, dots + 2));
  if (last < first) fail(range, `"${range.text}"`, 'the lower bit first');
  return { field, first, bits: last - first + 1 };
}

/** As OVS prints it: under the field's wire name. */
export function printSubfield(subfield: Subfield): string {
  const { field, first, bits } = subfield;
  const range = isWholeField(subfield) ? '' : bits === 1 ? String(first) : `${first}..${first + bits - 1}`;
  return `${field.nxm[0]}[${range}]`;
}
