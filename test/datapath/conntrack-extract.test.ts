/** From a packet to its tuple: what names it, what makes it invalid, and what an ICMP error quotes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  CHECKSUM_GOOD,
  CHECKSUM_PARTIAL,
  EXTRACT_ERROR,
  EXTRACT_INVALID,
  EXTRACT_OK,
  Frame,
  NETWORK_IPV4,
  regionAddress,
  Segment,
  Tuple,
  WINDOW_SCALED,
} from '../../src/datapath.ts';
import {
  ACK,
  address,
  arp,
  concat,
  ethernet,
  extension,
  fragmentHeader,
  icmp,
  icmp6,
  ipv4,
  ipv6,
  labelEntry,
  MORE_FRAGMENTS,
  mpls,
  type Network,
  neighbour,
  PSH,
  routingHeader,
  SYN,
  sctp,
  type Transport,
  tcp,
  udp,
} from '../support/packets.ts';
import { mutated, randomPacket } from '../support/random-packets.ts';
import { Rig } from '../support/rig.ts';
import { pick, randomBytes, seeded } from '../support/seeded.ts';

const ZONE = 0x1234;

const rig = new Rig();
const { exports, u8, u16 } = rig.datapath;
const tupleAt = regionAddress(rig.arena, 'queues');

interface Extracted {
  result: number;
  tuple: {
    src: string;
    dst: string;
    tpSrc: number;
    tpDst: number;
    proto: number;
    isV4: boolean;
    zone: number;
  };
  segment: Uint8Array;
}

const swapped = (at: number): number => (u8[at]! << 8) | u8[at + 1]!;

function extract(packet: Uint8Array, checksum?: number): Extracted {
  const frame = rig.frame(packet);
  assert.equal(exports.parse(frame, rig.keyAddress()), -1, 'parsed');
  if (checksum !== undefined) u8[frame + Frame.checksum] = checksum;
  u8.fill(0xee, tupleAt, tupleAt + Tuple.size);
  const result = exports.extract(frame, ZONE, tupleAt);
  rig.give(frame);
  const isV4 = u8[tupleAt + Tuple.l3] === NETWORK_IPV4;
  const end = (at: number) => {
    const bytes = u8.slice(at, at + 16);
    if (isV4 && result !== EXTRACT_INVALID) assert.ok(bytes.subarray(4).every((byte) => byte === 0));
    return Buffer.from(isV4 ? bytes.subarray(0, 4) : bytes).toString('hex');
  };
  return {
    result,
    tuple: {
      src: end(tupleAt + Tuple.srcLow),
      dst: end(tupleAt + Tuple.dstLow),
      tpSrc: swapped(tupleAt + Tuple.tpSrc),
      tpDst: swapped(tupleAt + Tuple.tpDst),
      proto: u8[tupleAt + Tuple.proto]!,
      isV4,
      zone: u16[(tupleAt + Tuple.zone) >> 1]!,
    },
    segment: u8.slice(exports.ownSegment(), exports.ownSegment() + Segment.size),
  };
}

const hex = (text: string): string => Buffer.from(address(text)).toString('hex');
const V4 = { src: hex('10.0.0.1'), dst: hex('10.0.0.2'), isV4: true, zone: ZONE };
const V6 = { src: hex('fd00::1'), dst: hex('fd00::2'), isV4: false, zone: ZONE };
const v4 = (transport: Transport | Uint8Array) => ethernet({}, ipv4({}, transport));
const v6 = (transport: Transport | Uint8Array) => ethernet({}, ipv6({}, transport));
const raw = (protocol: number, bytes = new Uint8Array(8)): Transport => ({ protocol, bytes });

const PORTS = { src: 1000, dst: 2000 };
const CHUNK = Uint8Array.of(1, 0, 0, 4);
const DESTINATION_OPTIONS = extension(60, new Uint8Array(14));

const known: [string, Uint8Array, Partial<Extracted['tuple']>][] = [
  ['TCP', v4(tcp(PORTS)), { ...V4, proto: 6, tpSrc: 1000, tpDst: 2000 }],
  [
    'TCP behind two tags and IP options',
    ethernet({ vlan: 7, innerVlan: 8 }, ipv4({ options: new Uint8Array(8) }, tcp(PORTS))),
    { ...V4, proto: 6, tpSrc: 1000, tpDst: 2000 },
  ],
  ['TCP over IPv6', v6(tcp(PORTS)), { ...V6, proto: 6, tpSrc: 1000, tpDst: 2000 }],
  ['UDP', v4(udp(PORTS)), { ...V4, proto: 17, tpSrc: 1000, tpDst: 2000 }],
  [
    'UDP without a checksum',
    v4(udp({ ...PORTS, checksum: 0 })),
    { ...V4, proto: 17, tpSrc: 1000, tpDst: 2000 },
  ],
  [
    'UDP behind extension headers',
    ethernet({}, ipv6({ extensions: [DESTINATION_OPTIONS, fragmentHeader(0, false)] }, udp(PORTS))),
    { ...V6, proto: 17, tpSrc: 1000, tpDst: 2000 },
  ],
  [
    'UDP on its way to another destination',
    ethernet({}, ipv6({ extensions: [routingHeader(1, 'fd00::7')], finalDst: 'fd00::7' }, udp(PORTS))),
    { ...V6, proto: 17, tpSrc: 1000, tpDst: 2000 },
  ],
  ['SCTP', v4(sctp(PORTS, CHUNK)), { ...V4, proto: 132, tpSrc: 1000, tpDst: 2000 }],
  [
    'an echo request',
    v4(icmp({ type: 8, rest: 0x01f40001 })),
    { ...V4, proto: 1, tpSrc: 500, tpDst: 0x0800 },
  ],
  ['an echo reply', v4(icmp({ type: 0, rest: 0x01f40001 })), { ...V4, proto: 1, tpSrc: 500, tpDst: 0 }],
  ...[13, 14, 15, 16].map((type): [string, Uint8Array, Partial<Extracted['tuple']>] => [
    `ICMP of type ${type}`,
    v4(icmp({ type, rest: 0x01f40001 })),
    { ...V4, proto: 1, tpSrc: 500, tpDst: type << 8 },
  ]),
  ...[128, 129].map((type): [string, Uint8Array, Partial<Extracted['tuple']>] => [
    `ICMPv6 of type ${type}`,
    v6(icmp6({ type, rest: 0x01f40001 })),
    { ...V6, proto: 58, tpSrc: 500, tpDst: type << 8 },
  ]),
  ['a protocol without ports', v4(raw(112)), { ...V4, proto: 112, tpSrc: 0, tpDst: 0 }],
  ['nothing but an IP header', v4(raw(253, new Uint8Array())), { ...V4, proto: 253, tpSrc: 0, tpDst: 0 }],
  [
    'a protocol without ports behind extension headers',
    ethernet({}, ipv6({ extensions: [DESTINATION_OPTIONS] }, raw(47))),
    { ...V6, proto: 47, tpSrc: 0, tpDst: 0 },
  ],
];

for (const [what, packet, tuple] of known) {
  test(`the tuple of ${what}`, () => {
    const extracted = extract(packet);
    assert.equal(extracted.result, EXTRACT_OK);
    assert.deepEqual(extracted.tuple, tuple);
  });
}

const invalid: [string, Uint8Array][] = [
  ['ARP', ethernet({}, arp())],
  ['IP behind a label', ethernet({}, mpls([labelEntry(1, true)], ipv4({}, udp()).bytes))],
  ['another EtherType', ethernet({}, new Uint8Array(50))],
  ['a wrong checksum of the IPv4 header', ethernet({}, ipv4({ checksum: 1 }, udp(PORTS)))],
  [
    'a wrong checksum of an IPv4 header with options',
    ethernet({}, ipv4({ checksum: 1, options: new Uint8Array(4) }, udp(PORTS))),
  ],
  ['a wrong checksum of TCP', v4(tcp({ checksum: 1 }))],
  ['a wrong checksum of TCP over IPv6', v6(tcp({ checksum: 1 }))],
  ['a wrong checksum of UDP', v4(udp({ checksum: 1 }))],
  ['UDP over IPv6 without a checksum', v6(udp({ checksum: 0 }))],
  ['a wrong CRC of SCTP', v4(sctp({ checksum: 1 }, CHUNK))],
  ['a wrong checksum of ICMP', v4(icmp({ checksum: 1 }))],
  ['a wrong checksum of ICMPv6', v6(icmp6({ checksum: 1 }))],
  ['UDP shorter than its header', v4(udp({ length: 7, checksum: 0 }))],
  ['UDP longer than the packet', v4(udp({ length: 9, checksum: 0 }))],
  ['SCTP without a chunk', v4(sctp(PORTS))],
  ['an SCTP chunk shorter than its header', v4(sctp(PORTS, Uint8Array.of(1, 0, 0, 3)))],
  ['an SCTP chunk longer than the packet', v4(sctp(PORTS, Uint8Array.of(1, 0, 0, 5)))],
  ['TCP from port 0', v4(tcp({ src: 0 }))],
  ['TCP to port 0', v4(tcp({ dst: 0 }))],
  ['UDP from port 0', v4(udp({ src: 0 }))],
  ['UDP to port 0', v6(udp({ dst: 0 }))],
  ['SCTP to port 0', v4(sctp({ dst: 0 }, CHUNK))],
  ['a first fragment', ethernet({}, ipv4({ fragment: MORE_FRAGMENTS }, udp(PORTS)))],
  ['a later fragment', ethernet({}, ipv4({ fragment: 9, protocol: 17 }, new Uint8Array(8)))],
  ['a first IPv6 fragment', ethernet({}, ipv6({ extensions: [fragmentHeader(0, true)] }, udp(PORTS)))],
  ['a later IPv6 fragment', ethernet({}, ipv6({ extensions: [fragmentHeader(8, false)] }, udp(PORTS)))],
  ['a neighbour solicitation', v6(neighbour(135, 'fd00::9'))],
  ['a router advertisement', v6(icmp6({ type: 134 }))],
  ['a report of multicast listeners', v6(icmp6({ type: 143 }))],
  ['an address mask request', v4(icmp({ type: 17 }))],
  ['ICMP of a type beyond 31', v4(icmp({ type: 40 }))],
  ['an echo request with a code', v4(icmp({ type: 8, code: 1 }))],
  ['an ICMPv6 echo request with a code', v6(icmp6({ type: 128, code: 1 }))],
  ['ICMP over IPv6', v6(icmp())],
  ['ICMPv6 over IPv4', v4(icmp6())],
];

for (const [what, packet] of invalid) {
  test(`${what} is invalid`, () => assert.equal(extract(packet).result, EXTRACT_INVALID));
}

test('a checksum that is known to be good or is still partial is not looked at', () => {
  for (const state of [CHECKSUM_GOOD, CHECKSUM_PARTIAL]) {
    assert.equal(extract(v4(tcp({ checksum: 1 })), state).result, EXTRACT_OK);
    assert.equal(extract(v4(udp({ length: 9, checksum: 1 })), state).result, EXTRACT_INVALID, 'lengths are');
  }
});

// What TCP says

function tcpSegment(packet: Uint8Array): Record<string, number> {
  const { result, segment } = extract(packet);
  assert.equal(result, EXTRACT_OK);
  const view = new DataView(segment.buffer);
  return {
    seq: view.getUint32(Segment.seq, true),
    ack: view.getUint32(Segment.ack, true),
    window: view.getUint16(Segment.window, true),
    length: view.getUint32(Segment.length, true),
    flags: segment[Segment.flags]!,
    windowScale: segment[Segment.windowScale]!,
  };
}

test('what a TCP header says', () => {
  const fields = {
    seq: 0xfffffffe,
    ack: 0x80000001,
    window: 0xfedc,
    flags: ACK | PSH,
    options: new Uint8Array(12),
  };
  const expected = {
    seq: 0xfffffffe,
    ack: 0x80000001,
    window: 0xfedc,
    length: 77,
    flags: ACK | PSH,
    windowScale: 0,
  };
  for (const layer of [ipv4, ipv6] as ((fields: object, transport: Transport) => Network)[]) {
    assert.deepEqual(
      tcpSegment(ethernet({ padding: 9 }, layer({}, tcp(fields, new Uint8Array(77))))),
      expected,
    );
  }
});

const options: [string, number[], number | undefined][] = [
  ['none', [], undefined],
  ['alone', [3, 3, 7, 0], 7],
  ['of no shift', [1, 3, 3, 0], 0],
  ['behind others', [2, 4, 5, 180, 4, 2, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 9, 0, 0], 9],
  ['of more than there may be', [3, 3, 15, 0], 14],
  ['behind the end', [0, 3, 3, 7], undefined],
  ['of another length', [3, 4, 7, 7], undefined],
  ['behind an option of no length', [5, 0, 3, 3, 7, 0, 0, 0], undefined],
  ['behind an option beyond the header', [5, 9, 3, 3, 7, 0, 0, 0], undefined],
  ['cut off', [1, 1, 3, 3], undefined],
  ['without its length', [1, 1, 1, 3], undefined],
];

for (const [what, bytes, shift] of options) {
  test(`a window scale option ${what}`, () => {
    const packet = (flags: number) =>
      v4(tcp({ flags, options: Uint8Array.from(bytes) }, Uint8Array.of(3, 3, 5)));
    assert.equal(tcpSegment(packet(SYN)).windowScale, shift === undefined ? 0 : WINDOW_SCALED | shift);
    assert.equal(tcpSegment(packet(ACK)).windowScale, 0, 'it counts in a SYN alone');
  });
}

// ICMP errors

const ROUTER = '172.16.0.3';
const quote = (network: Network, bytes = network.bytes.length): Uint8Array =>
  network.bytes.subarray(0, bytes);
const error4 = (quoted: Uint8Array, type = 3, dst = '10.0.0.1') =>
  ethernet({}, ipv4({ src: ROUTER, dst }, icmp({ type, code: 1, rest: 0 }, quoted)));
const error6 = (quoted: Uint8Array, type = 1, dst = 'fd00::1') =>
  ethernet({}, ipv6({ src: 'fd00::99', dst }, icmp6({ type, rest: 0 }, quoted)));

/** The tuple of what answers a packet from 10.0.0.1 to 10.0.0.2. */
const BACK4 = { src: V4.dst, dst: V4.src, isV4: true, zone: ZONE };
const BACK6 = { src: V6.dst, dst: V6.src, isV4: false, zone: ZONE };

