/** The parser: each header kind, each reason to drop, and agreement with a naive twin on mutated packets. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { DROP_NAMES, Frame, KEY_SIZE, SHAPE_ROUTED } from '../../src/datapath.ts';
import { naiveParse, type Parsed } from '../support/naive-parse.ts';
import {
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
  linkOption,
  MORE_FRAGMENTS,
  mac,
  mpls,
  neighbour,
  routingHeader,
  SYN,
  sctp,
  tcp,
  udp,
} from '../support/packets.ts';
import { mutated, randomPacket } from '../support/random-packets.ts';
import { Rig } from '../support/rig.ts';
import { seeded } from '../support/seeded.ts';

const IN_PORT = 3;
const PARSED = -1;

const rig = new Rig();
const { exports, u8, u16, u32 } = rig.datapath;
const frame = rig.frame(new Uint8Array(14), IN_PORT);
const data = u32[(frame + Frame.data) >> 2]!;

/** Parses `packet`, behind which lies `garbage`. */
function parse(packet: Uint8Array, garbage = 0): Parsed | number {
  u8.set(packet, data);
  u8.fill(garbage, data + packet.length, data + packet.length + 64);
  u32[(frame + Frame.length) >> 2] = packet.length;
  const reason = exports.parse(frame, rig.keyAddress());
  if (reason !== PARSED) return reason;
  return {
    key: u8.slice(rig.keyAddress(), rig.keyAddress() + KEY_SIZE),
    l3: u16[(frame + Frame.l3) >> 1]!,
    l4: u16[(frame + Frame.l4) >> 1]!,
    transport: u8[frame + Frame.transport]!,
    routed: (u8[frame + Frame.shape]! & SHAPE_ROUTED) !== 0,
  };
}

/** The fields of a key that are not zero. */
function fields(packet: Uint8Array): Record<string, unknown> {
  const parsed = parse(packet);
  assert.ok(typeof parsed === 'object', `dropped: ${DROP_NAMES[parsed as number]}`);
  const { key } = parsed;
  const number = (at: number, bytes: number) =>
    key.subarray(at, at + bytes).reduce((value, byte) => value * 256 + byte, 0);
  const all = {
    inPort: new DataView(key.buffer).getUint32(0, true),
    vlanTci: number(4, 2),
    ethType: number(6, 2),
    ethDst: number(8, 6),
    ethSrc: number(14, 6),
    nwProto: number(20, 1),
    nwTos: number(21, 1),
    nwTtl: number(22, 1),
    nwFrag: number(23, 1),
    tpSrc: number(24, 2),
    tpDst: number(26, 2),
    tcpFlags: number(28, 2),
    innerTci: number(30, 2),
    addresses: Buffer.from(key.subarray(32, 64))
      .toString('hex')
      .replace(/(00)+$/, ''),
    ipv6Label: number(76, 4),
    ndTarget: Buffer.from(key.subarray(96, 112))
      .toString('hex')
      .replace(/(00)+$/, ''),
    ndSll: number(112, 6),
    ndTll: number(118, 6),
    l3: parsed.l3,
    l4: parsed.l4,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== 0 && value !== ''));
}

const reason = (packet: Uint8Array): string => {
  const parsed = parse(packet);
  return typeof parsed === 'number' ? DROP_NAMES[parsed]! : 'parsed';
};

const hex = (...parts: Uint8Array[]): string => Buffer.from(concat(...parts)).toString('hex');

const ETHERNET = { inPort: IN_PORT, ethDst: 0x020000000002, ethSrc: 0x020000000001 };
const IPV4 = {
  ...ETHERNET,
  l3: 14,
  ethType: 0x0800,
  nwTtl: 64,
  addresses: hex(address('10.0.0.1'), address('10.0.0.2')),
};
const IPV6 = {
  ...ETHERNET,
  l3: 14,
  ethType: 0x86dd,
  nwTtl: 64,
  l4: 54,
  addresses: hex(address('fd00::1'), address('fd00::2')),
};

const { l4: _, ...withoutTransport } = IPV6;

const HOP_BY_HOP = extension(0, new Uint8Array(6));
const DESTINATION_OPTIONS = extension(60, new Uint8Array(14));
const AUTHENTICATION = extension(51, new Uint8Array(22));
const MTU_OPTION = Uint8Array.of(5, 1, 0, 0, 0, 0, 5, 220);

