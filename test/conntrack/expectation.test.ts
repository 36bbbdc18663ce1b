/** The table of connections that others have announced. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  ARENA_MAP,
  ArenaMap,
  EXPECTATION_HEAD,
  EXPECTATION_HEADS,
  EXPECTATION_STRIDE,
  Expectation,
  Expectations,
  regionAddress,
} from '../../src/datapath.ts';
import { SYN } from '../support/packets.ts';
import { pick, type Random, seeded } from '../support/seeded.ts';
import { ControlConnection, type Ends, flows, Wire } from './control-connection.ts';

const FLOWS = flows('ct(commit,zone=5,alg=ftp)', 'ct(commit,zone=5)');
const SERVER = '10.0.0.3';

/** So many expectations a small switch has room for, and so many connections that have to do with others. */
const FEW = 64;

/** The thread that dies now and then. */
const DEAD = 0;

const clientAt = (i: number): string => `10.0.${1 + (i >> 7)}.${1 + (i & 127)}`;
const control = (wire: Wire, src: string): ControlConnection =>
  new ControlConnection(wire, { src, dst: SERVER, sport: 40_000, dport: 21 });
const say = (client: ControlConnection, src: string, port: number): void => {
  assert.ok(client.say(0, `PORT ${src.replaceAll('.', ',')},${port >> 8},${port & 255}\r\n`));
};
/** Whether the server gets through; each time from another port. */
const isExpected = (wire: Wire, dst: string, dport: number, sport: number): boolean =>
  wire.tcp(2, { src: SERVER, dst, sport, dport }, { seq: 1, flags: SYN }) !== undefined;

const flush = (wire: Wire, src: string) =>
  wire.switch.request({ command: 'flush', filter: [`ct_nw_src=${src},ct_tp_dst=21`], from: 0 });

test('expectations are shown as Open vSwitch shows them', () => {
  const wire = new Wire(flows('ct(commit,zone=5,alg=ftp,exec(load:7->ct_mark))', 'ct(commit,zone=5)'));
  assert.deepEqual(wire.expectations(), []);
  const client = control(wire, '10.0.0.2');
  say(client, '10.0.0.2', 2049);
  client.say(1, `227 =${SERVER.replaceAll('.', ',')},8,2\r\n`);
  const parent = 'parent=(src=10.0.0.2,dst=10.0.0.3,sport=40000,dport=21),zone=5,mark=7';
  assert.deepEqual(wire.expectations().sort(), [
    `tcp,orig=(src=10.0.0.2,dst=10.0.0.3,sport=0,dport=2050),${parent}`,
    `tcp,orig=(src=10.0.0.3,dst=10.0.0.2,sport=0,dport=2049),${parent}`,
  ]);
});

test('the oldest makes room', () => {
  const wire = new Wire(FLOWS);
  const client = control(wire, '10.0.0.2');
  for (let i = 0; i < FEW + 10; i++) {
    say(client, '10.0.0.2', 1024 + i);
    if (i % 32 === 0) client.acknowledge(1);
  }
  assert.equal(wire.expectations().length, FEW);
  assert.equal(isExpected(wire, '10.0.0.2', 1024 + 9, 20), false);
  assert.equal(isExpected(wire, '10.0.0.2', 1024 + 10, 20), true);
  assert.equal(isExpected(wire, '10.0.0.2', 1024 + FEW + 9, 20), true);
  flush(wire, '10.0.0.2');
  assert.deepEqual(wire.expectations(), []);
});

test('what is announced again is expected once, and of who announced it last', () => {
  const wire = new Wire(FLOWS);
  const client = control(wire, '10.0.0.2');
  say(client, '10.0.0.2', 2049);
  say(client, '10.0.0.2', 2049);
  assert.equal(wire.expectations().length, 1);
  const later: Ends = { src: '10.0.0.2', dst: SERVER, sport: 40_001, dport: 21 };
  say(new ControlConnection(wire, later), '10.0.0.2', 2049);
  assert.match(
    wire.expectations().join(),
    /^[^)]*\),parent=\(src=10.0.0.2,dst=10.0.0.3,sport=40001,dport=21\)/,
  );
  assert.equal(wire.expectations().length, 1);
});

