/** Segments joined for a port that takes them whole: cutting them again gives back what came. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CHECKSUM_GOOD, Frame, PACKET_QUEUE, POOL_LARGE_FRAMES, QueueAreas } from '../../src/datapath.ts';
import {
  ACK,
  ethernet,
  extension,
  FIN,
  get16,
  ipv4,
  ipv6,
  mpls,
  PSH,
  set16,
  tcp,
} from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, randomBytes, seeded } from '../support/seeded.ts';

const PORT = 2;
const DONT_FRAGMENT = 0x4000;
const rig = new Rig({ largeFrames: 256 });
rig.open(PORT);
const { exports, u8, u16, u32 } = rig.datapath;
const MESSAGES = new QueueAreas(rig.arena).take(1)[0]! + PACKET_QUEUE;

/** Queues packets for the port, joins what can be, and returns what is queued then, each cut again. */
function joinAndCut(packets: readonly Uint8Array[], checksum = 0): { joined: number; cut: Uint8Array[][] } {
  for (const packet of packets) {
    const frame = rig.frame(packet);
    assert.equal(exports.parse(frame, rig.keyAddress()), -1);
    u8[frame + Frame.checksum] = checksum;
    exports.enqueue(rig.read(frame).number, PORT);
  }
  const joined = exports.coalesce(PORT);
  const queue = rig.datapath.transmitQueue(PORT) >> 2;
  const cut = Array.from({ length: u32[queue]! }, (_, i) => pieces(u32[queue + 1 + i]!));
  const fill = () => exports.packetFill(PORT, MESSAGES);
  for (let n = fill(); n > 0; n = fill()) exports.packetSent(PORT, MESSAGES, n);
  rig.datapath.clearReadyPorts();
  return { joined, cut };
}

/** The packets that a queued frame stands for. */
function pieces(number: number): Uint8Array[] {
  const frame = rig.datapath.frameAt(number);
  const whole = rig.read(frame).bytes;
  if (u8[frame + Frame.segmentType] === 0) return [whole];
  const size = u16[(frame + Frame.segmentSize) >> 1]!;
  const headers = exports.segmentHeaders(frame);
  const packets: Uint8Array[] = [];
  for (let offset = 0; offset < whole.length - headers; offset += size) {
    const piece = exports.cutSegment(frame, headers, offset) >>> 0;
    packets.push(rig.read(rig.datapath.frameAt(piece)).bytes);
    exports.giveFrame(piece);
  }
  return packets;
}

/** A packet with what cutting may number anew taken out: the identification of one not to be fragmented. */
function meaning(packet: Uint8Array): string {
  const copy = packet.slice();
  if (get16(copy, 12) === 0x0800 && get16(copy, 20) & DONT_FRAGMENT) {
    set16(copy, 18, 0);
    set16(copy, 24, 0);
  }
  return Buffer.from(copy).toString('hex');
}

/** One side of a connection that sends: packets that follow each other, and now and then one that does not. */
class Sender {
  readonly #random: Random;
  readonly #v6: boolean;
  readonly #flags: number;
  readonly #src: number;
  #seq: number;
  #id: number;
  #acknowledged = 7;
  #ttl = 64;

  constructor(random: Random, src: number) {
    this.#random = random;
    this.#src = src;
    this.#v6 = chance(random, 0.3);
    this.#flags = chance(random, 0.5) ? DONT_FRAGMENT : 0;
    this.#seq = random.below(2 ** 32);
    this.#id = random.below(2 ** 16);
  }