const known: [string, Uint8Array, Record<string, unknown>][] = [
  [
    'no network protocol it knows',
    ethernet({ type: 0x88cc }, new Uint8Array(9)),
    { ...ETHERNET, ethType: 0x88cc },
  ],
  ['nothing behind Ethernet', ethernet({ type: 0x88cc }, new Uint8Array()), { ...ETHERNET, ethType: 0x88cc }],
  ['802.3 with LLC', ethernet({ type: 46 }, new Uint8Array(46)), { ...ETHERNET, ethType: 0x05ff }],
  ['the smallest EtherType', ethernet({ type: 0x0600 }, new Uint8Array()), { ...ETHERNET, ethType: 0x0600 }],
  [
    'a tag, whose CFI bit says that it is there',
    ethernet({ vlan: 0xa005, type: 0x88cc }, new Uint8Array()),
    { ...ETHERNET, vlanTci: 0xb005, ethType: 0x88cc },
  ],
  [
    'a tag of zeros',
    ethernet({ vlan: 0, type: 0x88cc }, new Uint8Array()),
    { ...ETHERNET, vlanTci: 0x1000, ethType: 0x88cc },
  ],
  [
    'a service tag',
    ethernet({ vlan: 7, tpid: 0x88a8, type: 0x88cc }, new Uint8Array()),
    { ...ETHERNET, vlanTci: 0x1007, ethType: 0x88cc },
  ],
  [
    'two tags',
    ethernet({ vlan: 7, tpid: 0x88a8, innerVlan: 0xe009 }, ipv4({}, new Uint8Array())),
    { ...IPV4, vlanTci: 0x1007, innerTci: 0xf009, nwProto: 253, l3: 22, l4: 42 },
  ],
  [
    'two of three tags; the third is the EtherType',
    ethernet({ vlan: 7, innerVlan: 8, type: 0x8100 }, new Uint8Array(40)),
    { ...ETHERNET, vlanTci: 0x1007, innerTci: 0x1008, ethType: 0x8100 },
  ],
  [
    'no tag of a type that is not standard',
    ethernet({ type: 0x9100 }, new Uint8Array(2)),
    { ...ETHERNET, ethType: 0x9100 },
  ],
  [
    'LLC behind a tag',
    ethernet({ vlan: 7, type: 3 }, new Uint8Array(3)),
    { ...ETHERNET, vlanTci: 0x1007, ethType: 0x05ff },
  ],
  [
    'ARP',
    ethernet({}, arp({ operation: 0x0102, tha: '06:05:04:03:02:01' })),
    {
      ...ETHERNET,
      l3: 14,
      ethType: 0x0806,
      nwProto: 2,
      addresses: hex(
        address('10.0.0.1'),
        address('10.0.0.2'),
        mac('02:00:00:00:00:01'),
        mac('06:05:04:03:02:01'),
      ),
    },
  ],
  ['ARP of other hardware', ethernet({}, arp({ hardware: 6 })), { ...ETHERNET, ethType: 0x0806 }],
  ['ARP for another protocol', ethernet({}, arp({ protocol: 0x86dd })), { ...ETHERNET, ethType: 0x0806 }],
  ['ARP with long addresses', ethernet({}, arp({ hardwareLength: 8 })), { ...ETHERNET, ethType: 0x0806 }],
  [
    'TCP over IPv4',
    ethernet({}, ipv4({ tos: 0xb9 }, tcp({ src: 1, dst: 0x102, flags: 0xf00 | SYN }))),
    { ...IPV4, nwProto: 6, nwTos: 0xb9, tpSrc: 1, tpDst: 0x102, tcpFlags: 0xf02, l4: 34 },
  ],
  [
    'TCP over tagged IPv4 with options in both',
    ethernet(
      { vlan: 1 },
      ipv4({ options: new Uint8Array(8) }, tcp({ options: new Uint8Array(12), flags: 0 })),
    ),
    { ...IPV4, vlanTci: 0x1001, nwProto: 6, tpSrc: 1000, tpDst: 80, l3: 18, l4: 46 },
  ],
  [
    'UDP over IPv4',
    ethernet({}, ipv4({ ttl: 1 }, udp())),
    { ...IPV4, nwTtl: 1, nwProto: 17, tpSrc: 1000, tpDst: 53, l4: 34 },
  ],
  [
    'ICMP',
    ethernet({}, ipv4({}, icmp({ type: 3, code: 4 }))),
    { ...IPV4, nwProto: 1, tpSrc: 3, tpDst: 4, l4: 34 },
  ],
  ['ICMPv6 over IPv4, which is none', ethernet({}, ipv4({}, icmp6())), { ...IPV4, nwProto: 58, l4: 34 }],
  ['another protocol', ethernet({}, ipv4({}, new Uint8Array())), { ...IPV4, nwProto: 253, l4: 34 }],
  [
    'a first fragment, which has ports',
    ethernet({}, ipv4({ fragment: MORE_FRAGMENTS }, udp())),
    { ...IPV4, nwProto: 17, nwFrag: 1, tpSrc: 1000, tpDst: 53, l4: 34 },
  ],
  [
    'a later fragment, which has none',
    ethernet({}, ipv4({ fragment: MORE_FRAGMENTS | 1, protocol: 17 }, new Uint8Array(3))),
    { ...IPV4, nwProto: 17, nwFrag: 3 },
  ],
  [
    'the last fragment',
    ethernet({}, ipv4({ fragment: 185, protocol: 6 }, new Uint8Array())),
    { ...IPV4, nwProto: 6, nwFrag: 3 },
  ],
  [
    'a packet that must not be fragmented',
    ethernet({}, ipv4({ fragment: 0x4000 }, udp())),
    { ...IPV4, nwProto: 17, tpSrc: 1000, tpDst: 53, l4: 34 },
  ],
  [
    'TCP over IPv6',
    ethernet({}, ipv6({ trafficClass: 0xb9, flowLabel: 0xfffff }, tcp())),
    { ...IPV6, nwProto: 6, nwTos: 0xb9, ipv6Label: 0xfffff, tpSrc: 1000, tpDst: 80, tcpFlags: 0x10 },
  ],
  ['UDP over IPv6', ethernet({}, ipv6({}, udp())), { ...IPV6, nwProto: 17, tpSrc: 1000, tpDst: 53 }],
  ['ICMPv6', ethernet({}, ipv6({}, icmp6({ type: 129 }))), { ...IPV6, nwProto: 58, tpSrc: 129 }],
  [
    'neighbour solicitation',
    ethernet({}, ipv6({}, neighbour(135, 'fd00::9', linkOption(1, '02:00:00:00:00:05')))),
    {
      ...IPV6,
      nwProto: 58,
      tpSrc: 135,
      ndTarget: hex(address('fd00::9')),
      ndSll: 0x020000000005,
    },
  ],
  [
    'neighbour advertisement with an option that it does not know',
    ethernet({}, ipv6({}, neighbour(136, 'fe80::9', MTU_OPTION, linkOption(2, '02:00:00:00:00:05')))),
    {
      ...IPV6,
      nwProto: 58,
      tpSrc: 136,
      ndTarget: hex(address('fe80::9')),
      ndTll: 0x020000000005,
    },
  ],
  [
    'a link-layer address that is not as long as Ethernet has it',
    ethernet({}, ipv6({}, neighbour(136, 'fe80::9', Uint8Array.of(2, 2, ...new Uint8Array(14).fill(5))))),
    { ...IPV6, nwProto: 58, tpSrc: 136, ndTarget: hex(address('fe80::9')) },
  ],
  [
    'neighbour discovery of another code, which is none',
    ethernet({}, ipv6({}, icmp6({ type: 135, code: 1 }))),
    { ...IPV6, nwProto: 58, tpSrc: 135, tpDst: 1 },
  ],
  [
    'TCP behind extension headers',
    ethernet(
      {},
      ipv6(
        { extensions: [HOP_BY_HOP, routingHeader(0, 'fd00::7'), DESTINATION_OPTIONS, AUTHENTICATION] },
        tcp(),
      ),
    ),
    { ...IPV6, nwProto: 6, tpSrc: 1000, tpDst: 80, tcpFlags: 0x10, l4: 14 + 40 + 8 + 24 + 16 + 24 },
  ],
  [
    'as many extension headers as may be',
    ethernet({}, ipv6({ extensions: Array.from({ length: 8 }, () => HOP_BY_HOP) }, udp())),
    { ...IPV6, nwProto: 17, tpSrc: 1000, tpDst: 53, l4: 54 + 64 },
  ],
  [
    'an IPv6 fragment that is the whole packet',
    ethernet({}, ipv6({ extensions: [fragmentHeader(0, false)] }, udp())),
    { ...IPV6, nwProto: 17, tpSrc: 1000, tpDst: 53, l4: 62 },
  ],
  [
    'a first IPv6 fragment, which has ports',
    ethernet({}, ipv6({ extensions: [fragmentHeader(0, true)] }, udp())),
    { ...IPV6, nwProto: 17, nwFrag: 1, tpSrc: 1000, tpDst: 53, l4: 62 },
  ],
  [
    'a later IPv6 fragment, whose protocol nobody can tell',
    ethernet({}, ipv6({ extensions: [HOP_BY_HOP, fragmentHeader(8, false)] }, udp())),
    { ...withoutTransport, nwProto: 44, nwFrag: 3 },
  ],
  [
    'an IPv6 packet that says nothing follows',
    ethernet({}, ipv6({ extensions: [DESTINATION_OPTIONS] }, { protocol: 59, bytes: new Uint8Array(4) })),
    { ...IPV6, nwProto: 59, l4: 70 },
  ],
  [
    'what is encrypted',
    ethernet({}, ipv6({}, { protocol: 50, bytes: new Uint8Array() })),
    { ...IPV6, nwProto: 50 },
  ],
  [
    'mobility',
    ethernet({}, ipv6({}, { protocol: 135, bytes: new Uint8Array(8) })),
    { ...IPV6, nwProto: 135 },
  ],
  [
    'SCTP',
    ethernet({}, ipv4({}, sctp({}, new Uint8Array(4)))),
    { ...IPV4, nwProto: 132, tpSrc: 1000, tpDst: 2905, l4: 34 },
  ],
  [
    'reverse ARP',
    ethernet({}, arp({ type: 0x8035, operation: 3 })),
    {
      ...ETHERNET,
      l3: 14,
      ethType: 0x8035,
      nwProto: 3,
      addresses: hex(address('10.0.0.1'), address('10.0.0.2'), mac('02:00:00:00:00:01')),
    },
  ],
  [
    'one label',
    ethernet({}, mpls([labelEntry(100, true, 5, 63)], new Uint8Array(20))),
    { ...ETHERNET, ethType: 0x8847, addresses: '00064b3f' },
  ],
  [
    'three of four labels, and no IP behind them',
    ethernet(
      { vlan: 5 },
      mpls(
        [1, 2, 3, 4].map((n) => labelEntry(n, n === 4)),
        ipv4({}, udp()).bytes,
        0x8848,
      ),
    ),
    { ...ETHERNET, vlanTci: 0x1005, ethType: 0x8848, addresses: '000010400000204000003040' },
  ],
  ['ICMP over IPv6, which is none', ethernet({}, ipv6({}, icmp())), { ...IPV6, nwProto: 1 }],
];

