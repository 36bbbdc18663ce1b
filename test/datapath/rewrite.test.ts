/** Rewriting in place, against a naive twin that computes every checksum from scratch. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FRAME_HEADROOM } from '../../src/datapath.ts';
import { naiveParse, type Parsed } from '../support/naive-parse.ts';
import { type Checksum, checksumPlace, fixChecksums, naiveSet } from '../support/naive-rewrite.ts';
import {
  checksumOf,
  concat,
  ethernet,
  extension,
  fragmentHeader,
  get16,
  icmp6,
  ipv4,
  ipv6,
  set16,
  tcp,
  udp,
} from '../support/packets.ts';
import { type Choices, NETWORKS, randomPacket, TRANSPORTS } from '../support/random-packets.ts';
import { Rig } from '../support/rig.ts';
import { pick, type Random, randomBytes, seeded } from '../support/seeded.ts';

const rig = new Rig();
const { exports } = rig.datapath;

/** A parsed frame that holds `packet`, its transport checksum partial if so said. */
function parsedFrame(packet: Uint8Array, parsed: Parsed, checksum: Checksum = 'whole'): number {
  const frame = rig.frame(packet);
  assert.equal(exports.parse(frame, rig.keyAddress()), -1);
  if (checksum === 'partial') rig.setPartial(frame, parsed.l4, checksumPlace(parsed.transport));
  return frame;
}

const word = (bytes: Uint8Array): number => new DataView(bytes.buffer).getUint32(0, true);

const parse = (packet: Uint8Array): Parsed => {
  const parsed = naiveParse(packet, 0);
  assert.ok(typeof parsed === 'object');
  return parsed;
};

/** A mask that leaves fields alone, takes them whole or takes some bits of them. */
const randomMask = (random: Random): Uint8Array =>
  Uint8Array.from(randomBytes(random, 4), (byte) => pick(random, [0, 0xff, 0xff, byte]));

/** One word of one packet, with the naive result. */
function rewrite(random: Random, packet: Uint8Array, checksum: Checksum): [Uint8Array, Uint8Array, string] {
  const parsed = parse(packet);
  const frame = parsedFrame(packet, parsed, checksum);
  let expected = packet;
  const said: string[] = [];
  for (let times = 1 + random.below(3); times > 0; times--) {
    const offset = 4 * (1 + random.below(31));
    const mask = randomMask(random);
    const value = randomBytes(random, 4).map((byte, i) => byte & mask[i]!);
    said.push(`${offset}: ${Buffer.from(value).toString('hex')}/${Buffer.from(mask).toString('hex')}`);
    exports.setWord(frame, offset, word(value), word(mask));
    expected = naiveSet(expected, parsed, checksum, offset, value, mask);
  }
  const actual = rig.read(frame).bytes;
  rig.give(frame);
  return [actual, expected, said.join(', ')];
}

function check([actual, expected, said]: [Uint8Array, Uint8Array, string]): void {
  if (Buffer.compare(actual, expected) === 0) return;
  assert.equal(Buffer.from(actual).toString('hex'), Buffer.from(expected).toString('hex'), said);
}

/** Random packets of one kind, whole ones only: a fragment's checksum covers bytes that are not there. */
function* packets(random: Random, choices: Choices, count: number): Generator<Uint8Array> {
  for (let found = 0; found < count; ) {
    const packet = randomPacket(random, { ...choices, whole: true });
    if (typeof naiveParse(packet, 0) === 'number') continue;
    yield packet;
    found++;
  }
}

for (const network of NETWORKS) {
  const hasTransport = network === 'ipv4' || network === 'ipv6';
  for (const transport of hasTransport ? TRANSPORTS : [undefined]) {
    test(
      `sets any word of ${transport ? `${transport} over ` : ''}${network}, checksums and all`,
      seeded((random) => {
        for (const packet of packets(random, { network, transport }, 4000)) {
          check(rewrite(random, packet, 'whole'));
        }
      }),
    );
  }
}

