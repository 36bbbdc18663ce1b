/** What FTP announces on its control connections: let in as related, told as the other end knows it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { cutAll, datagram4 } from '../support/fragments.ts';
import { ACK, SYN, tcp } from '../support/packets.ts';
import { chance, pick, type Random, seeded, word } from '../support/seeded.ts';
import { ControlConnection, type Ends, flows, Wire } from './control-connection.ts';

const PLAIN = flows('ct(commit,zone=5,alg=ftp)', 'ct(commit,zone=5)');
const SOURCE = flows('ct(commit,zone=5,alg=ftp,nat(src=192.0.2.100))');
const SOURCE6 = flows('ct(commit,zone=5,alg=ftp,nat(src=2001:db8::100))');
const DESTINATION = flows('ct(commit,zone=5,alg=ftp,nat(dst=10.0.0.9:2121))');

const V4: Ends = { src: '10.0.0.2', dst: '10.0.0.3', sport: 40_000, dport: 21 };
const V6: Ends = { src: 'fd00:0:0:0:0:0:0:2', dst: 'fd00:0:0:0:0:0:0:3', sport: 40_000, dport: 21 };

/** Whether the first packet of a connection is let in, which only those are that were announced. */
const letsIn = (wire: Wire, port: number, ends: Ends) => wire.tcp(port, ends, { seq: 1, flags: SYN });

/** From the server's port for data to the client. */
const active = ({ src, dst }: Ends, dport: number): Ends => ({ src: dst, dst: src, sport: 20, dport });
const passive = ({ src, dst }: Ends, dport: number): Ends => ({ src, dst, sport: 50_000, dport });

test('where a client listens the server gets through', () => {
  for (const [ends, line] of [
    [V4, 'PORT 10,0,0,2,8,1\r\n'],
    [V4, 'port 10,0,0,2,8,1\r\n'],
    [V4, 'EPRT |1|10.0.0.2|2049|\r\n'],
    [V6, 'EPRT |2|fd00::2|2049|\r\n'],
    [V6, 'eprt !2!FD00:0:0:0:0:0:0:2!2049!\r\n'],
  ] as const) {
    const wire = new Wire(PLAIN);
    const control = new ControlConnection(wire, ends);
    assert.equal(letsIn(wire, 2, active(ends, 2049)), undefined, 'not before');
    assert.equal(control.say(0, line), line);
    assert.equal(letsIn(wire, 2, active(ends, 2050)), undefined, 'another port');
    assert.equal(letsIn(wire, 2, { ...active(ends, 2049), src: ends.src.replace(/2$/, '7') }), undefined);
    assert.ok(letsIn(wire, 2, active(ends, 2049)), line);
  }
});

test('where a server listens the client gets through', () => {
  const deny = (text: string) => text.replaceAll('+new-rel,actions=', '+new-rel,tp_dst=21,actions=');
  for (const [ends, line] of [
    [V4, '227 Entering Passive Mode (10,0,0,3,8,1).\r\n'],
    [V4, '227 =10,0,0,3,8,1\r\n'],
    [V4, '229 Entering Extended Passive Mode (|||2049|)\r\n'],
    [V6, '229 Extended Passive Mode OK (!!!2049!)\r\n'],
  ] as const) {
    const wire = new Wire(deny(PLAIN));
    const control = new ControlConnection(wire, ends);
    assert.equal(letsIn(wire, 1, passive(ends, 2049)), undefined, 'not before');
    assert.equal(control.say(1, line), line);
    assert.ok(letsIn(wire, 1, passive(ends, 2049)), line);
    assert.equal(letsIn(wire, 1, passive(ends, 2050)), undefined, 'another port');
  }
});

test('other lines, and connections without a helper, announce nothing', () => {
  for (const [who, line] of [
    [0, 'USER anonymous\r\n'],
    [0, 'PORTER 10,0,0,2,8,1\r\n'],
    [0, '227 Entering Passive Mode (10,0,0,2,8,1)\r\n'],
    [0, 'TYPE I\r\nPORT 10,0,0,2,8,1\r\n'],
    [1, 'PORT 10,0,0,3,8,1\r\n'],
    [1, '220 ready\r\n'],
    [1, 'x'],
  ] as const) {
    const wire = new Wire(PLAIN);
    const control = new ControlConnection(wire, V4);
    assert.equal(control.say(who, line), line);
    assert.equal(letsIn(wire, 2, active(V4, 2049)), undefined, line);
    assert.equal(wire.refusedLines, 0);
  }
  const wire = new Wire(PLAIN.replaceAll(',alg=ftp', ''));
  const control = new ControlConnection(wire, V4);
  assert.ok(control.say(0, 'PORT 10,0,0,2,8,1\r\n'));
  assert.equal(letsIn(wire, 2, active(V4, 2049)), undefined);
});

