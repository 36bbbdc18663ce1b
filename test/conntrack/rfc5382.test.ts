/**
 * What RFC 5382 asks of translating TCP, a test for each row of docs/nat.md: its number, what it is about, the verdict.
 * Where it is not met, the test is of what happens instead; where configuration decides, of both.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ACK, FIN, type Network, PSH, RST, SYN } from '../support/packets.ts';
import { NatBox, own, publish, twoZones } from './nat-box.ts';
import { datagram, error, frame, segment, written } from './written.ts';

const CLIENT = '10.0.0.2:5000';
const NEIGHBOUR = '10.0.0.3:5000';
const MAPPED = '192.0.2.1:5000';
const SERVER = '198.51.100.1:80';
const STRANGERS = ['198.51.100.1:81', '198.51.100.2:80', '203.0.113.5:9'];

const syn = (from: string, to: string): Network => segment(from, to, { flags: SYN, seq: 100 });

/** What a first segment that goes out looks like there. */
const opens = (box: NatBox, from: string, to = SERVER): string => box.inside(syn(from, to));

/** A segment of the client (>) or its server (<). */
type Step = [who: '>' | '<', flags: number, seq: number, ack: number, bytes?: number];

/** The two sides of the box that a conversation goes through. */
const WAY = { client: CLIENT, mapped: MAPPED, server: SERVER };

function take(
  box: NatBox,
  [who, flags, seq, ack, bytes = 0]: Step,
  { client, mapped, server } = WAY,
): boolean {
  const fields = { flags, seq, ack };
  const payload = new Uint8Array(bytes);
  const sent =
    who === '>'
      ? box.inside(segment(client, server, fields, payload))
      : box.outside(segment(server, mapped, fields, payload));
  const expected = who === '>' ? `outside: tcp ${mapped} > ${server}` : `inside: tcp ${server} > ${client}`;
  if (sent !== '') assert.equal(sent, expected);
  return sent !== '';
}

/** Every segment of a conversation arrives. */
function talk(box: NatBox, steps: readonly Step[], way = WAY): void {
  for (const [i, step] of steps.entries()) assert.ok(take(box, step, way), `step ${i}: ${step}`);
}

const HANDSHAKE: Step[] = [
  ['>', SYN, 100, 0],
  ['<', SYN | ACK, 900, 101],
  ['>', ACK, 101, 901],
];
const REQUEST: Step[] = [
  ['>', PSH | ACK, 101, 901, 10],
  ['<', ACK, 901, 111],
  ['<', PSH | ACK, 901, 111, 20],
  ['>', ACK, 111, 921],
];
const CLOSE: Step[] = [
  ['>', FIN | ACK, 111, 921],
  ['<', ACK, 921, 112],
  ['<', PSH | ACK, 921, 112, 5], // half closed
  ['>', ACK, 112, 926],
  ['<', FIN | ACK, 926, 112],
  ['>', ACK, 112, 927],
];
const OTHER_WAY = (steps: readonly Step[]): Step[] =>
  steps.map(([who, ...rest]) => [who === '>' ? '<' : '>', ...rest]);

test('REQ-1: endpoint-independent mapping, by configuration', () => {
  const box = new NatBox();
  for (const to of [SERVER, ...STRANGERS])
    assert.equal(opens(box, CLIENT, to), `outside: tcp ${MAPPED} > ${to}`);
  assert.equal(opens(box, NEIGHBOUR), `outside: tcp 192.0.2.1:5001 > ${SERVER}`, 'another has that port');
  assert.equal(opens(box, NEIGHBOUR, '198.51.100.3:80'), `outside: tcp ${MAPPED} > 198.51.100.3:80`);

  const each = new NatBox(own(2, 3));
  for (const to of [SERVER, ...STRANGERS]) {
    assert.equal(opens(each, CLIENT, to), `outside: tcp 192.0.2.2:5000 > ${to}`);
    assert.equal(opens(each, NEIGHBOUR, to), `outside: tcp 192.0.2.3:5000 > ${to}`);
  }
});

test('REQ-2: every valid sequence, met', () => {
  const box = new NatBox();
  talk(box, [...HANDSHAKE, ...REQUEST, ...CLOSE]);
  talk(box, [
    ['>', SYN, 5000, 0], // the same ports once more
    ['>', SYN, 5000, 0], // and again
    ['<', SYN | ACK, 7000, 5001],
    ['<', SYN | ACK, 7000, 5001],
    ['>', ACK, 5001, 7001],
    ['>', FIN | ACK, 5001, 7001], // both close at once
    ['<', FIN | ACK, 7001, 5001],
    ['>', ACK, 5002, 7002],
    ['<', ACK, 7002, 5002],
  ]);
  const refused = new NatBox();
  talk(refused, [
    ['>', SYN, 100, 0],
    ['<', RST | ACK, 0, 101],
  ]);
  const reset = new NatBox();
  talk(reset, [...HANDSHAKE, ...REQUEST, ['<', RST, 921, 0]]);

  const each = new NatBox(own(2));
  const way = { ...WAY, mapped: '192.0.2.2:5000' };
  talk(each, OTHER_WAY([...HANDSHAKE, ...REQUEST, ...CLOSE]), way);
  talk(each, [['>', SYN, 90_000, 0]], way);
});

