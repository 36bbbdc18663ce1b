/** Segments cut into packets and checksums completed in software, against doing it the plain way. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  CHECKSUM_GOOD,
  FRAME_COPY,
  Frame,
  NONE,
  POOL_FRAMES,
  POOL_LARGE_FRAMES,
  SEGMENT_TCP4,
  SEGMENT_TCP6,
  SEGMENT_UDP,
} from '../../src/datapath.ts';
import { naiveParse, type Parsed } from '../support/naive-parse.ts';
import { checksumPlace, fixChecksums } from '../support/naive-rewrite.ts';
import {
  ACK,
  CWR,
  concat,
  ethernet,
  extension,
  FIN,
  get16,
  get32,
  ipv4,
  ipv6,
  PSH,
  routingHeader,
  set16,
  set32,
  tcp,
  udp,
} from '../support/packets.ts';
import { randomPacket } from '../support/random-packets.ts';
import { Rig } from '../support/rig.ts';
import { pick, Random, randomBytes, seeded } from '../support/seeded.ts';

const rig = new Rig();
const { exports, u8, u16, u32 } = rig.datapath;
const random = new Random(1);

const CONGESTION_MARK = 0x80; // virtio 1.2 §5.1.6, VIRTIO_NET_HDR_GSO_ECN

interface Segment {
  packet: Uint8Array;
  type: number;
  size: number;
}

function parse(packet: Uint8Array): Parsed {
  const parsed = naiveParse(packet, 0);
  assert.ok(typeof parsed === 'object');
  return parsed;
}

/** A frame that holds a segment as a card would be given it: its checksum is the pseudo-header's. */
function segmentFrame({ packet, type, size }: Segment): number {
  const parsed = parse(packet);
  const whole = packet.slice();
  fixChecksums(whole, parsed, 'partial');
  const frame = rig.frame(whole);
  assert.equal(exports.parse(frame, rig.keyAddress()), -1);
  u32[(frame + Frame.flags) >> 2] = FRAME_COPY;
  rig.setPartial(frame, parsed.l4, checksumPlace(parsed.transport));
  u8[frame + Frame.segmentType] = type;
  u16[(frame + Frame.segmentSize) >> 1] = size;
  return frame;
}

/** The packets that the frame is cut into. */
function cut(frame: number, size: number): Uint8Array[] {
  const headers = exports.segmentHeaders(frame);
  const packets: Uint8Array[] = [];
  for (let offset = 0; offset < rig.read(frame).bytes.length - headers; offset += size) {
    const number = exports.cutSegment(frame, headers, offset) >>> 0;
    assert.notEqual(number, NONE);
    const { bytes, flags, checksum } = rig.read(rig.datapath.frameAt(number));
    assert.equal(flags, FRAME_COPY);
    assert.equal(checksum, CHECKSUM_GOOD);
    packets.push(bytes);
    exports.giveFrame(number);
  }
  return packets;
}

/** What the packets ought to be. */
function naiveCut({ packet, type, size }: Segment): Uint8Array[] {
  const { l3, l4 } = parse(packet);
  const isUdp = (type & 0x7f) === SEGMENT_UDP;
  const headers = l4 + (isUdp ? 8 : (packet[l4 + 12]! >> 4) * 4);
  const payload = packet.subarray(headers);
  const count = Math.ceil(payload.length / size);
  return Array.from({ length: count }, (_, i) => {
    const piece = concat(packet.subarray(0, headers), payload.subarray(i * size, (i + 1) * size));
    if (get16(packet, l3 - 2) === 0x0800) {
      set16(piece, l3 + 2, piece.length - l3);
      set16(piece, l3 + 4, (get16(packet, l3 + 4) + i) & 0xffff);
    } else {
      set16(piece, l3 + 4, piece.length - l3 - 40);
    }
    if (isUdp) {
      set16(piece, l4 + 4, piece.length - l4);
    } else {
      set32(piece, l4 + 4, (get32(packet, l4 + 4) + i * size) % 2 ** 32);
      if (i > 0) piece[l4 + 13]! &= ~CWR;
      if (i < count - 1) piece[l4 + 13]! &= ~(FIN | PSH);
    }
    fixChecksums(piece, parse(piece), 'whole');
    return piece;
  });
}

