/** Translation as hosts see it: whom they think they talk to, byte for byte in both directions. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { get16 } from '../../support/packets.ts';
import {
  A,
  association,
  B,
  type Ends,
  ends,
  http,
  packet,
  pings,
  reversed,
  type Step,
  udpPacket,
} from './talk.ts';
import { only, type Tracker, twice } from './tracker.ts';

const WAY = ends(A, 1000, B, 80);
const PAGE = http(WAY);
const SERVICE = '10.1.1.64';

/** What goes out gets another source, what comes back its own again. */
const sourceFlows = (protocol: string, nat: string): string => `priority=1,actions=drop
  priority=100,in_port=1,${protocol},actions=ct(commit,zone=1,${nat}),2
  priority=100,in_port=2,ct_state=-trk,${protocol},actions=ct(table=0,zone=1,nat)
  priority=100,in_port=2,ct_state=+trk,ct_zone=1,${protocol},actions=1`;

const dotted = (bytes: Uint8Array): string => [...bytes].join('.');

/** The ends that a packet over IPv4 names; an identifier of ICMP for both of its ports. */
function endsOf(bytes: Uint8Array): Ends {
  const isIcmp = bytes[23] === 1;
  const port = (at: number) => get16(bytes, isIcmp ? 38 : at);
  return ends(dotted(bytes.subarray(26, 30)), port(34), dotted(bytes.subarray(30, 34)), port(36));
}

/** Has the first packet of a talk go by; what it looks like on the other side. */
const firstOf = (tracker: Tracker, [{ sent }]: readonly Step[]): Ends =>
  endsOf(only(tracker.forward(1, sent), 2));

/** Hosts talk, by ends that the first packet, sent once before, shows. */
function translated(tracker: Tracker, talk: (inside: Ends, outside?: Ends) => Step[], inside: Ends): Ends {
  const outside = firstOf(tracker, talk(inside));
  tracker.understand(talk(inside, outside));
  return outside;
}

const lastByte = (address: string): number => Number(address.split('.')[3]);

test('a client appears by an address of a range', () => {
  twice(sourceFlows('ip', 'nat(src=10.1.1.240-10.1.1.255)'), (tracker) => {
    const { client, server } = translated(tracker, http, WAY);
    assert.match(client.address, /^10\.1\.1\.2[45]\d$/);
    assert.deepEqual([client.port, server], [1000, WAY.server]);
    assert.deepEqual(tracker.lines(), [
      `tcp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=1000,dport=80),reply=(src=10.1.1.2,dst=${client.address},sport=80,dport=1000),zone=1,protoinfo=(state=TIME_WAIT)`,
    ]);
  });
});

test('the mark of a translated connection is set by an answer', () => {
  const flows = `priority=1,actions=drop
    priority=100,in_port=1,ip,actions=ct(commit,zone=1,nat(src=10.1.1.240)),2
    priority=100,in_port=2,ct_state=-trk,ip,actions=ct(table=0,zone=1,nat)
    priority=100,in_port=2,ct_state=+trk,ct_zone=1,ip,actions=ct(table=1,commit,zone=1,exec(set_field:1->ct_mark))
    table=1,in_port=2,ct_mark=1,ct_state=+rpl,ct_zone=1,ip,actions=1`;
  twice(flows, (tracker) => {
    tracker.understand(pings(ends(A, 7, B, 7), ends('10.1.1.240', 7, B, 7)));
    assert.deepEqual(tracker.lines(), [
      'icmp,orig=(src=10.1.1.1,dst=10.1.1.2,id=7,type=8,code=0),reply=(src=10.1.1.2,dst=10.1.1.240,id=7,type=0,code=0),zone=1,mark=1',
    ]);
  });
});

for (const [what, protocol, talk] of [
  ['port', 'tcp', http],
  ['identifier', 'icmp', pings],
] as const) {
  test(`a client appears by an address and ${what} drawn from two ranges`, () => {
    const nat = 'nat(src=10.1.1.240-10.1.1.255:34567-34568,random)';
    twice(sourceFlows(protocol, nat), (tracker) => {
      const { client } = translated(tracker, talk, protocol === 'tcp' ? WAY : ends(A, 9, B, 9));
      assert.ok(lastByte(client.address) >= 240);
      assert.ok(client.port === 34567 || client.port === 34568);
    });
  });
}

test('when all addresses and ports are taken, there is no second connection', () => {
  const flows = `priority=1,actions=drop
    priority=100,in_port=1,tcp,actions=ct(commit,table=1,zone=1,nat(src=10.1.1.240:34567))
    priority=100,in_port=2,ct_state=-trk,tcp,actions=ct(table=0,zone=1,nat)
    priority=100,in_port=2,ct_state=+trk+est,tcp,actions=1
    table=1,ct_state=+snat,tcp,actions=2
    table=1,cookie=1,ct_state=+new-snat,tcp,actions=drop`;
  twice(flows, (tracker) => {
    const { ctNatExhausted } = tracker.rig.observer.totals();
    tracker.understand(http(WAY, ends('10.1.1.240', 34567, B, 80)).slice(0, 5));
    assert.equal(tracker.talk(http(ends(A, 1001, B, 80))), 0);
    assert.equal(tracker.counted(1), 1);
    assert.equal(tracker.lines().length, 1);
    assert.equal(tracker.rig.observer.totals().ctNatExhausted, ctNatExhausted + 1);
  });
});