  next(): Uint8Array {
    const random = this.#random;
    const payload = randomBytes(random, chance(random, 0.8) ? 100 : random.below(150));
    if (chance(random, 0.05)) this.#seq += 100;
    if (chance(random, 0.05)) this.#acknowledged++;
    if (chance(random, 0.02)) this.#ttl--;
    const flags = ACK | (chance(random, 0.1) ? PSH : 0) | (chance(random, 0.03) ? FIN : 0);
    const segment = tcp({ src: this.#src, seq: this.#seq >>> 0, ack: this.#acknowledged, flags }, payload);
    const packet = ethernet(
      {},
      this.#v6
        ? ipv6({ hopLimit: this.#ttl }, segment)
        : ipv4({ ttl: this.#ttl, id: this.#id & 0xffff, fragment: this.#flags }, segment),
    );
    this.#seq += payload.length;
    if (this.#flags === 0 || chance(random, 0.5)) this.#id++;
    if (chance(random, 0.03)) packet[packet.length - 1]! ^= 1;
    return packet;
  }
}

test(
  'cutting again what was joined gives the packets that came, in order',
  seeded((random) => {
    let joined = 0;
    for (let i = 0; i < 300; i++) {
      const senders = Array.from({ length: 1 + random.below(3) }, (_, src) => new Sender(random, 1000 + src));
      const packets = Array.from({ length: 60 }, () => pick(random, senders).next());
      const result = joinAndCut(packets);
      assert.deepEqual(result.cut.flat().map(meaning), packets.map(meaning));
      joined += result.joined;
    }
    assert.ok(joined > 1000, `only ${joined} joined`);
  }),
);

const stream = (count: number, change: (i: number) => object = () => ({})) =>
  Array.from({ length: count }, (_, i) =>
    ethernet(
      {},
      ipv4({ id: i }, tcp({ seq: 1000 * i, flags: ACK, ...change(i) }, new Uint8Array(1000).fill(i))),
    ),
  );

test('a stream is joined up to the longest packet that IP can name', () => {
  const { joined, cut } = joinAndCut(stream(100));
  assert.deepEqual(
    cut.map((packets) => packets.length),
    [65, 35],
  );
  assert.equal(joined, 98);
});

test('PSH ends a segment and stays on its last packet', () => {
  const { cut } = joinAndCut(stream(6, (i) => ({ flags: i === 2 ? ACK | PSH : ACK })));
  assert.deepEqual(
    cut.map((packets) => packets.map((packet) => packet[47]! & PSH)),
    [
      [0, 0, PSH],
      [0, 0, 0],
    ],
  );
});

test('a packet whose checksum is wrong goes alone, as it is', () => {
  const packets = stream(3);
  packets[1]![100]! ^= 1;
  const { joined, cut } = joinAndCut(packets);
  assert.equal(joined, 0);
  assert.deepEqual(cut.flat(), packets);
});

test('a packet whose IPv4 header is wrong goes alone, as it is', () => {
  const packets = stream(3);
  packets[1]![24]! ^= 1;
  const { joined, cut } = joinAndCut(packets);
  assert.equal(joined, 0);
  assert.deepEqual(cut.flat(), packets);
});

test('packets behind two tags are joined', () => {
  const packets = Array.from({ length: 3 }, (_, i) =>
    ethernet({ vlan: 5, innerVlan: 6 }, ipv4({ id: i }, tcp({ seq: 100 * i }, new Uint8Array(100)))),
  );
  const { joined, cut } = joinAndCut(packets);
  assert.equal(joined, 2);
  assert.deepEqual(cut.flat(), packets);
});

test('packets with extension headers or labels go alone', () => {
  const segments = [0, 100].map((seq) => tcp({ seq }, new Uint8Array(100)));
  const extended = segments.map((segment) =>
    ethernet({}, ipv6({ extensions: [extension(60, new Uint8Array(6))] }, segment)),
  );
  const labelled = segments.map((segment) => ethernet({}, mpls([0x140], ipv4({}, segment).bytes)));
  for (const packets of [extended, labelled]) {
    const { joined, cut } = joinAndCut(packets);
    assert.equal(joined, 0);
    assert.deepEqual(cut.flat(), packets);
  }
});

test('a checksum that somebody vouches for is not looked at', () => {
  const packets = stream(3);
  packets[1]![100]! ^= 1;
  assert.equal(joinAndCut(packets, CHECKSUM_GOOD).joined, 2);
});

test('every packet joined is counted as sent, and the frames are back', () => {
  const before = rig.observer.totals().forwarded;
  joinAndCut(stream(20));
  assert.equal(rig.observer.totals().forwarded - before, 20);
  assert.equal(rig.free(POOL_LARGE_FRAMES), 256);
});

test('a packet longer than the port takes stays alone, wherever it stands', () => {
  const narrow = 3;
  rig.ports.open(narrow, 0, 54 + 999);
  const packets = stream(3);
  for (const packet of packets) {
    const frame = rig.frame(packet);
    assert.equal(exports.parse(frame, rig.keyAddress()), -1);
    exports.enqueue(rig.read(frame).number, narrow);
  }
  assert.equal(exports.coalesce(narrow), 0);
});