function check(segment: Segment): Uint8Array[] {
  const frame = segmentFrame(segment);
  const expected = naiveCut(segment);
  const packets = cut(frame, segment.size);
  assert.equal(exports.segmentCount(frame), expected.length);
  assert.equal(packets.length, expected.length);
  for (const [i, packet] of packets.entries()) {
    assert.equal(
      Buffer.from(packet).toString('hex'),
      Buffer.from(expected[i]!).toString('hex'),
      `packet ${i}`,
    );
  }
  rig.give(frame);
  return packets;
}

const ALL_FLAGS = 0xfff;

const cases: [string, (payload: Uint8Array) => Segment, number][] = [
  [
    'TCP over IPv4',
    (payload) => ({
      packet: ethernet({}, ipv4({ id: 0xfff8 }, tcp({ seq: 0xffff0000, flags: ALL_FLAGS }, payload))),
      type: SEGMENT_TCP4,
      size: 1460,
    }),
    65535 - 40,
  ],
  [
    'TCP over tagged IPv4 with options in both',
    (payload) => ({
      packet: ethernet(
        { vlan: 3 },
        ipv4(
          { options: new Uint8Array(12) },
          tcp({ options: new Uint8Array(12), flags: ACK | PSH }, payload),
        ),
      ),
      type: SEGMENT_TCP4 | CONGESTION_MARK,
      size: 1436,
    }),
    65535 - 64,
  ],
  [
    'TCP over IPv6',
    (payload) => ({
      packet: ethernet({}, ipv6({}, tcp({ seq: 0xffff0000, flags: ALL_FLAGS }, payload))),
      type: SEGMENT_TCP6,
      size: 1440,
    }),
    65535 - 60,
  ],
  [
    'TCP behind two tags and IPv6 extension headers',
    (payload) => ({
      packet: ethernet(
        { vlan: 3, innerVlan: 4 },
        ipv6(
          { extensions: [extension(0, new Uint8Array(6)), extension(60, new Uint8Array(14))] },
          tcp({}, payload),
        ),
      ),
      type: SEGMENT_TCP6,
      size: 1400,
    }),
    65535 - 44,
  ],
  [
    'UDP over IPv4',
    (payload) => ({ packet: ethernet({}, ipv4({}, udp({}, payload))), type: SEGMENT_UDP, size: 1472 }),
    65535 - 28,
  ],
  [
    'UDP over IPv6',
    (payload) => ({ packet: ethernet({}, ipv6({}, udp({}, payload))), type: SEGMENT_UDP, size: 1452 }),
    65535 - 48,
  ],
];

for (const [what, make, most] of cases) {
  test(`cuts 64 KiB of ${what} into packets`, () => {
    const payload = randomBytes(random, most);
    const segment = make(payload);
    const packets = check(segment);
    const headers = packets[0]!.length - segment.size;
    assert.deepEqual(
      Buffer.from(concat(...packets.map((packet) => packet.subarray(headers)))),
      Buffer.from(payload),
    );
  });

  test(`cuts ${what} of any length by any size`, () => {
    for (const [length, size] of [
      [1, 1],
      [2, 1],
      [11, 5],
      [12, 6],
      [13, 6],
      [99, 100],
      [100, 100],
      [101, 100],
      [1000, 1],
    ] as const) {
      check({ ...make(randomBytes(random, length)), size });
    }
  });
}

test('a frame that says it is a segment and cannot be cut is one packet', () => {
  const [, make] = cases[0]!;
  const segment = make(randomBytes(random, 100));
  for (const [what, packet, size] of [
    ['no segment size', segment.packet, 0],
    ['no payload', make(new Uint8Array()).packet, 100],
    ['no transport header', ethernet({}, ipv4({ fragment: 8, protocol: 6 }, new Uint8Array(100))), 100],
    ['a first fragment', ethernet({}, ipv4({ fragment: 0x2000 }, tcp({}, new Uint8Array(100)))), 50],
    ['another transport', ethernet({}, ipv4({}, udp({}, new Uint8Array(100)))), 50],
    [
      'a destination that is not the last',
      ethernet({}, ipv6({ extensions: [routingHeader(1, 'fd00::7')] }, tcp({}, new Uint8Array(100)))),
      50,
    ],
  ] as const) {
    const frame = rig.frame(packet);
    exports.parse(frame, rig.keyAddress());
    u8[frame + Frame.segmentType] = SEGMENT_TCP4;
    u16[(frame + Frame.segmentSize) >> 1] = size;
    assert.equal(exports.segmentHeaders(frame), 0, what);
    assert.equal(exports.segmentCount(frame), 1, what);
    rig.give(frame);
  }
});

