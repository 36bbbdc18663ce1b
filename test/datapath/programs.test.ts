/** Programs inside programs, and what takes a packet elsewhere than to a port, held against plain twins. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  DROP_TABLE_MISS,
  FRAME_HEADROOM,
  KEY_SIZE,
  MAX_NESTING,
  MAX_ROUNDS,
  METERS,
  NONE,
  OP_CLONE,
  OP_CONTROLLER,
  OP_CT,
  OP_CT_CLEAR,
  OP_CT_LABEL,
  OP_CT_NAT,
  OP_DROP,
  OP_END,
  OP_METER,
  OP_NEXT,
  OP_OUTPUT,
  OP_POP_MPLS,
  OP_POP_VLAN,
  OP_PUSH_MPLS,
  OP_PUSH_VLAN,
  OP_RECIRCULATE,
  OP_SAMPLE,
  OP_SELECT,
  OP_SET,
  OP_TALLY,
  OP_TRUNCATE,
  POOL_BLOCKS,
  PROGRAM_WORDS,
  RING_SLOTS,
  TALLIES,
} from '../../src/datapath.ts';
import { readProgram } from '../support/flows.ts';
import { naiveParse } from '../support/naive-parse.ts';
import { checksumPlace, fixChecksums } from '../support/naive-rewrite.ts';
import { ethernet, ipv4, mpls, tcp, udp } from '../support/packets.ts';
import {
  type Effects,
  hex,
  noEffects,
  type Program,
  randomProgram,
  run,
  words,
} from '../support/programs.ts';
import { Rig, type RigOptions } from '../support/rig.ts';
import { type Random, seeded } from '../support/seeded.ts';

const PACKET = ethernet({}, ipv4({}, udp({}, new Uint8Array(80))));
const ANY = new Uint8Array(KEY_SIZE);
const ROUND = new Uint8Array(KEY_SIZE).fill(0xff, 2, 4);

/** The key of packets that have gone round as `recirculation`. */
function roundKey(recirculation: number): Uint8Array {
  const key = new Uint8Array(KEY_SIZE);
  new DataView(key.buffer).setUint16(2, recirculation, true);
  return key;
}

function install(rig: Rig, recirculation: number, program: readonly number[]): number {
  const flow = rig.handler.install(ROUND, roundKey(recirculation), Uint32Array.from(program));
  assert.notEqual(flow, NONE, 'the program was not taken');
  return flow;
}

/** A rig with ports 1 to 4 and a flow for packets as they come in. */
function rigWith(program: readonly number[], options?: RigOptions): Rig {
  const rig = new Rig(options);
  rig.open(1, 2, 3, 4);
  install(rig, 0, [...program, OP_END]);
  return rig;
}

const sentBy = (rig: Rig): [number, string[]][] =>
  [...rig.transmit()].sort(([a], [b]) => a - b).map(([port, packets]) => [port, packets.map(hex)]);

const withHost = (byte: number): Uint8Array => PACKET.with(5, byte);
const setHost = (byte: number): number[] => [OP_SET, 12, byte << 8, 0xff00];

// Inside

test('a program inside changes a copy; the one around it goes on with the packet as it was', () => {
  const rig = rigWith([...setHost(1), OP_CLONE, ...setHost(2), OP_OUTPUT, 2, OP_END, OP_OUTPUT, 3]);
  rig.receive(1, [PACKET]);
  assert.deepEqual(sentBy(rig), [
    [2, [hex(withHost(2))]],
    [3, [hex(withHost(1))]],
  ]);
  assert.equal(rig.checkFates().copied, 1);
});

test('a program inside that comes last takes the packet itself', () => {
  const rig = rigWith([OP_CLONE, ...setHost(2), OP_OUTPUT, 2, OP_END]);
  rig.receive(1, [PACKET]);
  assert.deepEqual(sentBy(rig), [[2, [hex(withHost(2))]]]);
  const totals = rig.checkFates();
  assert.deepEqual([totals.forwarded, totals.copied], [1, 0]);
});

