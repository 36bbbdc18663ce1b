/** What programs do to packets, and that every packet meets one fate, which is counted once. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  BATCH,
  CT_COMMIT,
  DROP_FLOW,
  DROP_NAMES,
  DROP_RESUBMIT_LIMIT,
  DROP_TABLE_MISS,
  FRAME_HEADROOM,
  KEY_SIZE,
  MeterTable,
  NONE,
  OP_CLONE,
  OP_CONTROLLER,
  OP_CT,
  OP_CT_CLEAR,
  OP_CT_LABEL,
  OP_DROP,
  OP_END,
  OP_METER,
  OP_OUTPUT,
  OP_POP_MPLS,
  OP_POP_VLAN,
  OP_PUSH_MPLS,
  OP_PUSH_VLAN,
  OP_RECIRCULATE,
  OP_SET,
  OP_TRUNCATE,
  PROGRAM_WORDS,
  RING_SLOTS,
  TRANSMIT_SLOTS,
} from '../../src/datapath.ts';
import { ethernet, ipv4, tcp, udp } from '../support/packets.ts';
import { randomProgram, words } from '../support/programs.ts';
import { mutated, randomPacket } from '../support/random-packets.ts';
import { Rig, type RigOptions } from '../support/rig.ts';
import { pick, seeded, word } from '../support/seeded.ts';

/** What programs inside may name: ports that are up and not, and themselves again. */
const choices = { ports: [1, 2, 3, 4], tallies: 4, rounds: [0, 1, 2], pushes: true };

const PACKET = ethernet({}, ipv4({}, udp({}, new Uint8Array(20))));
const ANY = new Uint8Array(KEY_SIZE);
const MALFORMED = PACKET.slice(0, 20);

/** A rig with ports 1 to 4 and one flow, which takes everything. */
function rigWith(program: readonly number[], options?: RigOptions): Rig {
  const rig = new Rig(options);
  rig.open(1, 2, 3, 4);
  assert.notEqual(rig.handler.install(ANY, ANY, Uint32Array.from([...program, OP_END])), NONE);
  return rig;
}

/** `PACKET` with the last byte of its destination address changed. */
const withHost = (byte: number): Uint8Array => {
  const packet = PACKET.slice();
  packet[5] = byte;
  return packet;
};
/** The operation that makes it so: key bytes 12 and 13 end `ethDst`. */
const setHost = (byte: number): number[] => [OP_SET, 12, byte << 8, 0xff00];

const plain = (sent: Map<number, Uint8Array[]>): [number, string[]][] =>
  [...sent].sort(([a], [b]) => a - b).map(([port, packets]) => [port, packets.map(hex)]);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('one output takes the frame itself', () => {
  const rig = rigWith([OP_OUTPUT, 2]);
  rig.receive(1, [PACKET]);
  assert.deepEqual(plain(rig.transmit()), [[2, [hex(PACKET)]]]);
  const totals = rig.checkFates();
  assert.equal(totals.forwarded, 1);
  assert.equal(totals.copied, 0);
});

test('several outputs copy: each port gets the packet, and its own counters say so', () => {
  const rig = rigWith([OP_OUTPUT, 2, OP_OUTPUT, 3, OP_OUTPUT, 2]);
  rig.receive(1, [PACKET, withHost(9)]);
  assert.deepEqual(plain(rig.transmit()), [
    [2, [hex(PACKET), hex(PACKET), hex(withHost(9)), hex(withHost(9))]],
    [3, [hex(PACKET), hex(withHost(9))]],
  ]);
  const totals = rig.checkFates();
  assert.equal(totals.forwarded, 2);
  assert.equal(totals.copiesForwarded, 4);
  assert.equal(rig.observer.port(1).rxPackets, 2);
  assert.equal(rig.observer.port(1).rxBytes, 2 * PACKET.length);
  assert.equal(rig.observer.port(2).txPackets, 4);
  assert.equal(rig.observer.port(3).txBytes, 2 * PACKET.length);
});

test('an output sends the packet as it is at that point', () => {
  const rig = rigWith([OP_OUTPUT, 2, ...setHost(7), OP_OUTPUT, 3, ...setHost(8), OP_OUTPUT, 2]);
  rig.receive(1, [PACKET]);
  assert.deepEqual(plain(rig.transmit()), [
    [2, [hex(PACKET), hex(withHost(8))]],
    [3, [hex(withHost(7))]],
  ]);
  rig.checkFates();
});

