/**
 * Under attack: floods, scans, hash collisions that are aimed, and full tables. All the while packets of established
 * connections go through, both ways, and what is refused is counted by its reason.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { createArena, NONE, TUPLE_SIZE } from '../../src/datapath.ts';
import { Connections, type Ends as Tuple } from '../support/connections.ts';
import { loadTestModule, TestDatapath } from '../support/module.ts';
import {
  ACK,
  ethernet,
  FIN,
  ipv4,
  PSH,
  RST,
  SYN,
  type Transport,
  tcp,
  URG,
  udp,
} from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';
import { type Random, randomBytes, seeded, word } from '../support/seeded.ts';
import { SmallSwitch } from '../upcall/small-switch.ts';

/**
 * Clients at port 1, servers at 2: what clients begin passes, and answers to it; what is invalid does not. `beginning`
 * says more of table 1, for packets that begin a connection.
 */
const firewall = (beginning: string): string => `
table=0,priority=1,ip,actions=ct(table=1)
table=1,priority=4,ip,ct_state=+inv,actions=drop
table=1,priority=3,ip,ct_state=+est,in_port=1,actions=2
table=1,priority=3,ip,ct_state=+est,in_port=2,actions=1
table=1,priority=1,ip,ct_state=+new,in_port=1,actions=ct(commit),2
${beginning}`;

/** Room for connections. */
const MOST = 4096;
const ESTABLISHED = 20;
/** Packets of an attack between two looks at an established connection. */
const BETWEEN = 16;
/** Half open connections of TCP end so soon. */
const SYN_SENT_S = 30;

const CLIENT = '10.0.1.1';
const SERVER = '10.0.2.2';
const out = (transport: Transport, src = CLIENT, dst = SERVER): Uint8Array =>
  ethernet({}, ipv4({ src, dst }, transport));
const back = (transport: Transport, dst = CLIENT): Uint8Array => out(transport, SERVER, dst);

/** An IPv4 address, anywhere but in 10/8. */
const anywhere = (random: Random): string =>
  `${11 + random.below(200)}.${[0, 0, 0].map(() => random.below(256)).join('.')}`;

class Besieged {
  readonly small: SmallSwitch;
  #turn = 0;