const quoting: [string, Uint8Array, Partial<Extracted['tuple']>, number, number][] = [
  ['UDP', error4(quote(ipv4({}, udp(PORTS)))), { ...BACK4, proto: 17, tpSrc: 2000, tpDst: 1000 }, 42, 62],
  [
    'eight bytes of TCP behind options',
    error4(quote(ipv4({ options: new Uint8Array(4) }, tcp(PORTS)), 32)),
    { ...BACK4, proto: 6, tpSrc: 2000, tpDst: 1000 },
    42,
    66,
  ],
  [
    'a packet with checksums that became wrong on its way',
    error4(quote(ipv4({ checksum: 7 }, tcp({ ...PORTS, checksum: 7 })))),
    { ...BACK4, proto: 6, tpSrc: 2000, tpDst: 1000 },
    42,
    62,
  ],
  [
    'a first fragment',
    error4(quote(ipv4({ fragment: MORE_FRAGMENTS }, udp(PORTS)))),
    { ...BACK4, proto: 17, tpSrc: 2000, tpDst: 1000 },
    42,
    62,
  ],
  [
    'an echo request',
    error4(quote(ipv4({}, icmp({ type: 8, rest: 0x01f40001 })))),
    { ...BACK4, proto: 1, tpSrc: 500, tpDst: 0 },
    42,
    62,
  ],
  [
    'a protocol without ports, of which nothing is there',
    error4(quote(ipv4({}, raw(47)), 20)),
    { ...BACK4, proto: 47, tpSrc: 0, tpDst: 0 },
    42,
    62,
  ],
  [
    'UDP over IPv6',
    error6(quote(ipv6({}, udp(PORTS)))),
    { ...BACK6, proto: 17, tpSrc: 2000, tpDst: 1000 },
    62,
    102,
  ],
  [
    'eight bytes of TCP behind extension headers',
    error6(
      quote(
        ipv6({ extensions: [DESTINATION_OPTIONS, fragmentHeader(0, true)] }, tcp(PORTS)),
        40 + 16 + 8 + 8,
      ),
    ),
    { ...BACK6, proto: 6, tpSrc: 2000, tpDst: 1000 },
    62,
    126,
  ],
  [
    'an ICMPv6 echo reply',
    error6(quote(ipv6({}, icmp6({ type: 129, rest: 0x01f40001 })))),
    { ...BACK6, proto: 58, tpSrc: 500, tpDst: 128 << 8 },
    62,
    102,
  ],
];

