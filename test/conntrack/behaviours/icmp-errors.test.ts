/** ICMP errors belong to the connection whose packet they quote, and are translated back inside and out. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { icmp, icmp6 } from '../../support/packets.ts';
import { A, B, type Ends, ends, packet, reversed, udpPacket } from './talk.ts';
import { only, twice } from './tracker.ts';

const ETHERNET = 14;
const ROUTER = '172.16.0.3';
const PAYLOAD = Uint8Array.of(1, 2, 3, 4, 5);

/** Destination unreachable about a packet: no such port. */
const unreachable = (from: string, to: string, quoted: Uint8Array): Uint8Array =>
  packet(
    from,
    to,
    from.includes(':')
      ? icmp6({ type: 1, code: 4, rest: 0 }, quoted.subarray(ETHERNET))
      : icmp({ type: 3, code: 3, rest: 0 }, quoted.subarray(ETHERNET)),
  );

/** Fragmentation needed (RFC 1191). */
const tooBig = (from: string, to: string, quoted: Uint8Array): Uint8Array =>
  packet(from, to, icmp({ type: 3, code: 4, rest: 1400 }, quoted.subarray(ETHERNET)));

test('an error passes by the mark of the connection that it is about', () => {
  const flows = `cookie=1,in_port=1,udp,actions=ct(commit,exec(set_field:1->ct_mark)),2
    cookie=2,in_port=2,icmp,ct_state=-trk,actions=ct(table=0)
    cookie=3,in_port=2,icmp,ct_state=+trk+rel,ct_mark=1,actions=1`;
  const question = udpPacket(ends(A, 1000, B, 10_000), PAYLOAD);
  twice(flows, (tracker) => {
    assert.deepEqual(tracker.send(1, question), [2]);
    const error = unreachable(B, A, question);
    assert.deepEqual(only(tracker.forward(2, error), 1), error);
    assert.deepEqual(
      [1, 2, 3].map((cookie) => tracker.counted(cookie)),
      [1, 1, 1],
    );
    assert.deepEqual(tracker.lines(), [
      'udp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=1000,dport=10000),reply=(src=10.1.1.2,dst=10.1.1.1,sport=10000,dport=1000),mark=1',
    ]);
  });
});

test('a commit of an error marks the connection that it is about', () => {
  const flows = `in_port=1,udp,actions=ct(commit,exec(set_field:1->ct_mark)),2
    in_port=2,icmp,actions=ct(commit,table=1,exec(set_field:2/2->ct_mark,set_field:8->ct_label))
    table=1,icmp,ct_state=+trk+rel,ct_mark=3,ct_label=8,actions=1`;
  const question = udpPacket(ends(A, 1000, B, 10_000), PAYLOAD);
  twice(flows, (tracker) => {
    assert.deepEqual(tracker.send(1, question), [2]);
    assert.deepEqual(tracker.send(2, unreachable(B, A, question)), [1]);
    assert.deepEqual(tracker.lines(), [
      'udp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=1000,dport=10000),reply=(src=10.1.1.2,dst=10.1.1.1,sport=10000,dport=1000),mark=3,labels=0x8',
    ]);
  });
});

test('an error about an answer goes in the direction of the question', () => {
  const flows = `udp,actions=ct(commit,zone=34673)
    icmp,actions=ct(table=1,zone=34673)
    table=1,cookie=1,icmp,ct_state=+trk+rel-rpl,actions=2
    table=1,cookie=2,icmp,ct_state=+trk+rel+rpl,actions=1`;
  const crossing = ends('10.0.0.1', 53, '10.0.0.2', 53);
  const answer = udpPacket(reversed(crossing));
  twice(flows, (tracker) => {
    tracker.send(1, udpPacket(crossing));
    tracker.send(2, answer);
    const error = unreachable(crossing.client.address, crossing.server.address, answer);
    for (let i = 0; i < 2; i++) assert.deepEqual(tracker.send(1, error), [2]);
    assert.deepEqual([tracker.counted(1), tracker.counted(2)], [2, 0]);
    assert.equal(tracker.lines().length, 1);
  });
});

test('an error without a connection is invalid; with one it may come from anywhere on the way', () => {
  const flows = `udp,actions=ct(commit,table=1)
    icmp,actions=ct(table=1)
    table=1,ip,ct_state=+trk,actions=controller`;
  const question = udpPacket(ends('172.16.0.1', 41, '172.16.0.2', 42));
  const error = unreachable(ROUTER, '172.16.0.1', question);
  const tuple = 'ct_tuple4(src=172.16.0.1,dst=172.16.0.2,proto=17,tp_src=41,tp_dst=42)';
  twice(flows, (tracker) => {
    tracker.send(2, error);
    tracker.send(1, question);
    tracker.send(2, error);
    assert.deepEqual(tracker.packetIns(), [
      'p2 ct_state(inv|trk)',
      `p1 ct_state(new|trk) ${tuple}`,
      `p2 ct_state(rel|rpl|trk) ${tuple}`,
    ]);
    assert.equal(tracker.lines().length, 1);
  });
});