for (const [what, program, dropped, copiesDropped] of [
  ['nothing inside takes', [OP_CLONE, OP_END], { flow: 1 }, {}],
  ['nothing inside takes, and the output gets', [OP_CLONE, OP_END, OP_OUTPUT, 2], {}, { flow: 1 }],
  ['is dropped inside for a reason', [OP_CLONE, OP_DROP, DROP_TABLE_MISS, OP_END], { table_miss: 1 }, {}],
  ['is not sampled', [OP_SAMPLE, 0, OP_OUTPUT, 2, OP_END], { flow: 1 }, {}],
  ['has no bucket', [OP_SELECT, 0, 0], { flow: 1 }, {}],
  ['has no bucket of any weight', [OP_SELECT, 0, 1, 9, 0, OP_OUTPUT, 2, OP_END], { flow: 1 }, {}],
] as [string, number[], Record<string, number>, Record<string, number>][]) {
  test(`a packet that ${what} is counted so`, () => {
    const rig = rigWith(program);
    rig.receive(1, [PACKET]);
    rig.transmit();
    const totals = rig.checkFates();
    assert.deepEqual([totals.dropped, totals.copiesDropped], [dropped, copiesDropped]);
  });
}

/** `depth` programs, each in the one before. */
const nested = (depth: number): number[] => [
  ...Array(depth).fill(OP_CLONE),
  OP_OUTPUT,
  2,
  ...Array(depth + 1).fill(OP_END),
];

for (const [what, program] of [
  ['nested too deep', nested(MAX_NESTING + 1)],
  [
    'that does not end',
    Array(PROGRAM_WORDS / 2)
      .fill([OP_OUTPUT, 1])
      .flat(),
  ],
  ['with an operation that there is not', [OP_CT_CLEAR + 1, 0, OP_END]],
  ['with a zone that there cannot be', [OP_CT, 0, 0x1_0000, 0, 0, OP_END]],
  ['with a label for no connection', [OP_CT_LABEL, ...Array(8).fill(0), OP_OUTPUT, 1, OP_END]],
  [
    'that ends within a connection',
    [OP_CT_LABEL, ...Array(8).fill(0), OP_CT_NAT, ...Array(10).fill(0), OP_END],
  ],
  ['that leads into a block', [OP_NEXT, 0, OP_END]],
  ['with a meter that there cannot be', [OP_METER, METERS, OP_END]],
  ['with a tally that there cannot be', [OP_CLONE, OP_TALLY, TALLIES, OP_END, OP_END]],
  ['with more buckets than words', [OP_SELECT, 0, 0x80000000, OP_END]],
  ['with a weight beyond all weights', [OP_SELECT, 0, 1, 0, NONE, OP_END, OP_END]],
] as [string, number[]][]) {
  test(`a program ${what} is neither installed nor run`, () => {
    const rig = new Rig();
    rig.open(1, 2);
    const whole = Uint32Array.from([...program, ...Array(PROGRAM_WORDS).fill(OP_OUTPUT)]).slice(
      0,
      PROGRAM_WORDS,
    );
    assert.equal(rig.handler.install(ANY, ANY, whole), NONE);
    rig.receive(1, [PACKET]);
    assert.equal(rig.handler.exports.takeMisses(), 1);
    rig.handler.actByProgram(0, whole);
    assert.deepEqual(rig.checkFates().dropped, { bad_program: 1 });
    rig.checkNoFlows();
  });
}

test('a program that asks for connections is kept whole, wherever its blocks end', () => {
  const rig = new Rig();
  rig.open(1, 2);
  const operands = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
  const asking = [OP_CT_LABEL, ...operands(8), OP_CT_NAT, ...operands(10), OP_CT, 1, 2, 3, 4];
  for (let before = 0; before < 70; before++) {
    const program = [
      ...Array(before).fill(OP_POP_VLAN),
      ...asking,
      ...asking,
      OP_CT_CLEAR,
      OP_OUTPUT,
      2,
      OP_END,
    ];
    const flow = rig.handler.install(ANY, ANY, Uint32Array.from(program));
    assert.deepEqual(readProgram(rig.handler, flow), program);
    rig.handler.exports.remove(flow);
    rig.reclaim();
  }
  rig.checkNoFlows();
});

