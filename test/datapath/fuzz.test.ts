/**
 * Millions of damaged frames through the parser and all that changes frames: nothing traps, nothing looks at a
 * byte that is not the frame's, and nothing writes one.
 *
 *     … neighbour │ headroom ··· │ frame │ neighbour …        the frame ends where its buffer ends
 *         garbage   garbage                garbage
 *
 * Each frame goes through twice with other garbage around it; key, frame and results must be the same. The
 * garbage in the neighbours must be there still.
 *
 *     FUZZ_FRAMES=20000000 node --test dist/test/datapath/fuzz.test.js
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FRAME_SIZE, Frame, KEY_SIZE, NONE, SEGMENT_TCP4, SEGMENT_UDP } from '../../src/datapath.ts';
import { randomPacket } from '../support/random-packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded, word } from '../support/seeded.ts';

const FRAMES = Number(process.env.FUZZ_FRAMES ?? 300_000);
/** Packets that frames are made of by damaging them; after so many frames there are others. */
const PATTERNS = 500;
const FRAMES_A_PATTERN = 100;
const GUARD = 64;
const GARBAGE = [0x00, 0xa5];
const TELLING = [0, 1, 2, 4, 5, 6, 8, 17, 43, 44, 51, 58, 60, 81, 88, 132, 135, 136, 0x45, 0x60, 0xff];

const rig = new Rig();
const { exports, u8, u16, u32 } = rig.datapath;

/** A frame between two others that nobody else takes. */
function guardedFrame(): { frame: number; base: number } {
  const taken = Array.from({ length: 8 }, () => rig.datapath.takeFrame(0));
  const found = taken.find((number) => taken.includes(number - 1) && taken.includes(number + 1));
  assert.ok(found !== undefined, `no three frames side by side among ${taken.join()}`);
  const frame = rig.datapath.frameAt(found);
  return { frame, base: u32[(frame + Frame.base) >> 2]! };
}

const { frame, base } = guardedFrame();
const end = base + FRAME_SIZE;
const keyAt = rig.keyAddress();

/** The damaged packet: its first `length` bytes. */
const packet = new Uint8Array(FRAME_SIZE);

/** Puts a pattern there, changes some bits or bytes of it, cuts it short or makes it longer. Returns its length. */
function damage(random: Random, pattern: Uint8Array): number {
  packet.set(pattern);
  let { length } = pattern;
  for (let times = random.below(4); times > 0 && length > 0; times--) {
    // Most of what matters stands in front.
    const at = random.below(chance(random, 0.5) ? Math.min(96, length) : length);
    switch (random.below(8)) {
      case 0:
        length = at;
        break;
      case 1:
        for (let more = random.below(24); more > 0; more--) packet[length++] = random.word();
        break;
      case 2:
      case 3:
        packet[at]! ^= 1 << random.below(8);
        break;
      default:
        packet[at] = pick(random, TELLING);
    }
  }
  return length;
}

/** Something that is done to a parsed frame. */
type Step = [call: (a: number, b: number, c: number) => unknown, a: number, b: number, c: number];

function setWord(offset: number, value: number, mask: number): void {
  exports.setWord(frame, offset, value & mask, mask);
}
const pushVlan = (tag: number): unknown => exports.pushVlan(frame, tag);
const popVlan = (): unknown => exports.popVlan(frame);
const pushMpls = (type: number, entry: number): unknown => exports.pushMpls(frame, type, entry);
const popMpls = (type: number): unknown => exports.popMpls(frame, type);
const verify = (): unknown => exports.verifyChecksum(frame);

/** Completes the checksum of the frame's first `most` bytes, which is what an output may send of it. */
function complete(start: number, offset: number, most: number): void {
  const length = u32[(frame + Frame.length) >> 2]!;
  u32[(frame + Frame.length) >> 2] = Math.min(length, most);
  exports.verifyChecksum(frame);
  rig.setPartial(frame, start === 0 ? u16[(frame + Frame.l4) >> 1]! : start, offset);
  exports.completeChecksum(frame);
  u32[(frame + Frame.length) >> 2] = length;
}

/** Cuts the first packet off; its length and its checksum tell whether it is the same. */
function cut(type: number, size: number): unknown {
  u8[frame + Frame.segmentType] = type;
  u16[(frame + Frame.segmentSize) >> 1] = size;
  const headers = exports.segmentHeaders(frame);
  if (headers === 0) return 0;
  const number = exports.cutSegment(frame, headers, 0) >>> 0;
  assert.notEqual(number, NONE);
  const piece = rig.datapath.frameAt(number);
  const data = u32[(piece + Frame.data) >> 2]!;
  const length = u32[(piece + Frame.length) >> 2]!;
  const bytes = exports.sum(data, length);
  exports.giveFrame(number);
  return bytes;
}