test('a segment is cut as well when labels and a tag were pushed on it', () => {
  const [, make] = cases[0]!;
  const segment = { ...make(randomBytes(random, 1000)), size: 300 };
  const frame = segmentFrame(segment);
  exports.pushMpls(frame, 0x8847, 0x00001140);
  exports.pushVlan(frame, 0x81000007);
  const front = rig.read(frame).bytes.subarray(0, 22);
  assert.deepEqual(
    cut(frame, segment.size).map((packet) => Buffer.from(packet).toString('hex')),
    naiveCut(segment).map((packet) => Buffer.from(concat(front, packet.subarray(14))).toString('hex')),
  );
  rig.give(frame);
});

test('a TCP header of less than 20 bytes is not cut', () => {
  const packet = ethernet({}, ipv4({}, tcp({ dataOffset: 4 }, randomBytes(random, 100))));
  const frame = rig.frame(packet);
  exports.parse(frame, rig.keyAddress());
  u8[frame + Frame.segmentType] = SEGMENT_TCP4;
  u16[(frame + Frame.segmentSize) >> 1] = 50;
  assert.equal(exports.segmentHeaders(frame), 0);
  rig.give(frame);
});

test('no free frame for a segment gives none and loses none', () => {
  const [, make] = cases[0]!;
  const frame = segmentFrame({ ...make(randomBytes(random, 1000)), size: 100 });
  const headers = exports.segmentHeaders(frame);
  const taken: number[] = [];
  for (let number = exports.takeFrame(100) >>> 0; number !== NONE; number = exports.takeFrame(100) >>> 0) {
    taken.push(number);
  }
  assert.equal(exports.cutSegment(frame, headers, 0) >>> 0, NONE);
  for (const number of taken) exports.giveFrame(number);
  rig.give(frame);
});

test(
  'completes a partial checksum',
  seeded((random) => {
    for (let i = 0; i < 2000; i++) {
      const transport = pick(random, ['tcp', 'udp', 'sctp'] as const);
      const network = pick(random, ['ipv4', 'ipv6'] as const);
      const packet = randomPacket(random, { network, transport, payload: 1400, bare: true, whole: true });
      const parsed = parse(packet);
      const expected = packet.slice();
      fixChecksums(packet, parsed, 'partial');
      const frame = rig.frame(packet);
      exports.parse(frame, rig.keyAddress());
      rig.setPartial(frame, parsed.l4, checksumPlace(parsed.transport));
      exports.completeChecksum(frame);
      const { bytes, checksum } = rig.read(frame);
      assert.equal(Buffer.from(bytes).toString('hex'), Buffer.from(expected).toString('hex'));
      assert.equal(checksum, CHECKSUM_GOOD);
      rig.give(frame);
    }
  }),
);

test('a partial checksum said to be beyond the frame is left alone', () => {
  const packet = ethernet({}, ipv4({}, tcp()));
  for (const [start, offset] of [
    [packet.length, 0],
    [34, packet.length - 34 - 1],
    [0xffff, 0xffff],
  ] as const) {
    const frame = rig.frame(packet);
    rig.setPartial(frame, start, offset);
    exports.completeChecksum(frame);
    assert.deepEqual(Buffer.from(rig.read(frame).bytes), Buffer.from(packet));
    rig.give(frame);
  }
});

test('all frames are back', () => {
  assert.equal(rig.free(POOL_FRAMES), rig.arena.limits.frames);
  assert.equal(rig.free(POOL_LARGE_FRAMES), rig.arena.limits.largeFrames);
});