test('a line that is not whole, or lies, is invalid', () => {
  for (const [ends, who, line] of [
    [V4, 0, 'PORT 10,0,0,2,8,1'],
    [V4, 0, 'PORT 10,0,0,2,8'],
    [V4, 0, 'PORT \r\n'],
    [V4, 0, 'PORT 10,0,0,2,8,256\r\n'],
    [V4, 0, 'PORT 10,0,0,2,8,99999999999999\r\n'],
    [V4, 0, 'PORT 10,0,0,2,0,0\r\n'],
    [V4, 0, 'PORT 10,0,0,9,8,1\r\n'],
    [V4, 0, 'EPRT |1|10.0.0.9|2049|\r\n'],
    [V4, 0, 'EPRT |2|fd00::2|2049|\r\n'],
    [V4, 0, 'EPRT |1|10.0.0.2|65536|\r\n'],
    [V4, 0, 'EPRT |1|10.0.0.2|2049'],
    [V4, 0, 'EPRT 1'],
    [V4, 1, '227 Entering Passive Mode (10,0,0,2,8,1)\r\n'],
    [V4, 1, '227 Entering Passive Mode\r\n'],
    [V4, 1, '229 Entering Extended Passive Mode (|||)\r\n'],
    [V4, 1, '229 Entering Extended Passive Mode'],
    [V6, 0, 'EPRT |1|10.0.0.2|2049|\r\n'],
    [V6, 0, 'EPRT |2|fd00::9|2049|\r\n'],
    [V6, 0, 'EPRT |2|fd00::2::|2049|\r\n'],
    [V6, 0, 'EPRT |2|fd00:2:|2049|\r\n'],
    [V6, 0, 'EPRT |2|0:0:0:0:0:fd00::2:0:0|2049|\r\n'],
  ] as const) {
    const wire = new Wire(PLAIN);
    const control = new ControlConnection(wire, ends);
    assert.equal(control.say(who, line), undefined, line);
    assert.equal(wire.refusedLines, 1);
    assert.equal(letsIn(wire, 2, active(ends, 2049)), undefined);
    assert.equal(control.say(who, 'NOOP\r\n'), 'NOOP\r\n', 'the connection goes on');
  }
});

test('a line that came in two parts is read when it is sent again whole', () => {
  const wire = new Wire(PLAIN);
  const control = new ControlConnection(wire, V4);
  assert.equal(control.say(0, 'PORT 10,0,0,2,8'), undefined);
  assert.ok(control.say(0, 'PORT 10,0,0,2,8,1\r\n'));
  assert.ok(letsIn(wire, 2, active(V4, 2049)));
});

test('ports below 1024 are as good as any', () => {
  const wire = new Wire(PLAIN);
  new ControlConnection(wire, V4).say(0, 'PORT 10,0,0,2,0,22\r\n');
  assert.ok(letsIn(wire, 2, active(V4, 22)));
});

test('a related connection is told apart by its state, and has its parent’s mark, label and first packet', () => {
  const wire = new Wire(
    flows(
      'ct(commit,zone=5,alg=ftp,exec(load:7->ct_mark,load:9->ct_label))',
      'ct(commit,zone=5,exec(load:1->ct_mark,load:2->ct_label))',
    ).replaceAll(
      'in_port=2,ct_state=+new+rel,actions',
      'in_port=2,ct_state=+new+rel,ct_mark=7,ct_label=9,actions',
    ),
  );
  wire.switch.ask(
    'flows',
    'add',
    `table=1,priority=40000,ct_state=+est+rel+rpl,tcp,in_port=1,ct_mark=7,ct_nw_src=10.0.0.2,ct_nw_dst=10.0.0.3,ct_tp_src=40000,ct_tp_dst=21,actions=2
     table=1,priority=39000,ct_state=+rel+est,actions=drop`,
  );
  new ControlConnection(wire, V4).say(0, 'PORT 10,0,0,2,8,1\r\n');
  const data = active(V4, 2049);
  assert.ok(letsIn(wire, 2, data));
  const back = { src: data.dst, dst: data.src, sport: data.dport, dport: data.sport };
  assert.ok(wire.tcp(1, back, { seq: 9, ack: 2, flags: SYN | 16 }), 'matches all that');
  const rows = wire.connections();
  const [parent, child] = ['tcp', 'data'].map((_, i) =>
    rows.find(({ original }) => (original.sport === 20) === (i === 1)),
  );
  assert.deepEqual([parent!.helper, parent!.mark, parent!.labels], ['ftp', 7, '0x9']);
  assert.deepEqual([child!.helper, child!.mark, child!.labels], [undefined, 7, '0x9']);
});

