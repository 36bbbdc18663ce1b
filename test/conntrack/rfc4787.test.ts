/**
 * What RFC 4787 asks of translating UDP, a test for each row of docs/nat.md: its number, what it is about, the verdict.
 * Where it is not met, the test is of what happens instead; where configuration decides, of both.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { concat, get16, ipv4, MORE_FRAGMENTS, type Network } from '../support/packets.ts';
import { NatBox, own, publish, shared, twoZones } from './nat-box.ts';
import { datagram, error, frame, query, segment, written } from './written.ts';

const CLIENT = '10.0.0.2:5000';
const NEIGHBOUR = '10.0.0.3:5000';
const MAPPED = '192.0.2.1:5000';
const SERVER = '198.51.100.1:53';

/** The client asks the server; the answer of the server to what the client is known as. */
const asks = (box: NatBox): string => box.inside(datagram(CLIENT, SERVER));
const answer = datagram(SERVER, MAPPED);
const ASKED = `outside: udp ${MAPPED} > ${SERVER}`;
const ANSWERED = `inside: udp ${SERVER} > ${CLIENT}`;

/** What a packet that goes out looks like there. */
const outside = (box: NatBox, from: string, to: string): string => box.inside(datagram(from, to));

test('REQ-1: endpoint-independent mapping, by configuration', () => {
  const box = new NatBox();
  const others = ['198.51.100.2:53', '198.51.100.1:54'];
  for (const to of [SERVER, ...others]) {
    assert.equal(outside(box, CLIENT, to), `outside: udp ${MAPPED} > ${to}`);
  }
  // Another client has that port already, towards one server of two.
  assert.equal(outside(box, NEIGHBOUR, SERVER), `outside: udp 192.0.2.1:5001 > ${SERVER}`);
  assert.equal(outside(box, NEIGHBOUR, '198.51.100.3:53'), `outside: udp ${MAPPED} > 198.51.100.3:53`);

  const each = new NatBox(own(2, 3));
  for (const to of [SERVER, ...others]) {
    assert.equal(outside(each, CLIENT, to), `outside: udp 192.0.2.2:5000 > ${to}`);
    assert.equal(outside(each, NEIGHBOUR, to), `outside: udp 192.0.2.3:5000 > ${to}`);
  }
});

test('REQ-2: paired pooling (recommended), by configuration', () => {
  /** The addresses that a client has outside, by all of its connections. */
  const addresses = (box: NatBox, client: string): Set<string> => {
    const packets = Array.from({ length: 10 }, (_, i) => [
      datagram(`${client}:5000`, `198.51.100.${i}:53`),
      segment(`${client}:5000`, `198.51.100.${i}:80`, { flags: 2 }),
      query(client, `198.51.100.${i}`, 7),
    ]);
    return new Set(packets.flat().map((packet) => /^outside: \w+ ([\d.]+)/.exec(box.inside(packet))![1]!));
  };
  const pool = '192.0.2.1-192.0.2.16';
  assert.ok(addresses(new NatBox(shared(`src=${pool}`)), '10.0.0.2').size > 1);
  const paired = new NatBox(shared(`src=${pool},persistent`));
  const all = Array.from({ length: 10 }, (_, i) => addresses(paired, `10.0.0.${i + 2}`));
  for (const one of all) assert.equal(one.size, 1);
  assert.ok(new Set(all.flatMap((one) => [...one])).size > 1);
  assert.deepEqual(addresses(new NatBox(), '10.0.0.2'), new Set(['192.0.2.1']));
});

test('REQ-3: no port overloading, by configuration', () => {
  const box = new NatBox();
  assert.equal(asks(box), ASKED);
  assert.equal(outside(box, NEIGHBOUR, '198.51.100.2:53'), `outside: udp ${MAPPED} > 198.51.100.2:53`);
  assert.equal(box.outside(answer), ANSWERED);
  assert.equal(
    box.outside(datagram('198.51.100.2:53', MAPPED)),
    `inside: udp 198.51.100.2:53 > ${NEIGHBOUR}`,
    'the server says which of the two it is for',
  );

  const each = new NatBox(own(2, 3));
  assert.equal(outside(each, CLIENT, SERVER), `outside: udp 192.0.2.2:5000 > ${SERVER}`);
  assert.equal(outside(each, NEIGHBOUR, '198.51.100.2:53'), 'outside: udp 192.0.2.3:5000 > 198.51.100.2:53');
});