test('programs nested as deep as may be run', () => {
  const rig = new Rig();
  rig.open(1, 2);
  install(rig, 0, nested(MAX_NESTING));
  rig.receive(1, [PACKET]);
  assert.deepEqual(sentBy(rig), [[2, [hex(PACKET)]]]);
  rig.checkFates();
});

// Sending less

test('truncating leaves as much of the next that is sent, and of that alone', () => {
  const rig = rigWith([
    OP_TRUNCATE,
    50,
    ...setHost(1),
    OP_OUTPUT,
    2,
    OP_OUTPUT,
    3,
    OP_TRUNCATE,
    3,
    OP_OUTPUT,
    4,
  ]);
  rig.receive(1, [PACKET]);
  assert.deepEqual(sentBy(rig), [
    [2, [hex(withHost(1).slice(0, 50))]],
    [3, [hex(withHost(1))]],
    [4, [hex(withHost(1).slice(0, 14))]],
  ]);
  assert.equal(rig.observer.port(2).txBytes, 50);
  rig.checkFates();
});

test('a partial checksum is completed before a frame is cut short or goes to the controller', () => {
  const rig = rigWith([OP_CONTROLLER, 1, OP_TRUNCATE, 60, OP_CONTROLLER, 2, OP_OUTPUT, 2]);
  const whole = ethernet({}, ipv4({}, tcp({}, new Uint8Array(100).fill(7))));
  const parsed = naiveParse(whole, 1);
  assert.ok(typeof parsed === 'object');
  const partial = whole.slice();
  fixChecksums(partial, parsed, 'partial');
  rig.setPartial(rig.frame(partial, 1), parsed.l4, checksumPlace(parsed.transport));
  rig.datapath.exports.process(1, 1);
  assert.deepEqual(sentBy(rig), [[2, [hex(whole)]]]);
  assert.deepEqual(
    rig.takePunts().map(({ bytes }) => hex(bytes)),
    [hex(whole), hex(whole.slice(0, 60))],
  );
});

// Labels

test('labels are pushed and popped between outputs, and what is behind them is read on the next round', () => {
  const entry = 0x00010140; // label 16, bottom of stack, TTL 64
  const rig = rigWith([OP_PUSH_MPLS, 0x8847, entry, OP_OUTPUT, 2, OP_POP_MPLS, 0x0800, OP_RECIRCULATE, 1]);
  install(rig, 1, [OP_SET, 36, 0x01020304, 0xffffffff, OP_OUTPUT, 3, OP_END]);
  const of = (dst: string): Uint8Array => ethernet({}, ipv4({ dst }, udp({}, new Uint8Array(20))));
  rig.receive(1, [of('10.0.0.2')]);
  const labelled = ethernet({}, mpls([entry], of('10.0.0.2').subarray(14)));
  assert.deepEqual(sentBy(rig), [
    [2, [hex(labelled)]],
    [3, [hex(of('4.3.2.1'))]],
  ]);
  rig.checkFates();
});

test('labels for which there is no headroom are too long', () => {
  const rig = rigWith(
    Array(FRAME_HEADROOM / 4 + 1)
      .fill([OP_PUSH_MPLS, 0x8847, 0])
      .flat(),
  );
  rig.receive(1, [PACKET]);
  assert.deepEqual(rig.checkFates().dropped, { too_long: 1 });
});

// Tallies

