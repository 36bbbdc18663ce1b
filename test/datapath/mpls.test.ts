/** Label stack entries and tags pushed and popped, against splicing them into an array of bytes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FRAME_HEADROOM } from '../../src/datapath.ts';
import { naiveParse } from '../support/naive-parse.ts';
import {
  concat,
  ethernet,
  get16,
  ipv4,
  labelEntry,
  mpls,
  set16,
  set32,
  tcp,
  udp,
} from '../support/packets.ts';
import { randomPacket } from '../support/random-packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded, word } from '../support/seeded.ts';

const MPLS = 0x8847;
const MULTICAST = 0x8848;
const rig = new Rig();
const { exports } = rig.datapath;

function parsedFrame(packet: Uint8Array): number {
  const frame = rig.frame(packet);
  assert.equal(exports.parse(frame, rig.keyAddress()), -1);
  return frame;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Where the EtherType stands that is behind all tags. */
function typePlace(packet: Uint8Array): number {
  let at = 12;
  while (at + 6 <= packet.length && [0x8100, 0x88a8].includes(get16(packet, at))) at += 4;
  return at;
}

function spliced(packet: Uint8Array, at: number, remove: number, ...insert: Uint8Array[]): Uint8Array {
  return concat(packet.subarray(0, at), ...insert, packet.subarray(at + remove));
}

function naivePushMpls(packet: Uint8Array, type: number, entry: number): Uint8Array {
  const bytes = new Uint8Array(4);
  set32(bytes, 0, entry);
  const at = typePlace(packet);
  const result = spliced(packet, at + 2, 0, bytes);
  set16(result, at, type);
  return result;
}

function naivePopMpls(packet: Uint8Array, type: number): Uint8Array {
  const at = typePlace(packet);
  if (![MPLS, MULTICAST].includes(get16(packet, at)) || at + 6 > packet.length) return packet;
  const result = spliced(packet, at + 2, 4);
  set16(result, at, type);
  return result;
}

function naivePushVlan(packet: Uint8Array, tag: number): Uint8Array {
  const bytes = new Uint8Array(4);
  set32(bytes, 0, tag);
  return spliced(packet, 12, 0, bytes);
}

const naivePopVlan = (packet: Uint8Array): Uint8Array =>
  typePlace(packet) > 12 ? spliced(packet, 12, 4) : packet;

function step(random: Random, frame: number, packet: Uint8Array): Uint8Array {
  const type = pick(random, [MPLS, MULTICAST, MPLS, 0x0800, 0x86dd]);
  const value = word(random);
  switch (random.below(4)) {
    case 0: {
      assert.ok(exports.pushMpls(frame, type, value));
      return naivePushMpls(packet, type, value);
    }
    case 1:
      exports.popMpls(frame, type);
      return naivePopMpls(packet, type);
    case 2: {
      const tag = pick(random, [0x8100, 0x88a8]) * 0x10000 + (value % 65536);
      assert.ok(exports.pushVlan(frame, tag));
      return naivePushVlan(packet, tag);
    }
    default:
      exports.popVlan(frame);
      return naivePopVlan(packet);
  }
}

test(
  'any row of pushes and pops gives what splicing gives',
  seeded((random) => {
    for (let i = 0; i < 5000; i++) {
      let packet = randomPacket(random, { network: pick(random, ['arp', 'ipv4', 'ipv6', 'mpls']) });
      const frame = parsedFrame(packet);
      for (let steps = random.below(20); steps > 0; steps--) packet = step(random, frame, packet);
      assert.equal(hex(rig.read(frame).bytes), hex(packet));
      rig.give(frame);
    }
  }),
);