for (const [what, packet, tuple, innerL3, innerL4] of quoting) {
  test(`an error that quotes ${what}`, () => {
    const extracted = extract(packet);
    assert.equal(extracted.result, EXTRACT_ERROR);
    assert.deepEqual(extracted.tuple, tuple);
    const view = new DataView(extracted.segment.buffer);
    assert.equal(view.getUint16(Segment.innerL3, true), innerL3);
    assert.equal(view.getUint16(Segment.innerL4, true), innerL4);
    assert.equal(extracted.segment[Segment.isMisdirected], 0);
  });
}

test('the types of ICMP that quote a packet', () => {
  const types = (error: (quoted: Uint8Array, type: number) => Uint8Array, quoted: Network) =>
    Array.from({ length: 256 }, (_, type) => type).filter(
      (type) => ![135, 136].includes(type) && extract(error(quote(quoted), type)).result === EXTRACT_ERROR,
    );
  assert.deepEqual(types(error4, ipv4({}, udp(PORTS))), [3, 4, 5, 11, 12]);
  assert.deepEqual(types(error6, ipv6({}, udp(PORTS))), [1, 2, 3, 4]);
});

test('an error that does not go to the sender of what it quotes says so', () => {
  const isMisdirected = (packet: Uint8Array) => {
    const { result, segment } = extract(packet);
    assert.equal(result, EXTRACT_ERROR);
    return segment[Segment.isMisdirected] !== 0;
  };
  assert.equal(isMisdirected(error4(quote(ipv4({}, udp(PORTS))))), false);
  assert.equal(isMisdirected(error4(quote(ipv4({}, udp(PORTS))), 3, '10.0.0.9')), true);
  assert.equal(isMisdirected(error4(quote(ipv4({ src: '10.0.0.9' }, udp(PORTS))))), true);
  assert.equal(isMisdirected(error6(quote(ipv6({}, udp(PORTS))), 1, 'fd00::9')), true);
  assert.equal(isMisdirected(error6(quote(ipv6({ src: 'fd01::1' }, udp(PORTS))))), true);
});