test('a tally counts packets as they are at that point, at each thread', () => {
  const rig = rigWith([OP_TALLY, 7, OP_PUSH_VLAN, 0x81000001, OP_TALLY, TALLIES - 1, OP_OUTPUT, 2], {
    threads: 3,
  });
  rig.receive(1, [PACKET, PACKET]);
  rig.receive(1, [PACKET], rig.threads[1]);
  for (const datapath of rig.threads) rig.transmit(datapath);
  rig.datapath.exports.collect();
  rig.transmit();
  assert.deepEqual(rig.observer.tally(7), { packets: 3, bytes: 3 * PACKET.length });
  assert.deepEqual(rig.observer.tally(TALLIES - 1), { packets: 3, bytes: 3 * (PACKET.length + 4) });
  assert.deepEqual(rig.observer.tally(8), { packets: 0, bytes: 0 });
  rig.checkFates();
});

// The controller

test('a punt reaches the handler with its number, its ingress port and what it was cut from', () => {
  const rig = rigWith([OP_TRUNCATE, 20, OP_CONTROLLER, 0xabcdef, ...setHost(4), OP_OUTPUT, 2]);
  rig.receive(3, [PACKET]);
  assert.deepEqual(sentBy(rig), [[2, [hex(withHost(4))]]]);
  assert.deepEqual(rig.takePunts(), [
    { index: 0xabcdef, inPort: 3, originalLength: PACKET.length, bytes: PACKET.slice(0, 20) },
  ]);
  const totals = rig.checkFates();
  assert.deepEqual([totals.forwarded, totals.copiesForwarded, totals.upcalls], [1, 1, 0]);
});

test('a packet that only the controller takes counts as forwarded when it is delivered', () => {
  const rig = rigWith([OP_CONTROLLER, 1]);
  rig.receive(1, [PACKET, PACKET]);
  const { exports } = rig.handler;
  assert.equal(exports.takeMisses(), 0);
  assert.equal(exports.puntCount(), 2);
  exports.endPunt(0, false);
  exports.endPunt(1, true);
  assert.equal(exports.takeMisses(), 0);
  assert.equal(exports.puntCount(), 0);
  const totals = rig.checkFates();
  assert.equal(totals.forwarded, 1);
  assert.deepEqual(totals.dropped, { controller_queue_full: 1 });
});

test('punts of a port that has its share of the queue already, or that nobody takes, are dropped', () => {
  const rig = rigWith([OP_CONTROLLER, 1], { frames: 2048 });
  const share = Math.ceil((8 * RING_SLOTS) / 9);
  rig.receive(1, Array(share + 5).fill(PACKET));
  assert.deepEqual(rig.observer.totals().dropped, { controller_queue_full: 5 });
  rig.dropMisses(DROP_TABLE_MISS);
  assert.deepEqual(rig.checkFates().dropped, { controller_queue_full: share + 5 });
});

test('misses and punts come apart in one batch, whether well formed or not', () => {
  const rig = new Rig();
  rig.open(1, 2);
  install(rig, 1, [OP_CONTROLLER, 5, OP_END]);
  const miss = ethernet({}, ipv4({}, tcp()));
  rig.receive(1, [miss]);
  assert.equal(rig.handler.exports.takeMisses(), 1);
  rig.handler.actByProgram(0, Uint32Array.of(OP_TRUNCATE, 15, OP_CONTROLLER, 9, OP_RECIRCULATE, 1, OP_END));
  rig.receive(1, [PACKET]);
  assert.equal(rig.handler.exports.takeMisses(), 2, 'the new one and the one that goes round');
  assert.equal(rig.handler.exports.puntCount(), 1);
  assert.deepEqual(rig.handler.punt(0).bytes, miss.slice(0, 15));
  rig.handler.exports.endPunt(0, true);
  const round = [0, 1].find((i) => rig.handler.key(i)[2] === 1)!;
  rig.handler.exports.actByFlow(round, rig.handler.exports.flowOfMiss(round));
  rig.handler.actByProgram(1 - round, Uint32Array.of(OP_OUTPUT, 2, OP_END));
  rig.handler.exports.flush();
  assert.deepEqual(
    rig.takePunts().map(({ index, inPort }) => [index, inPort]),
    [[5, 1]],
  );
  rig.datapath.exports.collect();
  rig.transmit();
  const totals = rig.checkFates();
  assert.equal(totals.upcalls, totals.upcallsHandled);
});