test('new connections are translated by the flow that lets them out, all others as they were', () => {
  const flows = `priority=100,ip,actions=ct(table=1,zone=1,nat)
    table=1,priority=100,in_port=1,ip,ct_state=+trk+new-est,actions=ct(commit,zone=1,nat(src=10.1.1.240-10.1.1.255)),2
    table=1,priority=100,in_port=1,ip,ct_state=+trk-new+est,actions=2
    table=1,priority=100,in_port=2,ip,ct_state=+trk-new+est,actions=1
    table=1,priority=0,actions=drop`;
  twice(flows, (tracker) => {
    // A SYN that is sent again is new, too, but translated already: its flow finds nothing left to do.
    assert.ok(lastByte(translated(tracker, http, WAY).client.address) >= 240);
    const inbound = http(ends(B, 1000, A, 80)).filter((_, i) => PAGE[i]!.from === 1);
    for (const { sent } of inbound) assert.deepEqual(tracker.send(2, sent), []);
  });
});

test('without an address a client keeps its port unless its answers would be another connection’s', () => {
  const flows = `priority=100,in_port=1,ip,nw_dst=172.1.1.2,actions=ct(commit,nat(dst=${B})),2
    priority=90,in_port=1,ip,actions=ct(commit,nat(src=0.0.0.0)),2
    in_port=2,ip,actions=ct(table=1,nat)
    table=1,ip,ct_state=+trk+est+rpl,actions=1`;
  twice(flows, (tracker) => {
    tracker.understand(http(ends(A, 30000, B, 1234)));
    tracker.understand(http(ends(A, 30001, '172.1.1.2', 1234), ends(A, 30001, B, 1234)));
    const { client } = translated(tracker, http, ends(A, 30001, B, 1234));
    assert.equal(client.address, A);
    assert.ok(client.port >= 1024 && client.port !== 30001);
    assert.deepEqual(
      tracker.lines().map((line) => line.replace(/,protoinfo.*/, '')),
      [
        'tcp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=30000,dport=1234),reply=(src=10.1.1.2,dst=10.1.1.1,sport=1234,dport=30000)',
        `tcp,orig=(src=10.1.1.1,dst=10.1.1.2,sport=30001,dport=1234),reply=(src=10.1.1.2,dst=10.1.1.1,sport=1234,dport=${client.port})`,
        'tcp,orig=(src=10.1.1.1,dst=172.1.1.2,sport=30001,dport=1234),reply=(src=10.1.1.2,dst=10.1.1.1,sport=1234,dport=30001)',
      ],
    );
  });
});