for (const network of ['ipv4', 'ipv6'] as const) {
  test(
    `leaves UDP over ${network} without a checksum without one`,
    seeded((random) => {
      for (const packet of packets(random, { network, transport: 'udp', unchecked: true }, 2000)) {
        check(rewrite(random, packet, 'none'));
      }
    }),
  );

  for (const transport of ['tcp', 'udp', 'sctp'] as const) {
    test(
      `keeps a partial checksum of ${transport} over ${network} partial`,
      seeded((random) => {
        for (const packet of packets(random, { network, transport }, 2000)) {
          fixChecksums(packet, parse(packet), 'partial');
          check(rewrite(random, packet, 'partial'));
        }
      }),
    );
  }
}

test(
  'rewrites fragments so that the reassembled packet is right',
  seeded((random) => {
    for (let i = 0; i < 4000; i++) {
      const transport = pick(random, ['tcp', 'udp', 'icmp'] as const);
      const whole = randomPacket(random, { network: 'ipv4', transport, payload: 200, bare: true });
      const { l3 } = parse(whole);
      const header = (whole[l3]! % 16) * 4;
      const piece = (of: Uint8Array, from: number, to: number, flags: number) => {
        const result = new Uint8Array([
          ...of.subarray(0, l3 + header),
          ...of.subarray(l3 + header + from, l3 + header + to),
        ]);
        set16(result, l3 + 2, result.length - l3);
        set16(result, l3 + 6, flags | (from / 8));
        set16(result, l3 + 10, 0);
        set16(result, l3 + 10, checksumOf(result.subarray(l3, l3 + header)));
        return result;
      };
      set16(whole, l3 + 6, 0);
      fixChecksums(whole, parse(whole), 'whole');
      const parsed = parse(whole);
      const length = whole.length - l3 - header;
      const cut = 64;
      if (length <= cut) continue;

      const offset = pick(random, [4, 8, 12, 16, 20, 32, 36, 24]);
      const mask = randomMask(random);
      const value = randomBytes(random, 4).map((byte, n) => byte & mask[n]!);
      const expected = naiveSet(whole, parsed, 'whole', offset, value, mask);
      for (const [from, to, flags] of [
        [0, cut, 0x2000],
        [cut, length, 0],
      ] as const) {
        const packet = piece(whole, from, to, flags);
        const frame = parsedFrame(packet, parse(packet));
        exports.setWord(frame, offset, word(value), word(mask));
        check([rig.read(frame).bytes, piece(expected, from, to, flags), `${offset} of ${transport}`]);
        rig.give(frame);
      }
    }
  }),
);

test(
  'rewrites IPv6 fragments so that the reassembled packet is right',
  seeded((random) => {
    for (let i = 0; i < 2000; i++) {
      const extensions = [extension(60, randomBytes(random, 6)), fragmentHeader(0, false)];
      const transport = pick(random, [tcp, udp, icmp6])({}, randomBytes(random, 100));
      const whole = ethernet({}, ipv6({ extensions }, transport));
      const parsed = parse(whole);
      const piece = (of: Uint8Array, from: number, to: number, more: number) => {
        const result = concat(of.subarray(0, parsed.l4), of.subarray(parsed.l4 + from, parsed.l4 + to));
        set16(result, parsed.l3 + 4, result.length - parsed.l3 - 40);
        set16(result, parsed.l4 - 6, from | more);
        return result;
      };
      const offset = pick(random, [20, 24, 32, 36, 40, 44, 48, 52, 56, 60, 76]);
      const mask = randomMask(random);
      const value = randomBytes(random, 4).map((byte, n) => byte & mask[n]!);
      const expected = naiveSet(whole, parsed, 'whole', offset, value, mask);
      for (const [from, to, more] of [
        [0, 64, 1],
        [64, whole.length, 0],
      ] as const) {
        const packet = piece(whole, from, to, more);
        const frame = parsedFrame(packet, parse(packet));
        exports.setWord(frame, offset, word(value), word(mask));
        check([rig.read(frame).bytes, piece(expected, from, to, more), `${offset} from ${from}`]);
        rig.give(frame);
      }
    }
  }),
);

