/** Copies of what ports receive and send, for the ports that mirror them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Frame, KEY_SIZE, NONE, OP_END, OP_OUTPUT, OP_PUSH_VLAN, SEGMENT_TCP4 } from '../../src/datapath.ts';
import { ethernet, ipv4, tcp, udp } from '../support/packets.ts';
import { hex } from '../support/programs.ts';
import { Rig, type RigOptions } from '../support/rig.ts';

const PACKET = ethernet({}, ipv4({}, udp({}, new Uint8Array(20))));
const TAGGED = ethernet({ vlan: 5 }, ipv4({}, udp({}, new Uint8Array(20))));
const MALFORMED = PACKET.slice(0, 20);
const ANY = new Uint8Array(KEY_SIZE);

/** Ports 1 to 6 of the first thread, and one flow for everything. */
function rigWith(program: readonly number[], options?: RigOptions): Rig {
  const rig = new Rig(options);
  rig.open(1, 2, 3, 4, 5, 6);
  assert.notEqual(rig.handler.install(ANY, ANY, Uint32Array.from([...program, OP_END])), NONE);
  return rig;
}

const sentBy = (rig: Rig, datapath = rig.datapath): Record<number, string[]> =>
  Object.fromEntries([...rig.transmit(datapath)].map(([port, packets]) => [port, packets.map(hex)]));

test('what a port receives is copied as it came in, malformed or not', () => {
  const rig = rigWith([OP_PUSH_VLAN, 0x81000005, OP_OUTPUT, 2]);
  rig.ports.mirror(1, { in: [3, 4] });
  rig.receive(1, [PACKET, MALFORMED]);
  rig.receive(2, [PACKET]);
  const both = [hex(PACKET), hex(MALFORMED)];
  assert.deepEqual(sentBy(rig), { 2: [hex(TAGGED), hex(TAGGED)], 3: both, 4: both });
  const totals = rig.checkFates();
  assert.deepEqual([totals.copied, totals.copiesForwarded, totals.dropped.ipv4_truncated], [4, 4, 1]);
});

test('what is sent to a port is copied as it leaves, once, whoever sends it', () => {
  const rig = rigWith([OP_OUTPUT, 3, OP_PUSH_VLAN, 0x81000005, OP_OUTPUT, 2], { threads: 3 });
  rig.ports.mirror(2, { out: [4] });
  rig.receive(1, [PACKET], rig.threads[1]);
  rig.transmit(rig.threads[1]);
  assert.equal(rig.datapath.exports.collect(), 3);
  assert.deepEqual(sentBy(rig), { 2: [hex(TAGGED)], 3: [hex(PACKET)], 4: [hex(TAGGED)] });
  assert.equal(rig.checkFates().copied, 2);
});

test('four ports may mirror a port; a copy is not mirrored itself', () => {
  const rig = rigWith([OP_OUTPUT, 2]);
  rig.ports.mirror(2, { out: [3, 4, 5, 6] });
  for (const port of [3, 4, 5, 6]) rig.ports.mirror(port, { out: [2] });
  rig.receive(1, [PACKET]);
  const one = [hex(PACKET)];
  assert.deepEqual(sentBy(rig), { 2: one, 3: one, 4: one, 5: one, 6: one });
  rig.checkFates();
});

test('mirrors end, one direction at a time, and what goes to a port that is closed is dropped', () => {
  const rig = rigWith([OP_OUTPUT, 2]);
  rig.ports.mirror(1, { in: [3] });
  rig.ports.mirror(1, { out: [4] });
  rig.ports.mirror(2, { out: [4, 5] });
  rig.ports.mirror(2, { out: [5] });
  rig.ports.close(5);
  rig.receive(1, [PACKET]);
  assert.deepEqual(sentBy(rig), { 2: [hex(PACKET)], 3: [hex(PACKET)] });
  rig.ports.mirror(1, { in: [] });
  rig.ports.mirror(2, { out: [] });
  rig.receive(1, [PACKET]);
  assert.deepEqual(sentBy(rig), { 2: [hex(PACKET)] });
  assert.deepEqual(rig.checkFates().copiesDropped, { no_such_port: 1 });
});

test('a port that is opened again is not mirrored', () => {
  const rig = rigWith([OP_OUTPUT, 2]);
  rig.ports.mirror(2, { in: [3], out: [3] });
  rig.ports.close(2);
  rig.open(2);
  rig.receive(1, [PACKET]);
  rig.receive(2, [PACKET]);
  assert.deepEqual(sentBy(rig), { 2: [hex(PACKET), hex(PACKET)] });
  rig.checkFates();
});

test('a segment is copied as a segment', () => {
  const rig = rigWith([OP_OUTPUT, 2]);
  rig.ports.mirror(1, { in: [3] });
  const packet = ethernet({}, ipv4({}, tcp({}, new Uint8Array(3000))));
  const number = rig.datapath.takeFrame(packet.length);
  const frame = rig.datapath.frameAt(number);
  rig.datapath.u8.set(packet, rig.datapath.dataAddress(number));
  rig.datapath.u8[frame + Frame.segmentType] = SEGMENT_TCP4;
  rig.datapath.u16[(frame + Frame.segmentSize) >> 1] = 1000;
  rig.datapath.receive(0, 1, number, packet.length);
  rig.datapath.exports.process(1, 1);
  assert.equal(rig.datapath.exports.flush(), 2);
  const lengths: number[] = [];
  for (const port of [2, 3]) rig.datapath.drainQueue(port, true, (_, length) => lengths.push(length));
  rig.datapath.clearReadyPorts();
  assert.deepEqual(lengths, Array(6).fill(1054));
});

for (const [what, to] of [
  ['itself', [1]],
  ['port 0', [0]],
  ['a port beyond all', [8]],
  ['five ports', [2, 3, 4, 5, 6]],
] as [string, number[]][]) {
  test(`a port is not mirrored to ${what}, and what was set stays`, () => {
    const rig = rigWith([OP_OUTPUT, 2]);
    rig.ports.mirror(1, { in: [3] });
    assert.throws(() => rig.ports.mirror(1, { in: [], out: to }), RangeError);
    rig.receive(1, [PACKET]);
    assert.deepEqual(sentBy(rig), { 2: [hex(PACKET)], 3: [hex(PACKET)] });
    rig.checkFates();
  });
}