const quotesNothing: [string, Uint8Array][] = [
  ['nothing', error4(new Uint8Array())],
  ['19 bytes', error4(quote(ipv4({}, udp(PORTS)), 19))],
  ['IPv6 in IPv4', error4(quote(ipv6({}, udp(PORTS))))],
  ['IPv4 in IPv6', error6(concat(quote(ipv4({}, udp(PORTS))), new Uint8Array(40)))],
  ['a header of 16 bytes', error4(quote(ipv4({ headerLength: 4 }, udp(PORTS))))],
  ['a header that is not all there', error4(quote(ipv4({ headerLength: 15 }, udp(PORTS))))],
  [
    'a header that is not all there, of a protocol without ports',
    error4(quote(ipv4({ headerLength: 6 }, raw(47, new Uint8Array())))),
  ],
  ['seven bytes of UDP', error4(quote(ipv4({}, udp(PORTS)), 27))],
  ['seven bytes of an echo request', error4(quote(ipv4({}, icmp()), 27))],
  ['a later fragment', error4(quote(ipv4({ fragment: 9 }, udp(PORTS))))],
  ['a port 0', error4(quote(ipv4({}, tcp({ dst: 0 }))))],
  ['an error', error4(quote(ipv4({}, icmp({ type: 3 }))))],
  ['39 bytes over IPv6', error6(quote(ipv6({}, udp(PORTS)), 39))],
  ['seven bytes of UDP over IPv6', error6(quote(ipv6({}, udp(PORTS)), 47))],
  [
    'an extension header that is not all there',
    error6(quote(ipv6({ extensions: [DESTINATION_OPTIONS] }, udp()), 55)),
  ],
  ['a piece of an extension header', error6(quote(ipv6({ extensions: [DESTINATION_OPTIONS] }, udp()), 47))],
  [
    'an extension header that is not all there, before a protocol without ports',
    error6(quote(ipv6({ extensions: [DESTINATION_OPTIONS] }, raw(47)), 55)),
  ],
  ['a later IPv6 fragment', error6(quote(ipv6({ extensions: [fragmentHeader(8, true)] }, udp(PORTS))))],
  ['neighbour discovery', error6(quote(ipv6({}, neighbour(135, 'fd00::9'))))],
];