test('REQ-3a: ports stay below or above 1024 (recommended), met', () => {
  const box = new NatBox();
  for (const port of [1, 100, 511, 512, 700, 1023, 1024, 5000, 65_535]) {
    for (let host = 2; host < 8; host++) {
      const [, mapped] = /192\.0\.2\.1:(\d+)/.exec(outside(box, `10.0.0.${host}:${port}`, SERVER))!;
      assert.equal(Number(mapped) < 1024, port < 1024, `${port} became ${mapped}`);
    }
  }
});

test('REQ-4: parity of ports (recommended), by configuration', () => {
  const box = new NatBox();
  assert.equal(asks(box), ASKED);
  assert.equal(outside(box, NEIGHBOUR, SERVER), `outside: udp 192.0.2.1:5001 > ${SERVER}`);

  const each = new NatBox(own(2, 3));
  for (const port of [5000, 5001]) {
    for (const host of [2, 3]) {
      const from = `192.0.2.${host}:${port}`;
      assert.equal(outside(each, `10.0.0.${host}:${port}`, SERVER), `outside: udp ${from} > ${SERVER}`);
    }
  }
});

/** Whether an answer still gets in so long after the client has asked, and after it was answered once. */
function lasts(box: NatBox, seconds: number): { asked: boolean; answered: boolean } {
  const wait = (...before: (() => string)[]): boolean => {
    for (const step of before) assert.notEqual(step(), '');
    box.advance(seconds);
    const isIn = box.outside(answer) === ANSWERED;
    box.advance(1000); // all are over
    return isIn;
  };
  return {
    asked: wait(() => asks(box)),
    answered: wait(
      () => asks(box),
      () => box.outside(answer),
    ),
  };
}

test('REQ-5: timeout of at least 2 minutes, by configuration', () => {
  const box = new NatBox();
  assert.deepEqual(lasts(box, 29.9), { asked: true, answered: true });
  assert.deepEqual(lasts(box, 30), { asked: true, answered: false });
  assert.deepEqual(lasts(box, 59.9), { asked: true, answered: false });
  assert.deepEqual(lasts(box, 60), { asked: false, answered: false });

  box.setTimeouts('udp_first=120,udp_single=120,udp_multiple=120');
  assert.deepEqual(lasts(box, 119.9), { asked: true, answered: true });
  assert.deepEqual(lasts(box, 120), { asked: false, answered: false });
});

test('REQ-5a: … less for well-known ports (may), by configuration', () => {
  const apart = ['in_port=1,udp,tp_dst=53', 'in_port=2,udp,tp_src=53'].map(
    (match) => `priority=20,${match},actions=ct(zone=53,nat,table=1)`,
  );
  const box = new NatBox([shared(), ...apart].join('\n'));
  box.setTimeouts('udp_first=300,udp_single=300,udp_multiple=300');
  box.setTimeouts('udp_first=10', 53);
  const servers = [53, 54, 5060].map((port) => `198.51.100.1:${port}`);
  const answered = () => servers.map((from) => box.outside(datagram(from, MAPPED)) !== '');
  for (const to of servers) assert.equal(outside(box, CLIENT, to), `outside: udp ${MAPPED} > ${to}`);
  assert.deepEqual(answered(), [true, true, true]);
  box.advance(1000);
  for (const to of servers) assert.equal(outside(box, CLIENT, to), `outside: udp ${MAPPED} > ${to}`);
  box.advance(10);
  assert.deepEqual(answered(), [false, true, true]);
});

test('REQ-5b: … that one can set (may), met', () => {
  const box = new NatBox();
  box.setTimeouts('udp_first=5,udp_multiple=7200');
  assert.deepEqual(lasts(box, 5), { asked: false, answered: true });
  box.setTimeouts('udp_multiple=5');
  assert.deepEqual(lasts(box, 5), { asked: false, answered: false });
});

