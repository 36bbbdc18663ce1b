/** What packets are new, established, invalid, and when that changes. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  ACK,
  ethernet,
  FIN,
  ipv4,
  ipv6,
  linkOption,
  neighbour,
  PSH,
  RST,
  SYN,
  tcp,
} from '../../support/packets.ts';
import { A, B, datagrams, ends, http, packet, pings, reversed, udpPacket } from './talk.ts';
import { Tracker, twice } from './tracker.ts';

const WAY = ends(A, 1, B, 2);
const QUESTION = udpPacket(WAY);
const ANSWER = udpPacket(reversed(WAY));

const OUTBOUND_ONLY = (protocol: string) => `
  priority=1,actions=drop
  priority=100,in_port=1,${protocol},actions=ct(commit),2
  priority=100,in_port=2,ct_state=-trk,${protocol},actions=ct(table=0)
  priority=100,in_port=2,ct_state=+trk+est,${protocol},actions=1`;

test('an answer is one behind its question alone, and a controller is told the question’s addresses', () => {
  const flows = `priority=1,actions=drop
    priority=10,in_port=1,udp,actions=ct(commit),controller
    priority=10,in_port=2,ct_state=-trk,udp,actions=ct(table=0)
    priority=10,in_port=2,ct_state=+trk+est,udp,actions=controller`;
  twice(flows, (tracker) => {
    tracker.send(2, ANSWER);
    tracker.send(1, QUESTION);
    tracker.send(2, ANSWER);
    assert.deepEqual(tracker.packetIns(), [
      'p1',
      'p2 ct_state(est|rpl|trk) ct_tuple4(src=10.1.1.1,dst=10.1.1.2,proto=17,tp_src=1,tp_dst=2)',
    ]);
  });
});

test('a commit by force from the other side turns a connection round', () => {
  const flows = `priority=1,actions=drop
    priority=100,in_port=1,udp,actions=ct(commit),controller
    priority=100,in_port=2,ct_state=-trk,udp,actions=ct(table=0)
    priority=100,in_port=2,ct_state=+trk+est,udp,actions=ct(force,commit,table=1)
    table=1,in_port=2,ct_state=+trk,udp,actions=controller
    priority=100,in_port=3,udp,actions=ct(force,commit)`;
  const there =
    'udp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=1,dport=2),reply=(src=10.1.1.2,dst=10.1.1.1,sport=2,dport=1)';
  const back =
    'udp,orig=(src=10.1.1.2,dst=10.1.1.1,sport=2,dport=1),reply=(src=10.1.1.1,dst=10.1.1.2,sport=1,dport=2)';
  twice(flows, (tracker) => {
    tracker.send(2, ANSWER);
    tracker.send(1, QUESTION);
    assert.deepEqual(tracker.lines(), [there]);
    tracker.send(2, ANSWER);
    assert.deepEqual(tracker.packetIns(), [
      'p1',
      'p2 ct_state(new|trk) ct_tuple4(src=10.1.1.2,dst=10.1.1.1,proto=17,tp_src=2,tp_dst=1)',
    ]);
    assert.deepEqual(tracker.lines(), [back]);
    tracker.send(3, QUESTION);
    assert.deepEqual(tracker.lines(), [there]);
    tracker.send(3, QUESTION);
    assert.deepEqual(tracker.lines(), [there], 'from its own side force changes nothing');
  });
});

test('pings go out and are answered; none comes in', () => {
  const echoes = ends(A, 77, B, 77);
  twice(OUTBOUND_ONLY('icmp'), (tracker) => {
    tracker.understand(pings(echoes));
    assert.deepEqual(tracker.lines(), [
      'icmp,orig=(src=10.1.1.1,dst=10.1.1.2,id=77,type=8,code=0),reply=(src=10.1.1.2,dst=10.1.1.1,id=77,type=0,code=0)',
    ]);
    assert.equal(tracker.flush('icmp,ct_nw_src=10.1.1.1,ct_nw_dst=10.1.1.2,icmp_id=77,icmp_type=8'), 1);
    assert.deepEqual(tracker.lines(), []);
    for (const { sent } of pings(reversed(echoes))) assert.deepEqual(tracker.send(2, sent), []);
    assert.deepEqual(tracker.lines(), []);
  });
});

test('so do pings over IPv6, and neighbours find each other untracked', () => {
  const [one, other] = ['fc00::1', 'fc00::2'];
  const flows = `${OUTBOUND_ONLY('icmp6')}
    priority=200,icmp6,icmp_type=135,actions=NORMAL
    priority=200,icmp6,icmp_type=136,actions=NORMAL`;
  const solicitation = neighbour(135, other, linkOption(1, '02:00:00:00:00:01'));
  const advertisement = neighbour(136, one, linkOption(2, '02:00:00:00:00:02'));
  const answer = { src: '02:00:00:00:00:02', dst: '02:00:00:00:00:01' };
  twice(flows, (tracker) => {
    const [src, dst] = [one, other];
    const asked = tracker.send(1, ethernet({ dst: '33:33:ff:00:00:02' }, ipv6({ src, dst }, solicitation)));
    assert.deepEqual(asked, [2, 3]);
    assert.deepEqual(tracker.send(2, ethernet(answer, ipv6({ src: dst, dst: src }, advertisement))), [1]);
    tracker.understand(pings(ends(one, 5, other, 5)));
    assert.deepEqual(tracker.lines(), [
      'icmpv6,orig=(src=fc00::1,dst=fc00::2,id=5,type=128,code=0),reply=(src=fc00::2,dst=fc00::1,id=5,type=129,code=0)',
    ]);
    for (const { sent } of pings(ends(other, 6, one, 6))) assert.deepEqual(tracker.send(2, sent), []);
  });
});

test('an answer to a connection that nobody committed is invalid, and not new', () => {
  const allowing = (...states: string[]) => `priority=1,actions=drop
    priority=100,in_port=1,tcp,actions=ct(),2
    priority=100,in_port=2,ct_state=-trk,tcp,actions=ct(table=0)
    ${states.map((state) => `priority=100,in_port=2,ct_state=+trk${state},tcp,actions=1`).join('\n')}`;
  const page = http(ends(A, 1000, B, 80));
  twice(allowing('+new'), (tracker) => assert.equal(tracker.talk(page), 1));
  twice(allowing('+new', '+inv'), (tracker) => {
    tracker.understand(page);
    assert.deepEqual(tracker.lines(), []);
  });
});

test('what nobody answers stays new, however often it is sent', () => {
  const flows = `priority=1,actions=drop
    priority=100,ip,actions=ct(table=1)
    table=1,in_port=1,ip,ct_state=+trk+new,actions=ct(commit)
    table=1,cookie=1,in_port=1,ip,ct_state=+trk+est,actions=2`;
  twice(flows, (tracker) => {
    const [syn] = http(ends(A, 1000, B, 80));
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(tracker.send(1, syn!.sent), []);
      assert.deepEqual(tracker.send(1, QUESTION), []);
    }
    assert.equal(tracker.counted(1), 0);
  });
});

test('a protocol without ports is tracked by its addresses', () => {
  const vrrp = { protocol: 112, bytes: new Uint8Array(20).fill(7) };
  const advertisement = ethernet(
    { dst: '01:00:5e:00:00:12' },
    ipv4({ src: '192.168.0.30', dst: '224.0.0.18', ttl: 255 }, vrrp),
  );
  twice('ip,actions=ct(table=1)\ntable=1,in_port=1,ip,ct_state=+trk+new,actions=ct(commit),2', (tracker) => {
    assert.deepEqual(tracker.send(1, advertisement), [2]);
    assert.deepEqual(tracker.lines(), [
      '112,orig=(src=192.168.0.30,dst=224.0.0.18,sport=0,dport=0),reply=(src=224.0.0.18,dst=192.168.0.30,sport=0,dport=0)',
    ]);
  });
});

test('an answer that comes when the connection’s time is over is none', () => {
  const flows = `priority=10,in_port=1,udp,actions=ct(commit),2
    priority=10,in_port=2,udp,actions=ct(table=1)
    table=1,ct_state=+trk+est,udp,actions=1`;
  const tracker = new Tracker(flows);
  tracker.understand(datagrams(WAY));
  assert.deepEqual(tracker.send(2, ANSWER), [1]);
  tracker.advance(100);
  assert.deepEqual(tracker.send(2, ANSWER), []);
  assert.deepEqual(tracker.lines(), []);
  tracker.understand(datagrams(WAY));
  assert.deepEqual(tracker.send(2, ANSWER), [1]);
});

test('neighbour discovery is invalid and has no addresses of a first packet', () => {
  const flows = 'ipv6,actions=ct(commit,table=1)\ntable=1,ipv6,ct_state=+trk,actions=controller';
  twice(flows, (tracker) => {
    tracker.send(1, packet('fe80::1', 'fe80::2', neighbour(135, 'fe80::2')));
    tracker.send(1, packet('fe80::2', 'fe80::1', neighbour(136, 'fe80::2')));
    assert.deepEqual(tracker.packetIns(), ['p1 ct_state(inv|trk)', 'p1 ct_state(inv|trk)']);
    assert.deepEqual(tracker.lines(), []);
  });
});

test('when a TCP connection is over, its ports begin another one', () => {
  const flows = `priority=10,in_port=1,ip,actions=ct(commit,table=1)
    priority=10,in_port=2,ip,actions=ct(table=1)
    table=1,priority=100,cookie=1,in_port=1,ip,ct_state=+trk+new-inv-rpl,actions=2
    table=1,priority=100,in_port=1,ip,ct_state=+trk-new-inv-rpl,actions=2
    table=1,priority=100,in_port=2,ip,ct_state=+trk+est+rpl-new-inv,actions=1`;
  /** The server ends it; numbers begin where they are told to. */
  const connection = (client: number, server: number): (readonly [port: number, bytes: Uint8Array])[] => {
    const up = (seq: number, ack: number, flags: number) =>
      [1, packet(A, B, tcp({ src: 1, dst: 2, seq, ack, flags }))] as const;
    const down = (seq: number, ack: number, flags: number, bytes = 0) =>
      [2, packet(B, A, tcp({ src: 2, dst: 1, seq, ack, flags }, new Uint8Array(bytes)))] as const;
    return [
      up(client, 0, SYN),
      down(server, client + 1, SYN | ACK),
      up(client + 1, server + 1, ACK),
      down(server + 1, client + 1, PSH | ACK, 8),
      up(client + 1, server + 9, ACK),
      down(server + 9, client + 1, FIN | ACK),
      up(client + 1, server + 10, ACK),
      up(client + 1, server + 10, FIN | ACK),
      down(server + 10, client + 2, ACK),
    ];
  };
  twice(flows, (tracker) => {
    for (const [began, packets] of [
      [1, connection(0x59b5d93f, 0x7c354684)],
      [2, connection(0x5b7dbf1f, 0x7c36468f)],
    ] as const) {
      for (const [port, bytes] of packets) assert.deepEqual(tracker.send(port, bytes), [3 - port]);
      assert.equal(tracker.counted(1), began);
    }
  });
});

