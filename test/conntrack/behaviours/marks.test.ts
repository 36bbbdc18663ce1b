/** Marks and labels are the connection's: set by one packet, matched by another, and kept zone by zone. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { A, B, ends, http, packet } from './talk.ts';
import { twice } from './tracker.ts';

const C = '10.1.1.3';
const WAY = ends(A, 1000, B, 80);
const PAGE = http(WAY);
const line = (rest: string): string =>
  `tcp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=1000,dport=80),reply=(src=10.1.1.2,dst=10.1.1.1,sport=80,dport=1000)${rest}`;
const DONE = ',protoinfo=(state=TIME_WAIT)';

const flowsOf = (exec: string, match: string, before = ''): string => `priority=1,actions=drop
  priority=100,in_port=1,tcp,actions=${before}ct(commit,exec(${exec})),2
  priority=100,in_port=2,ct_state=-trk,tcp,actions=ct(table=0)
  priority=100,in_port=2,ct_state=+trk,${match},tcp,actions=1`;

for (const [field, lets, other, shown] of [
  ['ct_mark', 1, 2, ['mark=1', 'mark=2']],
  [
    'ct_label',
    '0xa000d000005000001',
    '0xa000d000005000002',
    ['labels=0xa000d000005000001', 'labels=0xa000d000005000002'],
  ],
] as const) {
  test(`answers pass by the ${field} that their question set`, () => {
    const flows = `priority=1,actions=drop
      priority=100,in_port=1,tcp,actions=ct(commit,exec(set_field:${lets}->${field})),2
      priority=100,in_port=3,tcp,actions=ct(commit,exec(set_field:${other}->${field})),2
      priority=100,in_port=2,ct_state=-trk,tcp,actions=ct(table=1)
      table=1,ct_state=+trk,${field}=${lets},tcp,nw_dst=${A},actions=1
      table=1,ct_state=+trk,${field}=${lets},tcp,nw_dst=${C},actions=3`;
    twice(flows, (tracker) => {
      tracker.understand(PAGE);
      const refused = http(ends(C, 1000, B, 80), undefined, { client: 3, server: 2 });
      assert.equal(tracker.talk(refused), 1);
      assert.deepEqual(tracker.lines(), [
        line(`,${shown[0]}${DONE}`),
        line(`,${shown[1]},protoinfo=(state=ESTABLISHED)`).replaceAll(A, C),
      ]);
    });
  });
}

test('a register becomes the mark', () => {
  const flows = flowsOf('move:NXM_NX_REG0[]->NXM_NX_CT_MARK[]', 'ct_mark=7', 'load:7->NXM_NX_REG0[],');
  twice(flows, (tracker) => {
    tracker.understand(PAGE);
    assert.deepEqual(tracker.lines(), [line(`,mark=7${DONE}`)]);
  });
});

for (const [field, first, second, both, shown] of [
  ['ct_mark', ['0x5/0x5', '0x5'], '0x2/0x6', '3', 'mark=3'],
  ['ct_label', ['0x5/0x5', '0x5'], '0x200000000/0x200000004', '0x200000001', 'labels=0x200000001'],
] as const) {
  test(`one side sets some bits of ${field}, the other clears and sets others`, () => {
    const flows = `priority=1,actions=drop
      priority=100,in_port=1,ct_state=-trk,tcp,actions=ct(table=1)
      priority=100,in_port=2,ct_state=-trk,tcp,actions=ct(table=1)
      table=1,in_port=1,ct_state=+new,tcp,actions=ct(commit,exec(set_field:${first[0]}->${field})),2
      table=1,in_port=1,ct_state=-new,tcp,actions=2
      table=1,priority=2,in_port=2,ct_state=+trk,${field}=${first[1]},tcp,actions=ct(commit,exec(set_field:${second}->${field})),1
      table=1,priority=1,cookie=1,in_port=2,ct_state=+trk,${field}=${both},tcp,actions=1`;
    twice(flows, (tracker) => {
      tracker.understand(PAGE);
      assert.equal(tracker.counted(1), PAGE.filter(({ from }) => from === 2).length - 1);
      assert.deepEqual(tracker.lines(), [line(`,${shown}${DONE}`)]);
    });
  });
}

test('mark and label are those of the zone in which they were set', () => {
  const set = 'exec(set_field:3->ct_mark,set_field:0x1000000000000000000000007->ct_label)';
  const flows = `priority=100,in_port=1,tcp,actions=ct(commit,zone=1,${set}),ct(commit,zone=2),2
    priority=100,in_port=2,ct_state=-trk,tcp,actions=ct(table=1,zone=1)
    table=1,in_port=2,ct_state=+trk+est,ct_mark=3,ct_label=0x1000000000000000000000007,tcp,actions=ct(table=2,zone=2)
    table=2,in_port=2,ct_state=+trk+est,ct_zone=2,ct_mark=0,ct_label=0,tcp,actions=1`;
  twice(flows, (tracker) => {
    tracker.understand(PAGE);
    assert.deepEqual(tracker.lines(), [
      line(`,zone=1,mark=3,labels=0x1000000000000000000000007${DONE}`),
      line(`,zone=2${DONE}`),
    ]);
  });
});

test('what belongs to no connection has no mark to set', () => {
  const flows = `ip,actions=ct(commit,table=1,exec(set_field:1->ct_mark))
    table=1,ct_state=+trk,actions=controller`;
  twice(flows, (tracker) => {
    tracker.send(1, packet(A, B, { protocol: 1, bytes: Uint8Array.of(0, 0, 0xff, 0xff, 0, 0, 0, 0) }));
    assert.deepEqual(tracker.packetIns(), ['p1 ct_state(inv|trk)']);
  });
});
