/** The parser: each header kind, each reason to drop, and agreement with a naive twin on mutated packets. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { DROP_NAMES, Frame, KEY_SIZE } from '../../src/datapath.ts';
import { naiveParse, type Parsed } from '../support/naive-parse.ts';
import {
  address,
  arp,
  concat,
  ethernet,
  icmp,
  icmp6,
  ipv4,
  ipv6,
  MORE_FRAGMENTS,
  mac,
  SYN,
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
    unused: number(30, 2),
    addresses: Buffer.from(key.subarray(32)).toString('hex').replace(/0+$/, ''),
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

const ETHERNET = { inPort: IN_PORT, ethDst: 0x020000000002, ethSrc: 0x020000000001, l3: 14 };
const IPV4 = {
  ...ETHERNET,
  ethType: 0x0800,
  nwTtl: 64,
  addresses: hex(address('10.0.0.1'), address('10.0.0.2')),
};
const IPV6 = {
  ...ETHERNET,
  ethType: 0x86dd,
  nwTtl: 64,
  l4: 54,
  addresses: hex(address('fd00::1'), address('fd00::2')),
};

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
    { ...ETHERNET, vlanTci: 0xb005, ethType: 0x88cc, l3: 18 },
  ],
  [
    'a tag of zeros',
    ethernet({ vlan: 0, type: 0x88cc }, new Uint8Array()),
    { ...ETHERNET, vlanTci: 0x1000, ethType: 0x88cc, l3: 18 },
  ],
  [
    'a service tag',
    ethernet({ vlan: 7, tpid: 0x88a8, type: 0x88cc }, new Uint8Array()),
    { ...ETHERNET, vlanTci: 0x1007, ethType: 0x88cc, l3: 18 },
  ],
  [
    'the outer of two tags; the inner is the EtherType',
    ethernet({ vlan: 7, type: 0x8100 }, new Uint8Array(40)),
    { ...ETHERNET, vlanTci: 0x1007, ethType: 0x8100, l3: 18 },
  ],
  [
    'LLC behind a tag',
    ethernet({ vlan: 7, type: 3 }, new Uint8Array(3)),
    { ...ETHERNET, vlanTci: 0x1007, ethType: 0x05ff, l3: 18 },
  ],
  [
    'ARP',
    ethernet({}, arp({ operation: 0x0102, tha: '06:05:04:03:02:01' })),
    {
      ...ETHERNET,
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
    { ...IPV6, nwProto: 6, nwTos: 0xb9, tpSrc: 1000, tpDst: 80, tcpFlags: 0x10 },
  ],
  ['UDP over IPv6', ethernet({}, ipv6({}, udp())), { ...IPV6, nwProto: 17, tpSrc: 1000, tpDst: 53 }],
  ['ICMPv6', ethernet({}, ipv6({}, icmp6({ type: 135 }))), { ...IPV6, nwProto: 58, tpSrc: 135 }],
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
  ['TCP of 19 bytes', ethernet({}, ipv4({ totalLength: 39 }, tcp())), 'tcp_truncated'],
  ['TCP over IPv6 of 19 bytes', ethernet({}, ipv6({ payloadLength: 19 }, tcp())), 'tcp_truncated'],
  ['TCP options beyond the packet', ethernet({}, ipv4({}, tcp({ dataOffset: 6 }))), 'tcp_truncated'],
  ['UDP of 7 bytes', ethernet({}, ipv4({ totalLength: 27 }, udp())), 'udp_truncated'],
  ['UDP over IPv6 of 7 bytes', ethernet({}, ipv6({ payloadLength: 7 }, udp())), 'udp_truncated'],
  ['TCP with a header of 16 bytes', ethernet({}, ipv4({}, tcp({ dataOffset: 4 }))), 'tcp_truncated'],
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
  return a.l3 === b.l3 && a.l4 === b.l4 && Buffer.compare(a.key, b.key) === 0;
}
