/** Connections that packets have made are removed by what is said of them, and no others. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { A, association, B, ends, pings, reversed, udpPacket } from './talk.ts';
import { Tracker } from './tracker.ts';

const FLOWS = `
  in_port=1,udp,tp_src=1,actions=ct(commit,exec(set_field:0xaa->ct_mark)),2
  in_port=2,udp,tp_src=1,actions=ct(commit,zone=5,exec(set_field:0xaa00000000->ct_label)),1
  in_port=1,icmp,actions=ct(commit,zone=5),2
  in_port=1,sctp,actions=ct(commit),2`;

// In the order in which they are listed.
const ALL = [
  'icmp,orig=(src=10.1.1.1,dst=10.1.1.2,id=9,type=8,code=0),reply=(src=10.1.1.2,dst=10.1.1.1,id=9,type=0,code=0),zone=5',
  'sctp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=54969,dport=12345),reply=(src=10.1.1.2,dst=10.1.1.1,sport=12345,dport=54969)',
  'udp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=1,dport=2),reply=(src=10.1.1.2,dst=10.1.1.1,sport=2,dport=1),mark=170',
  'udp,orig=(src=10.1.1.2,dst=10.1.1.1,sport=1,dport=2),reply=(src=10.1.1.1,dst=10.1.1.2,sport=2,dport=1),zone=5,labels=0xaa00000000',
] as const;
const [ICMP, SCTP, MARKED, LABELLED] = ALL;

function filled(tracker: Tracker): void {
  const way = ends(A, 1, B, 2);
  tracker.send(1, udpPacket(way));
  tracker.send(2, udpPacket(ends(B, 1, A, 2)));
  tracker.send(1, pings(ends(A, 9, B, 9))[0]!.sent);
  tracker.send(1, association(ends(A, 54969, B, 12345))[0]!.sent);
  assert.deepEqual(tracker.lines(), ALL);
}

const FLUSHED: readonly [filter: string[], flushed: readonly string[]][] = [
  [[], ALL],
  [['zone=5'], [ICMP, LABELLED]],
  [['zone=0'], [SCTP, MARKED]],
  [['zone=7'], []],
  [['ct_nw_src=10.1.1.1,ct_nw_dst=10.1.1.2,ct_nw_proto=17,ct_tp_src=1,ct_tp_dst=2'], [MARKED]],
  [['zone=5', 'ct_nw_src=10.1.1.2,ct_nw_dst=10.1.1.1,ct_nw_proto=17,ct_tp_src=1,ct_tp_dst=2'], [LABELLED]],
  [['zone=5', 'ct_nw_src=10.1.1.1,ct_nw_dst=10.1.1.2,ct_nw_proto=17,ct_tp_src=1,ct_tp_dst=2'], []],
  [['ct_nw_src=10.1.1.1,ct_nw_dst=10.1.1.2,ct_nw_proto=1,icmp_id=9,icmp_type=8,icmp_code=0'], [ICMP]],
  [['ct_nw_proto=1,icmp_id=10'], []],
  [['ct_nw_proto=132,ct_tp_src=54969,ct_tp_dst=12345'], [SCTP]],
  [['ct_nw_proto=17,ct_tp_src=1'], [MARKED, LABELLED]],
  [['ct_nw_proto=17,ct_tp_dst=2'], [MARKED, LABELLED]],
  [['ct_nw_src=10.1.1.1'], [ICMP, SCTP, MARKED]],
  [['ct_nw_dst=10.1.1.1'], [LABELLED]],
  [
    ['', 'ct_nw_src=10.1.1.2'],
    [ICMP, SCTP, MARKED],
  ],
  [['', 'ct_nw_src=10.1.1.1,ct_nw_proto=17,ct_tp_src=2'], [LABELLED]],
  [['ct_nw_src=10.1.1.1', 'ct_nw_src=10.1.1.1'], []],
  [['mark=170'], [MARKED]],
  [['mark=2/2'], [MARKED]],
  [['mark=4/4'], []],
  [['labels=0xaa00000000'], [LABELLED]],
  [['labels=0x0200000000/0x0200000000'], [LABELLED]],
  [['labels=0x0400000000/0x0400000000'], []],
  [['mark=170', 'zone=5'], []],
];

for (const [filter, flushed] of FLUSHED) {
  test(`flushed by "${filter.join(' ')}": ${flushed.length} of ${ALL.length}`, () => {
    const tracker = new Tracker(FLOWS);
    filled(tracker);
    assert.equal(tracker.flush(...filter), flushed.length);
    assert.deepEqual(
      tracker.lines(),
      ALL.filter((line) => !flushed.includes(line)),
    );
    tracker.flush();
    filled(tracker);
  });
}

test('many connections of one port go at once', () => {
  const tracker = new Tracker(`udp,actions=ct(commit),2`);
  for (let port = 1; port <= 20; port++) tracker.send(1, udpPacket(ends(A, 1, B, port)));
  tracker.send(1, udpPacket(ends(A, 2, B, 1)));
  assert.equal(tracker.lines().length, 21);
  assert.equal(tracker.flush('ct_nw_proto=17,ct_tp_src=1'), 20);
  assert.deepEqual(tracker.lines(), [
    'udp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=2,dport=1),reply=(src=10.1.1.2,dst=10.1.1.1,sport=1,dport=2)',
  ]);
});

test('a packet of a flushed connection begins another one', () => {
  const tracker = new Tracker(`ip,actions=ct(commit,table=1)\ntable=1,ip,ct_state=+trk,actions=controller`);
  const way = ends(A, 1, B, 2);
  for (const packet of [udpPacket(way), udpPacket(reversed(way))]) tracker.send(1, packet);
  tracker.flush('zone=0');
  tracker.send(1, udpPacket(reversed(way)));
  const states = tracker.packetIns().map((text) => /ct_state\((.*?)\)/.exec(text)![1]);
  assert.deepEqual(states, ['new|trk', 'est|rpl|trk', 'new|trk']);
});
