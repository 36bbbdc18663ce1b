/** Translating packets: against packets built with the other addresses and ports, every checksum from scratch. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  CHECKSUM_GOOD,
  CONNECTION_DNAT,
  CONNECTION_SNAT,
  EXTRACT_ERROR,
  FRAME_HEADROOM,
  FRAME_SIZE,
  Frame,
  regionAddress,
  Tuple,
} from '../../src/datapath.ts';
import { naiveParse, type Parsed } from '../support/naive-parse.ts';
import { type Checksum, checksumPlace, endOf, fixChecksums, naiveSet } from '../support/naive-rewrite.ts';
import { type Ends, reverse, setFlags, writeTuple } from '../support/nat.ts';
import {
  address,
  checksumOf,
  concat,
  ethernet,
  extension,
  fragmentHeader,
  get16,
  icmp,
  icmp6,
  ipv4,
  ipv6,
  type Network,
  sctp,
  set16,
  type Transport,
  tcp,
  udp,
} from '../support/packets.ts';
import { mutated, randomIpv4, randomIpv6, randomPacket } from '../support/random-packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, randomBytes, seeded, word } from '../support/seeded.ts';

const rig = new Rig({ connections: 64 });
const { datapath } = rig;
const { exports } = datapath;
const connection = exports.connectionAt(exports.takeConnection());

const ORIGINAL = 0;
const REPLY = 1;
const BOTH = CONNECTION_SNAT | CONNECTION_DNAT;
const SNAT = 64; // ct_state
const DNAT = 128;

const ICMP = 1;
const ICMPV6 = 58;
const TCP = 6;
const UDP = 17;
const SCTP = 132;
const isIcmp = (protocol: number): boolean => protocol === ICMP || protocol === ICMPV6;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The connection whose packets of the original direction come in as `before` and leave as `after`. */
function connect(before: Ends, after: Ends, protocol: number, flags = BOTH): void {
  writeTuple(datapath, connection, ORIGINAL, before, protocol);
  writeTuple(datapath, connection, REPLY, reverse(after, protocol), protocol);
  setFlags(datapath, connection, flags);
}

/** Of what an error quotes; anywhere that nobody else uses. */
const tupleAt = regionAddress(rig.arena, 'queues');

/** Whether it is an error that quotes a packet of a connection, which is then known. Others are left alone. */
const isQuoting = (frame: number): boolean => exports.extract(frame, 7, tupleAt) === EXTRACT_ERROR;

type Translation = typeof exports.translate;

/** What becomes of a packet, and the bits of ct_state. */
function through(
  translate: Translation,
  packet: Uint8Array,
  direction: number,
  partial?: Parsed,
): [bytes: Uint8Array, state: number] {
  const frame = rig.frame(packet);
  assert.equal(exports.parse(frame, rig.keyAddress()), -1);
  if (partial) rig.setPartial(frame, partial.l4, checksumPlace(partial.transport));
  const isLeftAlone = translate === exports.translateError && !isQuoting(frame);
  const before = rig.read(frame);
  const state = isLeftAlone ? 0 : translate(frame, connection, direction);
  const { bytes, ...known } = rig.read(frame);
  assert.deepEqual({ ...known, bytes: packet }, before, 'what is known of the frame');
  rig.give(frame);
  return [bytes, state];
}

function parse(packet: Uint8Array): Parsed {
  const parsed = naiveParse(packet, 0);
  assert.ok(typeof parsed === 'object');
  return parsed;
}

/** Other addresses and ports, some of which are the same. */
function randomEnds(random: Random, v6: boolean, same: Ends): Ends {
  const other = v6 ? randomIpv6 : randomIpv4;
  return {
    src: chance(random, 0.3) ? same.src : other(random),
    dst: chance(random, 0.3) ? same.dst : other(random),
    srcPort: chance(random, 0.3) ? same.srcPort : 1 + random.below(65535),
    dstPort: chance(random, 0.3) ? same.dstPort : 1 + random.below(65535),
  };
}