test('a UDP checksum that comes out zero is sent as all ones', () => {
  for (const network of [ipv4, ipv6]) {
    const packet = ethernet({}, network({}, udp({ src: 0, dst: 0 }, Uint8Array.of(1, 2))));
    const parsed = parse(packet);
    // The source port that makes the sum all ones is what the checksum is with none.
    const port = get16(packet, parsed.l4 + 6);
    const frame = parsedFrame(packet, parsed);
    exports.setWord(frame, 24, ((port & 0xff) << 8) | (port >> 8), 0xffff);
    const { bytes } = rig.read(frame);
    assert.equal(get16(bytes, parsed.l4), port);
    assert.equal(get16(bytes, parsed.l4 + 6), 0xffff);
    rig.give(frame);
  }
});

test('the tag is set when one was pushed on another', () => {
  const packet = ethernet({ vlan: 5 }, ipv4({}, udp()));
  const frame = parsedFrame(packet, parse(packet));
  exports.pushVlan(frame, 0x88a80007);
  exports.setWord(frame, 4, 0x0900, 0xff0f);
  assert.deepEqual([...rig.read(frame).bytes.subarray(12, 20)], [0x88, 0xa8, 0, 9, 0x81, 0, 0, 5]);
  rig.give(frame);
});

// VLAN tags

const tagged = (packet: Uint8Array, tag: readonly number[]): Uint8Array =>
  new Uint8Array([...packet.subarray(0, 12), ...tag, ...packet.subarray(12)]);

test(
  'pushes and pops tags; headers and a partial checksum are found where they went',
  seeded((random) => {
    for (let i = 0; i < 2000; i++) {
      const packet = randomPacket(random, {
        network: pick(random, ['ipv4', 'ipv6']),
        transport: 'tcp',
        bare: true,
      });
      const parsed = parse(packet);
      if (parsed.l4 === 0) continue;
      const checksum = pick(random, ['whole', 'partial'] as const);
      const frame = parsedFrame(packet, parsed, checksum);
      const tags = Array.from({ length: 1 + random.below(8) }, () => [
        ...pick(random, [
          [0x81, 0],
          [0x88, 0xa8],
        ]),
        ...randomBytes(random, 2),
      ]);
      let expected = packet;
      let depth = 0;
      const checkFrame = () => {
        const { bytes, headroom, l3, l4, checksumStart } = rig.read(frame);
        assert.deepEqual(Buffer.from(bytes), Buffer.from(expected));
        assert.equal(headroom, FRAME_HEADROOM - 4 * depth);
        assert.equal(l3, parsed.l3 + 4 * depth);
        assert.equal(l4, parsed.l4 + 4 * depth);
        if (checksum === 'partial') assert.equal(checksumStart, l4);
      };
      for (const tag of tags) {
        assert.ok(exports.pushVlan(frame, Buffer.from(tag).readUInt32BE()));
        expected = tagged(expected, tag);
        depth++;
        checkFrame();
      }
      const popped = random.below(tags.length + 1);
      for (let n = 0; n < popped; n++) {
        exports.popVlan(frame);
        expected = new Uint8Array([...expected.subarray(0, 12), ...expected.subarray(16)]);
        depth--;
        checkFrame();
      }
      rig.give(frame);
    }
  }),
);

test('popping an untagged packet does nothing', () => {
  for (const packet of [ethernet({}, ipv4({}, tcp())), ethernet({ type: 0x8100 }, new Uint8Array(3))]) {
    const frame = rig.frame(packet);
    exports.parse(frame, rig.keyAddress());
    exports.popVlan(frame);
    assert.deepEqual(Buffer.from(rig.read(frame).bytes), Buffer.from(packet));
    rig.give(frame);
  }
});

test('a tag is not pushed when there is no headroom', () => {
  const frame = rig.frame(ethernet({}, ipv4({}, tcp())));
  exports.parse(frame, rig.keyAddress());
  for (let i = 0; i < FRAME_HEADROOM / 4; i++) assert.ok(exports.pushVlan(frame, 0x81000000 + i));
  const before = rig.read(frame);
  assert.equal(before.headroom, 0);
  assert.equal(exports.pushVlan(frame, 0x81000000), 0);
  assert.deepEqual(rig.read(frame), before);
  rig.give(frame);
});