test('what is set after the last output changes nothing that is sent', () => {
  const rig = rigWith([OP_OUTPUT, 2, ...setHost(7)]);
  rig.receive(1, [PACKET]);
  assert.deepEqual(plain(rig.transmit()), [[2, [hex(PACKET)]]]);
  const totals = rig.observer.totals();
  assert.deepEqual(totals.dropped, { flow: 1 }, 'the frame itself has no output');
  assert.equal(totals.copiesForwarded, 1);
  rig.checkFates();
});

test('tags are pushed, set and popped between outputs', () => {
  const rig = rigWith([
    OP_PUSH_VLAN,
    0x81002005,
    OP_OUTPUT,
    2,
    OP_SET,
    4,
    0x0600,
    0xff0f,
    OP_OUTPUT,
    3,
    OP_POP_VLAN,
    OP_OUTPUT,
    4,
  ]);
  rig.receive(1, [PACKET]);
  const network = ipv4({}, udp({}, new Uint8Array(20)));
  assert.deepEqual(plain(rig.transmit()), [
    [2, [hex(ethernet({ vlan: 0x2005 }, network))]],
    [3, [hex(ethernet({ vlan: 0x2006 }, network))]],
    [4, [hex(PACKET)]],
  ]);
  rig.checkFates();
});

for (const [what, program, dropped] of [
  ['nothing', [], { flow: 1 }],
  ['no output', setHost(1), { flow: 1 }],
  ['OP_DROP', [OP_DROP, DROP_RESUBMIT_LIMIT], { resubmit_limit: 1 }],
  ['OP_DROP before the output that takes it', [OP_DROP, DROP_TABLE_MISS, OP_OUTPUT, 2], {}],
  ['OP_DROP after an output, which gets a copy', [OP_OUTPUT, 2, OP_DROP, DROP_TABLE_MISS], { table_miss: 1 }],
  ['an output to a port that is not up', [OP_OUTPUT, 5], { no_such_port: 1 }],
  ['an output to a port beyond all ports', [OP_OUTPUT, 4_000_000_000], { no_such_port: 1 }],
  [
    'more tags than there is headroom',
    Array.from({ length: FRAME_HEADROOM / 4 + 1 }, () => [OP_PUSH_VLAN, 0x81000001]).flat(),
    { too_long: 1 },
  ],
] as [string, number[], Record<string, number>][]) {
  test(`a program of ${what}: dropped as ${Object.keys(dropped)[0] ?? 'nothing'}`, () => {
    const rig = rigWith(program);
    rig.receive(1, [PACKET]);
    rig.transmit();
    assert.deepEqual(rig.checkFates().dropped, dropped);
  });
}

test('a copy for a port that is not up is dropped as a copy', () => {
  const rig = rigWith([OP_OUTPUT, 5, OP_OUTPUT, 2]);
  rig.receive(1, [PACKET]);
  rig.transmit();
  const totals = rig.checkFates();
  assert.deepEqual(totals.dropped, {});
  assert.deepEqual(totals.copiesDropped, { no_such_port: 1 });
  assert.equal(totals.forwarded, 1);
});

test('frames that find the transmit queue full are dropped, those before them are sent', () => {
  const outputs = 20;
  const rig = rigWith(Array.from({ length: outputs }, () => [OP_OUTPUT, 2]).flat());
  rig.receive(1, Array(BATCH).fill(PACKET));
  assert.equal(rig.transmit().get(2)!.length, TRANSMIT_SLOTS);
  const totals = rig.checkFates();
  assert.equal(totals.forwarded + totals.copiesForwarded, TRANSMIT_SLOTS);
  const lost = (totals.dropped.batch_full ?? 0) + totals.copiesDropped.batch_full!;
  assert.equal(lost, BATCH * outputs - TRANSMIT_SLOTS);
  assert.equal(rig.observer.port(2).txDropped, lost);
});

