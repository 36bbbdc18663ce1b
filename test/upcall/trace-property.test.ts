/** A trace says what then happens to the packet, and nothing happens by it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { connectionRows } from '../../src/control/connections.ts';
import { PARSED } from '../../src/datapath.ts';
import type { ConnectionRow, TraceStep } from '../../src/model.ts';
import { composeFrame } from '../../src/table/compose.ts';
import { changesBetween } from '../../src/table/describe.ts';
import { wordsOf } from '../../src/table/match.ts';
import { formatActions, formatMatch } from '../../src/table/megaflow.ts';
import { parsePacket } from '../../src/table/parse-packet.ts';
import { TraceRecorder } from '../../src/table/trace.ts';
import { translate } from '../../src/table/translate.ts';
import { TrialFrame } from '../../src/trial.ts';
import type { ConnectionSlice } from '../../src/upcall/connections.ts';
import { type TraceReply, trace } from '../../src/upcall/trace.ts';
import { NaiveMacs } from '../support/naive-macs.ts';
import { ACK, ethernet, FIN, icmp, ipv4, RST, SYN, tcp, udp } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';
import type { contextOf } from '../table/context.ts';
import { Machine } from '../table/machine.ts';
import { packetAndKin } from '../table/packets.ts';
import { universePacket, universeTables } from '../table/universe.ts';
import { SmallSwitch } from './small-switch.ts';

const NO_NUMBERS = new Map<string, number>();
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The tables in which the packet was looked up and a flow found. */
function tablesIn(steps: readonly TraceStep[]): number[] {
  return steps.flatMap((step) => [
    ...(step.kind === 'table' && step.flow ? [step.table] : []),
    ...('steps' in step ? tablesIn(step.steps) : []),
  ]);
}

function randomContext(random: Random) {
  const ports = new Map([1, 2, 3].map((number) => [number, { name: `p${number}`, up: true }]));
  const macs = new NaiveMacs(8192, 300_000);
  macs.learn({ vlan: 0, mac: 0x0200_0000_000b, port: 2 }, 0);
  return universeTables(random, macs, ports);
}

/** More are a loop, which comes upon limits of which a trace knows nothing. */
const ROUNDS_LIKELY = 16;
/** Limits that only the real way has. */
const BEYOND = new Set(['recirculation_limit', 'batch_full', 'meter', 'controller_queue_full']);

test(
  'megaflows of a trace are those of the translation, and the verdict is what the datapath does',
  seeded((random) => {
    let compared = 0;
    for (let run = 0; run < 30; run++) {
      const { context, lines } = randomContext(random);
      const machine = new Machine(context);
      for (let step = 0; step < 20; step++) {
        const [packet, port] = [universePacket(random), 1 + random.below(3)];
        const question = { packet: { frame: hexOf(packet), port: `${port}` } };
        const told = trace(question, context, NO_NUMBERS, machine.rig.handler);
        const where = `packet ${hexOf(packet)} at port ${port}\n${lines.join('\n')}`;
        checkTranslation(told, context, packet, port, machine.rig, where);
        const real = machine.take(port, packet);
        if (told.verdict.unfollowed > 0 || told.rounds.length > ROUNDS_LIKELY) continue;
        if (lines.some((line) => line.includes('sample(')) || BEYOND.has(real.reason ?? '')) continue;
        assert.deepEqual(
          told.verdict.sent.map((sent) => `${sent.port.slice(1)} ${sent.length}`).sort(),
          real.sent.map((sent) => `${sent.split(' ')[0]} ${(sent.split(' ')[1] ?? '').length / 2}`).sort(),
          where,
        );
        // Of several rounds each has copies, and a reason, of its own.
        const isOne = told.rounds.length <= 1 && !told.verdict.held;
        if (isOne && real.sent.length + real.punts.length === 0) {
          assert.equal(told.verdict.dropped, real.reason, where);
        }
        compared++;
      }
      machine.clear();
      machine.rig.checkFates();
    }
    assert.ok(compared > 100, `only ${compared}`);
  }),
);

function checkTranslation(
  { rounds }: TraceReply,
  context: ReturnType<typeof contextOf>,
  packet: Uint8Array,
  port: number,
  rig: Rig,
  where: string,
): void {
  const frame = TrialFrame.take(rig.handler, packet, port, false)!;
  const key = frame.parse();
  frame.give();
  if (typeof key === 'number') return assert.equal(rounds.length, 0, where);
  const { mask, program, rules } = translate(key, context);
  const { ports } = context;
  const [first] = rounds;
  assert.equal(first!.megaflow.match, formatMatch(key, mask, ports), where);
  assert.equal(first!.megaflow.actions, formatActions(key, program, ports), where);
  assert.deepEqual(
    tablesIn(first!.steps),
    rules.map(({ table }) => table),
    where,
  );
  const recorder = new TraceRecorder(context.tables, ports);
  assert.deepEqual(translate(key, context, recorder).program, program);
  assert.deepEqual(
    recorder.lookUps.flatMap(({ rule }) => rule ?? []),
    rules,
  );
}

test('a frame made for a packet in flow syntax is read as that packet', () => {
  const rig = new Rig();
  fc.assert(
    fc.property(packetAndKin(0), ({ packet }) => {
      const { key, icmpId } = parsePacket(packet, NO_NUMBERS);
      const frame = TrialFrame.take(rig.handler, composeFrame(key, icmpId), wordsOf(key)[0]! & 0xffff, true)!;
      const parsed = frame.parse();
      frame.give();
      assert.notEqual(parsed, PARSED);
      assert.deepEqual(parsed, key, packet);
    }),
  );
});