test(
  'headers are found where they went under labels, and are as before once those are gone',
  seeded((random) => {
    for (let i = 0; i < 2000; i++) {
      const packet = randomPacket(random, { network: pick(random, ['ipv4', 'ipv6']), whole: true });
      const parsed = naiveParse(packet, 0);
      assert.ok(typeof parsed === 'object');
      const frame = parsedFrame(packet);
      if (chance(random, 0.5)) rig.setPartial(frame, parsed.l4, 6);
      const before = rig.read(frame);
      const depth = 1 + random.below(4);
      for (let n = 1; n <= depth; n++) {
        exports.pushMpls(frame, MPLS, labelEntry(n, n === 1));
        const { l3, l4, headroom } = rig.read(frame);
        assert.deepEqual(
          { l3, l4, headroom },
          { l3: parsed.l3 + 4 * n, l4: parsed.l4 + 4 * n, headroom: FRAME_HEADROOM - 4 * n },
        );
      }
      // What is under the labels has no place in the key now.
      exports.setWord(frame, 76, 0xffffffff, 0xffffffff);
      for (let n = depth; n > 0; n--) exports.popMpls(frame, n === 1 ? get16(packet, parsed.l3 - 2) : MPLS);
      assert.deepEqual(rig.read(frame), before);
      const { bytes } = rig.read(frame);
      exports.setWord(frame, 20, 9 << 16, 0xff0000);
      assert.equal(rig.read(frame).bytes[parsed.l3 + (get16(packet, parsed.l3 - 2) === 0x0800 ? 8 : 7)], 9);
      assert.equal(bytes.length, packet.length);
      rig.give(frame);
    }
  }),
);

test('a label goes behind both tags', () => {
  const frame = parsedFrame(ethernet({ vlan: 5, tpid: 0x88a8, innerVlan: 6 }, ipv4({}, udp())));
  assert.ok(exports.pushMpls(frame, MPLS, labelEntry(100, true, 5, 63)));
  assert.equal(hex(rig.read(frame).bytes.subarray(12, 27)), '88a80005810000068847' + '00064b3f' + '45');
  rig.give(frame);
});

test('labels that came with the frame are popped; what they hid is unknown until it is parsed', () => {
  const inner = ipv4({}, tcp()).bytes;
  const frame = parsedFrame(ethernet({}, mpls([labelEntry(1, false), labelEntry(2, true)], inner)));
  exports.popMpls(frame, MPLS);
  exports.popMpls(frame, 0x0800);
  const packet = ethernet({ type: 0x0800 }, inner);
  assert.equal(hex(rig.read(frame).bytes), hex(packet));
  assert.equal(rig.read(frame).l3, 0);
  exports.setWord(frame, 32, 0, 0xffffffff);
  assert.equal(hex(rig.read(frame).bytes), hex(packet), 'addresses that nobody has read are not set');
  assert.equal(exports.parse(frame, rig.keyAddress()), -1);
  assert.equal(rig.read(frame).l3, 14);
  rig.give(frame);
});

test('an entry that was pushed is the outermost, and set as such', () => {
  const frame = parsedFrame(ethernet({}, ipv4({}, udp())));
  exports.pushMpls(frame, MPLS, labelEntry(1, true));
  exports.pushMpls(frame, MPLS, labelEntry(2, false));
  exports.setWord(frame, 32, 0x07000000, 0xff000000); // the TTL of the outer one
  exports.setWord(frame, 36, 0x08000000, 0xff000000); // of the inner one
  exports.setWord(frame, 40, 0xffffffff, 0xffffffff); // there is no third
  const { bytes } = rig.read(frame);
  assert.equal(hex(bytes.subarray(12)), `8847${'00002007'}${'00001108'}${hex(ipv4({}, udp()).bytes)}`);
  rig.give(frame);
});

test('no label is pushed when there is no headroom', () => {
  const frame = parsedFrame(ethernet({}, ipv4({}, tcp())));
  for (let i = 0; i < FRAME_HEADROOM / 4; i++) assert.ok(exports.pushMpls(frame, MPLS, i));
  const before = rig.read(frame);
  assert.equal(exports.pushMpls(frame, MPLS, 0), 0);
  assert.deepEqual(rig.read(frame), before);
  rig.give(frame);
});

test('popping a frame without labels does nothing', () => {
  const packet = ethernet({}, ipv4({}, tcp()));
  const frame = parsedFrame(packet);
  exports.popMpls(frame, 0x86dd);
  assert.equal(hex(rig.read(frame).bytes), hex(packet));
  rig.give(frame);
});