test('what was announced is expected while the control connection lasts', () => {
  const wire = new Wire(PLAIN);
  const control = new ControlConnection(wire, V4);
  control.say(0, 'PORT 10,0,0,2,8,1\r\n');
  control.say(0, 'PORT 10,0,0,2,8,2\r\n');
  assert.ok(letsIn(wire, 2, active(V4, 2049)));
  assert.ok(letsIn(wire, 2, { ...active(V4, 2049), sport: 21 }), 'more than once');
  wire.switch.request({ command: 'flush', filter: ['ct_tp_dst=21'], from: 0 });
  assert.equal(letsIn(wire, 2, { ...active(V4, 2049), sport: 22 }), undefined);
  assert.equal(letsIn(wire, 2, active(V4, 2050)), undefined);
});

test('a client that is translated says where the server finds it', () => {
  const wire = new Wire(SOURCE);
  const control = new ControlConnection(wire, V4);
  assert.equal(control.known.src, '192.0.2.100');
  assert.equal(control.say(0, 'PORT 10,0,0,2,8,1\r\n'), 'PORT 192,0,2,100,8,1\r\n');
  assert.equal(control.say(0, 'EPRT |1|10.0.0.2|2049|\r\n'), 'EPRT |1|192.0.2.100|2049|\r\n');
  const data = letsIn(wire, 2, active(control.known, 2049))!;
  assert.deepEqual([data.src, data.dst, data.dport], ['10.0.0.3', '10.0.0.2', 2049]);
  const answer = wire.tcp(
    1,
    { src: '10.0.0.2', dst: '10.0.0.3', sport: 2049, dport: 20 },
    { ack: 2, flags: SYN | 16 },
  )!;
  assert.equal(answer.src, '192.0.2.100');
});

test('the same over IPv6', () => {
  const wire = new Wire(SOURCE6);
  const control = new ControlConnection(wire, V6);
  assert.equal(control.say(0, 'EPRT |2|fd00::2|2049|\r\n'), 'EPRT |2|2001:db8:0:0:0:0:0:100|2049|\r\n');
  const data = letsIn(wire, 2, active(control.known, 2049))!;
  assert.deepEqual([data.dst, data.dport], [V6.src, 2049]);
});

test('a server that is translated says where the client finds it', () => {
  const wire = new Wire(DESTINATION);
  const control = new ControlConnection(wire, V4);
  assert.deepEqual([control.known.dst, control.known.dport], ['10.0.0.9', 2121]);
  assert.equal(
    control.say(1, '227 Entering Passive Mode (10,0,0,9,200,5)\r\n'),
    '227 Entering Passive Mode (10,0,0,3,200,5)\r\n',
  );
  assert.equal(letsIn(wire, 1, passive(V4, 51_205))!.dst, '10.0.0.9');
  assert.equal(control.say(0, 'PORT 10,0,0,2,8,1\r\n'), 'PORT 10,0,0,2,8,1\r\n');
  const data = letsIn(wire, 2, active(control.known, 2049))!;
  assert.equal(data.src, '10.0.0.3', 'and its own connections come from there');
});

test('a client that is translated reaches a server that listens as its control connection does', () => {
  const wire = new Wire(SOURCE);
  const control = new ControlConnection(wire, V4);
  assert.ok(control.say(1, '229 Entering Extended Passive Mode (|||2049|)\r\n'));
  assert.equal(letsIn(wire, 1, passive(V4, 2049))!.src, '192.0.2.100');
});

test('clients behind one address that listen on one port are told apart', () => {
  const wire = new Wire(SOURCE);
  const clients = ['10.0.0.2', '10.0.0.4'].map((src) => new ControlConnection(wire, { ...V4, src }));
  assert.equal(clients[0]!.say(0, 'PORT 10,0,0,2,255,255\r\n'), 'PORT 192,0,2,100,255,255\r\n');
  assert.equal(clients[1]!.say(0, 'PORT 10,0,0,4,255,255\r\n'), 'PORT 192,0,2,100,4,0\r\n');
  assert.equal(clients[1]!.repeat(0), 'PORT 192,0,2,100,4,0\r\n');
  const data = letsIn(wire, 2, { src: V4.dst, dst: '192.0.2.100', sport: 20, dport: 1024 })!;
  assert.deepEqual([data.dst, data.dport], ['10.0.0.4', 65_535]);
});

test('a client may say itself what the server knows it by', () => {
  const wire = new Wire(SOURCE);
  const control = new ControlConnection(wire, V4);
  assert.equal(control.say(0, 'PORT 192,0,2,100,8,1\r\n'), 'PORT 192,0,2,100,8,1\r\n');
  assert.equal(letsIn(wire, 2, active(control.known, 2049))!.dst, '10.0.0.2');
});