for (const { family, inside, outside, ip, icmp, target } of [
  {
    family: 'IPv4',
    inside: ends(A, 1000, '10.1.1.240', 80),
    outside: ends(A, 1000, B, 8080),
    ip: 'ip',
    icmp: 'icmp',
    target: `${B}:8080`,
  },
  {
    family: 'IPv6',
    inside: ends('fc00::1', 1000, 'fc00::240', 80),
    outside: ends('fc00::1', 1000, 'fc00::2', 8080),
    ip: 'ip6',
    icmp: 'icmp6',
    target: '[fc00::2]:8080',
  },
]) {
  test(`an error about a packet to a translated port names what its sender sent it to: ${family}`, () => {
    const flows = `in_port=1,${ip},actions=ct(commit,nat(dst=${target})),2
      in_port=2,${icmp},actions=ct(table=1,nat)
      table=1,cookie=1,${icmp},ct_state=+trk+rel+rpl,actions=1`;
    twice(flows, (tracker) => {
      const [sent, arrives] = [udpPacket(inside, PAYLOAD), udpPacket(outside, PAYLOAD)];
      assert.deepEqual(only(tracker.forward(1, sent), 2), arrives);
      const error = unreachable(outside.server.address, outside.client.address, arrives);
      const translated = unreachable(inside.server.address, inside.client.address, sent);
      assert.deepEqual(only(tracker.forward(2, error), 1), translated);
      assert.equal(tracker.counted(1), 1);
    });
  });
}

test('an error from the server names the client as it names itself', () => {
  const flows = `in_port=1,udp,actions=ct(commit,nat(src=10.1.1.240-10.1.1.255),exec(set_field:1->ct_mark)),2
    in_port=2,icmp,ct_state=-trk,actions=ct(table=0,nat)
    cookie=1,in_port=2,icmp,nw_dst=${A},ct_state=+trk+rel,ct_mark=1,actions=1`;
  const sent = udpPacket(ends(A, 1000, B, 10_000), PAYLOAD);
  twice(flows, (tracker) => {
    const arrived = only(tracker.forward(1, sent), 2);
    const outside = [...arrived.subarray(26, 30)].join('.');
    const error = unreachable(B, outside, arrived);
    assert.deepEqual(only(tracker.forward(2, error), 1), unreachable(B, A, sent));
    assert.equal(tracker.counted(1), 1);
    assert.deepEqual(tracker.lines(), [
      `udp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=1000,dport=10000),reply=(src=10.1.1.2,dst=${outside},sport=10000,dport=1000),mark=1`,
    ]);
  });
});

test('errors of routers on the way are translated in both directions', () => {
  const outside = '10.1.1.240';
  const flows = `in_port=1,ip,actions=ct(table=1,zone=42,nat)
    in_port=2,ip,actions=ct(table=2,zone=42,nat)
    table=1,in_port=1,udp,ct_state=+trk+new,actions=ct(commit,zone=42,nat(src=${outside})),2
    table=1,cookie=1,in_port=1,icmp,ct_state=+trk+rel-rpl+snat,actions=2
    table=2,in_port=2,udp,ct_state=+trk+est+rpl,actions=1
    table=2,cookie=2,in_port=2,icmp,ct_state=+trk+rel+rpl+dnat,actions=1`;
  const inner: Ends = ends(A, 1000, B, 10_000);
  const outer: Ends = ends(outside, 1000, B, 10_000);
  const [sent, arrived] = [udpPacket(inner, PAYLOAD), udpPacket(outer, PAYLOAD)];
  const [answer, answered] = [udpPacket(reversed(outer)), udpPacket(reversed(inner))];
  twice(flows, (tracker) => {
    assert.deepEqual(only(tracker.forward(1, sent), 2), arrived);
    assert.deepEqual(only(tracker.forward(2, answer), 1), answered);
    // A router outside shows as itself, one inside as what the inside is known as.
    assert.deepEqual(only(tracker.forward(2, tooBig(ROUTER, outside, arrived)), 1), tooBig(ROUTER, A, sent));
    assert.deepEqual(
      only(tracker.forward(1, tooBig('192.168.9.1', B, answered)), 2),
      tooBig(outside, B, answer),
    );
    assert.deepEqual([tracker.counted(1), tracker.counted(2)], [1, 1]);
    assert.equal(tracker.lines('zone=42').length, 1);
  });
});

test('an error that goes through translation twice is translated once', () => {
  const flows = `in_port=1,udp,actions=ct(commit,nat(src=10.1.1.240)),2
    in_port=2,icmp,actions=ct(nat,table=1)
    table=1,icmp,ct_state=+rel+rpl+dnat,actions=ct(nat,table=2)
    table=2,cookie=2,icmp,ct_state=+rel+rpl+dnat,actions=1`;
  const sent = udpPacket(ends(A, 1000, B, 10_000), PAYLOAD);
  twice(flows, (tracker) => {
    const arrived = only(tracker.forward(1, sent), 2);
    const error = unreachable(ROUTER, '10.1.1.240', arrived);
    assert.deepEqual(only(tracker.forward(2, error), 1), unreachable(ROUTER, A, sent));
    assert.equal(tracker.counted(2), 1);
  });
});

test('an error ends no connection, not even by force', () => {
  const flows = `in_port=1,udp,actions=ct(commit),2
    in_port=2,icmp,actions=ct(commit,force,table=1)
    table=1,icmp,ct_state=+rel+rpl,actions=1`;
  const question = udpPacket(ends(A, 1000, B, 10_000));
  twice(flows, (tracker) => {
    tracker.send(1, question);
    assert.deepEqual(tracker.send(2, unreachable(B, A, question)), [1]);
    assert.equal(tracker.lines().length, 1);
  });
});