test('REQ-5c: … of 5 minutes by default (recommended), not met', () => {
  const box = new NatBox();
  assert.deepEqual(lasts(box, 299.9), { asked: false, answered: false });
  box.setTimeouts('udp_first=300,udp_single=300,udp_multiple=300');
  assert.deepEqual(lasts(box, 299.9), { asked: true, answered: true });
});

test('REQ-6: outbound packets refresh, met', () => {
  const box = new NatBox();
  for (let minutes = 0; minutes < 10; minutes++) {
    assert.equal(asks(box), ASKED);
    box.advance(59);
  }
  assert.equal(box.outside(answer), ANSWERED);
  for (let n = 0; n < 20; n++) {
    assert.equal(asks(box), ASKED);
    box.advance(29);
  }
  assert.equal(box.outside(answer), ANSWERED);
});

test('REQ-6a: inbound packets refresh (may), met', () => {
  const box = new NatBox();
  assert.equal(asks(box), ASKED);
  for (let n = 0; n < 20; n++) {
    assert.equal(box.outside(answer), ANSWERED);
    box.advance(29);
  }
  assert.equal(box.outside(datagram('198.51.100.9:53', MAPPED)), '');
  box.advance(1);
  assert.equal(box.outside(answer), '', 'what is of no connection refreshes none');
});

test('REQ-7: the same addresses on both sides, by configuration', () => {
  // Inside, the host 10.0.0.2 outside is known as 198.51.100.2.
  const box = new NatBox(twoZones(publish('in_port=1,ip,nw_dst=198.51.100.2', '10.0.0.2')));
  for (let n = 0; n < 3; n++) {
    const asked = box.inside(datagram('10.0.0.2:53', '198.51.100.2:53'));
    assert.equal(asked, 'outside: udp 192.0.2.1:53 > 10.0.0.2:53');
    const answered = box.outside(datagram('10.0.0.2:53', '192.0.2.1:53'));
    assert.equal(answered, 'inside: udp 198.51.100.2:53 > 10.0.0.2:53');
  }
  assert.equal(
    box.inside(datagram('10.0.0.2:53', '10.0.0.7:53')),
    'outside: udp 192.0.2.1:53 > 10.0.0.7:53',
    'a number that is only outside needs no other name',
  );
  assert.equal(box.outside(datagram('10.0.0.7:53', '192.0.2.1:53')), 'inside: udp 10.0.0.7:53 > 10.0.0.2:53');
});

const strangers = ['198.51.100.1:54', '198.51.100.2:53', '203.0.113.5:9'];

test('REQ-8: independent filtering (recommended), by configuration', () => {
  const box = new NatBox();
  assert.equal(asks(box), ASKED);
  for (const from of strangers) assert.equal(box.outside(datagram(from, MAPPED)), '', from);
  assert.equal(box.outside(answer), ANSWERED);

  const each = new NatBox(own(2));
  assert.equal(asks(each), `outside: udp 192.0.2.2:5000 > ${SERVER}`);
  for (const from of strangers) {
    assert.equal(each.outside(datagram(from, '192.0.2.2:5000')), `inside: udp ${from} > ${CLIENT}`);
    assert.equal(outside(each, CLIENT, from), `outside: udp 192.0.2.2:5000 > ${from}`);
  }
});

test('REQ-8a: … that one can choose (may), met', () => {
  const filter = 'table=1,priority=25,in_port=2,ip,ct_state=+new+trk,nw_src=203.0.113.0/24,actions=drop';
  const box = new NatBox(`${own(2)}\n${filter}`);
  const isIn = strangers.map((from) => box.outside(datagram(from, '192.0.2.2:5000')) !== '');
  assert.deepEqual(isIn, [true, true, false]);
  assert.equal(outside(box, CLIENT, '203.0.113.5:9'), 'outside: udp 192.0.2.2:5000 > 203.0.113.5:9');
  assert.equal(
    box.outside(datagram('203.0.113.5:9', '192.0.2.2:5000')),
    `inside: udp 203.0.113.5:9 > ${CLIENT}`,
  );
});

const hairpin = twoZones(publish('udp,nw_dst=192.0.2.1,tp_dst=8080', '10.0.0.3:80'));