test('pings of several hosts with one identifier get the next ones behind one address', () => {
  const flows = `in_port=1,icmp,actions=ct(commit,nat(src=10.0.0.201)),2
    in_port=2,icmp,actions=ct(table=1,nat)
    table=1,icmp,ct_state=+trk+est+rpl,actions=1`;
  const server = '10.0.0.2';
  twice(flows, (tracker) => {
    for (const [i, host] of ['10.0.0.1', '10.0.0.3', '10.0.0.4'].entries()) {
      tracker.understand(pings(ends(host, 500, server, 500), ends('10.0.0.201', 500 + i, server, 500 + i)));
    }
    assert.deepEqual(
      tracker.lines().map((line) => /reply=\((.*),type/.exec(line)![1]),
      [500, 501, 502].map((id) => `src=10.0.0.2,dst=10.0.0.201,id=${id}`),
    );
  });
});

test('an SCTP association is translated with its CRC right', () => {
  const flows = `in_port=1,sctp,actions=ct(commit,table=1,nat(src=10.1.1.240:34567))
    in_port=2,sctp,actions=ct(table=1,nat)
    table=1,in_port=1,sctp,ct_state=+trk,actions=controller,2
    table=1,in_port=2,sctp,ct_state=+trk,actions=controller,1`;
  twice(flows, (tracker) => {
    tracker.understand(association(ends(A, 54969, B, 12345), ends('10.1.1.240', 34567, B, 12345)));
    const tuple = 'ct_tuple4(src=10.1.1.1,dst=10.1.1.2,proto=132,tp_src=54969,tp_dst=12345)';
    assert.deepEqual(tracker.packetIns(), [
      `p1 ct_state(new|trk|snat) ${tuple}`,
      ...[1, 2, 3].flatMap(() => [
        `p2 ct_state(est|rpl|trk|dnat) ${tuple}`,
        `p1 ct_state(est|trk|snat) ${tuple}`,
      ]),
    ]);
  });
});

const VIRTUAL = ends(A, 1000, SERVICE, 80);

for (const [how, flows] of [
  [
    'where it comes in',
    `priority=100,in_port=1,ip,nw_dst=${SERVICE},actions=ct(zone=1,nat(dst=${B}),commit),2
     priority=10,in_port=1,ip,actions=ct(commit,zone=1),2
     priority=100,in_port=2,ct_state=-trk,ip,actions=ct(table=0,nat,zone=1)
     priority=100,in_port=2,ct_state=+trk+est,ct_zone=1,ip,actions=1`,
  ],
  [
    'when it is known to be new',
    `priority=100,ip,actions=ct(table=1,zone=1,nat)
     table=1,priority=100,in_port=1,ct_state=+new,ip,nw_dst=${SERVICE},actions=ct(zone=1,nat(dst=${B}),commit),2
     table=1,priority=10,in_port=1,ct_state=+new,ip,actions=ct(commit,zone=1),2
     table=1,priority=100,in_port=1,ct_state=+est,ct_zone=1,ip,actions=2
     table=1,priority=100,in_port=2,ct_state=+est,ct_zone=1,ip,actions=1
     table=1,priority=0,actions=drop`,
  ],
] as const) {
  test(`a service is reached by its own address and by another, translated ${how}`, () => {
    twice(flows, (tracker) => {
      tracker.understand(http(VIRTUAL, WAY));
      assert.deepEqual(tracker.lines(), [
        'tcp,orig=(src=10.1.1.1,dst=10.1.1.64,sport=1000,dport=80),reply=(src=10.1.1.2,dst=10.1.1.1,sport=80,dport=1000),zone=1,protoinfo=(state=TIME_WAIT)',
      ]);
      tracker.understand(http(ends(A, 1001, B, 80)));
      assert.equal(tracker.lines().length, 2);
    });
  });
}

test('a second NAT action on a committed connection is ignored, its mark and label are not', () => {
  const flows = `in_port=1,ip,actions=ct(commit,table=1,nat(dst=${B}))
    in_port=2,ip,actions=ct(table=2,nat)
    table=1,ip,ct_state=+trk,actions=ct(commit,nat(src=10.1.1.240),exec(set_field:0xac->ct_mark,set_field:0xac->ct_label)),2
    table=2,ip,ct_state=+trk+est+rpl,ct_mark=0xac,actions=1`;
  twice(flows, (tracker) => {
    tracker.understand(http(VIRTUAL, WAY));
    assert.deepEqual(tracker.lines(), [
      'tcp,orig=(src=10.1.1.1,dst=10.1.1.64,sport=1000,dport=80),reply=(src=10.1.1.2,dst=10.1.1.1,sport=80,dport=1000),mark=172,labels=0xac,protoinfo=(state=TIME_WAIT)',
    ]);
  });
});

test('a group spreads connections over servers, each for its whole life', () => {
  const servers = [2, 3, 4].map((n) => `10.1.1.${n}`);
  const buckets = servers.map((server) => `bucket=weight:100,ct(nat(dst=${server}),commit,table=4)`);
  const flows = `group add group_id=234,type=select,${buckets.join()}
    priority=100,ip,nw_dst=${SERVICE},actions=group:234
    priority=90,ip,actions=ct(table=4,nat)
    table=4,ip,nw_dst=${A},actions=1
    ${servers.map((server) => `table=4,ip,nw_dst=${server},actions=2`).join('\n')}`;
  twice(flows, (tracker) => {
    const reached = Array.from({ length: 50 }, (_, i) => {
      const { client, server } = translated(tracker, http, ends(A, 2000 + i, SERVICE, 80));
      assert.deepEqual([client.address, client.port, server.port], [A, 2000 + i, 80]);
      return server.address;
    });
    assert.deepEqual([...new Set(reached)].sort(), servers);
  });
});

test('what is not committed is not translated', () => {
  twice('in_port=1,ip,actions=ct(nat,table=1)\ntable=1,ip,ct_state=+trk+new,actions=2', (tracker) => {
    const question = udpPacket(ends(A, 1, B, 2));
    assert.deepEqual(only(tracker.forward(1, question), 2), question);
    assert.deepEqual(only(tracker.forward(1, PAGE[0]!.sent), 2), PAGE[0]!.sent);
    const other = packet(A, B, { protocol: 47, bytes: new Uint8Array(8) });
    assert.deepEqual(only(tracker.forward(1, other), 2), other);
  });
});

test('a connection whose answers would be another’s is not made', () => {
  const flows = `in_port=1,udp,actions=ct(commit,nat(src=10.1.1.240)),2
    in_port=2,udp,actions=ct(commit,table=1)
    table=1,udp,ct_state=+trk+new,actions=1`;
  twice(flows, (tracker) => {
    const { ctFull } = tracker.rig.observer.totals();
    tracker.send(1, udpPacket(WAY));
    // The server sends to the client by the address that it should not know, from the ports that both use already.
    assert.deepEqual(tracker.send(2, udpPacket(reversed(WAY))), [1]);
    assert.equal(tracker.lines().length, 1);
    assert.equal(tracker.rig.observer.totals().ctFull, ctFull + 1);
  });
});