test('copies for which there is no free frame are dropped', () => {
  const rig = rigWith([OP_OUTPUT, 2, OP_OUTPUT, 3], { frames: 512 });
  const held: number[] = [];
  for (let n = rig.handler.takeFrame(100); n !== NONE; n = rig.handler.takeFrame(100)) held.push(n);
  const few = held.splice(-3);
  for (const number of few) rig.datapath.exports.giveFrame(number);
  rig.receive(1, [PACKET, PACKET]);
  rig.transmit();
  for (const number of held) rig.datapath.exports.giveFrame(number);
  const totals = rig.checkFates();
  assert.equal(totals.copied, 2);
  assert.equal(totals.forwarded, 2);
  assert.equal(totals.copiesForwarded, 1);
  assert.deepEqual(totals.copiesDropped, { no_frames: 1 });
});

test('a long packet is copied whole', () => {
  const packet = ethernet({}, ipv4({}, tcp({}, new Uint8Array(60_000).fill(7))));
  const rig = rigWith([OP_OUTPUT, 2, OP_OUTPUT, 3]);
  rig.receive(1, [packet]);
  assert.deepEqual(plain(rig.transmit()), [
    [2, [hex(packet)]],
    [3, [hex(packet)]],
  ]);
  rig.checkFates();
});

test('malformed packets leave the batch, the others go on in order', () => {
  const rig = rigWith([OP_OUTPUT, 2]);
  rig.receive(1, [MALFORMED, withHost(1), MALFORMED, MALFORMED, withHost(2), MALFORMED]);
  assert.deepEqual(plain(rig.transmit()), [[2, [hex(withHost(1)), hex(withHost(2))]]]);
  assert.deepEqual(rig.checkFates().dropped, { ipv4_truncated: 4 });
});

test('a flow counts what it takes', () => {
  const rig = new Rig();
  rig.open(1, 2);
  const flow = rig.handler.install(ANY, ANY, Uint32Array.of(OP_OUTPUT, 2, OP_END));
  rig.datapath.setClock(1234.5);
  rig.receive(
    1,
    [1, 2, 8].map((flags) => ethernet({}, ipv4({}, tcp({ flags })))),
  );
  rig.transmit();
  const { packets, bytes, usedMs, tcpFlags } = rig.observer.flow(flow);
  assert.deepEqual({ packets, bytes, usedMs }, { packets: 3, bytes: 3 * 54, usedMs: 1234.5 });
  assert.equal(((tcpFlags & 0xff) << 8) | (tcpFlags >> 8), 0x0b, 'all flags, in network byte order');
});

// Misses

test('a packet that no flow takes goes to the handler, which acts on it', () => {
  const rig = new Rig();
  rig.open(1, 2);
  rig.receive(1, [PACKET, withHost(3)]);
  const { handler } = rig;
  assert.equal(handler.exports.takeMisses(), 2);
  assert.equal(handler.lengthInBatch(0), PACKET.length);
  assert.equal(handler.key(1)[13], 3);
  assert.equal(handler.exports.flowOfMiss(0) >>> 0, NONE);
  handler.actByProgram(0, Uint32Array.of(OP_OUTPUT, 2, OP_END));
  const flow = handler.install(ANY, ANY, Uint32Array.of(...setHost(4), OP_OUTPUT, 2, OP_END));
  assert.equal(handler.exports.flowOfMiss(1) >>> 0, flow);
  handler.exports.actByFlow(1, flow);
  assert.equal(handler.exports.flush(), 0, 'the port is the other thread’s');
  assert.equal(rig.datapath.exports.collect(), 2);
  assert.deepEqual(plain(rig.transmit()), [[2, [hex(PACKET), hex(withHost(4))]]]);
  assert.equal(rig.observer.flow(flow).packets, 1);
  assert.equal(rig.checkFates().upcalls, 2);
});

test('a port’s misses that find its share of the handler’s queue full are dropped', () => {
  const rig = new Rig({ frames: 2048 });
  rig.open(1);
  const share = Math.ceil((8 * RING_SLOTS) / 9);
  rig.receive(1, Array(share + 10).fill(PACKET));
  assert.deepEqual(rig.observer.totals().dropped, { upcall_queue_full: 10 });
  assert.equal(rig.observer.totals().upcalls, share);
  assert.equal(rig.dropMisses(DROP_TABLE_MISS), share);
  assert.deepEqual(rig.checkFates().dropped, { table_miss: share, upcall_queue_full: 10 });
});