test('REQ-9: hairpinning, by configuration', () => {
  const box = new NatBox(hairpin);
  for (let n = 0; n < 3; n++) {
    assert.match(box.inside(datagram(CLIENT, '192.0.2.1:8080')), /^inside: udp \S+ > 10\.0\.0\.3:80$/);
    assert.equal(
      box.inside(datagram('10.0.0.3:80', MAPPED)),
      `inside: udp 192.0.2.1:8080 > ${CLIENT}`,
      'what comes back is from where it was sent to',
    );
  }
  // The mapping of a client, which nobody has published, lets in its server alone.
  assert.equal(asks(box), ASKED);
  assert.equal(outside(box, '10.0.0.4:6000', MAPPED), '');
});

test('REQ-9a: … from the address and port outside, by configuration', () => {
  const box = new NatBox(hairpin);
  assert.equal(asks(box), ASKED);
  assert.equal(
    box.inside(datagram(CLIENT, '192.0.2.1:8080')),
    `inside: udp ${MAPPED} > 10.0.0.3:80`,
    'the host inside sees what the server outside sees',
  );
});

/** What UDP carries in a packet that went out. */
function payloadOf(box: NatBox, packet: Network): Uint8Array {
  const [sent] = box.forward(1, frame(packet));
  assert.match(written(sent!.bytes), /^udp 192\.0\.2\.1:\d+ > /);
  return sent!.bytes.subarray(42);
}

test('REQ-10: ALGs are off, met', () => {
  const box = new NatBox();
  const text = 'INVITE sip:b@198.51.100.1\r\nVia: SIP/2.0/UDP 10.0.0.2:5060\r\nContact: 10.0.0.2:5060\r\n';
  const payload = new TextEncoder().encode(text);
  for (const port of [53, 69, 1719, 5060]) {
    assert.deepEqual(payloadOf(box, datagram('10.0.0.2:5060', `198.51.100.1:${port}`, payload)), payload);
  }
});

test('REQ-10a: … each by itself (recommended), met', () => {
  const box = new NatBox();
  for (const port of [69, 1719, 5060]) {
    const read = new TextEncoder().encode('\0\x01file\0octet\0');
    assert.notEqual(box.inside(datagram(CLIENT, `198.51.100.1:${port}`, read)), '');
    assert.equal(box.outside(datagram('198.51.100.1:3000', MAPPED)), '', `nothing is expected after ${port}`);
  }
});

test('REQ-11: deterministic, by configuration', () => {
  const box = new NatBox();
  assert.equal(asks(box), ASKED);
  assert.equal(outside(box, NEIGHBOUR, SERVER), `outside: udp 192.0.2.1:5001 > ${SERVER}`);
  box.advance(1000);
  assert.equal(
    outside(box, NEIGHBOUR, SERVER),
    `outside: udp ${MAPPED} > ${SERVER}`,
    'the port is free again',
  );

  const each = new NatBox(own(2, 3));
  for (let n = 0; n < 3; n++) {
    for (const host of [3, 2]) {
      const mapped = `192.0.2.${host}:5000`;
      assert.equal(outside(each, `10.0.0.${host}:5000`, SERVER), `outside: udp ${mapped} > ${SERVER}`);
      assert.equal(
        each.outside(datagram(strangers[n]!, mapped)),
        `inside: udp ${strangers[n]} > 10.0.0.${host}:5000`,
      );
    }
    each.advance(1000);
  }
});

test('REQ-12: ICMP ends no mapping, met', () => {
  const box = new NatBox();
  const about = datagram(MAPPED, SERVER);
  for (let type = 0; type < 48; type++) {
    assert.equal(asks(box), ASKED);
    for (const from of ['198.51.100.1', '203.0.113.9']) {
      for (let code = 0; code < 16; code++) box.outside(error(from, '192.0.2.1', about, { type, code }));
    }
    box.advance(29.9);
    assert.equal(box.outside(answer), ANSWERED, `after type ${type}`);
  }
});