for (const [what, packet, key] of known) {
  test(`parses ${what}`, () => {
    assert.deepEqual(fields(packet), key);
    assert.deepEqual(parse(packet), naiveParse(packet, IN_PORT));
  });
}

test('padding behind the packet does not matter', () => {
  for (const network of [arp(), ipv4({}, tcp()), ipv4({}, icmp()), ipv6({}, udp())]) {
    assert.deepEqual(fields(ethernet({ padding: 18 }, network)), fields(ethernet({}, network)));
  }
});

test('padding is no header', () => {
  assert.equal(
    reason(ethernet({ padding: 20 }, ipv4({}, { protocol: 6, bytes: new Uint8Array(19) }))),
    'tcp_truncated',
  );
  assert.equal(
    reason(ethernet({ padding: 20 }, ipv6({}, { protocol: 17, bytes: new Uint8Array(7) }))),
    'udp_truncated',
  );
});

/** A packet, where its header ends, and why it is dropped when it is cut before that. */
const cuts: [Uint8Array, number, number, string][] = [
  [ethernet({}, new Uint8Array()), 0, 14, 'eth_truncated'],
  [ethernet({ vlan: 1 }, new Uint8Array()), 14, 18, 'vlan_truncated'],
  [ethernet({ vlan: 1, innerVlan: 2 }, new Uint8Array()), 18, 22, 'vlan_truncated'],
  [ethernet({}, mpls([labelEntry(1, true)])), 14, 18, 'mpls_truncated'],
  [ethernet({}, mpls([1, 2, 3, 4].map((n) => labelEntry(n, false)))), 14, 26, 'mpls_truncated'],
  [ethernet({}, arp()), 14, 42, 'arp_truncated'],
  [ethernet({}, ipv4({}, udp())), 14, 34, 'ipv4_truncated'],
  [ethernet({ vlan: 1 }, ipv4({}, udp())), 18, 38, 'ipv4_truncated'],
  [ethernet({}, ipv4({ options: new Uint8Array(40) }, udp())), 34, 74, 'ipv4_truncated'],
  [ethernet({}, ipv4({}, udp({}, new Uint8Array(9)))), 34, 51, 'ipv4_bad_length'],
  [ethernet({}, ipv6({}, udp())), 14, 54, 'ipv6_truncated'],
  [ethernet({}, ipv6({}, udp({}, new Uint8Array(9)))), 54, 71, 'ipv6_bad_length'],
];