function randomStep(random: Random): Step {
  const type = pick(random, [0x8847, 0x8848, 0x8847, 0x0800, 0x86dd, 0x0806, random.below(65536)]);
  switch (random.below(12)) {
    case 0:
      return [pushVlan, pick(random, [0x8100, 0x88a8]) * 0x10000 + random.below(65536), 0, 0];
    case 1:
      return [popVlan, 0, 0, 0];
    case 2:
      return [pushMpls, type, word(random), 0];
    case 3:
      return [popMpls, type, 0, 0];
    case 4:
      return [verify, 0, 0, 0];
    case 5:
      return [
        complete,
        random.below(chance(random, 0.9) ? 128 : 65536),
        pick(random, [2, 6, 8, 16, 65535]),
        0,
      ];
    case 6:
      return [cut, pick(random, [SEGMENT_TCP4, SEGMENT_UDP]), 1 + random.below(64), 0];
    default:
      return [
        setWord,
        4 * random.below(KEY_SIZE / 4),
        word(random),
        pick(random, [0xffffffff, word(random)]),
      ];
  }
}

function fill(at: number, garbage: number): void {
  u32.fill(garbage * 0x01010101, at >> 2, (at + GUARD) >> 2);
}

/** Whether nobody has written there since. */
function isIntact(at: number, garbage: number): boolean {
  for (let i = at >> 2; i < (at + GUARD) >> 2; i++) if (u32[i]! !== garbage * 0x01010101) return false;
  return true;
}

/** What became of a frame. */
interface Outcome {
  reason: number;
  readonly key: Uint32Array;
  readonly answers: unknown[];
  readonly record: Uint8Array;
  readonly bytes: Uint8Array;
  length: number;
}
const outcomes = GARBAGE.map(
  (): Outcome => ({
    reason: 0,
    key: new Uint32Array(KEY_SIZE / 4),
    answers: [],
    record: new Uint8Array(Frame.joined),
    bytes: new Uint8Array(FRAME_SIZE),
    length: 0,
  }),
);

/** Parses the packet's first `length` bytes amid `garbage`, and takes the steps if it is well formed. */
function run(length: number, steps: readonly Step[], garbage: number, outcome: Outcome): void {
  const data = end - length;
  for (let at = (data - GUARD) & ~3; at < data; at++) u8[at] = garbage;
  fill(base - GUARD, garbage);
  fill(end, garbage);
  for (let i = 0; i < length; i++) u8[data + i] = packet[i]!;
  u32[(frame + Frame.data) >> 2] = data;
  u32[(frame + Frame.length) >> 2] = length;
  u8[frame + Frame.checksum] = 0;
  u8[frame + Frame.segmentType] = 0;

  outcome.reason = exports.parse(frame, keyAt);
  for (let i = 0; i < outcome.key.length; i++) outcome.key[i] = u32[(keyAt >> 2) + i]!;
  outcome.answers.length = 0;
  if (outcome.reason === -1) for (const [call, a, b, c] of steps) outcome.answers.push(call(a, b, c));
  assert.ok(isIntact(end, garbage), 'wrote behind the frame');
  assert.ok(isIntact(base - GUARD, garbage), 'wrote in front of the buffer');

  for (let i = 0; i < outcome.record.length; i++) outcome.record[i] = u8[frame + i]!;
  const start = u32[(frame + Frame.data) >> 2]!;
  outcome.length = u32[(frame + Frame.length) >> 2]!;
  assert.ok(start >= base && start + outcome.length === end, 'the frame is not where its bytes are');
  for (let i = 0; i < outcome.length; i++) outcome.bytes[i] = u8[start + i]!;
}

function same(a: ArrayLike<unknown>, b: ArrayLike<unknown>, length = a.length): boolean {
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function check(length: number, steps: readonly Step[]): void {
  const [a, b] = outcomes as [Outcome, Outcome];
  run(length, steps, GARBAGE[0]!, a);
  run(length, steps, GARBAGE[1]!, b);
  assert.equal(a.reason, b.reason, 'reason');
  assert.ok(same(a.key, b.key), 'key');
  assert.ok(same(a.answers, b.answers), 'answers');
  assert.ok(same(a.record, b.record), 'what the frame says of itself');
  assert.ok(a.length === b.length && same(a.bytes, b.bytes, a.length), 'bytes');
}

test(
  `${FRAMES} damaged frames neither trap nor touch what is not theirs`,
  seeded((random) => {
    const steps: Step[] = [];
    let patterns: Uint8Array[] = [];
    let parsed = 0;
    for (let n = 0; n < FRAMES; n++) {
      if (n % (PATTERNS * FRAMES_A_PATTERN) === 0) {
        patterns = Array.from({ length: PATTERNS }, () => randomPacket(random));
      }
      const length = damage(random, pick(random, patterns));
      steps.length = 0;
      for (let more = random.below(5); more > 0; more--) steps.push(randomStep(random));
      try {
        check(length, steps);
      } catch (error) {
        const said = steps.map(([call, ...what]) => `${call.name}(${what.join()})`).join(' ');
        const hex = Buffer.from(packet.subarray(0, length)).toString('hex');
        throw new Error(`frame ${n}: ${hex}\n${said}`, { cause: error });
      }
      if (outcomes[0]!.reason === -1) parsed++;
    }
    assert.ok(parsed > FRAMES / 4 && parsed < FRAMES, `${parsed} of ${FRAMES} were well formed`);
  }),
);