test('REQ-12a: ICMP of any source passes, met', () => {
  const box = new NatBox();
  assert.equal(asks(box), ASKED);
  for (const from of ['198.51.100.1', '203.0.113.9', '10.0.0.9', '192.168.7.7']) {
    assert.equal(
      box.outside(error(from, '192.0.2.1', datagram(MAPPED, SERVER))),
      `inside: icmp ${from} > 10.0.0.2 3/3 about udp ${CLIENT} > ${SERVER}`,
    );
  }
});

test('REQ-12b: destination unreachable passes (recommended), met', () => {
  const box = new NatBox();
  assert.equal(asks(box), ASKED);
  for (let code = 0; code < 16; code++) {
    assert.equal(
      box.outside(error('203.0.113.9', '192.0.2.1', datagram(MAPPED, SERVER), { code, rest: 1280 })),
      `inside: icmp 203.0.113.9 > 10.0.0.2 3/${code} about udp ${CLIENT} > ${SERVER}`,
    );
  }
});

/** A packet as long as the port outside takes none leaves in one piece, and nothing else does. */
function passesWhole(fragment: number): void {
  const box = new NatBox();
  box.rig.ports.setMaxLength(2, 14 + 1280);
  const packet = datagram(CLIENT, SERVER, new Uint8Array(1400), { fragment });
  const sent = box.forward(1, frame(packet));
  assert.deepEqual(
    sent.map(({ port, bytes }) => [port, bytes.length, written(bytes)]),
    [[2, frame(packet).length, ASKED.replace('outside: ', '')]],
  );
}

test('REQ-13: “fragmentation needed”, not met', () => {
  passesWhole(0x4000); // DF
});

test('REQ-13a: … or fragments, not met', () => {
  passesWhole(0);
});

/** What a datagram has become that comes in these pieces, of so many bytes, in this order; nothing: ''. */
function piecemeal(box: NatBox, bytes: number, order: readonly number[]): string {
  const [src, dst] = ['198.51.100.1', '192.0.2.1'];
  const transport = datagram(SERVER, MAPPED, new Uint8Array(3 * bytes - 8)).bytes.subarray(20);
  const sent = order.flatMap((n) => {
    const fragment = ((n * bytes) / 8) | (n === 2 ? 0 : MORE_FRAGMENTS);
    const piece = { protocol: 17, bytes: transport.slice(n * bytes, (n + 1) * bytes) };
    return box.forward(2, frame(ipv4({ src, dst, id: bytes, fragment }, piece))).map((one) => one.bytes);
  });
  if (sent.length === 0) return '';
  const offset = (packet: Uint8Array): number => get16(packet, 20) & 0x1fff;
  const whole = concat(...sent.sort((a, b) => offset(a) - offset(b)).map((packet) => packet.subarray(34)));
  const [from, to] = [26, 30].map((at) => sent[0]!.subarray(at, at + 4).join('.')) as [string, string];
  return written(frame(ipv4({ src: from, dst: to }, { protocol: 17, bytes: whole })));
}

const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

test('REQ-14: fragments in any order, met', () => {
  for (const order of ORDERS) {
    const box = new NatBox();
    assert.equal(asks(box), ASKED);
    assert.equal(piecemeal(box, 1200, order), ANSWERED.replace('inside: ', ''), `in the order ${order}`);
    assert.equal(piecemeal(box, 1000, order), '', 'those that nobody needs are not tracked');
  }
});

test('REQ-14a: … of which a flood does no harm, met', () => {
  const box = new NatBox();
  assert.equal(asks(box), ASKED);
  for (let id = 0; id < 3000; id++) {
    const piece = { protocol: 17, bytes: new Uint8Array(1200).fill(7) };
    const fragment = id % 2 === 0 ? MORE_FRAGMENTS : MORE_FRAGMENTS | 150;
    assert.equal(box.outside(ipv4({ src: '198.51.100.1', dst: '192.0.2.1', id, fragment }, piece)), '');
  }
  assert.equal(box.outside(answer), ANSWERED);
  assert.equal(outside(box, CLIENT, '198.51.100.2:53'), `outside: udp ${MAPPED} > 198.51.100.2:53`);
  box.advance(16);
  assert.equal(piecemeal(box, 1200, [2, 1, 0]), ANSWERED.replace('inside: ', ''), 'there is room again');
});
