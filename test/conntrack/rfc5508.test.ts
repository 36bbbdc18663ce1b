/**
 * What RFC 5508 asks of translating ICMP, a test for each row of docs/nat.md: its number, what it is about, the verdict.
 * Where it is not met, the test is of what happens instead; where configuration decides, of both.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { concat, type Network } from '../support/packets.ts';
import { NatBox, own, publish, shared, twoZones } from './nat-box.ts';
import { datagram, type ErrorFields, error, frame, query, written } from './written.ts';

const CLIENT = '10.0.0.2:5000';
const MAPPED = '192.0.2.1:5000';
const SERVER = '198.51.100.1:53';
const ROUTER = '203.0.113.9';

/** A box through which the client has asked the server over UDP, and was answered. */
function asked(flows?: string): NatBox {
  const box = new NatBox(flows);
  assert.notEqual(box.inside(datagram(CLIENT, SERVER)), '');
  assert.notEqual(box.outside(datagram(SERVER, MAPPED)), '');
  return box;
}

/** An error of a router outside about what the client has sent, and what the client gets of it. */
const fromOutside = (fields: ErrorFields = {}, about = datagram(MAPPED, SERVER)): Network =>
  error(ROUTER, '192.0.2.1', about, fields);
const TOLD = `inside: icmp ${ROUTER} > 10.0.0.2 3/3 about udp ${CLIENT} > ${SERVER}`;

/** An error of somebody inside about what the server has sent, and what the server gets of it. */
const fromInside = (from: string, fields: ErrorFields = {}): Network =>
  error(from, '198.51.100.1', datagram(SERVER, CLIENT), fields);
const TOLD_OUTSIDE = `outside: icmp 192.0.2.1 > 198.51.100.1 3/3 about udp ${SERVER} > ${MAPPED}`;

test('REQ-1: queries from inside, met', () => {
  const box = new NatBox();
  for (const [request, reply] of [
    [8, 0],
    [13, 14],
  ] as const) {
    assert.equal(
      box.inside(query('10.0.0.2', '198.51.100.1', 7, request)),
      `outside: icmp 192.0.2.1 > 198.51.100.1 ${request}/0 id 7`,
    );
    assert.equal(
      box.outside(query('198.51.100.1', '192.0.2.1', 7, reply)),
      `inside: icmp 198.51.100.1 > 10.0.0.2 ${reply}/0 id 7`,
    );
    assert.equal(box.outside(query('198.51.100.1', '192.0.2.1', 8, reply)), '');
    assert.equal(box.outside(query('198.51.100.1', '192.0.2.1', 7, request)), '');
  }
});

test('REQ-1a: identifiers independent of the host outside (recommended), by configuration', () => {
  const ping = (box: NatBox, host: number, to: string): string => box.inside(query(`10.0.0.${host}`, to, 7));
  const box = new NatBox();
  assert.match(ping(box, 2, '198.51.100.1'), /192\.0\.2\.1 > 198\.51\.100\.1 8\/0 id 7$/);
  assert.match(ping(box, 3, '198.51.100.1'), /192\.0\.2\.1 > 198\.51\.100\.1 8\/0 id 8$/);
  assert.match(ping(box, 3, '198.51.100.2'), /192\.0\.2\.1 > 198\.51\.100\.2 8\/0 id 7$/);

  const each = new NatBox(own(2, 3));
  for (const to of ['198.51.100.1', '198.51.100.2']) {
    for (const host of [2, 3]) {
      assert.equal(ping(each, host, to), `outside: icmp 192.0.2.${host} > ${to} 8/0 id 7`);
    }
  }
});

/** Whether a second reply still gets in so long after the first, and a first so long after the query. */
function lasts(box: NatBox, seconds: number): { queried: boolean; replied: boolean } {
  const reply = () => box.outside(query('198.51.100.1', '192.0.2.1', 7, 0)) !== '';
  const wait = (replies: number): boolean => {
    assert.notEqual(box.inside(query('10.0.0.2', '198.51.100.1', 7)), '');
    for (let n = 0; n < replies; n++) assert.ok(reply());
    box.advance(seconds);
    const isIn = reply();
    box.advance(1000); // it is over
    return isIn;
  };
  return { queried: wait(0), replied: wait(1) };
}