for (const [packet, from, to, why] of cuts) {
  test(`a packet that ends at ${from} to ${to - 1} of its ${packet.length} bytes is ${why}`, () => {
    for (let length = from; length < to; length++) assert.equal(reason(packet.slice(0, length)), why);
    assert.notEqual(reason(packet.slice(0, to)), why);
  });
}

const bent: [string, Uint8Array, string][] = [
  ['IPv4 of version 5', ethernet({}, ipv4({ version: 5 }, udp())), 'ipv4_bad_version'],
  ['IPv4 of version 6', ethernet({}, ipv4({ version: 6 }, udp())), 'ipv4_bad_version'],
  ['an IPv4 header of 16 bytes', ethernet({}, ipv4({ headerLength: 4 }, udp())), 'ipv4_bad_version'],
  ['an IPv4 header beyond the frame', ethernet({}, ipv4({ headerLength: 15 }, udp())), 'ipv4_truncated'],
  ['a total length under the header', ethernet({}, ipv4({ totalLength: 19 }, udp())), 'ipv4_bad_length'],
  [
    'a total length under the header with its options',
    ethernet({}, ipv4({ totalLength: 23, options: new Uint8Array(4) }, udp())),
    'ipv4_bad_length',
  ],
  ['a total length beyond the frame', ethernet({}, ipv4({ totalLength: 29 }, udp())), 'ipv4_bad_length'],
  ['a total length of nothing but header', ethernet({}, ipv4({ totalLength: 20 }, udp())), 'udp_truncated'],
  ['IPv6 of version 4', ethernet({}, ipv6({ version: 4 }, udp())), 'ipv6_bad_version'],
  ['a payload length beyond the frame', ethernet({}, ipv6({ payloadLength: 9 }, udp())), 'ipv6_bad_length'],
  [
    'nine extension headers',
    ethernet({}, ipv6({ extensions: Array.from({ length: 9 }, () => HOP_BY_HOP) }, udp())),
    'ipv6_too_many_extensions',
  ],
  [
    'an extension header of 7 bytes',
    ethernet({}, ipv6({ extensions: [HOP_BY_HOP], payloadLength: 7 }, udp())),
    'ipv6_extension_truncated',
  ],
  [
    'a fragment header of 7 bytes',
    ethernet({}, ipv6({ extensions: [fragmentHeader(8, true)], payloadLength: 7 }, udp())),
    'ipv6_extension_truncated',
  ],
  [
    'an extension header beyond the packet',
    ethernet({}, ipv6({ extensions: [extension(60, new Uint8Array(6), 2)] }, udp())),
    'ipv6_extension_truncated',
  ],
  [
    'an authentication header beyond the packet',
    ethernet({}, ipv6({ extensions: [extension(51, new Uint8Array(10), 4)] }, udp())),
    'ipv6_extension_truncated',
  ],
  [
    'no transport behind an extension header',
    ethernet({}, ipv6({ extensions: [HOP_BY_HOP], payloadLength: 8 }, udp())),
    'udp_truncated',
  ],
  [
    'a neighbour solicitation that ends inside the target',
    ethernet({}, ipv6({ payloadLength: 23 }, neighbour(135, 'fd00::9'))),
    'nd_truncated',
  ],
  [
    'an option of no length',
    ethernet({}, ipv6({}, neighbour(135, 'fd00::9', new Uint8Array(8)))),
    'nd_bad_option',
  ],
  [
    'an option beyond the packet',
    ethernet({}, ipv6({}, neighbour(135, 'fd00::9', Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0)))),
    'nd_bad_option',
  ],
  [
    'less than an option behind the target',
    ethernet({}, ipv6({}, neighbour(135, 'fd00::9', Uint8Array.of(1, 1, 0, 0, 0, 0, 0)))),
    'nd_bad_option',
  ],
  [
    'a link-layer address said twice',
    ethernet(
      {},
      ipv6(
        {},
        neighbour(135, 'fd00::9', linkOption(1, '00:00:00:00:00:00'), linkOption(1, '02:00:00:00:00:05')),
      ),
    ),
    'nd_bad_option',
  ],
  ['TCP of 19 bytes', ethernet({}, ipv4({ totalLength: 39 }, tcp())), 'tcp_truncated'],
  ['TCP over IPv6 of 19 bytes', ethernet({}, ipv6({ payloadLength: 19 }, tcp())), 'tcp_truncated'],
  ['TCP options beyond the packet', ethernet({}, ipv4({}, tcp({ dataOffset: 6 }))), 'tcp_truncated'],
  ['UDP of 7 bytes', ethernet({}, ipv4({ totalLength: 27 }, udp())), 'udp_truncated'],
  ['UDP over IPv6 of 7 bytes', ethernet({}, ipv6({ payloadLength: 7 }, udp())), 'udp_truncated'],
  ['TCP with a header of 16 bytes', ethernet({}, ipv4({}, tcp({ dataOffset: 4 }))), 'tcp_bad_offset'],
  ['SCTP of 11 bytes', ethernet({}, ipv4({ protocol: 132 }, new Uint8Array(11))), 'sctp_truncated'],
  ['ICMP of 7 bytes', ethernet({}, ipv4({ totalLength: 27 }, icmp())), 'icmp_truncated'],
  ['ICMPv6 of 7 bytes', ethernet({}, ipv6({ payloadLength: 7 }, icmp6())), 'icmp_truncated'],
  [
    'a first fragment too short for its ports',
    ethernet({}, ipv4({ totalLength: 24, fragment: MORE_FRAGMENTS }, udp())),
    'udp_truncated',
  ],
];