for (const [what, packet] of quotesNothing) {
  test(`an error that quotes ${what} is invalid`, () => {
    assert.equal(extract(packet).result, EXTRACT_INVALID);
  });
}

test(
  'nothing behind the packet is read, however an error is mutilated',
  seeded((random) => {
    for (let i = 0; i < 5000; i++) {
      const network = pick(random, ['ipv4', 'ipv6'] as const);
      const quoted = mutated(random, randomPacket(random, { network, bare: true }).subarray(14));
      const cut = quoted.subarray(0, random.below(quoted.length + 1));
      const packet = network === 'ipv4' ? error4(cut) : error6(cut);
      const padding = randomBytes(random, 40);
      const plain = extract(packet);
      const padded = extract(concat(packet, padding));
      assert.equal(padded.result, plain.result);
      if (plain.result !== EXTRACT_INVALID) assert.deepEqual(padded, plain);
    }
  }),
);

test('what is invalid for a checksum is counted', () => {
  const before = rig.observer.totals();
  extract(ethernet({}, ipv4({ checksum: 1 }, udp(PORTS))));
  extract(v4(tcp({ checksum: 1 })));
  const after = rig.observer.totals();
  assert.equal(after.ctIpv4Checksum - before.ctIpv4Checksum, 1);
  assert.equal(after.ctChecksum - before.ctChecksum, 1);
});