test('REQ-2: timeout of at least 60 s, by configuration', () => {
  const box = new NatBox();
  assert.deepEqual(lasts(box, 29.9), { queried: true, replied: true });
  assert.deepEqual(lasts(box, 59.9), { queried: true, replied: false });
  assert.deepEqual(lasts(box, 60), { queried: false, replied: false });
  box.setTimeouts('icmp_reply=60');
  assert.deepEqual(lasts(box, 59.9), { queried: true, replied: true });
  assert.deepEqual(lasts(box, 60), { queried: false, replied: false });
});

test('REQ-2a: … that one can set (recommended), met', () => {
  const box = new NatBox();
  box.setTimeouts('icmp_first=5,icmp_reply=300');
  assert.deepEqual(lasts(box, 5), { queried: false, replied: true });
});

test('REQ-3: errors with a wrong checksum are dropped, met', () => {
  const box = asked();
  assert.equal(box.outside(fromOutside()), TOLD);
  assert.equal(box.outside(fromOutside({ checksum: 1 })), '');
  assert.equal(box.inside(fromInside('10.0.0.2', { checksum: 1 })), '');
});

test('REQ-3a: … those with a wrong IP checksum inside too, not met', () => {
  const about = datagram(MAPPED, SERVER, undefined, { checksum: 1 });
  assert.equal(asked().outside(fromOutside({}, about)), `${TOLD} (IP checksum wrong)`);
});