// Whole packets of any shape, and their fragments

/** The addresses and ports of a packet, as a tuple has them. */
function endsOf(packet: Uint8Array, { key, l4, transport }: Parsed, v6: boolean): Ends {
  const written = (at: number) =>
    v6
      ? Array.from({ length: 8 }, (_, i) => get16(key, at + 2 * i).toString(16)).join(':')
      : key.subarray(at, at + 4).join('.');
  const query = isIcmp(transport);
  return {
    src: written(32),
    dst: written(v6 ? 48 : 36),
    srcPort: transport === 0 ? 0 : get16(packet, query ? l4 + 4 : l4),
    dstPort: transport === 0 ? 0 : get16(packet, query ? l4 : l4 + 2),
  };
}

/** The packet with other addresses and ports. */
function naiveTranslate(packet: Uint8Array, parsed: Parsed, checksum: Checksum, to: Ends): Uint8Array {
  const { l4, transport } = parsed;
  const ends = concat(address(to.src), address(to.dst));
  const set = (from: Uint8Array, offset: number, value: Uint8Array) =>
    naiveSet(from, parsed, checksum, offset, value, new Uint8Array(4).fill(0xff));
  let result = packet;
  for (let i = 0; i < ends.length; i += 4) result = set(result, 32 + i, ends.subarray(i, i + 4));
  if (isIcmp(transport)) {
    set16(result, l4 + 4, to.srcPort);
    fixChecksums(result, parsed, checksum);
    return result;
  }
  const { srcPort, dstPort } = to;
  return set(result, 24, Uint8Array.of(srcPort >> 8, srcPort, dstPort >> 8, dstPort));
}

/** The packet's own connection, which makes `after` of what it says; the other way it makes the packet of that. */
function connectPacket(direction: number, own: Ends, after: Ends, protocol: number): void {
  if (direction === ORIGINAL) connect(own, after, protocol);
  else connect(reverse(after, protocol), reverse(own, protocol), protocol);
}

for (const network of ['ipv4', 'ipv6'] as const) {
  for (const transport of ['tcp', 'udp', 'sctp', 'icmp', 'other'] as const) {
    test(
      `${transport} over ${network} has the addresses and ports of its connection, its checksums right; and back`,
      seeded((random) => {
        for (let i = 0; i < 1500; i++) {
          const unchecked = transport === 'udp' && chance(random, 0.2);
          const packet = randomPacket(random, { network, transport, unchecked, whole: true });
          const parsed = naiveParse(packet, 0);
          if (typeof parsed === 'number' || (transport === 'icmp' && parsed.transport === 0)) continue;
          const isPartial = (transport === 'tcp' || transport === 'udp') && !unchecked && chance(random, 0.3);
          const checksum = unchecked ? 'none' : isPartial ? 'partial' : 'whole';
          if (isPartial) fixChecksums(packet, parsed, 'partial');
          const v6 = network === 'ipv6';
          const own = endsOf(packet, parsed, v6);
          const to = randomEnds(random, v6, own);
          const direction = pick(random, [ORIGINAL, REPLY]);
          const protocol = parsed.transport === 0 ? 47 : parsed.transport;
          connectPacket(direction, own, to, protocol);
          const partial = isPartial ? parsed : undefined;
          const [there] = through(exports.translate, packet, direction, partial);
          assert.equal(hex(there), hex(naiveTranslate(packet, parsed, checksum, to)));
          connectPacket(direction, to, own, protocol);
          const [back] = through(exports.translate, there, direction, partial);
          assert.equal(hex(back), hex(packet));
        }
      }),
    );
  }
}