// Between threads

/** Two datapath threads; ports 1 and 2 are the first's, 3 the second's. Everything goes out at `port`. */
function twoThreads(port: number, frames = 4096): Rig & { second: Rig['datapath'] } {
  const rig = rigWith([OP_OUTPUT, port], { threads: 3, frames });
  rig.ports.open(3, 1, 1518);
  return Object.assign(rig, { second: rig.threads[1]! });
}

test('a packet for a port of another thread goes there in order and is sent by it', () => {
  const rig = twoThreads(3);
  const packets = Array.from({ length: 100 }, (_, i) => withHost(i));
  rig.receive(1, packets);
  assert.deepEqual(plain(rig.transmit()), []);
  assert.ok(rig.second.exports.hasWork());
  assert.equal(rig.second.exports.collect(), 100);
  assert.ok(!rig.second.exports.hasWork());
  assert.deepEqual(plain(rig.transmit(rig.second)), [[3, packets.map(hex)]]);
  assert.equal(rig.checkFates().forwarded, 100);
  assert.equal(rig.observer.totals(1).forwarded, 100, 'counted by the thread that sent them');
});

test('packets that find the ring to the other thread full are held back, in order', () => {
  const rig = twoThreads(3);
  const packets = Array.from({ length: RING_SLOTS + 200 }, (_, i) => withHost(i));
  for (let at = 0; at < packets.length; at += BATCH) {
    rig.receive(1, packets.slice(at, at + BATCH));
    rig.transmit();
  }
  assert.ok(rig.datapath.isHeldUp());
  const sent: Uint8Array[] = [];
  while (rig.second.exports.collect() > 0) {
    sent.push(...rig.transmit(rig.second).get(3)!);
    rig.transmit();
  }
  assert.ok(!rig.datapath.isHeldUp());
  assert.deepEqual(sent.map(hex), packets.map(hex));
  assert.deepEqual(rig.checkFates().dropped, {});
});

test('a thread that goes on receiving though it is held up drops what it cannot hold', () => {
  const rig = twoThreads(3);
  const held = RING_SLOTS + TRANSMIT_SLOTS;
  for (let round = 0; round < 60; round++) {
    rig.receive(1, Array(BATCH).fill(PACKET));
    rig.transmit();
  }
  const lost = 60 * BATCH - held;
  assert.deepEqual(rig.observer.totals().dropped, { thread_queue_full: lost });
  assert.equal(rig.observer.port(3).txDropped, lost);
  while (rig.second.exports.collect() > 0) {
    rig.transmit(rig.second);
    rig.transmit();
  }
  assert.equal(rig.checkFates().forwarded, held);
});

test('frames held back for a port that goes away are dropped', () => {
  const rig = twoThreads(3);
  for (let round = 0; round < 40; round++) {
    rig.receive(1, Array(BATCH).fill(PACKET));
    rig.transmit();
  }
  rig.ports.takeDown(3);
  rig.transmit();
  assert.ok(!rig.datapath.isHeldUp());
  while (rig.second.exports.collect() > 0);
  assert.deepEqual(rig.checkFates().dropped, { port_closed: 40 * BATCH });
});

test('of a port with several queues each thread sends by its own, and others by one that is always the same', () => {
  const rig = rigWith([OP_OUTPUT, 3], { threads: 4, frames: 4096 });
  rig.ports.open(3, [1, 2], 1518);
  const senders = rig.threads.slice(0, 3).map((datapath) => {
    rig.receive(1, [PACKET, PACKET], datapath);
    if (rig.transmit(datapath).has(3)) return datapath.thread;
    return rig.threads.find((other) => {
      other.exports.collect();
      return rig.transmit(other).has(3);
    })!.thread;
  });
  assert.deepEqual(senders, [1, 1, 2]);
  assert.equal(rig.checkFates().forwarded, 6);
});

test('packets on their way to a port that goes away are dropped', () => {
  const rig = twoThreads(3);
  rig.receive(1, [PACKET, PACKET]);
  rig.transmit();
  rig.ports.close(3);
  assert.equal(rig.second.exports.collect(), 2);
  assert.deepEqual(plain(rig.transmit(rig.second)), []);
  assert.deepEqual(rig.checkFates().dropped, { port_closed: 2 });
  assert.equal(rig.observer.port(3).txDropped, 2);
});