  constructor(beginning = '') {
    this.small = new SmallSwitch(firewall(beginning));
    for (let i = 0; i < ESTABLISHED; i++) {
      const [client, server] = [
        { src: 5000 + i, dst: 80 },
        { src: 80, dst: 5000 + i },
      ];
      assert.deepEqual(this.#send(1, out(tcp({ ...client, seq: 99, flags: SYN }))), [2]);
      assert.deepEqual(this.#send(2, back(tcp({ ...server, seq: 499, ack: 100, flags: SYN | ACK }))), [1]);
      assert.deepEqual(this.#send(1, out(tcp({ ...client, seq: 100, ack: 500 }))), [2]);
    }
    this.checkAll();
  }

  #send(port: number, packet: Uint8Array): number[] {
    return this.small.send(port, packet);
  }

  /** A packet of an established connection, and the answer. */
  #check(i: number): void {
    assert.deepEqual(this.#send(1, out(tcp({ src: 5000 + i, dst: 80, seq: 100, ack: 500 }))), [2], `${i}`);
    assert.deepEqual(this.#send(2, back(tcp({ src: 80, dst: 5000 + i, seq: 500, ack: 100 }))), [1], `${i}`);
  }

  checkAll(): void {
    for (let i = 0; i < ESTABLISHED; i++) this.#check(i);
  }

  /** Sends `n` packets in at port 1; where each went. Every now and then an established connection is looked at. */
  attack(n: number, packet: (i: number) => Uint8Array): number[][] {
    return Array.from({ length: n }, (_, i) => {
      if (i % BETWEEN === 0) this.#check(this.#turn++ % ESTABLISHED);
      return this.#send(1, packet(i));
    });
  }

  /** What has been counted, since the beginning, of what is named; every packet had one fate. */
  counted<Name extends keyof ReturnType<Rig['checkFates']>>(...names: Name[]): unknown[] {
    const totals = this.small.rig.checkFates();
    return names.map((name) => totals[name]);
  }

  get connections(): number {
    return this.small.rig.datapath.exports.connectionCount();
  }
}

test(
  'a SYN flood fills the table, and ends; established connections never notice',
  seeded((random) => {
    const besieged = new Besieged();
    const packets = 6000;
    const flood = (n: number): number[][] =>
      besieged.attack(n, () => out(tcp({ src: 1 + random.below(65535), flags: SYN }), anywhere(random)));
    flood(packets);
    assert.equal(besieged.connections, MOST);
    assert.deepEqual(besieged.counted('ctCreated', 'ctFull'), [MOST, packets - (MOST - ESTABLISHED)]);
    besieged.checkAll();
    besieged.small.advance(SYN_SENT_S);
    assert.equal(besieged.connections, ESTABLISHED);
    flood(100);
    assert.equal(besieged.connections, ESTABLISHED + 100);
    besieged.checkAll();
  }),
);

test('a scan of all ports that is answered by resets makes connections that end soon', () => {
  const besieged = new Besieged();
  const ports = 3000;
  const scanner = '10.0.1.66';
  besieged.attack(ports, (i) => out(tcp({ src: 7, dst: 1 + i, seq: 1, flags: SYN }), scanner));
  for (let i = 0; i < ports; i++) {
    const reset = tcp({ src: 1 + i, dst: 7, seq: 0, ack: 2, flags: RST | ACK });
    assert.deepEqual(besieged.small.send(2, back(reset, scanner)), [1]);
  }
  assert.equal(besieged.connections, ESTABLISHED + ports);
  besieged.small.advance(SYN_SENT_S);
  assert.equal(besieged.connections, ESTABLISHED);
  assert.deepEqual(besieged.counted('ctFull', 'ctInvalid'), [0, 0]);
  besieged.checkAll();
});

for (const [name, flags] of [
  ['NULL', 0],
  ['FIN', FIN],
  ['Xmas', FIN | PSH | URG],
  ['SYN and FIN', SYN | FIN],
] as const) {
  test(`packets of a ${name} scan begin no connection, and are counted as invalid`, () => {
    const besieged = new Besieged();
    const scan = besieged.attack(500, (i) => out(tcp({ src: 7, dst: 1 + i, flags }), '10.0.1.66'));
    assert.ok(scan.every((ports) => ports.length === 0));
    assert.deepEqual(besieged.counted('ctInvalid', 'ctTcpFlags'), [500, 500]);
    assert.equal(besieged.connections, ESTABLISHED);
    besieged.checkAll();
  });
}

test(
  'forged resets and data with sequence numbers that are guessed end no connection',
  seeded((random) => {
    const besieged = new Besieged();
    const forged = besieged.attack(2000, (i) => {
      const seq = 1_000_000 + random.below(0x7fff_0000);
      const fields = { src: 5000 + (i % ESTABLISHED), seq, ack: 500 };
      return out(i % 2 ? tcp({ ...fields, flags: RST }) : tcp(fields, Uint8Array.of(1, 2, 3)));
    });
    assert.ok(forged.every((ports) => ports.length === 0));
    assert.deepEqual(besieged.counted('ctInvalid', 'ctTcpSequence'), [2000, 2000]);
    besieged.checkAll();
  }),
);

test(
  'a flood into a zone stops at the limit of the zone',
  seeded((random) => {
    const besieged = new Besieged('table=1,priority=2,udp,ct_state=+new,actions=ct(commit,zone=9),2');
    besieged.small.request({
      command: 'changeZones',
      setting: 'limits',
      action: 'set',
      text: 'zone=9,limit=50',
    });
    const packets = 1000;
    besieged.attack(packets, (i) => out(udp({ src: 1 + i, dst: 53 }), anywhere(random)));
    assert.equal(besieged.connections, ESTABLISHED + 50);
    assert.deepEqual(besieged.counted('ctZoneFull', 'ctFull'), [packets - 50, 0]);
    besieged.checkAll();
  }),
);

test('clients beyond the ports of an address are refused, and those that have one go on', () => {
  const besieged = new Besieged(
    'table=1,priority=2,udp,ct_state=+new,actions=ct(commit,nat(src=192.0.2.1:1000-1099)),2',
  );
  const client = (i: number): Uint8Array => out(udp({ src: 2000 + i, dst: 53 }));
  besieged.attack(300, client);
  assert.deepEqual(besieged.counted('ctCreated', 'ctNatExhausted'), [ESTABLISHED + 100, 200]);
  besieged.attack(100, client);
  assert.deepEqual(besieged.counted('ctCreated', 'ctNatExhausted'), [ESTABLISHED + 100, 200]);
  besieged.checkAll();
});

test('a table that is full of connections that live takes no other, and loses none', () => {
  const besieged = new Besieged();
  const fill = (i: number): Uint8Array => out(udp({ src: 1 + i, dst: 53 }));
  besieged.attack(MOST - ESTABLISHED, fill);
  const refused = besieged.attack(500, (i) => out(udp({ src: 1 + i, dst: 54 })));
  assert.ok(
    refused.every(([port]) => port === 2),
    'the flows decide what becomes of a packet without a connection',
  );
  assert.deepEqual(besieged.counted('ctCreated', 'ctFull'), [MOST, 500]);
  besieged.attack(MOST - ESTABLISHED, fill);
  assert.deepEqual(besieged.counted('ctCreated', 'ctFull'), [MOST, 500]);
  besieged.checkAll();
});

// Collisions of hashes

const SHARD_BITS = 6;
const shardOf = (connections: Connections, tuple: Tuple): number =>
  connections.hash(tuple) >>> (32 - SHARD_BITS);

/** UDP tuples that all come to the first shard under the salts of `connections`. */
function aimed(connections: Connections, random: Random, n: number): Tuple[] {
  const tuples: Tuple[] = [];
  while (tuples.length < n) {
    const tuple = {
      src: word(random),
      dst: word(random),
      srcPort: random.below(65536),
      dstPort: 80,
      zone: 0,
    };
    if (shardOf(connections, tuple) === 0) tuples.push(tuple);
  }
  return tuples;
}

test(
  'who knew the salts could fill a part of the table: the rest takes connections, and what lives goes on',
  seeded((random) => {
    const besieged = new Besieged();
    const connections = new Connections(besieged.small.rig.datapath);
    const dotted = (n: number): string => Array.from(new Uint8Array(Uint32Array.of(n).buffer)).join('.');
    const port = (n: number): number => ((n & 0xff) << 8) | (n >>> 8);
    const collisions = aimed(connections, random, 600);
    besieged.attack(collisions.length, (i) => {
      const { src, dst, srcPort, dstPort } = collisions[i]!;
      return out(udp({ src: port(srcPort), dst: port(dstPort) }), dotted(src), dotted(dst));
    });
    const [full, created] = besieged.counted('ctFull', 'ctCreated') as [number, number];
    assert.ok(full > 0);
    assert.equal(created + full, ESTABLISHED + collisions.length);
    besieged.attack(1000, (i) => out(udp({ src: 1 + i, dst: 53 })));
    const others = besieged.counted('ctCreated')[0] as number;
    assert.ok(others - created > 900, `${others - created} of 1000`);
    besieged.checkAll();
  }),
);

/** Connections of an arena with salts of its own. */
function salted(seed: number, connections = MOST): Connections {
  const limits = {
    threads: 2,
    ports: 2,
    queues: 1,
    flows: 512,
    rules: 1,
    frames: 512,
    largeFrames: 0,
    macs: 16,
    connections,
  };
  return new Connections(new TestDatapath(createArena(loadTestModule(), limits, seed), 0));
}

test(
  'who knows other salts than those in use aims at nothing',
  seeded((random) => {
    const collisions = aimed(salted(word(random)), random, 2000);
    const victim = salted(word(random));
    const inShard = new Map<number, number>();
    for (const tuple of collisions) {
      assert.notEqual(victim.create(tuple, 1000), NONE);
      const shard = shardOf(victim, tuple);
      inShard.set(shard, (inShard.get(shard) ?? 0) + 1);
    }
    const mean = collisions.length / 2 ** SHARD_BITS;
    assert.ok(Math.max(...inShard.values()) < 3 * mean);
  }),
);

test(
  'without the salts nobody makes tuples collide by changes of an address that cancel each other',
  seeded((random) => {
    const { datapath } = salted(word(random));
    const { exports, u64, u8 } = datapath;
    const tuple = exports.connectionAt(0);
    const [low, high] = [tuple >> 3, (tuple >> 3) + 1];
    let collisions = 0;
    // The highest bit of a half, and what that becomes in the other by being multiplied and shifted.
    for (const shift of [29n, 32n]) {
      for (let trial = 0; trial < 2000; trial++) {
        u8.set(randomBytes(random, TUPLE_SIZE), tuple);
        const before = exports.hashTuple(tuple);
        u64[low]! ^= 1n << 63n;
        u64[high]! += (1n << 63n) + (1n << (63n - shift));
        if (exports.hashTuple(tuple) === before) collisions++;
      }
    }
    assert.ok(collisions < 5, `${collisions} of 4000 pairs`);
  }),
);