test('a line in fragments is read, and is not changed to one of another length', () => {
  const line = Uint8Array.from(Buffer.from(`PORT 10,0,0,2,8,1\r\n${'x'.repeat(2700)}`));
  const segment = tcp({ src: 40_000, dst: 21, seq: 1001, ack: 7001, flags: ACK, window: 60_000 }, line);
  const fragments = cutAll(datagram4({ src: '10.0.0.2', dst: '10.0.0.3' }, segment), 1400);
  const through = (text: string) => {
    const wire = new Wire(text);
    const control = new ControlConnection(wire, V4);
    const out = fragments.flatMap((fragment) => wire.switch.forward(1, fragment));
    return { wire, control, out };
  };
  const plain = through(PLAIN);
  assert.equal(plain.out.length, fragments.length);
  assert.ok(letsIn(plain.wire, 2, active(V4, 2049)));
  const translated = through(SOURCE);
  assert.deepEqual(translated.out, []);
  assert.equal(translated.wire.switch.rig.observer.totals().dropped.fragment_too_long, fragments.length);
});

/** A table more, to which all packets of connections go by another ct(). */
const again = (text: string, first: string, second: string): string =>
  text
    .replaceAll('actions=ct(table=1,zone=5,nat)', `actions=ct(table=1,zone=5${first})`)
    .replaceAll(/ct_state=\+est-inv,actions=(\d)/g, `ct_state=+est-inv,actions=ct(zone=5${second},table=2)`)
    .concat('\ntable=2,in_port=1,ct_state=+est,ip,actions=2\ntable=2,in_port=2,ct_state=+est,ip,actions=1');

test('a packet that goes by ct() twice is changed once, whichever has nat', () => {
  for (const [first, second] of [
    [',nat', ',nat'],
    [',nat', ''],
    ['', ',nat'],
  ] as const) {
    const wire = new Wire(again(SOURCE, first, second));
    const [other, control] = ['10.0.0.4', '10.0.0.2'].map(
      (src) => new ControlConnection(wire, { ...V4, src }),
    );
    assert.equal(other!.say(0, 'PORT 10,0,0,4,8,1\r\n'), 'PORT 192,0,2,100,8,1\r\n');
    assert.equal(control!.say(0, 'PORT 10,0,0,2,8,1\r\n'), 'PORT 192,0,2,100,8,2\r\n');
    assert.ok(control!.say(1, '200 fine\r\n'));
    assert.ok(control!.acknowledge(0));
    assert.ok(control!.acknowledge(1));
    const data = letsIn(wire, 2, active(control!.known, 2050))!;
    assert.deepEqual([data.dst, data.dport], ['10.0.0.2', 2049]);
    assert.equal(letsIn(wire, 2, active(control!.known, 2049))!.dst, '10.0.0.4');
  }
});

/** A line of either end, and whether it announces something. */
function randomLine(random: Random, who: 0 | 1, { src, dst }: Ends): string {
  const port = 1024 + random.below(60_000);
  const comma = (address: string) => `${address.replaceAll('.', ',')},${port >> 8},${port & 255}`;
  const idle = `${'x'.repeat(random.below(200))}\r\n`;
  return who === 0
    ? pick(random, [idle, `PORT ${comma(src)}\r\n`, `EPRT |1|${src}|${port}|\r\n`])
    : pick(random, [idle, `227 ok (${comma(dst)})\r\n`, `229 ok (|||${port}|)\r\n`]);
}

test(
  'each end sees one stream without gaps, however lines grow and shrink',
  seeded((random) => {
    const [growing, shrinking] = [
      ['10.0.0.2', '192.0.2.100-192.0.2.120'],
      ['192.168.100.200', '8.8.8.8'],
    ] as const;
    for (let run = 0; run < 30; run++) {
      const [src, outside] = pick(random, [growing, shrinking]);
      const wire = new Wire(flows(`ct(commit,zone=5,alg=ftp,nat(src=${outside}))`));
      wire.padding = pick(random, [0, 6]);
      const ends = { ...V4, src };
      const firsts = [0, 0].map(() => pick(random, [word(random), 2 ** 32 - 1 - random.below(500)]));
      const control = new ControlConnection(wire, ends, firsts as [number, number]);
      for (let step = 0; step < 60; step++) {
        const who = pick(random, [0, 1] as const);
        const line = randomLine(random, who, ends);
        const heard = control.say(who, line);
        assert.ok(heard !== undefined, line);
        if (who === 1 || /^x|^\r/.test(line)) assert.equal(heard, line);
        else
          assert.ok(
            heard.includes(control.known.src) || heard.includes(control.known.src.replaceAll('.', ',')),
          );
        if (chance(random, 0.3)) assert.equal(control.repeat(who), heard);
        if (chance(random, 0.5)) assert.ok(control.acknowledge(who, random.below(4)));
        if (chance(random, 0.7)) assert.ok(control.acknowledge(who === 0 ? 1 : 0, random.below(4)));
      }
    }
  }),
);