/** The bytes from `from` to `to` of what IP carries, as a fragment. */
function fragment(whole: Uint8Array, { l3, l4 }: Parsed, from: number, to: number): Uint8Array {
  const result = concat(whole.subarray(0, l4), whole.subarray(l4 + from, l4 + to));
  const more = l4 + to < whole.length ? 1 : 0;
  if (get16(whole, l3 - 2) === 0x86dd) {
    set16(result, l3 + 4, result.length - l3 - 40);
    set16(result, l4 - 6, from | more);
    return result;
  }
  set16(result, l3 + 2, result.length - l3);
  set16(result, l3 + 6, (more << 13) | (from / 8));
  set16(result, l3 + 10, 0);
  set16(result, l3 + 10, checksumOf(result.subarray(l3, l4)));
  return result;
}

test(
  'fragments are those of the translated packet',
  seeded((random) => {
    for (let i = 0; i < 1500; i++) {
      const v6 = chance(random, 0.5);
      const kind = pick(random, [tcp, udp, v6 ? icmp6 : icmp]);
      const transport = kind({}, randomBytes(random, 100));
      const extensions = [fragmentHeader(0, true)];
      const whole = ethernet({}, v6 ? ipv6({ extensions }, transport) : ipv4({}, transport));
      const parsed = parse(whole);
      const own = endsOf(whole, parsed, v6);
      const to = randomEnds(random, v6, own);
      connect(own, to, parsed.transport);
      const expected = naiveTranslate(whole, parsed, 'whole', to);
      for (const [from, end] of [
        [0, 64],
        [64, 80],
        [80, whole.length - parsed.l4],
      ] as const) {
        const [bytes] = through(exports.translate, fragment(whole, parsed, from, end), ORIGINAL);
        assert.equal(hex(bytes), hex(fragment(expected, parsed, from, end)), `from ${from}`);
      }
    }
  }),
);

test('the state says what of a packet was translated: the source in one direction is the destination in the other', () => {
  const before = { src: '10.1.1.1', dst: '10.1.1.64', srcPort: 1, dstPort: 2 };
  const packet = ethernet({}, ipv4({ src: before.src, dst: before.dst }, udp({ src: 1, dst: 2 })));
  for (const [flags, original, reply] of [
    [0, 0, 0],
    [CONNECTION_SNAT, SNAT, DNAT],
    [CONNECTION_DNAT, DNAT, SNAT],
    [BOTH, SNAT | DNAT, SNAT | DNAT],
  ] as const) {
    connect(before, before, UDP, flags);
    for (const [translate, sent] of [
      [exports.translate, packet],
      [exports.translateError, error(false, '10.1.1.1', '10.1.1.2', packet.subarray(14), 28)],
    ] as const) {
      assert.equal(through(translate, sent, ORIGINAL)[1], original);
      assert.equal(through(translate, sent, REPLY)[1], reply);
    }
  }
});

// ICMP errors

/** What a sender sends, but for its addresses and ports. */
interface Kind {
  protocol: number;
  carry(src: number, dst: number): Transport;
  wrap(src: string, dst: string, transport: Transport): Network;
}

function randomKind(random: Random, v6: boolean): Kind {
  const payload = randomBytes(random, random.below(120));
  const ttl = 1 + random.below(255);
  const seq = word(random);
  const options = randomBytes(random, 4 * random.below(6));
  const unchecked = chance(random, 0.3);
  const kinds: [number, Kind['carry']][] = [
    [TCP, (src, dst) => tcp({ src, dst, seq, options }, payload)],
    [UDP, (src, dst) => udp({ src, dst, ...(unchecked ? { checksum: 0 } : {}) }, payload)],
    [SCTP, (src, dst) => sctp({ src, dst, tag: seq }, payload)],
    [
      v6 ? ICMPV6 : ICMP,
      (id) => (v6 ? icmp6 : icmp)({ type: v6 ? 128 : 8, rest: id * 65536 + (seq & 0xffff) }, payload),
    ],
    [47, () => ({ protocol: 47, bytes: payload })],
  ];
  const [protocol, carry] = pick(random, kinds);
  const extensions = [
    extension(60, randomBytes(random, 14)),
    extension(51, randomBytes(random, 10)),
    fragmentHeader(0, false),
  ];
  const chain = extensions.filter(() => chance(random, 0.2));
  const wrap: Kind['wrap'] = (src, dst, transport) =>
    v6
      ? ipv6({ src, dst, hopLimit: ttl, extensions: chain }, transport)
      : ipv4({ src, dst, ttl, options }, transport);
  return { protocol, carry, wrap };
}