test('a thread in poll() is noted to be woken, once', () => {
  const rig = twoThreads(3);
  assert.ok(rig.second.beginPoll());
  rig.receive(1, [PACKET]);
  rig.transmit();
  assert.equal(rig.datapath.takeWakeMask(), 1 << 1);
  assert.equal(rig.datapath.takeWakeMask(), 0);
  rig.second.endSleep(true);
  assert.ok(!rig.second.beginPoll(), 'there is work');
  rig.second.exports.collect();
  rig.transmit(rig.second);
  rig.checkFates();
});

// All together

test(
  'every frame has one fate, whatever the packets and the flows',
  seeded((random) => {
    for (let run = 0; run < 20; run++) {
      const rig = new Rig({ threads: 3, frames: 8192, largeFrames: 4 });
      rig.open(1, 2);
      rig.ports.open(3, 1, 1518);
      rig.ports.mirror(1, { in: [2, 3], out: [2] });
      rig.ports.mirror(3, { out: [1, 4] });
      new MeterTable(rig.arena).set(1, {
        unit: 'pktps',
        bands: [
          { type: 'drop', rate: 500, burst: 0 },
          { type: 'dscp_remark', rate: 100, burst: 0 },
        ],
      });
      const workers = rig.threads.slice(0, 2);
      for (let n = 0; n < 6; n++) {
        const mask = new Uint8Array(KEY_SIZE).fill(0xff, 6, 8).fill(0x03, 13, 14).fill(0xff, 2, 4);
        const key = new Uint8Array(KEY_SIZE);
        key.set(
          pick(random, [
            [0x08, 0x00],
            [0x86, 0xdd],
            [0x08, 0x06],
          ]),
          6,
        );
        key[13] = random.below(4);
        key[2] = random.below(2);
        const program: number[] = [];
        for (let length = random.below(12); length > 0; length--) {
          program.push(
            ...pick(random, [
              [OP_OUTPUT, random.below(6)],
              [OP_OUTPUT, 1 + random.below(3)],
              [OP_SET, 4 * (1 + random.below(15)), 0, random.word() >>> 0],
              [OP_PUSH_VLAN, 0x81000000 + random.below(4096)],
              [OP_POP_VLAN],
              [OP_DROP, random.below(DROP_NAMES.length)],
              [OP_PUSH_MPLS, 0x8847, random.word() >>> 0],
              [OP_POP_MPLS, pick(random, [0x0800, 0x86dd, 0x8847])],
              [OP_TRUNCATE, random.below(100)],
              [OP_METER, random.below(2)],
              [OP_CONTROLLER, random.word() >>> 0],
              [OP_RECIRCULATE, random.below(3)],
              [OP_CT, random.below(32), random.below(3), random.word() >>> 0, random.word() >>> 0],
              [
                OP_CT_LABEL,
                ...Array.from({ length: 8 }, () => word(random)),
                OP_CT,
                CT_COMMIT,
                random.below(3),
                0,
                0,
              ],
              [OP_CT_CLEAR],
              [OP_CLONE, ...words(randomProgram(random, choices, 2))],
            ]),
          );
        }
        if (program.length >= PROGRAM_WORDS) continue;
        rig.handler.install(mask, key, Uint32Array.of(...program, OP_END));
      }
      for (let round = 0; round < 60; round++) {
        const worker = pick(random, workers);
        const packets = Array.from({ length: 1 + random.below(BATCH) }, () =>
          mutated(random, randomPacket(random)),
        );
        rig.receive(worker === workers[0] ? 1 : 3, packets, worker);
        for (const datapath of workers) {
          rig.transmit(datapath);
          datapath.exports.collect();
          rig.transmit(datapath);
        }
        if (round % 8 === 7) rig.dropMisses(DROP_FLOW);
      }
      rig.dropMisses(DROP_FLOW);
      for (let n = 1; n > 0; ) {
        n = rig.dropMisses(DROP_FLOW);
        for (const datapath of workers) {
          rig.catchUp(datapath);
          n += rig.transmit(datapath).size;
        }
      }
      rig.checkFates();
    }
  }),
);