test('REQ-3b: IP options inside are stepped over, met', () => {
  const options = Uint8Array.of(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const about = datagram(MAPPED, SERVER, undefined, { options });
  assert.equal(asked().outside(fromOutside({ quoted: 40 }, about)), TOLD);
});

test('REQ-3c: the transport checksum inside is not looked at, met', () => {
  const box = asked();
  const about = datagram(MAPPED, SERVER);
  assert.equal(box.outside(fromOutside({ quoted: 60 }, about)), TOLD, 'all is there, and right');
  const damaged = { ...about, bytes: about.bytes.slice() };
  damaged.bytes[40]! ^= 1;
  assert.equal(box.outside(fromOutside({ quoted: 60 }, damaged)), `${TOLD} (checksum wrong)`);
});

test('REQ-3d: … and does not cover padding and extensions (RFC 4884), met', () => {
  const about = datagram(MAPPED, SERVER);
  const extension = Uint8Array.of(0x20, 0, 0, 0, 0, 8, 1, 1, 0xde, 0xad, 0xbe, 0xef);
  const more = concat(new Uint8Array(128 - about.bytes.length), extension);
  const [sent] = asked().forward(2, frame(fromOutside({ quoted: 128, rest: 32 << 16, more })));
  assert.equal(`inside: ${written(sent!.bytes)}`, TOLD);
  assert.deepEqual(sent!.bytes.subarray(-more.length), more);
});

test('REQ-4: errors from outside, met', () => {
  const box = asked();
  assert.equal(box.outside(fromOutside()), TOLD);
  for (const stranger of [datagram('192.0.2.1:5001', SERVER), datagram(MAPPED, '198.51.100.2:53')]) {
    assert.equal(box.outside(fromOutside({}, stranger)), '', 'about no connection');
  }
  box.advance(1000);
  assert.equal(box.outside(fromOutside()), '', 'about one that is over');
});

const ERRORS = [3, 11, 12].flatMap((type) => Array.from({ length: 16 }, (_, code) => ({ type, code })));

test('REQ-4a: … have the packet inside as the client sent it, met', () => {
  const box = asked();
  assert.equal(box.outside(fromOutside()), TOLD);
  const ping = new NatBox();
  assert.notEqual(ping.inside(query('10.0.0.3', '198.51.100.1', 7)), '');
  assert.notEqual(ping.inside(query('10.0.0.2', '198.51.100.1', 7)), '');
  assert.equal(
    ping.outside(fromOutside({}, query('192.0.2.1', '198.51.100.1', 8))),
    `inside: icmp ${ROUTER} > 10.0.0.2 3/3 about icmp 10.0.0.2 > 198.51.100.1 8/0 id 7`,
  );
});

test('REQ-4b: … keep type and code, met', () => {
  const box = asked();
  for (const { type, code } of ERRORS) {
    assert.equal(box.outside(fromOutside({ type, code })), TOLD.replace('3/3', `${type}/${code}`));
  }
});

test('REQ-4c: … go to whom the packet inside is from, met', () => {
  const box = asked();
  const [sent] = box.forward(2, frame(fromOutside()));
  const ip = sent!.bytes.subarray(14);
  assert.deepEqual(ip.subarray(12, 16), Uint8Array.of(203, 0, 113, 9), 'and come from who has sent them');
  assert.deepEqual(ip.subarray(16, 20), ip.subarray(28 + 12, 28 + 16));
});

test('REQ-5: errors from inside, met', () => {
  const box = asked();
  assert.equal(box.inside(fromInside('10.0.0.2')), TOLD_OUTSIDE);
  const stranger = error('10.0.0.2', '198.51.100.1', datagram('198.51.100.1:54', CLIENT));
  assert.equal(box.inside(stranger), '', 'about no connection');
});

test('REQ-5a: … have the packet inside as the server sent it, met', () => {
  const box = asked();
  assert.equal(box.inside(fromInside('10.0.0.2')), TOLD_OUTSIDE);
  const whole = error('10.0.0.2', '198.51.100.1', datagram(SERVER, CLIENT), { quoted: 60 });
  assert.equal(box.inside(whole), TOLD_OUTSIDE);
});

test('REQ-5b: … keep type and code, met', () => {
  const box = asked();
  for (const { type, code } of ERRORS) {
    const sent = box.inside(fromInside('10.0.0.2', { type, code }));
    assert.equal(sent, TOLD_OUTSIDE.replace('3/3', `${type}/${code}`));
  }
});

test('REQ-5c: … come from the address outside, by configuration', () => {
  const box = asked();
  assert.equal(box.inside(fromInside('10.0.0.254')), TOLD_OUTSIDE, 'a router inside does not show');

  // Where each has its own, whoever sends it is taken for whom the packet inside was for.
  const each = new NatBox(own(2, 3));
  assert.notEqual(each.inside(datagram(CLIENT, SERVER)), '');
  assert.notEqual(each.inside(datagram('10.0.0.3:5000', SERVER)), '');
  for (const from of ['10.0.0.2', '10.0.0.3', '10.0.0.254']) {
    assert.equal(each.inside(fromInside(from)), TOLD_OUTSIDE.replaceAll('192.0.2.1', '192.0.2.2'));
  }
});

test('REQ-6: errors refresh and delete nothing, met', () => {
  const box = new NatBox();
  const error = fromOutside({ type: 11, code: 0 }, query('192.0.2.1', '198.51.100.1', 7));
  const reply = query('198.51.100.1', '192.0.2.1', 7, 0);
  const told = `inside: icmp ${ROUTER} > 10.0.0.2 11/0 about icmp 10.0.0.2 > 198.51.100.1 8/0 id 7`;
  for (const isReplied of [true, false]) {
    assert.notEqual(box.inside(query('10.0.0.2', '198.51.100.1', 7)), '');
    box.advance(59);
    assert.equal(box.outside(error), told);
    if (!isReplied) box.advance(1);
    assert.equal(box.outside(reply) !== '', isReplied);
    box.advance(1000);
  }
});

/** What is sent to 192.0.2.3 goes to 10.0.0.3. */
const hairpin = twoZones(publish('ip,nw_dst=192.0.2.3', '10.0.0.3'));

test('REQ-7: hairpinned queries and errors, by configuration', () => {
  const box = new NatBox(hairpin);
  for (let n = 0; n < 3; n++) {
    assert.equal(box.inside(query('10.0.0.2', '192.0.2.3', 7)), 'inside: icmp 192.0.2.1 > 10.0.0.3 8/0 id 7');
    assert.equal(
      box.inside(query('10.0.0.3', '192.0.2.1', 7, 0)),
      'inside: icmp 192.0.2.3 > 10.0.0.2 0/0 id 7',
    );
  }
  assert.equal(box.inside(datagram(CLIENT, '192.0.2.3:53')), `inside: udp ${MAPPED} > 10.0.0.3:53`);
  assert.equal(
    box.inside(error('10.0.0.3', '192.0.2.1', datagram(MAPPED, '10.0.0.3:53'))),
    `inside: icmp 192.0.2.3 > 10.0.0.2 3/3 about udp ${CLIENT} > 192.0.2.3:53`,
  );
  assert.equal(box.inside(datagram('10.0.0.3:53', MAPPED)), `inside: udp 192.0.2.3:53 > ${CLIENT}`);
  assert.equal(
    box.inside(error('10.0.0.2', '192.0.2.3', datagram('192.0.2.3:53', CLIENT))),
    `inside: icmp 192.0.2.1 > 10.0.0.3 3/3 about udp 10.0.0.3:53 > ${MAPPED}`,
  );
});

test('REQ-7a: … go to whom the packet inside is from, by configuration', () => {
  const box = new NatBox(hairpin);
  assert.notEqual(box.inside(datagram(CLIENT, '192.0.2.3:53')), '');
  assert.notEqual(box.inside(datagram('10.0.0.3:53', MAPPED)), '');
  for (const packet of [
    error('10.0.0.3', '192.0.2.1', datagram(MAPPED, '10.0.0.3:53')),
    error('10.0.0.2', '192.0.2.3', datagram('192.0.2.3:53', CLIENT)),
  ]) {
    const [sent] = box.forward(1, frame(packet));
    const ip = sent!.bytes.subarray(14);
    assert.deepEqual(ip.subarray(16, 20), ip.subarray(28 + 12, 28 + 16));
  }
});

test('REQ-8: code 13 when there is no room, not met', () => {
  const oneTuple = asked(shared('src=192.0.2.1:5000'));
  const oneConnection = asked();
  oneConnection.rig.datapath.exports.setZoneLimit(0, 0);
  for (const box of [oneTuple, oneConnection]) {
    assert.equal(box.inside(datagram('10.0.0.3:5000', SERVER)), '', 'dropped, and nobody is told');
  }
  assert.equal(oneTuple.rig.observer.totals().ctNatExhausted, 1);
  assert.equal(oneConnection.rig.observer.totals().ctZoneFull, 1);
});

test('REQ-9: a policy may suppress ICMP (may), met', () => {
  const box = asked(shared(undefined, 'table=1,priority=25,in_port=2,icmp,icmp_type=3,actions=drop'));
  assert.equal(box.outside(fromOutside()), '');
  assert.equal(box.outside(fromOutside({ type: 11, code: 0 })), TOLD.replace('3/3', '11/0'));
  assert.equal(box.inside(fromInside('10.0.0.2')), TOLD_OUTSIDE);
});

/** What a NAT should not support is dropped by flows. */
const selective = shared(
  undefined,
  [4, 15, 16].map((type) => `table=1,priority=25,icmp,icmp_type=${type},actions=drop`).join('\n'),
);

/** Types of errors, about what the client has sent, and of queries of the client that pass. */
function passing(flows?: string): { errors: number[]; queries: number[] } {
  const types = Array.from({ length: 48 }, (_, type) => type);
  const box = asked(flows);
  const told = (type: number): string => TOLD.replace('3/3', `${type}/0`);
  return {
    errors: types.filter((type) => box.outside(fromOutside({ type, code: 0 })) === told(type)),
    queries: types.filter((type) => box.inside(query('10.0.0.2', '198.51.100.1', 7, type)) !== ''),
  };
}

test('REQ-10: the messages of the points a to c, by configuration', () => {
  assert.deepEqual(passing(), { errors: [3, 4, 5, 11, 12], queries: [8, 13, 15] });
  assert.deepEqual(passing(selective), { errors: [3, 5, 11, 12], queries: [8, 13] });
});

test('REQ-10a: unreachable, time exceeded and echo are supported, met', () => {
  const box = asked();
  for (const [type, code] of [
    [3, 1],
    [11, 0],
  ] as const) {
    assert.equal(box.outside(fromOutside({ type, code })), TOLD.replace('3/3', `${type}/${code}`));
    assert.equal(
      box.inside(fromInside('10.0.0.2', { type, code })),
      TOLD_OUTSIDE.replace('3/3', `${type}/${code}`),
    );
  }
  const ping = 'outside: icmp 192.0.2.1 > 198.51.100.1 8/0 id 7';
  assert.equal(box.inside(query('10.0.0.2', '198.51.100.1', 7)), ping);
  const pong = 'inside: icmp 198.51.100.1 > 10.0.0.2 0/0 id 7';
  assert.equal(box.outside(query('198.51.100.1', '192.0.2.1', 7, 0)), pong);
});

test('REQ-10b: redirect, timestamp, parameter problem, source routes … are (may), met', () => {
  const box = asked();
  for (const type of [5, 12]) {
    assert.equal(box.outside(fromOutside({ type, code: 0 })), TOLD.replace('3/3', `${type}/0`));
  }
  assert.notEqual(box.inside(query('10.0.0.2', '198.51.100.1', 7, 13)), '');
  const options = Uint8Array.of(131, 7, 4, 203, 0, 113, 9, 0); // RFC 791: a loose source route
  const [sent] = box.forward(1, frame(datagram(CLIENT, SERVER, undefined, { options })));
  assert.equal(written(sent!.bytes), `udp ${MAPPED} > ${SERVER}`);
  assert.deepEqual(sent!.bytes.subarray(34, 42), options);
  // Address masks, router advertisement and solicitation are not.
  for (const type of [9, 10, 17, 18]) {
    assert.equal(box.inside(query('10.0.0.2', '198.51.100.1', 7, type)), '');
    assert.equal(box.outside(query('198.51.100.1', '192.0.2.1', 7, type)), '');
  }
});

test('REQ-10c: source quench and information are not (should), by configuration', () => {
  const [box, careful] = [asked(), asked(selective)];
  const quench = fromOutside({ type: 4, code: 0 });
  const information = query('10.0.0.2', '198.51.100.1', 7, 15);
  assert.equal(box.outside(quench), TOLD.replace('3/3', '4/0'));
  assert.equal(box.inside(information), 'outside: icmp 192.0.2.1 > 198.51.100.1 15/0 id 7');
  assert.equal(careful.outside(quench), '');
  assert.equal(careful.inside(information), '');
});

test('REQ-10d: the DS field stays (recommended), met', () => {
  const box = asked();
  for (const tos of [0, 0xb8, 0xff]) {
    for (const [port, packet] of [
      [1, datagram(CLIENT, SERVER, undefined, { tos })],
      [2, fromOutside({ ip: { tos } })],
    ] as const) {
      const [sent] = box.forward(port, frame(packet));
      assert.equal(sent!.bytes[15], tos);
    }
  }
});

/** A box that is a router: what goes out has its time to live counted down. */
const router = `priority=20,in_port=1,ip,actions=dec_ttl,ct(nat,table=1)\n${shared()}`;

test('REQ-10e: errors are not sent where they must not be (recommended), met', () => {
  const box = new NatBox(router);
  for (const packet of [
    datagram(CLIENT, '255.255.255.255:53', undefined, { ttl: 1 }),
    datagram(CLIENT, '224.0.0.9:53', undefined, { ttl: 1 }),
    datagram('127.0.0.1:5000', SERVER, undefined, { ttl: 1 }),
    datagram(CLIENT, SERVER, undefined, { ttl: 1, fragment: 2 }),
    fromInside('10.0.0.2', { ip: { ttl: 1 } }),
    datagram(CLIENT, SERVER, undefined, { ttl: 1 }),
  ]) {
    assert.equal(box.inside(packet), '');
  }
  assert.deepEqual(box.rig.checkFates().dropped, { ttl_expired: 6 });
});

test('REQ-10f: errors are limited in rate (recommended), met', () => {
  const box = new NatBox(router);
  for (let n = 0; n < 100; n++) assert.equal(box.inside(datagram(CLIENT, SERVER, undefined, { ttl: 1 })), '');
  assert.equal(box.rig.checkFates().forwarded, 0, 'none is sent');
});

test('REQ-11: other ICMP may be dropped (may), met', () => {
  const box = asked();
  const types = [1, 2, 6, 7, 9, 10, 17, 18, ...Array.from({ length: 237 }, (_, i) => 19 + i)];
  for (const type of types) {
    assert.equal(box.inside(query('10.0.0.2', '198.51.100.1', 7, type)), '');
    assert.equal(box.outside(query('198.51.100.1', '192.0.2.1', 7, type)), '');
  }
  assert.equal(box.rig.observer.totals().ctInvalid, 2 * types.length);
});
