/** Plain data as bytes: what is read is what was written, and equal things have equal bytes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { Action } from '../../src/table/action.ts';
import { decode, encode } from '../../src/table/codec.ts';
import { FIELDS, type Field, TP_DST, TP_SRC } from '../../src/table/fields.ts';
import type { Frozen, Punt } from '../../src/table/translation.ts';
import { parseFlow } from './flow.ts';
import { earlyFlow, lateFlow } from './language.ts';

const bytesOf = (value: unknown): Uint8Array => encode(value).slice();

const actions: fc.Arbitrary<readonly Action[]> = fc
  .oneof(earlyFlow, lateFlow)
  .map((text) => parseFlow(text).actions);
const number = fc.nat(0xffff_ffff);
const cookie = fc.bigInt(0n, (1n << 64n) - 1n);

const plain = { noNullPrototype: true };
const visit = fc.record({ actions, next: fc.nat(20), depth: fc.nat(64), table: fc.nat(254), cookie }, plain);
const frozen: fc.Arbitrary<Frozen> = fc.record(
  {
    visits: fc.array(visit, { maxLength: 4 }),
    pipeline: fc.uint8Array({ minLength: 96, maxLength: 96 }),
    inPort: fc.option(number, { nil: undefined }),
    stack: fc.array(fc.bigInt(0n, (1n << 128n) - 1n), { maxLength: 4 }),
    actionSet: actions,
    isWhole: fc.boolean(),
  },
  plain,
);
const packetIn: fc.Arbitrary<Punt> = fc.record(
  {
    kind: fc.constant('packetIn' as const),
    table: fc.nat(254),
    cookie,
    reason: fc.constantFrom('no_match', 'action', 'invalid_ttl', 'action_set', 'group', 'packet_out'),
    maxLength: fc.nat(0xffff),
    controller: fc.nat(0xffff),
    userdata: fc.uint8Array({ maxLength: 300 }),
    continuation: fc.nat(0xffff),
  },
  { requiredKeys: ['kind', 'table', 'cookie', 'reason', 'maxLength', 'controller'], ...plain },
);

/** The fields that a thing refers to, in the order of its properties' names. */
function fieldsIn(thing: unknown): Field[] {
  if (typeof thing !== 'object' || thing === null || thing instanceof Uint8Array) return [];
  if ('matchName' in thing) return [thing as Field];
  return Object.entries(thing)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, value]) => fieldsIn(value));
}

/** The same thing, made in another order. */
function turned(thing: unknown): unknown {
  if (typeof thing !== 'object' || thing === null || thing instanceof Uint8Array) return thing;
  if (Array.isArray(thing)) return thing.map(turned);
  if ('matchName' in thing) return thing;
  return Object.fromEntries(
    Object.entries(thing)
      .reverse()
      .map(([name, value]) => [name, turned(value)]),
  );
}

test('states and packet-ins with any action are read as they were written, with the very same fields', () => {
  fc.assert(
    fc.property(fc.oneof(frozen, packetIn), (thing) => {
      const bytes = bytesOf(thing);
      const read = decode(bytes);
      assert.deepStrictEqual(read, thing);
      const [was, is] = [fieldsIn(thing), fieldsIn(read)];
      assert.ok(was.length === is.length && was.every((field, i) => field === is[i]));
      assert.deepEqual(bytesOf(read), bytes);
    }),
  );
});

test('equal things have equal bytes, in whatever order their properties came', () => {
  fc.assert(
    fc.property(fc.oneof(frozen, packetIn), (thing) =>
      assert.deepEqual(bytesOf(turned(thing)), bytesOf(thing)),
    ),
  );
});

test('every field is itself again', () => {
  for (const field of [...FIELDS, TP_SRC, TP_DST]) assert.equal(decode(encode(field)), field);
});

test('whole numbers, words, and what is not there', () => {
  const anything = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constant(undefined),
      fc.boolean(),
      fc.maxSafeNat(),
      fc.bigInt(0n, 1n << 200n),
      fc.string({ unit: 'binary' }),
      fc.uint8Array(),
      fc.array(tie('value')),
      fc.dictionary(
        fc.string().filter((name) => name !== '__proto__'),
        tie('value'),
        { noNullPrototype: true },
      ),
    ),
  })).value;
  fc.assert(fc.property(anything, (value) => assert.deepStrictEqual(decode(encode(value)), value)));
});

test('what is not plain has no bytes', () => {
  for (const value of [-1, 0.5, Number.NaN, 2 ** 53, -1n]) assert.throws(() => encode([value]), RangeError);
  for (const value of [null, new Map(), () => 1, new Date()]) assert.throws(() => encode([value]), TypeError);
});

test('an ordinary state takes four blocks of the arena at most, and a packet-in one', () => {
  const flow = parseFlow(
    'ip,actions=load:5->NXM_NX_REG0[],set_field:10.0.0.1->ip_src,ct(commit,table=3),output:2',
  );
  const state: Frozen = {
    visits: [{ actions: flow.actions, next: 2, table: 1, cookie: 0n, depth: 0 }],
    pipeline: new Uint8Array(96),
    inPort: undefined,
    stack: [],
    actionSet: [],
    isWhole: true,
  };
  assert.ok(encode(state).length <= 4 * 60, `${encode(state).length} bytes`);
  const punt = {
    kind: 'packetIn',
    table: 1,
    cookie: 2n ** 63n,
    reason: 'action',
    maxLength: 0xffff,
    controller: 1,
  };
  assert.ok(encode(punt).length <= 60, `${encode(punt).length} bytes`);
});
