/** Zones keep connections apart: what was committed in one is not known in another. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { MegaflowSlice } from '../../../src/upcall/megaflows.ts';
import { A, B, ends, http } from './talk.ts';
import { Tracker, twice } from './tracker.ts';

const WAY = ends(A, 1000, B, 80);
const PAGE = http(WAY);
const line = (rest: string): string =>
  `tcp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=1000,dport=80),reply=(src=10.1.1.2,dst=10.1.1.1,sport=80,dport=1000)${rest}`;

/** Flows that commit from port 1 and let in through port 2 what `lets` says. */
const flowsOf = (commit: string, track: string, lets: string): string => `priority=1,actions=drop
  priority=100,in_port=1,tcp,actions=${commit},2
  priority=100,in_port=2,ct_state=-trk,tcp,actions=${track}
  priority=100,in_port=2,ct_state=+trk,${lets},tcp,actions=1`;

test('a connection is known in the zone that it was committed in', () => {
  twice(flowsOf('ct(commit,zone=1)', 'ct(table=0,zone=1)', 'ct_zone=1'), (tracker) => {
    tracker.understand(PAGE);
    assert.deepEqual(tracker.lines(), [line(',zone=1,protoinfo=(state=TIME_WAIT)')]);
  });
  twice(flowsOf('ct(commit,zone=2)', 'ct(table=0,zone=2)', 'ct_zone=1'), (tracker) => {
    assert.equal(tracker.talk(PAGE), 1);
    assert.deepEqual(tracker.lines(), [line(',zone=2,protoinfo=(state=ESTABLISHED)')]);
  });
  twice(flowsOf('ct(commit,zone=1)', 'ct(table=0,zone=2)', 'ct_state=+est'), (tracker) => {
    assert.equal(tracker.talk(PAGE), 1);
  });
});

test('a register says the zone', () => {
  const zoned = (zone: number) => {
    const from = `load:${zone}->NXM_NX_REG0[0..15]`;
    const commit = `${from},ct(commit,zone=NXM_NX_REG0[0..15])`;
    return flowsOf(commit, `${from},ct(table=0,zone=NXM_NX_REG0[0..15])`, 'ct_zone=0x1001');
  };
  twice(zoned(0x1001), (tracker) => {
    tracker.understand(PAGE);
    assert.deepEqual(tracker.lines('zone=4097'), [line(',zone=4097,protoinfo=(state=TIME_WAIT)')]);
  });
  twice(zoned(0x1002), (tracker) => {
    assert.equal(tracker.talk(PAGE), 1);
    assert.deepEqual(tracker.lines(), [line(',zone=4098,protoinfo=(state=ESTABLISHED)')]);
  });
});

/** The megaflows of packets that have come round. */
const roundMegaflows = (tracker: Tracker): string[] =>
  (tracker.request({ command: 'megaflows', from: 0 }) as MegaflowSlice).rows
    .map(({ text }) => text)
    .filter((text) => text.startsWith('recirc_id'));

for (const [what, first, field, counts] of [
  [
    'the zone that a packet was in',
    (zone: number) => `ct(table=1,zone=${zone})`,
    'NXM_NX_CT_ZONE[]',
    (zone: number) => `ct_zone(${zone})`,
  ],
  [
    'the label that a packet’s connection was just given',
    (zone: number) => `ct(commit,table=1,exec(load:${zone}->NXM_NX_CT_LABEL[0..15]))`,
    'NXM_NX_CT_LABEL[0..15]',
    (zone: number) => `ct_label(0x${zone.toString(16)}/0xffff)`,
  ],
] as const) {
  test(`${what} says the zone, also after the flows have changed`, () => {
    const flows = (zone: number) => `table=0,in_port=1,tcp,actions=${first(zone)}`;
    const tracker = new Tracker(
      `${flows(5)}\ntable=1,in_port=1,tcp,ct_state=+trk,actions=ct(commit,zone=${field}),2`,
    );
    for (const zone of [5, 15]) {
      tracker.ask('flows', 'modify', flows(zone));
      tracker.send(1, PAGE[0]!.sent);
      assert.equal(tracker.lines(`zone=${zone}`).length, 1);
      assert.ok(roundMegaflows(tracker).some((text) => text.includes(counts(zone))));
      tracker.flush();
    }
  });
}

test('what comes from one zone into another is tracked there anew', () => {
  const flows = `in_port=1,tcp,actions=ct(table=1,zone=1)
    in_port=2,tcp,actions=ct(table=2,zone=2)
    table=1,in_port=1,tcp,ct_state=+trk+new,actions=ct(commit,zone=1),ct(table=2,zone=2)
    table=1,in_port=1,tcp,ct_state=+trk+est,actions=ct(table=2,zone=2)
    table=2,cookie=2,in_port=1,tcp,ct_state=+trk+new,ct_zone=2,actions=ct(commit,zone=2),2
    table=2,in_port=1,tcp,ct_state=+trk+est,ct_zone=2,actions=2
    table=2,in_port=2,tcp,ct_state=+trk+est,ct_zone=2,actions=ct(table=1,zone=1)
    table=1,in_port=2,tcp,ct_state=+trk+est+rpl,ct_zone=1,actions=1`;
  twice(flows, (tracker) => {
    tracker.understand(PAGE);
    assert.equal(tracker.counted(2), 1);
    assert.deepEqual(
      tracker.lines(),
      [1, 2].map((zone) => line(`,zone=${zone},protoinfo=(state=TIME_WAIT)`)),
    );
  });
});

test('one packet makes a connection in each of two zones', () => {
  const flows = `in_port=1,tcp,actions=ct(commit,zone=1),ct(commit,zone=2),2
    in_port=2,tcp,actions=ct(table=1,zone=1)
    table=1,ct_state=+trk+est,tcp,actions=ct(table=2,zone=2)
    table=2,ct_state=+trk+est,tcp,actions=1`;
  twice(flows, (tracker) => {
    tracker.understand(PAGE);
    assert.deepEqual(
      tracker.lines(),
      [1, 2].map((zone) => line(`,zone=${zone},protoinfo=(state=TIME_WAIT)`)),
    );
  });
});