const inside = ({ carry, wrap }: Kind, { src, dst, srcPort, dstPort }: Ends): Uint8Array =>
  wrap(src, dst, carry(srcPort, dstPort)).bytes;

/** An error from `src` to `dst` about the first `length` bytes of a packet. */
function error(v6: boolean, src: string, dst: string, about: Uint8Array, length: number): Uint8Array {
  const quoted = about.subarray(0, length);
  return v6
    ? ethernet({}, ipv6({ src, dst }, icmp6({ type: 1, code: 4, rest: 0 }, quoted)))
    : ethernet(
        { vlan: 5 },
        ipv4({ src, dst, options: new Uint8Array(4) }, icmp({ type: 3, code: 4, rest: 1400 }, quoted)),
      );
}

/** Bytes of the packet's own headers in front of what IP carries. */
const headersOf = (packet: Uint8Array, { carry }: Kind): number => packet.length - carry(0, 0).bytes.length;

/** So much of a packet that it has eight bytes behind its headers (RFC 792) and no part of a checksum. */
function randomLength(random: Random, packet: Uint8Array, kind: Kind): number {
  const headers = headersOf(packet, kind);
  const least = Math.min(headers + 8, packet.length);
  const length = least + random.below(packet.length - least + 1);
  const checksum = headers + checksumPlace(kind.protocol);
  const isCut = length > checksum && length < checksum + (kind.protocol === SCTP ? 4 : 2);
  return isCut ? checksum : length;
}

for (const v6 of [false, true]) {
  for (const direction of [ORIGINAL, REPLY]) {
    const name = `ICMP${v6 ? 'v6' : ''} errors ${direction === ORIGINAL ? 'about replies' : 'about what was sent'}`;
    test(
      `${name} show their receiver the packet that it sent, and back what the router saw`,
      seeded((random) => {
        const anyAddress = () => (v6 ? randomIpv6 : randomIpv4)(random);
        for (let i = 0; i < 2000; i++) {
          const kind = randomKind(random, v6);
          const hasPorts = kind.protocol !== 47;
          const own: Ends = {
            src: anyAddress(),
            dst: anyAddress(),
            srcPort: hasPorts ? 1 + random.below(65535) : 0,
            dstPort: isIcmp(kind.protocol) ? (v6 ? 0x8000 : 0x0800) : hasPorts ? 1 + random.below(65535) : 0,
          };
          // The error is about `seen`, which its receiver sent as `own`.
          const changed = randomEnds(random, v6, own);
          const seen = {
            ...changed,
            srcPort: hasPorts ? changed.srcPort : 0,
            dstPort: hasPorts && !isIcmp(kind.protocol) ? changed.dstPort : own.dstPort,
          };
          connectPacket(direction ^ 1, own, seen, kind.protocol);
          const about = inside(kind, seen);
          const sent = inside(kind, own);
          const length = pick(random, [about.length, randomLength(random, about, kind)]);
          // From the other end, or from a router: which is seen to be at the end only where that is translated.
          const from = pick(random, [seen.dst, anyAddress()]);
          const packet = error(v6, from, seen.src, about, length);
          const [bytes] = through(exports.translateError, packet, direction);
          const source = seen.dst === own.dst ? from : own.dst;
          assert.equal(hex(bytes), hex(error(v6, source, own.src, sent, length)));
        }
      }),
    );
  }
}