test('REQ-2a: … also when both sides begin, met', () => {
  const box = new NatBox();
  talk(box, [
    ['>', SYN, 100, 0],
    ['<', SYN, 900, 0],
    ['>', SYN | ACK, 100, 901],
    ['<', SYN | ACK, 900, 101],
    ['>', ACK, 101, 901],
    ['<', ACK, 901, 101],
    ...REQUEST,
    ...CLOSE,
  ]);
});

test('REQ-3: independent filtering (recommended), by configuration', () => {
  const box = new NatBox();
  talk(box, HANDSHAKE);
  for (const from of STRANGERS) assert.equal(box.outside(syn(from, MAPPED)), '', from);
  talk(box, REQUEST);

  const each = new NatBox(own(2));
  assert.equal(opens(each, CLIENT), `outside: tcp 192.0.2.2:5000 > ${SERVER}`);
  for (const from of STRANGERS) {
    assert.equal(each.outside(syn(from, '192.0.2.2:5000')), `inside: tcp ${from} > ${CLIENT}`);
  }
});

test('REQ-3a: … that one can choose (may), met', () => {
  const box = new NatBox(`${own(2)}
    table=1,priority=25,in_port=2,tcp,ct_state=+new+trk,tp_dst=5000,actions=drop`);
  assert.equal(box.outside(syn(SERVER, '192.0.2.2:5000')), '');
  assert.equal(box.outside(syn(SERVER, '192.0.2.2:5001')), `inside: tcp ${SERVER} > 10.0.0.2:5001`);
});

test('REQ-3b: … and differently for UDP (may), met', () => {
  const box = new NatBox(`${own(2)}\ntable=1,priority=25,in_port=2,tcp,ct_state=+new+trk,actions=drop`);
  assert.equal(box.outside(syn(SERVER, '192.0.2.2:5000')), '');
  assert.equal(box.outside(datagram(SERVER, '192.0.2.2:5000')), `inside: udp ${SERVER} > ${CLIENT}`);
});

test('REQ-4: an unsolicited SYN waits for 6 s, met', () => {
  const box = new NatBox();
  const forwarded = () => box.rig.observer.totals().forwarded;
  assert.equal(box.outside(syn(SERVER, MAPPED)), '');
  box.advance(5);
  assert.equal(forwarded(), 0);
  talk(box, [
    ['>', SYN, 100, 0],
    ['<', SYN, 900, 0], // sent again
    ['>', SYN | ACK, 100, 901],
    ['<', ACK, 901, 101],
    ...REQUEST,
  ]);
  const before = forwarded();
  assert.equal(box.outside(syn('198.51.100.7:80', '192.0.2.1:6000')), '');
  box.advance(60);
  assert.equal(forwarded(), before, 'it is not answered later either');
});

test('REQ-4a: … and is dropped silently if it must not be answered, met', () => {
  const box = new NatBox();
  for (let port = 1; port < 300; port++) assert.equal(box.outside(syn(SERVER, `192.0.2.1:${port}`)), '');
  assert.equal(box.rig.checkFates().forwarded, 0);
});

/** How a conversation comes to a phase, and what the server might still send. */
const PHASES: Record<string, [steps: Step[], late: Step]> = {
  'SYN sent': [HANDSHAKE.slice(0, 1), ['<', SYN | ACK, 900, 101]],
  'SYN received': [HANDSHAKE.slice(0, 2), ['<', SYN | ACK, 900, 101]],
  'both began': [
    [
      ['>', SYN, 100, 0],
      ['<', SYN, 900, 0],
    ],
    ['<', SYN | ACK, 900, 101],
  ],
  'one has closed': [
    [...HANDSHAKE, ...REQUEST, ...CLOSE.slice(0, 2)],
    ['<', ACK, 921, 112],
  ],
  'both have closed': [
    [...HANDSHAKE, ...REQUEST, ...CLOSE.slice(0, 5)],
    ['<', FIN | ACK, 926, 112],
  ],
  'all is closed': [
    [...HANDSHAKE, ...REQUEST, ...CLOSE],
    ['<', FIN | ACK, 926, 112],
  ],
  reset: [
    [...HANDSHAKE, ...REQUEST, ['>', RST, 111, 0]],
    ['<', ACK, 921, 111],
  ],
};

/** The phases after which the server still gets in so many seconds later. */
function lasting(seconds: number, timeouts?: string): string[] {
  return Object.entries(PHASES).flatMap(([phase, [steps, late]]) => {
    const box = new NatBox();
    if (timeouts) box.setTimeouts(timeouts);
    talk(box, steps);
    box.advance(seconds);
    return take(box, late) ? [phase] : [];
  });
}

