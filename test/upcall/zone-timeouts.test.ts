/** Timeouts of zones as the handler sets and lists them, and how long connections then last. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { TimeoutRow } from '../../src/model.ts';
import { ethernet, icmp, ipv4, udp } from '../support/packets.ts';
import { SmallSwitch } from './small-switch.ts';

const change = (small: SmallSwitch, action: 'set' | 'del', text: string) =>
  small.request({ command: 'changeZones', setting: 'timeouts', action, text });

const list = (small: SmallSwitch) => small.request({ command: 'timeouts' }) as TimeoutRow[];

/** As it comes round again its connection is known. */
const FLOWS = `in_port=1,ip,ct_state=-trk,actions=ct(table=0,zone=5)
  in_port=2,ip,ct_state=-trk,actions=ct(commit,zone=6),3
  ip,ct_state=+trk+new,actions=ct(commit,zone=5),3
  ip,ct_state=+trk+est,actions=3`;

const PACKETS = [ethernet({}, ipv4({}, udp({}))), ethernet({}, ipv4({}, icmp()))];
const send = (small: SmallSwitch, port = 1): void => {
  for (const packet of PACKETS) assert.deepEqual(small.send(port, packet), [3]);
};

/** How many connections are left after some time. */
function left(small: SmallSwitch, seconds: number, zone = 5): number {
  small.advance(seconds);
  return small.connections(`zone=${zone}`).length;
}

const SHORT = 'zone=5,udp_first=1,udp_single=1,icmp_first=1,icmp_reply=1';

test('at first the timeouts are Open vSwitch’s', () => {
  assert.deepEqual(list(new SmallSwitch('')), [
    {
      zone: 'default',
      seconds: {
        tcpSynSent: 30,
        tcpSynRecv: 30,
        tcpEstablished: 86_400,
        tcpFinWait: 900,
        tcpTimeWait: 45,
        tcpClose: 30,
        udpFirst: 60,
        udpSingle: 60,
        udpMultiple: 30,
        icmpFirst: 60,
        icmpReply: 30,
      },
    },
  ]);
});

test('timeouts that are set are listed until they are deleted', () => {
  const small = new SmallSwitch('');
  assert.deepEqual(change(small, 'set', 'zone=5,udp_first=1,udp_single=2 zone=7,icmp_reply=4294967'), [
    '3 timeouts set',
  ]);
  assert.deepEqual(change(small, 'set', 'zone=5,udp_single=3'), ['1 timeout set']);
  assert.deepEqual(list(small).slice(1), [
    { zone: 5, seconds: { udpFirst: 1, udpSingle: 3 } },
    { zone: 7, seconds: { icmpReply: 4_294_967 } },
  ]);
  assert.deepEqual(change(small, 'del', 'zone=5,5,6'), ['2 timeouts deleted']);
  assert.throws(() => change(small, 'set', 'zone=7,udp_first=1,zone=8'), { name: 'FlowError' });
  assert.deepEqual(list(small).slice(1), [{ zone: 7, seconds: { icmpReply: 4_294_967 } }]);
});

test('a zone’s connections last as long as its timeouts say, and the default ones when they are deleted', () => {
  const small = new SmallSwitch(FLOWS);
  send(small);
  assert.equal(left(small, 4), 2);
  small.request({ command: 'flush', filter: [], from: 0 });

  change(small, 'set', SHORT);
  for (let time = 0; time < 2; time++) {
    send(small);
    send(small, 2);
    assert.deepEqual([left(small, 0), left(small, 6), left(small, 0, 6)], [2, 0, 2]);
  }
  change(small, 'del', 'zone=5');
  send(small);
  assert.deepEqual([left(small, 6), left(small, 60)], [2, 0]);
});

test('a timeout that changes holds for a connection from its next packet on', () => {
  const small = new SmallSwitch(FLOWS);
  send(small);
  change(small, 'set', SHORT);
  assert.equal(left(small, 6), 2, 'no packet came');
  send(small);
  assert.equal(left(small, 0.5), 2);
  change(small, 'set', SHORT.replaceAll('=1', '=8'));
  send(small);
  assert.equal(left(small, 6), 2);
  change(small, 'del', 'zone=5');
  send(small);
  assert.equal(left(small, 20), 2);
});

test('any 255 zones have timeouts of their own at a time', () => {
  const small = new SmallSwitch('');
  const zones = Array.from({ length: 255 }, (_, i) => i * 257);
  for (const zone of zones) change(small, 'set', `zone=${zone},udp_first=${zone + 1}`);
  const listed = () =>
    list(small)
      .slice(1)
      .map(({ zone, seconds }) => [zone, seconds.udpFirst]);
  const all = zones.map((zone) => [zone, zone + 1]);
  assert.deepEqual(listed(), all);
  assert.throws(() => change(small, 'set', 'zone=257,udp_first=1 zone=1,udp_first=1'), {
    message: 'found 256 zones with timeouts of their own, expected at most 255',
  });
  assert.deepEqual(listed(), all);
  change(small, 'del', 'zone=257');
  change(small, 'set', 'zone=1,udp_first=2');
  assert.deepEqual(listed(), [[0, 1], [1, 2], ...all.slice(2)]);
});