test('a TCP connection that was there before is taken up, whatever the scale of its windows', () => {
  const flows = `priority=10,in_port=1,tcp,actions=ct(commit,table=1)
    priority=10,in_port=2,tcp,actions=ct(table=1)
    table=1,priority=10,cookie=1,ip,ct_state=+trk+inv,actions=controller`;
  // A window of 10 that stands for 1280 bytes, as both ends have told each other before.
  const window = 10;
  const up = (seq: number, ack: number, flags: number, bytes = 0) =>
    [1, packet(B, A, tcp({ src: 2, dst: 1, seq, ack, flags, window }, new Uint8Array(bytes)))] as const;
  const down = (seq: number, ack: number, flags: number, bytes = 0) =>
    [2, packet(A, B, tcp({ src: 1, dst: 2, seq, ack, flags, window }, new Uint8Array(bytes)))] as const;
  const talk = (tracker: Tracker, ...packets: (readonly [number, Uint8Array])[]) => {
    for (const [port, bytes] of packets) tracker.send(port, bytes);
  };
  const [here, there] = [0x396bb35a, 0x8cadbdb4];
  twice(flows, (tracker) => {
    talk(tracker, up(here, there, ACK), up(here, there, PSH | ACK, 1), down(there, here + 1, ACK));
    assert.deepEqual(tracker.lines(), [
      'tcp,orig=(src=10.1.1.2,dst=10.1.1.1,sport=2,dport=1),reply=(src=10.1.1.1,dst=10.1.1.2,sport=1,dport=2),protoinfo=(state=ESTABLISHED)',
    ]);
    talk(
      tracker,
      up(here + 1, there, PSH | ACK, 514),
      down(there, here + 515, ACK),
      down(there, here + 515, PSH | ACK, 469),
      up(here + 515, there + 469, ACK),
      up(here + 515, there + 469, FIN | ACK),
      down(there + 469, here + 516, ACK),
      down(there + 469, here + 516, FIN | ACK),
      up(here + 516, there + 470, ACK),
    );
    assert.deepEqual(tracker.packetIns(), []);
    assert.equal(tracker.counted(1), 0);
  });
});

test('a reset may begin a connection, whether it acknowledges something or not', () => {
  const flows = 'tcp,actions=ct(table=1)\ntable=1,tcp,ct_state=+trk,actions=controller';
  twice(flows, (tracker) => {
    for (const flags of [RST, RST | ACK]) tracker.send(1, packet(A, B, tcp({ src: 1, dst: 2, flags })));
    assert.deepEqual(
      tracker.packetIns().map((text) => /ct_state\((.*?)\)/.exec(text)![1]),
      ['new|trk', 'new|trk'],
    );
  });
});

test('an invalid packet shows nothing of the connection whose addresses it has', () => {
  const flows = `tcp,actions=ct(commit,table=1,exec(set_field:1->ct_mark))
    table=1,tcp,ct_state=+trk+inv,actions=controller`;
  twice(flows, (tracker) => {
    for (const { from, sent } of http(ends(A, 1000, B, 80)).slice(0, 3)) tracker.send(from, sent);
    const late = tcp({ src: 1000, dst: 80, seq: 1_000_000, ack: 501, flags: PSH | ACK }, new Uint8Array(9));
    tracker.send(1, packet(A, B, late));
    assert.deepEqual(tracker.packetIns(), ['p1 ct_state(inv|trk)']);
  });
});