const FIREWALL = `
  table=0,priority=10,ip,actions=ct(table=1,zone=1,nat)
  table=0,priority=0,actions=FLOOD
  table=1,priority=30,ct_state=+inv+trk,actions=drop
  table=1,priority=20,ct_state=+est+trk,actions=resubmit(,2)
  table=1,priority=20,ct_state=+rel+trk,actions=resubmit(,2)
  table=1,priority=10,ct_state=+new+trk,in_port=1,ip,actions=ct(commit,zone=1,nat(src=192.0.2.1-192.0.2.2),table=2)
  table=1,priority=10,ct_state=+new+trk,in_port=2,tcp,tp_dst=8080,actions=ct(commit,zone=1,nat(dst=10.0.0.1:80),exec(set_field:7->ct_mark),table=2)
  table=1,priority=5,ct_state=+new+trk,in_port=3,ip,actions=ct(commit,force,zone=1),ct(zone=2,table=2)
  table=2,priority=20,in_port=1,ip,nw_dst=10.0.0.2,actions=ct(zone=2,commit,table=3)
  table=2,priority=10,ip,nw_dst=10.0.0.1,actions=output:1
  table=2,priority=5,ct_mark=7,actions=output:3
  table=2,priority=0,actions=output:2
  table=3,actions=output:2,output:3
`;

/** A packet of few hosts, so that connections meet. */
function randomPacket(random: Random, outside: readonly string[]): { port: number; packet: Uint8Array } {
  const port = 1 + random.below(3);
  const inside = pick(random, ['10.0.0.1', '10.0.0.3']);
  const far = pick(random, ['10.0.0.2', '198.51.100.9']);
  const [src, dst] = port === 1 ? [inside, far] : [far, pick(random, [inside, ...outside])];
  const [near, there] = [pick(random, [1000, 1001]), pick(random, [80, 8080])];
  const ends = port === 1 ? { src: near, dst: there } : { src: there, dst: pick(random, [near, 8080]) };
  const flags = pick(random, [SYN, SYN, SYN | ACK, ACK, ACK, ACK, FIN | ACK, RST, SYN | FIN]);
  const transport = pick(random, [
    tcp({ ...ends, flags, seq: pick(random, [1, 2, 100_000]), ack: flags & ACK ? pick(random, [1, 2]) : 0 }),
    udp(ends),
    icmp({ type: port === 1 ? 8 : 0, rest: 7 << 16 }),
  ]);
  const quoted = ipv4({ src: dst, dst: src }, udp({ src: ends.dst, dst: ends.src })).bytes;
  const error = icmp({ type: 3, code: 1, rest: 0 }, quoted);
  return { port, packet: ethernet({}, ipv4({ src, dst }, chance(random, 0.1) ? error : transport)) };
}

function allConnections(small: SmallSwitch): ConnectionRow[] {
  const rows: ConnectionRow[] = [];
  for (let from: number | undefined = 0; from !== undefined; ) {
    const slice = small.request({ command: 'connections', filter: [], from }) as ConnectionSlice;
    rows.push(...connectionRows(slice.records, slice.nowMs));
    from = slice.next;
  }
  return rows;
}

function snapshot(small: SmallSwitch): unknown {
  const { rig } = small;
  return {
    connections: allConnections(small),
    flows: small.request({ command: 'flows' }),
    megaflows: small.request({ command: 'megaflows', from: 0 }),
    macs: small.request({ command: 'macs', from: 0 }),
    totals: rig.observer.totals(),
  };
}

test(
  'through a firewall with translation, each packet goes as was traced, and traces change nothing',
  seeded((random) => {
    const small = new SmallSwitch(FIREWALL);
    const outside = ['192.0.2.1', '192.0.2.2', '203.0.113.1'];
    const outcomes = new Map<string, number>();
    for (let step = 0; step < 300; step++) {
      small.advance(random.below(4));
      const { port, packet } = randomPacket(random, outside);
      const before = snapshot(small);
      const question = { packet: { frame: hexOf(packet), port: `p${port}` } };
      const told = small.request({ command: 'trace', question }) as TraceReply;
      assert.deepEqual(snapshot(small), before);
      const sent = small.forward(port, packet);
      const where = `step ${step}: ${hexOf(packet)} at port ${port}`;
      assert.deepEqual(
        told.verdict.sent.map(sentBy).sort(),
        sent.map(sentAs(small, port, packet)).sort(),
        where,
      );
      for (const outcome of told.rounds.flatMap(({ steps }) => outcomesIn(steps))) {
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    }
    for (const outcome of ['invalid', 'new', 'made', 'found']) {
      assert.ok((outcomes.get(outcome) ?? 0) > 8, `only ${outcomes.get(outcome)} were ${outcome}`);
    }
  }),
);

const sentBy = ({ port, changed }: { port: string; changed: string }): string => `${port} ${changed}`;

const sentAs =
  ({ rig }: SmallSwitch, port: number, packet: Uint8Array) =>
  (sent: { port: number; bytes: Uint8Array }): string => {
    const [before, after] = [packet, sent.bytes].map((bytes) => {
      const frame = TrialFrame.take(rig.handler, bytes, port, false)!;
      const key = frame.parse() as Uint8Array;
      frame.give();
      return wordsOf(key);
    }) as [Uint32Array, Uint32Array];
    return `p${sent.port} ${changesBetween(before, after, new Map())}`;
  };

function outcomesIn(steps: readonly TraceStep[]): string[] {
  return steps.flatMap((step) => [
    ...(step.kind === 'connection' ? [step.outcome] : []),
    ...('steps' in step ? outcomesIn(step.steps) : []),
  ]);
}
