/**
 * The packet path with its cache, between changes of the flows: whatever it remembers, a packet takes a flow
 * that is live and matches, and misses only when none does.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { DROP_TABLE_MISS, KEY_SIZE, NONE, OP_END, OP_OUTPUT, OP_SET } from '../../src/datapath.ts';
import { flowAddress, masked, matches } from '../support/flows.ts';
import { naiveParse } from '../support/naive-parse.ts';
import { ethernet, get32, ipv4, tcp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';

const IN_PORT = 1;
const OUT_PORT = 2;

/** Its TCP sequence number, which nothing here matches, says which of its batch it is. */
function randomPacket(random: Random, seq = 0): Uint8Array {
  const host = () => `10.0.0.${random.below(4)}`;
  const network = { src: host(), dst: host(), ttl: 60 + random.below(3) };
  return ethernet(
    { vlan: random.below(2) },
    ipv4(network, tcp({ seq, src: random.below(3), dst: random.below(3), flags: random.below(3) })),
  );
}

/** Of TCP over IPv4 behind at most one tag. */
const sequenceNumber = (packet: Uint8Array): number => get32(packet, (packet[12] === 0x81 ? 18 : 14) + 24);

const keyOf = (packet: Uint8Array): Uint8Array => {
  const parsed = naiveParse(packet, IN_PORT);
  assert.ok(typeof parsed === 'object');
  return parsed.key;
};

/** Fields of the key: where each begins, and how many bytes it has. */
const FIELDS = [
  [5, 1],
  [22, 1],
  [24, 2],
  [26, 2],
  [28, 2],
  [32, 4],
  [36, 4],
] as const;

/** A mask over some of the fields that vary; the EtherType and protocol are always in it. */
function randomMask(random: Random): Uint8Array {
  const mask = new Uint8Array(KEY_SIZE);
  mask.fill(0xff, 6, 8).fill(0xff, 20, 21);
  for (const [at, bytes] of FIELDS) if (chance(random, 0.4)) mask.fill(0xff, at, at + bytes);
  return mask;
}

/** The program that writes `serial` into the packet's source address, where the test reads it. */
const stamp = (serial: number): Uint32Array =>
  Uint32Array.of(
    OP_SET,
    16,
    Buffer.from(serialBytes(serial)).readUInt32LE(),
    0xffffffff,
    OP_OUTPUT,
    OUT_PORT,
    OP_END,
  );

function serialBytes(serial: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, serial);
  return bytes;
}

test(
  'a packet takes a flow that is there now and matches it, never a stale one',
  seeded((random) => {
    const rig = new Rig({ threads: 3, flows: 768 });
    rig.open(IN_PORT, OUT_PORT);
    const flows = new Map<number, { mask: Uint8Array; key: Uint8Array; number: number }>();
    let serial = 0;

    const install = () => {
      const mask = randomMask(random);
      const key = keyOf(randomPacket(random));
      const isThere = [...flows.values()].some(
        (flow) => Buffer.compare(flow.mask, mask) === 0 && matches(key, mask, flow.key),
      );
      if (isThere) return;
      const number = rig.handler.install(mask, key, stamp(++serial));
      if (number !== NONE) flows.set(serial, { mask, key: masked(key, mask), number });
    };
    const remove = () => {
      const [name, { number }] = pick(random, [...flows]);
      rig.handler.exports.remove(number);
      flows.delete(name);
    };

    for (let round = 0; round < 3000; round++) {
      for (let n = random.below(4); n > 0; n--) install();
      for (let n = random.below(4); n > 0 && flows.size > 0; n--) remove();
      if (flows.size > 40) remove();
      if (chance(random, 0.3)) rig.reclaim();
      else if (chance(random, 0.5)) rig.handler.exports.reclaim();

      const datapath = pick(random, rig.threads.slice(0, 2));
      rig.ports.open(OUT_PORT, datapath.thread, 9000);
      const packets = Array.from({ length: 1 + random.below(32) }, (_, i) => randomPacket(random, i));
      const takers = packets.map((packet) =>
        [...flows].filter(([, { mask, key }]) => matches(keyOf(packet), mask, key)).map(([name]) => name),
      );
      const misses = takers.filter((names) => names.length === 0).length;
      rig.receive(IN_PORT, packets, datapath);
      const sent = rig.transmit(datapath).get(OUT_PORT) ?? [];
      let dropped = rig.dropMisses(DROP_TABLE_MISS);
      rig.catchUp(datapath); // some had to come behind one that took none
      sent.push(...(rig.transmit(datapath).get(OUT_PORT) ?? []));
      dropped += rig.dropMisses(DROP_TABLE_MISS);
      assert.equal(dropped, misses, 'packets that took none');
      assert.equal(sent.length, packets.length - misses, 'packets that took a flow');
      for (const packet of sent) {
        const [taken, names] = [get32(packet, 8), takers[sequenceNumber(packet)]!];
        assert.ok(names.includes(taken), `flow ${taken} took a packet of ${names}`);
      }
    }
    const totals = rig.checkFates();
    assert.equal(totals.upcalls, totals.dropped.table_miss);
    assert.ok(totals.cacheHits + totals.classifierHits + totals.upcalls >= totals.received);
    assert.ok(totals.cacheHits > totals.received / 100, 'or the cache was not tried');
  }),
);

test('what the cache remembers is checked against the flow that stands there now', () => {
  const rig = new Rig({ flows: 512 });
  const { handler, datapath } = rig;
  const { exports, u8 } = datapath;
  const mask = new Uint8Array(KEY_SIZE).fill(0xff);
  const at = rig.keyAddress();
  const [one, two] = [1, 2].map((byte) => new Uint8Array(KEY_SIZE).fill(byte)) as [Uint8Array, Uint8Array];
  const program = stamp(1);
  const number = handler.install(mask, one, program);
  const flow = flowAddress(datapath, number);

  u8.set(one, at);
  const hash = exports.hashKey(at);
  assert.equal(exports.cached(at, hash), 0, 'nothing is remembered');
  exports.remember(hash, flow);
  assert.equal(exports.cached(at, hash), flow);
  u8.set(two, at);
  assert.equal(exports.cached(at, hash), 0, 'another key of the same hash');

  u8.set(one, at);
  handler.exports.remove(number);
  assert.equal(exports.cached(at, hash), 0, 'a flow that was removed');
  rig.reclaim();
  assert.equal(handler.install(mask, two, program), number, 'what was given back last is used first');
  assert.equal(exports.cached(at, hash), 0, 'a record that is now another flow');
  u8.set(two, at);
  assert.equal(exports.cached(at, hash), flow, 'which is right for the packets that it takes');
});

test('time to live and TCP flags do not scatter a connection over the cache', () => {
  const rig = new Rig();
  const at = rig.keyAddress();
  const { exports, u8 } = rig.datapath;
  const hash = (packet: Uint8Array) => {
    u8.set(keyOf(packet), at);
    return exports.hashKey(at);
  };
  const of = (ttl: number, flags: number, port: number) =>
    hash(ethernet({}, ipv4({ ttl }, tcp({ flags, src: port }))));
  assert.equal(of(64, 0x02, 1), of(63, 0xfff, 1));
  assert.notEqual(of(64, 0x02, 1), of(64, 0x02, 2));
});