test('of a parent whose time is over nothing is expected', () => {
  const wire = new Wire(FLOWS);
  say(control(wire, '10.0.0.2'), '10.0.0.2', 2049);
  wire.switch.nowMs += 86_400_001;
  assert.equal(isExpected(wire, '10.0.0.2', 2049, 20), false);
  wire.switch.advance(1);
  assert.deepEqual(wire.expectations(), []);
});

test('who finds no room is refused, and not when there is some again', () => {
  const wire = new Wire(FLOWS);
  const clients = Array.from({ length: FEW + 1 }, (_, i) => clientAt(i));
  const controls = clients.map((src) => control(wire, src));
  const last = controls.pop()!;
  for (const [i, client] of controls.entries()) say(client, clients[i]!, 2000);
  assert.equal(last.say(0, `PORT ${clients[FEW]!.replaceAll('.', ',')},8,0\r\n`), undefined);
  assert.equal(isExpected(wire, clients[0]!, 2000, 20), true);
  assert.equal(wire.connections().length, FEW + 1, 'the data connection is not made');
  flush(wire, clients[1]!);
  settle(wire);
  say(last, clients[FEW]!, 2048);
  flush(wire, clients[2]!);
  settle(wire);
  assert.equal(isExpected(wire, clients[FEW]!, 2048, 20), true);
  assert.equal(wire.connections().length, FEW);
});

/** Lets threads pass epochs and the sweeper have what has been removed. */
function settle(wire: Wire): void {
  for (let i = 0; i < 4; i++) {
    wire.switch.rig.reclaim();
    wire.switch.advance(1);
  }
}

/** Clients come, announce and go, and a thread dies; a model knows what is expected. */
test(
  'what is expected is what parents that are there have announced',
  seeded((random) => {
    const wire = new Wire(FLOWS, 65_536);
    const model = new Map<string, { client: ControlConnection; ports: Set<number> }>();
    for (let step = 0, sport = 1; step < 600; step++) {
      const src = clientAt(random.below(300));
      const known = model.get(src);
      const what = pick(random, ['come', 'announce', 'announce', 'go', 'try', 'try', 'die'] as const);
      if (what === 'come' && !known) {
        model.set(src, { client: control(wire, src), ports: new Set() });
      } else if (what === 'announce' && model.size > 0) {
        announceOne(random, model);
      } else if (what === 'go' && known) {
        flush(wire, src);
        model.delete(src);
      } else if (what === 'die' && random.below(10) === 0) {
        dieAtWork(random, wire);
        if (model.size > 0) announceOne(random, model);
        wire.switch.rig.bury(DEAD);
      } else if (what === 'try') {
        const dport = 2000 + random.below(4);
        assert.equal(
          isExpected(wire, src, dport, sport++),
          known?.ports.has(dport) ?? false,
          `${src} ${dport}`,
        );
      }
    }
    const expected = [...model].flatMap(([src, { ports }]) => [...ports].map((port) => `${src} ${port}`));
    const shown = wire
      .expectations()
      .map((line) => line.replace(/.*?dst=([\d.]+),sport=0,dport=(\d+).*/, '$1 $2'));
    assert.deepEqual(shown.sort(), expected.sort());
  }),
);

function announceOne(
  random: Random,
  model: Map<string, { client: ControlConnection; ports: Set<number> }>,
): void {
  const [src, { client, ports }] = pick(random, [...model]);
  const port = 2000 + random.below(4);
  say(client, src, port);
  ports.add(port);
}

/** A thread dies that had the lock, a link half made and the count wrong. */
function dieAtWork(random: Random, { switch: { rig } }: Wire): void {
  const { u32 } = rig.datapath;
  const table = regionAddress(rig.arena, 'expectations');
  const records = u32[(ARENA_MAP + ArenaMap.kinCount) >> 2]!;
  const first = table + EXPECTATION_HEADS + EXPECTATION_HEAD * records;
  const slot = first + EXPECTATION_STRIDE * random.below(records);
  u32[(table + Expectations.lock) >> 2] = DEAD + 1;
  u32[(table + Expectations.count) >> 2]! += random.below(3) - 1;
  u32[(slot + Expectation.isLinked) >> 2] = 1;
  assert.equal(rig.threads[DEAD]!.exports.releaseLocks(), 1);
}
