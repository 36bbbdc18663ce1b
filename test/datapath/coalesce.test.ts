/** TCP segments joined for a port: cut again, they are the packets that they were. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ACK, ethernet, ipv4, PSH, tcp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { Random, randomBytes } from '../support/seeded.ts';

const PORT = 2;
const HEADERS = 54; // Ethernet, IPv4 and TCP, none with options
const random = new Random(1);

/** Packets of one connection that follow each other, with so many bytes each. */
function following(...sizes: number[]): Uint8Array[] {
  let seq = 1000;
  return sizes.map((size, i) => {
    const flags = i === sizes.length - 1 ? ACK | PSH : ACK;
    const packet = ethernet({}, ipv4({ id: i + 1 }, tcp({ seq, flags }, randomBytes(random, size))));
    seq += size;
    return packet;
  });
}

/** Queues packets for a port that takes frames up to `longest`, and joins them there. */
function coalesce(packets: readonly Uint8Array[], longest: number): { rig: Rig; gone: number } {
  const rig = new Rig();
  rig.ports.open(PORT, 0, longest);
  const { exports } = rig.datapath;
  for (const packet of packets) {
    const frame = rig.frame(packet);
    assert.equal(exports.parse(frame, rig.keyAddress()), -1);
    exports.enqueue(rig.read(frame).number, PORT);
  }
  return { rig, gone: exports.coalesce(PORT) };
}

function cut(rig: Rig): Uint8Array[] {
  const packets: Uint8Array[] = [];
  rig.datapath.drainQueue(PORT, true, (at, length) => packets.push(rig.datapath.u8.slice(at, at + length)));
  return packets;
}

test('packets that follow each other are joined, and cut into what they were', () => {
  const packets = following(1000, 1000, 1000, 1000, 200);
  const { rig, gone } = coalesce(packets, HEADERS + 1000);
  assert.equal(gone, 4);
  assert.deepEqual(cut(rig), packets);
});

test('a packet shorter than the first is the last of its segment', () => {
  const packets = following(1000, 500, 1000, 1000);
  const { rig, gone } = coalesce(packets, HEADERS + 1000);
  assert.equal(gone, 2);
  assert.deepEqual(cut(rig), packets);
});

test('a packet with a wrong checksum stays alone', () => {
  const packets = following(1000, 1000, 1000);
  packets[1]![HEADERS]! ^= 1;
  const { rig, gone } = coalesce(packets, HEADERS + 1000);
  assert.equal(gone, 0);
  assert.deepEqual(cut(rig), packets);
});

test('a packet longer than the port takes stays alone, wherever it stands', () => {
  const packets = following(1001, 1000, 1001, 1000);
  const { rig, gone } = coalesce(packets, HEADERS + 1000);
  assert.equal(gone, 0);
  assert.deepEqual(cut(rig), packets);
});
