/** Traces of a switch that forwards: real connections, real megaflows, what it has learned. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { connectionRows } from '../../src/control/connections.ts';
import type { Trace, TraceConnection, TracePacket, TraceStep, TraceTable } from '../../src/model.ts';
import type { MegaflowSlice } from '../../src/upcall/megaflows.ts';
import type { TraceReply } from '../../src/upcall/trace.ts';
import { traceText } from '../../src/view/trace.ts';
import {
  ACK,
  ethernet,
  icmp,
  ipv4,
  labelEntry,
  mpls,
  SYN,
  type TcpFields,
  tcp,
  udp,
} from '../support/packets.ts';
import { NO_LIMITS, SmallSwitch } from './small-switch.ts';

const FIREWALL = `
  table=0,priority=10,ip,actions=ct(table=1,nat)
  table=0,priority=0,actions=NORMAL
  table=1,priority=20,ct_state=+est+trk,actions=resubmit(,2)
  table=1,priority=10,ct_state=+new+trk,ip,in_port=1,actions=ct(commit,nat(src=192.0.2.1)),resubmit(,2)
  table=1,priority=5,cookie=0x2a,ct_state=+new+trk,ip,actions=drop
  table=2,in_port=1,actions=output:2
  table=2,in_port=2,actions=output:1
`;
const [CLIENT, SERVER, OUTSIDE] = ['10.0.0.1', '10.0.0.2', '192.0.2.1'];
const syn = ethernet({}, ipv4({ src: CLIENT, dst: SERVER }, tcp({ flags: SYN, seq: 1 })));
const synAck = ethernet(
  {},
  ipv4({ src: SERVER, dst: OUTSIDE }, tcp({ src: 80, dst: 1000, flags: SYN | ACK, seq: 1, ack: 2 })),
);
const ack = ethernet({}, ipv4({ src: CLIENT, dst: SERVER }, tcp({ flags: ACK, seq: 2, ack: 2 })));

function traced(small: SmallSwitch, packet: TracePacket | string, whyNot?: string): Trace {
  const question = { packet: typeof packet === 'string' ? { flow: packet } : packet, whyNot };
  const { records, nowMs, ...found } = small.request({ command: 'trace', question }) as TraceReply;
  return { name: 'small', ...found, connections: connectionRows(records, nowMs) };
}

const frame = (port: number, bytes: Uint8Array): TracePacket => ({
  frame: Buffer.from(bytes).toString('hex'),
  port: `p${port}`,
});

const stepsOf = (steps: readonly TraceStep[]): TraceStep[] =>
  steps.flatMap((step) => [step, ...('steps' in step ? stepsOf(step.steps) : [])]);
const allSteps = ({ rounds }: Trace): TraceStep[] => rounds.flatMap(({ steps }) => stepsOf(steps));
const connectionsIn = (trace: Trace): TraceConnection[] =>
  allSteps(trace).filter((step): step is TraceConnection => step.kind === 'connection');
const tablesIn = (trace: Trace): TraceTable[] =>
  allSteps(trace).filter((step): step is TraceTable => step.kind === 'table');

function established(): SmallSwitch {
  const small = new SmallSwitch(FIREWALL);
  for (const [port, packet] of [
    [1, syn],
    [2, synAck],
    [1, ack],
  ] as const) {
    assert.equal(small.send(port, packet).length, 1);
  }
  return small;
}

test('a packet of no connection is new, and one is made of it where a flow says so', () => {
  const trace = traced(
    new SmallSwitch(FIREWALL),
    'in_port=p1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_src=1000,tp_dst=80',
  );
  assert.deepEqual(
    connectionsIn(trace).map(({ outcome, state }) => `${outcome} ${state}`),
    ['new new|trk', 'made new|trk|snat'],
  );
  const [made] = trace.connections;
  assert.deepEqual([made!.reply.dst, made!.state, made!.snat], [OUTSIDE, 'SYN_SENT', true]);
  assert.deepEqual(trace.verdict.sent, [
    { port: 'p2', up: true, length: 54, changed: 'tcp,nw_src=192.0.2.1' },
  ]);
});

test('a packet of a connection is told its state, and goes on as it is after translation', () => {
  const small = established();
  const reply = 'in_port=p2,tcp,nw_src=10.0.0.2,nw_dst=192.0.2.1,tp_src=80,tp_dst=1000';
  const trace = traced(small, reply);
  const [found] = connectionsIn(trace);
  assert.deepEqual([found!.outcome, found!.state], ['found', 'est|rpl|trk|dnat']);
  assert.deepEqual(trace.connections[0], small.connections()[0]);
  assert.match(trace.rounds[1]!.flow, /^ct_state=est\|rpl\|trk\|dnat,.*nw_dst=10\.0\.0\.1,/);
  assert.equal(trace.verdict.sent[0]!.changed, 'tcp,nw_dst=10.0.0.1');
  assert.match(traceText(trace).join('\n'), /its connection: tcp,orig=\(src=10\.0\.0\.1,.*state=ESTABLISHED/);
});

test('a frame has sequence numbers, and must fit its connection', () => {
  const small = established();
  const outcome = (seq: number) => {
    const segment = ipv4({ src: CLIENT, dst: SERVER }, tcp({ flags: ACK, seq, ack: 2 }, new Uint8Array(9)));
    return connectionsIn(traced(small, frame(1, ethernet({}, segment))))[0]!.outcome;
  };
  assert.equal(outcome(2), 'found');
  assert.equal(outcome(2_000_000_000), 'invalid');
});

test('a ping goes by its identifier', () => {
  const small = new SmallSwitch('ip,actions=ct(commit,table=1)\ntable=1,actions=FLOOD');
  small.send(1, ethernet({}, ipv4({ src: CLIENT, dst: SERVER }, icmp({ type: 8, rest: 7 << 16 }))));
  const answer = (id: number) =>
    connectionsIn(
      traced(small, `in_port=2,icmp,nw_src=${SERVER},nw_dst=${CLIENT},icmp_type=0,icmp_id=${id}`),
    )[0]!;
  assert.equal(answer(7).state, 'est|rpl|trk');
  assert.equal(answer(8).outcome, 'invalid');
});

test('a connection that another has announced is related to it', () => {
  const small = new SmallSwitch(
    'tcp,actions=ct(commit,alg=ftp,table=1)\ntable=1,in_port=1,actions=2\ntable=1,actions=1',
  );
  const segment = (fields: TcpFields, text = '') =>
    ethernet(
      {},
      ipv4({ src: CLIENT, dst: SERVER }, tcp({ dst: 21, flags: ACK, ...fields }, Buffer.from(text))),
    );
  small.send(1, segment({ flags: SYN, seq: 1 }));
  small.send(
    2,
    ethernet(
      {},
      ipv4({ src: SERVER, dst: CLIENT }, tcp({ src: 21, dst: 1000, flags: SYN | ACK, seq: 1, ack: 2 })),
    ),
  );
  const data = `in_port=2,tcp,nw_src=${SERVER},nw_dst=${CLIENT},tp_src=20,tp_dst=2049`;
  assert.equal(connectionsIn(traced(small, data))[0]!.state, 'new|trk');
  small.send(1, segment({ seq: 2, ack: 2 }, 'PORT 10,0,0,1,8,1\r\n'));
  const expected = small.request({ command: 'expectations' });
  const [found] = connectionsIn(traced(small, data));
  assert.deepEqual([found!.outcome, found!.state], ['made', 'new|rel|trk']);
  assert.deepEqual(small.request({ command: 'expectations' }), expected);
});

test('the live megaflow of each round is named', () => {
  const small = established();
  const trace = traced(small, frame(1, ack));
  const numbers = (small.request({ command: 'megaflows', from: 0 }) as MegaflowSlice).rows.map(
    ({ number, text }) => ({ number, text }),
  );
  for (const { liveMegaflow, megaflow } of trace.rounds) {
    const live = numbers.find(({ number }) => number === liveMegaflow);
    assert.equal(live?.text, `${megaflow.match}, actions:${megaflow.actions}`);
  }
  small.ask('flows', 'delete');
  small.ask('flows', 'add', 'actions=drop');
  small.advance(20);
  assert.equal(traced(small, frame(1, ack)).rounds[0]!.liveMegaflow, null);
});

test('NORMAL says where it learned the address, or that it floods', () => {
  const small = new SmallSwitch('actions=NORMAL');
  const packet = 'in_port=2,dl_src=02:00:00:00:00:02,dl_dst=02:00:00:00:00:01';
  const notes = (): string[] =>
    allSteps(traced(small, packet)).flatMap((step) => (step.kind === 'note' ? [step.text] : []));
  assert.deepEqual(notes(), ['02:00:00:00:00:01 was not learned: flooded']);
  small.send(1, ethernet({}, ipv4({}, udp())));
  assert.deepEqual(notes(), ['02:00:00:00:00:01 was learned at port p1']);
  assert.deepEqual(
    traced(small, packet).verdict.sent.map(({ port }) => port),
    ['p1'],
  );
});

test('flows that nearly match are told of, with the field that does not', () => {
  const small = new SmallSwitch(`
    priority=30,tcp,tp_dst=443,actions=1
    priority=20,udp,actions=1
    priority=10,ip,actions=2
    priority=5,tcp,tp_dst=80,actions=3`);
  const [table] = tablesIn(traced(small, 'in_port=3,tcp,tp_dst=80'));
  assert.equal(table!.flow!.match, 'ip');
  assert.deepEqual(table!.missed, [
    {
      flow: { match: 'tcp,tp_dst=443', priority: 30, cookie: '0x0' },
      differences: [{ field: 'tp_dst', packet: '80', flow: '443' }],
    },
    {
      flow: { match: 'udp', priority: 20, cookie: '0x0' },
      differences: [{ field: 'nw_proto', packet: '6', flow: '17' }],
    },
  ]);
});

test('why a flow did not apply', () => {
  const small = new SmallSwitch(`
    priority=30,tcp,tp_dst=80,actions=resubmit(,1)
    priority=20,tcp,nw_src=10.0.0.0/8,actions=1
    priority=10,dl_vlan=5,actions=1
    table=1,actions=2`);
  const packet = 'in_port=3,tcp,nw_src=11.0.0.1,tp_dst=80';
  const text = (flow: string) =>
    traceText(traced(small, packet, flow))
      .join('\n')
      .split('Why not ')[1]!
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
  assert.deepEqual(text('priority=20,tcp,nw_src=10.0.0.0/8'), [
    'it does not match: nw_src is 11.0.0.1, not 10.0.0.0/8',
  ]);
  assert.deepEqual(text('dl_vlan=5'), ['it does not match: vlan_tci is 0x0000, not 0x1005/0x1fff']);
  assert.deepEqual(text('priority=30,tcp,tp_dst=80,actions=drop'), ['it is the flow that took the packet']);
  assert.deepEqual(text('table=2,tcp'), ['table 2 has no such flow', 'the packet never came to table 2']);
  assert.deepEqual(text('priority=99,tcp'), [
    'table 0 has no such flow',
    'it would match; this one took the packet: tcp,tp_dst=80, priority 30',
  ]);
  small.ask('flows', 'add', 'priority=5,tcp,actions=3');
  assert.deepEqual(text('tcp'), [
    'it matches, but another was tried first; this one took the packet: tcp,tp_dst=80, priority 30',
  ]);
});

test('a frame behind a label is followed when the label is gone', () => {
  const small = new SmallSwitch(
    'mpls,actions=pop_mpls:0x0800,resubmit(,1)\ntable=1,ip,nw_dst=10.0.0.2,actions=2',
  );
  const inner = ipv4({ src: CLIENT, dst: SERVER }, udp()).bytes;
  const trace = traced(small, frame(1, ethernet({}, mpls([labelEntry(9, true)], inner))));
  assert.equal(trace.rounds.length, 2);
  assert.match(trace.verdict.sent[0]!.changed, /^udp,.*nw_dst=10\.0\.0\.2/);
});

test('tables that go round in a circle are told of, and the packet is dropped', () => {
  const flows = Array.from({ length: 255 }, (_, i) => `table=${i},actions=resubmit(,${(i + 1) % 255}),2`);
  const trace = traced(new SmallSwitch(flows.join('\n')), 'in_port=1,arp');
  assert.equal(trace.verdict.dropped, 'resubmit_limit');
  assert.deepEqual(trace.verdict.sent, []);
  assert.ok(tablesIn(JSON.parse(JSON.stringify(trace))).length > 4000);
  assert.ok(traceText(trace).length > 4000);
});

test('a malformed frame is dropped for its reason', () => {
  const small = new SmallSwitch('actions=2');
  const { rounds, verdict } = traced(small, frame(1, syn.subarray(0, 20)));
  assert.deepEqual([rounds.length, verdict.dropped], [0, 'ipv4_truncated']);
});

test('a fragment waits for the others', () => {
  const small = new SmallSwitch(FIREWALL, NO_LIMITS);
  const trace = traced(
    small,
    'in_port=1,udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_frag=first,tp_src=1,tp_dst=2',
  );
  assert.deepEqual([connectionsIn(trace)[0]!.outcome, trace.verdict.held], ['held', true]);
});

test('a wrong question says what is wrong, and where', () => {
  const small = new SmallSwitch(FIREWALL);
  const wrong = (packet: TracePacket | string, pattern: RegExp, whyNot?: string) =>
    assert.throws(() => traced(small, packet, whyNot), { name: 'TraceError', message: pattern });
  wrong('tcp', /^packet: .*no in_port; expected in_port=PORT/);
  wrong('in_port=p9,tcp', /^packet: line 1, column 9: no port "p9"/);
  wrong('in_port=1,ip,nw_src=10.0.0.0/8', /"nw_src" with a mask; expected one value/);
  wrong('in_port=1,reg0=5', /"reg0"; expected what a packet has that comes in/);
  wrong('in_port=1,ct_state=+est+trk,ip', /"ct_state"; expected what a packet has that comes in/);
  wrong('in_port=1,nw_sr=1', /did you mean nw_src/);
  wrong('in_port=1,tcp,icmp_id=5', /"icmp_id" without icmp/);
  wrong({ frame: '00', port: 'nobody' }, /^--port: .*no port "nobody"/);
  wrong('in_port=1', /^--why-not: .*unknown field "nonsense"/, 'nonsense=1');
});
