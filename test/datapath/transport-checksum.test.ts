/** What is known of a frame's checksum: verified, remembered, and kept right by what changes the frame. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  CHECKSUM_BAD,
  CHECKSUM_GOOD,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNKNOWN,
  Frame,
} from '../../src/datapath.ts';
import { naiveParse, type Parsed } from '../support/naive-parse.ts';
import { checksumPlace, endOf, fixChecksums } from '../support/naive-rewrite.ts';
import {
  concat,
  ethernet,
  icmp,
  ipv4,
  ipv6,
  MORE_FRAGMENTS,
  routingHeader,
  sctp,
  tcp,
  udp,
} from '../support/packets.ts';
import { randomPacket, TRANSPORTS } from '../support/random-packets.ts';
import { Rig } from '../support/rig.ts';
import { pick, type Random, randomBytes, seeded, word } from '../support/seeded.ts';

const rig = new Rig();
const { exports, u8 } = rig.datapath;

function parse(packet: Uint8Array): Parsed {
  const parsed = naiveParse(packet, 0);
  assert.ok(typeof parsed === 'object');
  return parsed;
}

function parsedFrame(packet: Uint8Array): number {
  const frame = rig.frame(packet);
  assert.equal(exports.parse(frame, rig.keyAddress()), -1);
  return frame;
}

/** Whether it verifies, and what is remembered of that. */
function verified(packet: Uint8Array): [boolean, number] {
  const frame = parsedFrame(packet);
  const good = exports.verifyChecksum(frame) !== 0;
  const { checksum } = rig.read(frame);
  assert.equal(exports.verifyChecksum(frame) !== 0, good, 'the second time');
  rig.give(frame);
  return [good, checksum];
}

const GOOD = [true, CHECKSUM_GOOD];
const BAD = [false, CHECKSUM_BAD];
const NOT_CHECKED = [true, CHECKSUM_UNKNOWN];

/** A packet with a transport whose checksum can be told from it alone. */
function checkable(random: Random): Uint8Array {
  while (true) {
    const network = pick(random, ['ipv4', 'ipv6'] as const);
    const transport = pick(random, TRANSPORTS);
    const packet = randomPacket(random, { network, transport, payload: 300, whole: true });
    const parsed = parse(packet);
    if (parsed.transport !== 0 && !parsed.routed) return packet;
  }
}

test(
  'a whole packet is good, and bad when any bit of its transport is another',
  seeded((random) => {
    for (let i = 0; i < 5000; i++) {
      const packet = checkable(random);
      assert.deepEqual(verified(packet), GOOD);
      const { l3, l4, transport } = parse(packet);
      const at = l4 + random.below(endOf(packet, l3) - l4);
      packet[at]! ^= 1 << random.below(8);
      // UDP: a checksum of zero is none, and the length says what it covers.
      if (transport === 17 && at < l4 + 8) continue;
      if (typeof naiveParse(packet, 0) === 'object') assert.deepEqual(verified(packet), BAD);
    }
  }),
);

const known: [string, Uint8Array, (boolean | number)[]][] = [
  ['UDP over IPv4 without a checksum', ethernet({}, ipv4({}, udp({ checksum: 0 }))), GOOD],
  ['UDP over IPv6 without a checksum', ethernet({}, ipv6({}, udp({ checksum: 0 }))), BAD],
  ['UDP whose length is less than its header', ethernet({}, ipv4({}, udp({ length: 7 }))), BAD],
  ['UDP whose length is beyond the packet', ethernet({}, ipv4({}, udp({ length: 9 }))), BAD],
  ['a wrong CRC', ethernet({}, ipv4({}, sctp({ checksum: 1 }, new Uint8Array(8)))), BAD],
  ['ICMP, which has no pseudo-header', ethernet({}, ipv4({ src: '9.9.9.9' }, icmp())), GOOD],
  ['a first fragment', ethernet({}, ipv4({ fragment: MORE_FRAGMENTS }, tcp({ checksum: 1 }))), NOT_CHECKED],
  ['a later fragment', ethernet({}, ipv4({ fragment: 9 }, tcp({ checksum: 1 }))), NOT_CHECKED],
  [
    'a packet on its way to another destination',
    ethernet({}, ipv6({ extensions: [routingHeader(1, 'fd00::7')] }, tcp({ checksum: 1 }))),
    NOT_CHECKED,
  ],
  ['a protocol it does not know', ethernet({}, ipv4({}, new Uint8Array(9))), NOT_CHECKED],
];