test(
  'any bytes in an error change in addresses and ports alone: back through the connection they are as before',
  seeded((random) => {
    for (let i = 0; i < 4000; i++) {
      const v6 = chance(random, 0.5);
      const kind = randomKind(random, v6);
      const ends = (): Ends => ({
        src: (v6 ? randomIpv6 : randomIpv4)(random),
        dst: (v6 ? randomIpv6 : randomIpv4)(random),
        srcPort: 1 + random.below(65535),
        dstPort: 1 + random.below(65535),
      });
      const [own, seen] = [ends(), ends()];
      const about = inside(kind, seen);
      // Whatever its length, and with a checksum that is wrong.
      const at = headersOf(about, kind) + 20;
      if (at < about.length) about[at]! ^= 0x55;
      const packet = error(v6, seen.dst, seen.src, about, random.below(about.length + 1));
      connect(own, seen, kind.protocol);
      const [there] = through(exports.translateError, packet, REPLY);
      connect(seen, own, kind.protocol);
      assert.equal(hex(through(exports.translateError, there, REPLY)[0]), hex(packet));
    }
  }),
);

test(
  'whatever an error quotes, nothing behind or in front of its IP packet changes',
  seeded((random) => {
    const ends = (): Ends => ({
      src: '10.1.2.3',
      dst: '10.4.5.6',
      srcPort: word(random),
      dstPort: word(random),
    });
    const ends6 = (): Ends => ({ ...ends(), src: randomIpv6(random), dst: randomIpv6(random) });
    let quoting = 0;
    for (let i = 0; i < 4000; i++) {
      const v6 = chance(random, 0.5);
      const about = mutated(random, inside(randomKind(random, v6), v6 ? ends6() : ends()));
      const packet = error(v6, v6 ? 'fd00::1' : '10.0.0.1', v6 ? 'fd00::2' : '10.0.0.2', about, about.length);
      const padded = concat(packet, randomBytes(random, 8));
      const frame = rig.frame(padded);
      assert.equal(exports.parse(frame, rig.keyAddress()), -1);
      if (!isQuoting(frame)) {
        rig.give(frame);
        continue;
      }
      connect(v6 ? ends6() : ends(), v6 ? ends6() : ends(), datapath.u8[tupleAt + Tuple.proto]!);
      quoting++;
      const data = datapath.u32[(frame + Frame.data) >> 2]!;
      const around = () => [
        hex(datapath.u8.slice(data - FRAME_HEADROOM, data + parse(packet).l3)),
        hex(datapath.u8.slice(data + packet.length, data + FRAME_SIZE - FRAME_HEADROOM)),
      ];
      const before = around();
      exports.translateError(frame, connection, REPLY);
      assert.deepEqual(around(), before);
      rig.give(frame);
    }
    assert.ok(quoting > 500, `${quoting} quoted a packet`);
  }),
);

test('an error that is itself damaged stays so, if its port says that it is good', () => {
  const own = { src: '10.0.0.1', dst: '10.0.0.2', srcPort: 1, dstPort: 2 };
  const seen = { src: '10.0.9.1', dst: '10.0.0.2', srcPort: 3, dstPort: 2 };
  const about = ipv4({ src: seen.src, dst: seen.dst }, udp({ src: 3, dst: 2 })).bytes;
  const packet = ethernet(
    {},
    ipv4({ src: '10.0.0.7', dst: seen.src }, icmp({ type: 3, checksum: 0x1234 }, about)),
  );
  connect(own, seen, UDP);
  const frame = rig.frame(packet);
  assert.equal(exports.parse(frame, rig.keyAddress()), -1);
  datapath.u8[frame + Frame.checksum] = CHECKSUM_GOOD;
  assert.ok(isQuoting(frame));
  exports.translateError(frame, connection, REPLY);
  const { bytes } = rig.read(frame);
  const { l3, l4 } = parse(bytes);
  assert.notEqual(checksumOf(bytes.subarray(l4, endOf(bytes, l3))), 0);
  rig.give(frame);
});
