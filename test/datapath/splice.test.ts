/** Bytes of what a packet carries, replaced: against packets built with the others, every checksum from scratch. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CHECKSUM_GOOD, CHECKSUM_PARTIAL, FRAME_HEADROOM, Frame, regionAddress } from '../../src/datapath.ts';
import { naiveParse } from '../support/naive-parse.ts';
import {
  concat,
  ethernet,
  extension,
  get16,
  ipv4,
  ipv6,
  onesComplementSum,
  pseudoHeader,
  type Transport,
  tcp,
} from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, randomBytes, seeded } from '../support/seeded.ts';

const rig = new Rig();
const { datapath } = rig;
const { exports } = datapath;
const TEXT = regionAddress(rig.arena, 'queues');

/** A segment with this payload, in one of many kinds of packets; the same for the same choices. */
function kindOf(random: Random): (payload: Uint8Array, padding?: number) => Uint8Array {
  const vlan = chance(random, 0.3) ? 5 : undefined;
  const options = randomBytes(random, 4 * random.below(5)).fill(1);
  const header = randomBytes(random, 4 * random.below(3)).fill(1);
  const extensions = chance(random, 0.3) ? [extension(60, new Uint8Array(6))] : [];
  const isV6 = chance(random, 0.5);
  return (payload, padding = 0) => {
    const segment = tcp({ options }, payload);
    const network = isV6 ? ipv6({ extensions }, segment) : ipv4({ options: header }, segment);
    return ethernet({ vlan, padding }, network);
  };
}

function splice(frame: number, from: number, to: number, bytes: Uint8Array): boolean {
  datapath.u8.set(bytes, TEXT);
  return Boolean(exports.splice(frame, from, to, TEXT, bytes.length));
}

function parsed(packet: Uint8Array): { frame: number; payloadAt: number; l4: number } {
  const frame = rig.frame(packet);
  assert.equal(exports.parse(frame, rig.keyAddress()), -1);
  const { l4 } = rig.read(frame);
  return { frame, l4, payloadAt: l4 + 4 * (packet[l4 + 12]! >>> 4) };
}

test(
  'what is replaced is replaced, with all lengths and checksums over it',
  seeded((random) => {
    for (let run = 0; run < 2000; run++) {
      const build = kindOf(random);
      const payload = randomBytes(random, random.below(300));
      const from = random.below(payload.length + 1);
      const to = from + random.below(payload.length - from + 1);
      const bytes = randomBytes(random, random.below(60));
      const { frame, payloadAt } = parsed(build(payload, pick(random, [0, 0, 7])));
      if (chance(random, 0.5)) exports.verifyChecksum(frame);
      const { checksum } = rig.read(frame);
      assert.ok(splice(frame, payloadAt + from, payloadAt + to, bytes));
      const expected = build(concat(payload.subarray(0, from), bytes, payload.subarray(to)));
      const read = rig.read(frame);
      assert.deepEqual(Buffer.from(read.bytes).toString('hex'), Buffer.from(expected).toString('hex'));
      assert.equal(read.checksum, checksum);
      assert.ok(exports.verifyChecksum(frame));
      rig.give(frame);
    }
  }),
);

test(
  'a partial checksum covers the new length, and a whole segment stays one',
  seeded((random) => {
    for (let run = 0; run < 200; run++) {
      const build = kindOf(random);
      const packet = build(randomBytes(random, 3000));
      const { frame, l4, payloadAt } = parsed(packet);
      rig.setPartial(frame, l4, 16);
      const at = datapath.dataAddress(rig.read(frame).number) + l4 + 16;
      datapath.u8.set(sumOf(packet), at);
      datapath.u8[frame + Frame.segmentType] = 1;
      datapath.u16[(frame + Frame.segmentSize) >> 1] = 1400;
      const bytes = randomBytes(random, random.below(60));
      assert.ok(splice(frame, payloadAt + 5, payloadAt + 20, bytes));
      const read = rig.read(frame);
      assert.equal(read.checksum, CHECKSUM_PARTIAL);
      assert.equal(read.checksumStart, l4);
      assert.deepEqual(read.bytes.subarray(l4 + 16, l4 + 18), sumOf(read.bytes));
      assert.equal(datapath.u8[frame + Frame.segmentType], 1);
      exports.completeChecksum(frame);
      assert.equal(rig.read(frame).checksum, CHECKSUM_GOOD);
      assert.ok(naiveParse(rig.read(frame).bytes, 0));
      rig.give(frame);
    }
  }),
);

/** What the sum over a packet's pseudo-header is. */
function sumOf(packet: Uint8Array): Uint8Array {
  const at = naiveParse(packet, 0);
  assert.ok(typeof at !== 'number');
  const isV6 = packet[at.l3]! >>> 4 === 6;
  const addresses = isV6 ? packet.subarray(at.l3 + 8, at.l3 + 40) : packet.subarray(at.l3 + 12, at.l3 + 20);
  const sum = onesComplementSum(pseudoHeader(addresses, 6, packet.length - at.l4));
  return Uint8Array.of(sum >>> 8, sum);
}

test('without room in front nothing is done', () => {
  const packet = ethernet({}, ipv4({}, tcp({}, new Uint8Array(20))));
  const { frame, payloadAt } = parsed(packet);
  for (let room = FRAME_HEADROOM; room >= 50; room -= 50) {
    assert.ok(splice(frame, payloadAt, payloadAt, new Uint8Array(50)));
  }
  const before = rig.read(frame);
  assert.equal(splice(frame, payloadAt, payloadAt, new Uint8Array(50)), false);
  assert.deepEqual(rig.read(frame), before);
  rig.give(frame);
});

test('a packet does not get longer than IP can say', () => {
  const options = new Uint8Array(40).fill(1);
  for (const network of [ipv4, ipv6, (_: object, inner: Transport) => ipv4({ options }, inner)]) {
    const packet = ethernet({}, network({}, tcp({}, new Uint8Array(65_400))));
    const { frame, payloadAt } = parsed(packet);
    let length = 65_400;
    while (splice(frame, payloadAt, payloadAt, new Uint8Array(10))) length += 10;
    assert.ok(length < 65_536);
    assert.equal(naiveParse(rig.read(frame).bytes, 0) instanceof Object, true);
    const at = 14 + (network === ipv6 ? 4 : 2);
    assert.ok(get16(rig.read(frame).bytes, at) > 65_400);
    rig.give(frame);
  }
});