test('REQ-5: 2 h 4 min idle when established, else 4 min, by configuration', () => {
  const box = new NatBox();
  talk(box, [...HANDSHAKE, ...REQUEST]);
  box.advance(24 * 3600 - 1);
  talk(box, [['<', PSH | ACK, 921, 111, 1]]);
  box.advance(24 * 3600);
  assert.ok(!take(box, ['<', PSH | ACK, 922, 111, 1]));

  const all = Object.keys(PHASES);
  assert.deepEqual(lasting(29.9), all);
  assert.deepEqual(lasting(30), ['one has closed', 'both have closed']);
  assert.deepEqual(lasting(45), ['one has closed']);
  const timeouts = 'tcp_syn_sent=240,tcp_syn_recv=240,tcp_time_wait=240,tcp_close=240';
  assert.deepEqual(lasting(239.9, timeouts), all);
  assert.deepEqual(lasting(240, timeouts), ['one has closed']);
});

test('REQ-5a: … that one can set (may), met', () => {
  assert.deepEqual(lasting(5, 'tcp_syn_sent=5,tcp_close=5'), [
    'SYN received',
    'one has closed',
    'both have closed',
  ]);
});

test('REQ-6: ALGs but FTP are off (recommended), met', () => {
  const box = new NatBox();
  for (const port of [21, 1720, 1723, 5060]) {
    const way = { ...WAY, server: `198.51.100.1:${port}` };
    talk(box, HANDSHAKE, way);
    const payload = new TextEncoder().encode('PORT 10,0,0,2,19,137\r\n');
    const [sent] = box.forward(
      1,
      frame(segment(CLIENT, way.server, { flags: PSH | ACK, seq: 101, ack: 901 }, payload)),
    );
    assert.equal(written(sent!.bytes), `tcp ${MAPPED} > ${way.server}`);
    assert.deepEqual(sent!.bytes.subarray(54), payload);
    assert.equal(box.outside(syn('198.51.100.1:20', '192.0.2.1:5001')), '', 'nothing is expected');
  }
});

test('REQ-7: no port overloading, by configuration', () => {
  const box = new NatBox();
  const servers = [SERVER, '198.51.100.2:80'] as const;
  talk(box, HANDSHAKE);
  talk(box, HANDSHAKE, { client: NEIGHBOUR, mapped: MAPPED, server: servers[1] });
  talk(box, REQUEST);

  const each = new NatBox(own(2, 3));
  assert.equal(opens(each, CLIENT), `outside: tcp 192.0.2.2:5000 > ${servers[0]}`);
  assert.equal(opens(each, NEIGHBOUR, servers[1]), `outside: tcp 192.0.2.3:5000 > ${servers[1]}`);
});

const hairpin = twoZones(publish('tcp,nw_dst=192.0.2.1,tp_dst=8080', '10.0.0.3:80'));

/** A conversation of the client with the host that is published, from the outside address if all goes well. */
function turnBack(box: NatBox): void {
  for (const [who, flags, seq, ack, bytes = 0] of [...HANDSHAKE, ...REQUEST, ...CLOSE]) {
    const [from, to] = who === '>' ? [CLIENT, '192.0.2.1:8080'] : ['10.0.0.3:80', MAPPED];
    const sent = box.inside(segment(from, to, { flags, seq, ack }, new Uint8Array(bytes)));
    assert.equal(
      sent,
      who === '>' ? `inside: tcp ${MAPPED} > 10.0.0.3:80` : `inside: tcp 192.0.2.1:8080 > ${CLIENT}`,
    );
  }
}

test('REQ-8: hairpinning, by configuration', () => {
  const box = new NatBox(hairpin);
  turnBack(box);
  assert.equal(opens(box, '10.0.0.4:6000', '192.0.2.1:8081'), '', 'nobody has published that');
});

test('REQ-8a: … from the address and port outside, by configuration', () => {
  const box = new NatBox(hairpin);
  assert.equal(opens(box, CLIENT), `outside: tcp ${MAPPED} > ${SERVER}`);
  turnBack(box);
});

/** An error about what the client has sent, as a router sees that. */
const about = (type: number, code: number): Network =>
  error('203.0.113.9', '192.0.2.1', segment(MAPPED, SERVER, { flags: ACK, seq: 101, ack: 901 }), {
    type,
    code,
  });

test('REQ-9: destination unreachable is translated, met', () => {
  const box = new NatBox();
  talk(box, HANDSHAKE);
  for (let code = 0; code < 16; code++) {
    assert.equal(
      box.outside(about(3, code)),
      `inside: icmp 203.0.113.9 > 10.0.0.2 3/${code} about tcp ${CLIENT} > ${SERVER}`,
    );
  }
});

test('REQ-10: ICMP ends no mapping and no connection, met', () => {
  const flood = (box: NatBox): void => {
    for (let type = 0; type < 48; type++)
      for (let code = 0; code < 16; code++) box.outside(about(type, code));
  };
  const box = new NatBox();
  for (const step of [...HANDSHAKE, ...REQUEST]) {
    talk(box, [step]);
    flood(box);
    box.advance(29);
  }
  flood(box);
  box.advance(2 * 3600 + 240);
  talk(box, CLOSE);
});
