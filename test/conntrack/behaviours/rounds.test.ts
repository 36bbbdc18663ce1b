/** Packets that come round again: what goes along with them, and which connection they are of in each round. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { icmp } from '../../support/packets.ts';
import { A, B, ends, http, packet, reversed, udpPacket } from './talk.ts';
import { twice } from './tracker.ts';

const WAY = ends(A, 1, B, 2);
const QUESTION = udpPacket(WAY);
const ANSWER = udpPacket(reversed(WAY));
const PAGE = http(ends(A, 1000, B, 80));

test('registers come along', () => {
  const flows = (
    track: string,
    commit: string,
  ) => `priority=100,ct_state=-trk,tcp,actions=load:0->reg0[],${track}
    priority=100,in_port=1,tcp,ct_state=+trk,reg0=0,actions=load:1->reg0[],${commit}
    priority=100,in_port=1,tcp,ct_state=+trk,reg0=1,actions=2
    priority=100,in_port=2,tcp,ct_state=+trk+est,reg0=0,actions=1`;
  for (const zone of ['', ',zone=9']) {
    twice(flows(`ct(table=0${zone})`, `ct(commit,table=0${zone})`), (tracker) => tracker.understand(PAGE));
  }
});

test('one action commits and goes round, and what else is known of the packet stays known', () => {
  const flows = `priority=1,actions=drop
    priority=100,in_port=1,ct_state=-trk,tcp,actions=load:5->NXM_NX_REG3[],load:6->OXM_OF_METADATA[],ct(commit,table=0)
    priority=100,in_port=1,ct_state=+trk,tcp,reg3=5,metadata=6,actions=2
    priority=100,in_port=2,ct_state=-trk,tcp,actions=ct(table=0)
    priority=100,in_port=2,ct_state=+trk+est,tcp,actions=1`;
  twice(flows, (tracker) => tracker.understand(PAGE));
});

test('a packet that is resubmitted twice goes round twice', () => {
  const flows = `in_port=1,udp,actions=resubmit(,1),resubmit(,2)
    table=1,udp,actions=ct(table=3)
    table=2,udp,actions=ct(table=3)
    table=3,cookie=3,udp,ct_state=+trk,actions=2`;
  twice(flows, (tracker) => {
    assert.deepEqual(tracker.send(1, QUESTION), [2, 2]);
    assert.equal(tracker.counted(3), 2);
  });
});

test('what goes through tracking twice is heard of once', () => {
  const flows = `in_port=1,icmp,actions=ct(commit,table=1)
    table=1,icmp,ct_state=+trk,actions=ct(table=2)
    table=2,cookie=2,icmp,ct_state=+trk+new,actions=2`;
  const echo = (sequence: number) => packet(A, B, icmp({ type: 8, rest: 0x10000 + sequence }));
  twice(flows, (tracker) => {
    for (const sequence of [1, 2]) assert.deepEqual(tracker.send(1, echo(sequence)), [2]);
    assert.equal(tracker.counted(2), 2);
    assert.equal(tracker.lines().length, 1);
  });
});

for (const [how, between] of [
  ['that is forgotten and rewritten', 'ct_clear,mod_tp_dst:9,'],
  ['that is only rewritten', 'mod_tp_dst:9,'],
] as const) {
  test(`a packet ${how} belongs to another connection`, () => {
    const flows = `in_port=1,udp,actions=ct(commit,table=1,exec(set_field:1->ct_mark))
      table=1,udp,ct_state=+trk,actions=${between}ct(commit,table=2,exec(set_field:2->ct_mark))
      table=2,udp,ct_state=+trk+new,ct_mark=2,actions=2`;
    twice(flows, (tracker) => {
      for (let i = 0; i < 2; i++) assert.deepEqual(tracker.send(1, QUESTION), [2]);
      assert.deepEqual(tracker.lines(), [
        'udp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=1,dport=2),reply=(src=10.1.1.2,dst=10.1.1.1,sport=2,dport=1),mark=1',
        'udp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=1,dport=9),reply=(src=10.1.1.2,dst=10.1.1.1,sport=9,dport=1),mark=2',
      ]);
    });
  });
}

test('two hosts reach each other by floating addresses, which are tracked on both sides of the translation', () => {
  const [floatingA, floatingB] = ['10.254.254.1', '10.254.254.2'];
  const flows = `priority=10,ip,actions=ct(table=1)
    priority=1,actions=drop
    table=1,priority=20,ip,ct_state=+trk+est,nw_dst=10.254.254.0/24,actions=resubmit(,10)
    table=1,priority=20,ip,ct_state=+trk+new,nw_dst=10.254.254.0/24,actions=ct(commit,table=10,exec(set_field:1->ct_mark))
    table=1,priority=10,ip,ct_state=+trk+est,actions=resubmit(,20)
    table=1,priority=10,ip,ct_state=+trk+new,actions=ct(commit,table=20,exec(set_field:2->ct_mark))
    table=1,priority=1,ip,ct_state=+trk+inv,actions=drop
    table=10,ip,nw_dst=${floatingA},actions=mod_nw_dst:${A},resubmit(,11)
    table=10,ip,nw_dst=${floatingB},actions=mod_nw_dst:${B},resubmit(,11)
    table=11,ip,nw_src=${A},actions=mod_nw_src:${floatingA},resubmit(,12)
    table=11,ip,nw_src=${B},actions=mod_nw_src:${floatingB},resubmit(,12)
    table=12,ip,actions=ct_clear,ct(table=1)
    table=20,ip,nw_dst=${A},actions=1
    table=20,ip,nw_dst=${B},actions=2`;
  twice(flows, (tracker) => {
    tracker.understand(http(ends(A, 1000, floatingB, 80), ends(floatingA, 1000, B, 80)));
    assert.deepEqual(tracker.lines(), [
      `tcp,orig=(src=10.1.1.1,dst=10.254.254.2,sport=1000,dport=80),reply=(src=10.254.254.2,dst=10.1.1.1,sport=80,dport=1000),mark=1,protoinfo=(state=TIME_WAIT)`,
      `tcp,orig=(src=10.254.254.1,dst=10.1.1.2,sport=1000,dport=80),reply=(src=10.1.1.2,dst=10.254.254.1,sport=80,dport=1000),mark=2,protoinfo=(state=TIME_WAIT)`,
    ]);
  });
});

test('behind ct_clear a controller is told nothing of the connection any more', () => {
  const flows = `priority=10,in_port=1,udp,actions=ct(commit),controller,ct_clear,controller
    priority=10,in_port=2,udp,actions=ct(table=1)
    table=1,priority=10,in_port=2,ct_state=+trk+est-new,udp,actions=controller,ct_clear,controller
    table=1,priority=1,actions=drop`;
  twice(flows, (tracker) => {
    tracker.send(2, ANSWER);
    tracker.send(1, QUESTION);
    tracker.send(2, ANSWER);
    assert.deepEqual(tracker.packetIns(), [
      'p1',
      'p1',
      'p2 ct_state(est|rpl|trk) ct_tuple4(src=10.1.1.1,dst=10.1.1.2,proto=17,tp_src=1,tp_dst=2)',
      'p2',
    ]);
  });
});

test('behind ct_clear a packet is tracked anew', () => {
  const flows = `in_port=1,tcp,actions=ct(commit),ct_clear,ct(table=1)
    table=1,cookie=1,tcp,ct_state=+trk+est,actions=2`;
  const [, , acknowledgement] = PAGE;
  twice(flows, (tracker) => {
    assert.deepEqual(tracker.send(1, acknowledgement!.sent), [2], 'taken for two of one connection');
  });
});

test('a copy comes to its table when the actions behind it are done', () => {
  const flows = `in_port=1,udp,actions=ct(commit,table=1),ct(commit,exec(set_field:1->ct_mark)),3
    table=1,udp,actions=ct(table=2)
    table=2,udp,ct_mark=1,actions=2`;
  twice(flows, (tracker) => assert.deepEqual(tracker.send(1, QUESTION), [2, 3]));
});