// Going round

test('a packet that goes round is looked up under its number, with its ingress port, and received once', () => {
  const rig = rigWith([...setHost(1), OP_RECIRCULATE, 6]);
  const second = install(rig, 6, [OP_OUTPUT, 2, OP_CONTROLLER, 1, OP_END]);
  rig.receive(3, [PACKET, PACKET]);
  assert.deepEqual(sentBy(rig), [[2, [hex(withHost(1)), hex(withHost(1))]]]);
  assert.deepEqual(
    rig.takePunts().map(({ inPort }) => inPort),
    [3, 3],
  );
  assert.equal(rig.observer.flow(second).packets, 2);
  assert.equal(rig.observer.port(3).rxPackets, 2);
  assert.equal(rig.checkFates().forwarded, 2);
});

test('a copy goes round while the packet goes on', () => {
  const rig = rigWith([OP_RECIRCULATE, 6, OP_OUTPUT, 3]);
  install(rig, 6, [OP_OUTPUT, 2, OP_END]);
  rig.receive(1, [PACKET]);
  assert.deepEqual(sentBy(rig), [
    [2, [hex(PACKET)]],
    [3, [hex(PACKET)]],
  ]);
  rig.checkFates();
});

test('a packet goes round so often and no oftener', () => {
  const rig = rigWith([OP_TALLY, 0, OP_RECIRCULATE, 1]);
  install(rig, 1, [OP_TALLY, 1, OP_RECIRCULATE, 1, OP_END]);
  rig.receive(1, Array(40).fill(PACKET));
  rig.transmit();
  assert.equal(rig.observer.tally(0).packets, 40);
  assert.equal(rig.observer.tally(1).packets, 40 * MAX_ROUNDS);
  assert.deepEqual(rig.checkFates().dropped, { recirculation_limit: 40 });
});

test('packets that multiply as they go round are bounded', () => {
  const rig = rigWith([OP_RECIRCULATE, 1], { frames: 4096 });
  install(rig, 1, [OP_RECIRCULATE, 1, OP_RECIRCULATE, 1, OP_END]);
  rig.receive(1, [PACKET]);
  rig.transmit();
  const { copiesDropped } = rig.checkFates();
  assert.ok(copiesDropped.batch_full! > 0);
});

test('the handler sees under which number a packet missed, and its own packets go round too', () => {
  const rig = rigWith([OP_RECIRCULATE, 8]);
  rig.receive(2, [PACKET]);
  const { handler } = rig;
  assert.equal(handler.exports.takeMisses(), 1);
  assert.equal(new DataView(handler.key(0).slice().buffer).getUint16(2, true), 8);
  install(rig, 9, [OP_OUTPUT, 4, OP_END]);
  handler.actByProgram(0, Uint32Array.of(OP_RECIRCULATE, 9, OP_END));
  assert.equal(handler.exports.takeMisses(), 1);
  handler.exports.actByFlow(0, handler.exports.flowOfMiss(0));
  handler.exports.flush();
  rig.datapath.exports.collect();
  assert.deepEqual(sentBy(rig), [[4, [hex(PACKET)]]]);
  assert.equal(rig.checkFates().forwarded, 1);
});

test('a packet that is malformed after its change is dropped as such on its next round', () => {
  const rig = rigWith([OP_POP_VLAN, OP_POP_VLAN, OP_RECIRCULATE, 2]);
  install(rig, 2, [OP_OUTPUT, 2, OP_END]);
  // Behind three tags, where nobody looks, an IPv4 header of two bytes.
  const tags = Buffer.from('810000018100000281000003', 'hex');
  const packet = Buffer.concat([PACKET.subarray(0, 12), tags, PACKET.subarray(12, 16)]);
  rig.receive(1, [Uint8Array.from(packet)]);
  rig.transmit();
  assert.deepEqual(rig.checkFates().dropped, { ipv4_truncated: 1 });
});