for (const [what, packet, why] of bent) {
  test(`${what} is ${why}`, () => assert.equal(reason(packet), why));
}

test('every reason that says malformed has a packet here', () => {
  const malformed = DROP_NAMES.slice(0, DROP_NAMES.indexOf('flow'));
  const hit = new Set([...cuts.map(([, , , why]) => why), ...bent.map(([, , why]) => why)]);
  assert.deepEqual([...hit].sort(), [...malformed].sort());
});

test(
  'agrees with the naive parser on 200,000 mutated packets, and reads nothing behind them',
  seeded((random) => {
    for (let i = 0; i < 200_000; i++) {
      const packet = mutated(random, randomPacket(random));
      const expected = naiveParse(packet, IN_PORT);
      for (const garbage of [0x00, 0xa5]) {
        const actual = parse(packet, garbage);
        if (!same(actual, expected)) {
          assert.deepEqual(actual, expected, `packet ${hex(packet)}`);
        }
      }
    }
  }),
);

/** `deepEqual` on half a million pairs takes longer than all else together. */
function same(a: Parsed | number, b: Parsed | number): boolean {
  if (typeof a === 'number' || typeof b === 'number') return a === b;
  return (
    a.l3 === b.l3 &&
    a.l4 === b.l4 &&
    a.transport === b.transport &&
    a.routed === b.routed &&
    Buffer.compare(a.key, b.key) === 0
  );
}