for (const [what, packet, expected] of known) {
  test(`${what} is ${expected[0] ? (expected[1] ? 'good' : 'not checked') : 'bad'}`, () => {
    assert.deepEqual(verified(packet), expected);
  });
}

test('bytes behind what UDP says it has are not covered', () => {
  const short = udp({ length: 12 }, new Uint8Array(4).fill(7));
  const packet = ethernet({}, ipv4({}, short));
  const longer = ethernet(
    {},
    ipv4({}, { protocol: 17, bytes: concat(packet.subarray(34), new Uint8Array(5).fill(3)) }),
  );
  assert.deepEqual(verified(longer), GOOD);
});

test('an answer is not asked for twice, and a partial checksum is right', () => {
  const packet = ethernet({}, ipv4({}, tcp({ checksum: 1 })));
  for (const [state, good] of [
    [CHECKSUM_GOOD, 1],
    [CHECKSUM_BAD, 0],
    [CHECKSUM_PARTIAL, 1],
  ] as const) {
    const frame = parsedFrame(packet);
    u8[frame + Frame.checksum] = state;
    assert.equal(exports.verifyChecksum(frame), good);
    assert.equal(rig.read(frame).checksum, state);
    rig.give(frame);
  }
});

test('a copy knows what the frame knows', () => {
  for (const state of [CHECKSUM_UNKNOWN, CHECKSUM_GOOD, CHECKSUM_BAD, CHECKSUM_PARTIAL]) {
    const frame = parsedFrame(ethernet({ vlan: 5 }, ipv6({}, tcp())));
    rig.setPartial(frame, 58, 16);
    u8[frame + Frame.checksum] = state;
    const copy = rig.datapath.frameAt(exports.copyFrame(frame));
    const { number: _, flags: __, ...known } = rig.read(copy);
    const { number: ___, flags: ____, ...original } = rig.read(frame);
    assert.deepEqual(known, original);
    for (const field of [Frame.network, Frame.transport, Frame.shape])
      assert.equal(u8[copy + field], u8[frame + field]);
    rig.give(copy);
    rig.give(frame);
  }
});

test(
  'what was good is good after any rewriting, and what was bad is bad',
  seeded((random) => {
    for (let i = 0; i < 3000; i++) {
      const packet = checkable(random);
      const { l4, transport } = parse(packet);
      const bad = random.below(2) === 1 && transport !== 17;
      if (bad) packet[l4 + checksumPlace(transport)]! ^= 0x55;
      const frame = parsedFrame(packet);
      exports.verifyChecksum(frame);
      for (let times = random.below(4); times > 0; times--) {
        exports.setWord(frame, 4 * (1 + random.below(31)), word(random), 0xffffffff);
      }
      const { bytes, checksum } = rig.read(frame);
      assert.equal(checksum, bad ? CHECKSUM_BAD : CHECKSUM_GOOD);
      if (typeof naiveParse(bytes, 0) === 'object') assert.deepEqual(verified(bytes), bad ? BAD : GOOD);
      rig.give(frame);
    }
  }),
);

test(
  'a partial checksum that is of something inside stays partial, and what is outside is kept whole',
  seeded((random) => {
    const packet = ethernet({}, ipv4({}, udp({}, randomBytes(random, 60))));
    const frame = parsedFrame(packet);
    rig.setPartial(frame, 60, 16);
    exports.setWord(frame, 32, word(random), 0xffffffff);
    exports.setWord(frame, 24, word(random), 0xffffffff);
    const { bytes, checksum } = rig.read(frame);
    assert.equal(checksum, CHECKSUM_PARTIAL);
    const expected = bytes.slice();
    fixChecksums(expected, parse(expected), 'whole');
    assert.deepEqual(Buffer.from(bytes), Buffer.from(expected));
    exports.completeChecksum(frame);
    assert.equal(rig.read(frame).checksum, CHECKSUM_UNKNOWN, 'the inner one says nothing of the outer');
    rig.give(frame);
  }),
);