// All together

/** Runs `packet` through programs by recirculation number, first in, first out. */
function runAll(programs: readonly Program[], packet: Uint8Array): Effects {
  const effects = noEffects();
  effects.rounds.push([0, packet]);
  for (let next = effects.rounds.shift(); next; next = effects.rounds.shift()) {
    run(programs[next[0]]!, next[1], effects);
  }
  return effects;
}

const PROGRAMS = 4;
const PORTS = [1, 2, 3, 4];

/** Programs 0 to 3, each of which sends round to later ones only, of no more words than there may be. */
function randomPrograms(random: Random): Program[] {
  return Array.from({ length: PROGRAMS }, (_, i) => {
    const rounds = [1, 2, 3].filter((later) => later > i);
    for (;;) {
      const program = randomProgram(random, { ports: PORTS, tallies: 4, rounds, pushes: i === 0 });
      if (words(program).length <= PROGRAM_WORDS) return program;
    }
  });
}

test(
  'programs do to packets what they say, from a flow and from the handler’s hand',
  seeded((random) => {
    for (let i = 0; i < 150; i++) {
      const programs = randomPrograms(random);
      const effects = runAll(programs, PACKET);
      if (effects.sent.length > 400 || effects.punts.length > 400) continue;
      const rig = new Rig({ frames: 4096 });
      rig.open(...PORTS);
      const flows = programs.map((program, number) => install(rig, number, words(program)));
      for (const [n, flow] of flows.entries()) {
        assert.deepEqual(readProgram(rig.handler, flow), words(programs[n]!), 'the program in its blocks');
      }
      rig.receive(1, [PACKET]);
      const sent = new Map(PORTS.map((port) => [port, [] as string[]]));
      for (const [port, bytes] of effects.sent) sent.get(port)!.push(bytes);
      assert.deepEqual(
        sentBy(rig),
        [...sent].filter(([, packets]) => packets.length > 0),
      );
      assert.deepEqual(
        rig.takePunts().map(({ index, bytes, originalLength }) => [index, hex(bytes), originalLength]),
        effects.punts,
      );
      for (let tally = 0; tally < 4; tally++) {
        const counted = effects.tallies.get(tally) ?? { packets: 0, bytes: 0 };
        assert.deepEqual(rig.observer.tally(tally), counted, `tally ${tally}`);
      }
      const totals = rig.checkFates();
      assert.equal(totals.forwarded + totals.copiesForwarded, effects.sent.length + effects.punts.length);
      for (const flow of flows) rig.handler.exports.remove(flow);
      rig.reclaim();
      rig.checkNoFlows();
    }
  }),
);

test(
  'a program for which the blocks run out holds none',
  seeded((random) => {
    const rig = new Rig({ flows: 512 });
    const select: Program = [
      {
        do: 'clone',
        inside: [{ do: 'select', chosen: 0, inside: Array(60).fill([{ do: 'output', value: 1 }]) }],
      },
    ];
    const held: number[] = [];
    const { exports, thread } = rig.handler;
    for (let left = random.below(8); rig.free(POOL_BLOCKS) > left; ) {
      held.push(...[exports.take(thread, POOL_BLOCKS) >>> 0].filter((block) => block !== NONE));
    }
    const free = rig.free(POOL_BLOCKS);
    const flow = rig.handler.install(ANY, ANY, Uint32Array.from(words(select)));
    const blocks = Math.ceil((words(select).length - 14) / 59);
    if (flow === NONE) assert.equal(rig.free(POOL_BLOCKS), free);
    else assert.deepEqual(readProgram(rig.handler, flow), words(select));
    if (free < blocks) assert.equal(flow, NONE);
    for (const block of held) exports.give(thread, POOL_BLOCKS, block);
    if (flow !== NONE) exports.remove(flow);
    rig.reclaim();
    rig.checkNoFlows();
  }),
);
