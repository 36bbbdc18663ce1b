/** Choosing a translation: which tuples a request leads to, and when there is none left. */
import assert from 'node:assert/strict';
import test from 'node:test';
import ipaddr from 'ipaddr.js';
import {
  CONNECTION_DNAT,
  CONNECTION_REVERSED,
  CONNECTION_SNAT,
  NAT_DESTINATION,
  NAT_HAS_ADDRESS,
  NAT_HAS_PORTS,
  NAT_HASH,
  NAT_PERSISTENT,
  NAT_RANDOM,
  NAT_SOURCE,
  regionAddress,
} from '../../src/datapath.ts';
import {
  type Ends,
  flagsOf,
  keepAlive,
  readTuple,
  reverse,
  type Wish,
  writeRequest,
  writeTuple,
} from '../support/nat.ts';
import { address } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { pick, seeded } from '../support/seeded.ts';

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const GRE = 47;
const ICMPV6 = 58;
const ECHO = 0x0800;
const ECHO6 = 0x8000;

/** A table of connections, and the requests that fill it. */
class Table {
  readonly #rig = new Rig({ connections: 1024 });

  /** Its reply tuple and flags, as the request has it translated; undefined: there is no room for it. */
  connect(original: Ends, wish: Wish, protocol = UDP): { reply: Ends; flags: number } | undefined {
    const { datapath } = this.#rig;
    const { exports } = datapath;
    const number = exports.takeConnection();
    const connection = exports.connectionAt(number);
    const request = this.#rig.keyAddress();
    writeTuple(datapath, connection, 0, original, protocol);
    writeTuple(datapath, connection, 1, reverse(original, protocol), protocol);
    keepAlive(datapath, connection);
    writeRequest(datapath, request, wish);
    if (exports.chooseTranslation(number, request) === 0) return undefined;
    const chosen = { reply: readTuple(datapath, connection, 1), flags: flagsOf(datapath, connection) };
    exports.publish(number);
    return chosen;
  }

  /** What hashes are salted with becomes something else, as at another start. */
  salt(): void {
    const { datapath, arena } = this.#rig;
    datapath.u32.fill(
      0x1234567,
      regionAddress(arena, 'hashSalts') >> 2,
      (regionAddress(arena, 'hashSalts') >> 2) + 4,
    );
  }
}

const SNAT = CONNECTION_SNAT | CONNECTION_REVERSED;
const DNAT = CONNECTION_DNAT | CONNECTION_REVERSED;

const GIVEN = NAT_HAS_ADDRESS | NAT_HAS_PORTS;
const toServer = (src: string, srcPort: number): Ends => ({ src, srcPort, dst: '10.1.1.2', dstPort: 80 });
const client = (n: number): string => `10.9.${n >> 8}.${n & 255}`;
const client6 = (n: number): string => `fd00::9:${n.toString(16)}`;

for (const [name, protocol, v6] of [
  ['UDP', UDP, false],
  ['TCP over IPv6', TCP, true],
  ['ICMP', ICMP, false],
  ['ICMPv6', ICMPV6, true],
] as const) {
  test(
    `${name}: a small range is used to the last tuple, and each of them once`,
    seeded((random) => {
      for (let i = 0; i < 8; i++) {
        const table = new Table();
        const count = 1 + random.below(6);
        const size = 1 + random.below(20);
        const first = random.below(60000);
        const base = v6 ? 'fd00::ffff:ffff:ffff:fff' : '10.1.255.25';
        const last = v6 ? ['e', 'f'] : ['3', '4', '5'];
        const from = random.below(last.length);
        // Past the last byte of an address stands the next one up.
        const addresses = Array.from({ length: count }, (_, n) => next(base + last[from], n));
        const wish: Wish = {
          flags: NAT_SOURCE | GIVEN | pick(random, [NAT_HASH, NAT_RANDOM, 0]),
          addresses: [addresses[0]!, addresses.at(-1)!],
          ports: [first, first + size - 1],
        };
        const seen = new Set<string>();
        for (let n = 0; n < count * size; n++) {
          const original = {
            src: v6 ? client6(n) : client(n),
            dst: v6 ? 'fd00::2' : '10.1.1.2',
            srcPort: random.below(65536),
            dstPort: protocol === ICMP ? ECHO : protocol === ICMPV6 ? ECHO6 : 80,
          };
          const chosen = table.connect(original, wish, protocol);
          assert.ok(chosen, `${n} of ${count} × ${size}`);
          const { reply, flags } = chosen;
          assert.equal(flags, SNAT);
          assert.equal(reply.src, original.dst);
          assert.ok(addresses.includes(reply.dst), reply.dst);
          const isIcmp = protocol === ICMP || protocol === ICMPV6;
          const port = isIcmp ? reply.srcPort : reply.dstPort;
          assert.ok(port >= first && port < first + size, `${port}`);
          assert.equal(
            isIcmp ? reply.dstPort : reply.srcPort,
            reverse(original, protocol)[isIcmp ? 'dstPort' : 'srcPort'],
          );
          seen.add(`${reply.dst} ${port}`);
        }
        assert.equal(seen.size, count * size);
        const late = {
          src: v6 ? 'fd00::1' : '10.8.0.1',
          dst: v6 ? 'fd00::2' : '10.1.1.2',
          srcPort: 5,
          dstPort: 80,
        };
        if (protocol === UDP || protocol === TCP) {
          assert.equal(table.connect(late, wish, protocol), undefined);
          assert.ok(
            table.connect({ ...late, dstPort: 81 }, wish, protocol),
            'they serve another destination',
          );
        }
      }
    }),
  );
}

/** The address `n` behind one. */
function next(written: string, n: number): string {
  const bytes = address(written).slice();
  for (let at = bytes.length - 1, carry = n; carry > 0; at--, carry >>= 8) {
    carry += bytes[at]!;
    bytes[at] = carry;
  }
  return ipaddr.fromByteArray([...bytes]).toString();
}

test('a larger range is not said to be full before 128 are taken', () => {
  for (const flags of [NAT_HASH, NAT_RANDOM]) {
    const table = new Table();
    const wish: Wish = {
      flags: NAT_SOURCE | GIVEN | flags,
      addresses: ['10.1.1.240', '10.1.1.249'],
      ports: [2000, 2099],
    };
    for (let n = 0; n < 128; n++) assert.ok(table.connect(toServer(client(n), 9), wish));
  }
});

test('a protocol without ports has a connection an address', () => {
  const table = new Table();
  const behind: Wish = { flags: NAT_SOURCE | GIVEN, addresses: ['10.1.1.240', '10.1.1.244'], ports: [1, 9] };
  const before: Wish = { flags: NAT_DESTINATION | GIVEN, addresses: ['10.1.2.1', '10.1.2.3'], ports: [1, 9] };
  const to = (src: string, dst: string): Ends => ({ src, dst, srcPort: 0, dstPort: 0 });
  const chosen = (n: number) => table.connect(to(client(n), '10.1.1.2'), behind, GRE)?.reply;
  const sources = [0, 1, 2, 3, 4].map((n) => chosen(n)!);
  assert.deepEqual(
    sources.map(({ dst }) => dst).sort(),
    [0, 1, 2, 3, 4].map((n) => `10.1.1.24${n}`),
  );
  for (const { srcPort, dstPort } of sources) assert.deepEqual([srcPort, dstPort], [0, 0]);
  assert.equal(chosen(5), undefined);
  for (let n = 0; n < 3; n++)
    assert.equal(table.connect(to(client(9), client(100 + n)), before, GRE)?.flags, DNAT);
  assert.equal(table.connect(to(client(9), client(200)), before, GRE), undefined);
});

test('without a range of ports the sender keeps its own while it is free, and then gets the next of its class', () => {
  const classes = [
    [1, 1, 511],
    [80, 1, 511],
    [511, 1, 511],
    [512, 600, 1023],
    [599, 600, 1023],
    [1023, 600, 1023],
    [1024, 1024, 65535],
    [65535, 1024, 65535],
    [0, 1, 511],
  ] as const;
  for (const [own, first, last] of classes) {
    const table = new Table();
    const wish: Wish = { flags: NAT_SOURCE | NAT_HAS_ADDRESS, addresses: ['10.1.1.240', '10.1.1.240'] };
    const ports = Array.from(
      { length: 20 },
      (_, n) => table.connect(toServer(client(n), own), wish)!.reply.dstPort,
    );
    const start = own < first ? first : own === last ? first : own + 1;
    const walk = Array.from({ length: 19 }, (_, n) => first + ((start - first + n) % (last - first + 1)));
    assert.deepEqual(ports, [own, ...walk]);
  }
});

test('with several addresses a port is kept as long as one of them has it', () => {
  const table = new Table();
  const wish: Wish = { flags: NAT_SOURCE | NAT_HAS_ADDRESS, addresses: ['10.1.1.240', '10.1.1.242'] };
  const ports = [1, 2, 3, 4].map((n) => table.connect(toServer(client(n), 5000), wish)!.reply.dstPort);
  assert.deepEqual(ports, [5000, 5000, 5000, 5001]);
});

for (const [protocol, server, type, outside] of [
  [ICMP, '10.0.0.2', ECHO, '10.0.0.201'],
  [ICMPV6, 'fd00::2', ECHO6, 'fd00::c9'],
] as const) {
  test(`echo requests with one identifier get three, one behind the other (protocol ${protocol})`, () => {
    const table = new Table();
    const wish: Wish = { flags: NAT_SOURCE | NAT_HAS_ADDRESS, addresses: [outside, outside] };
    const ids = [1, 3, 4].map((n) => {
      const src = protocol === ICMP ? `10.0.0.${n}` : `fd00::${n}`;
      const { reply, flags } = table.connect(
        { src, dst: server, srcPort: 500, dstPort: type },
        wish,
        protocol,
      )!;
      assert.equal(reply.dst, outside);
      assert.equal(flags, SNAT);
      return reply.srcPort;
    });
    assert.deepEqual(ids, [500, 501, 502]);
  });
}

for (const [what, wish] of [
  ['an all-zero address', { flags: NAT_SOURCE | NAT_HAS_ADDRESS, addresses: ['0.0.0.0', '0.0.0.0'] }],
  ['no address', { flags: NAT_SOURCE }],
] satisfies [string, Wish][]) {
  test(`${what} leaves the sender alone, unless its replies would be another's`, () => {
    const table = new Table();
    const original = toServer('10.1.1.1', 30001);
    const toBackend: Wish = { flags: NAT_DESTINATION | NAT_HAS_ADDRESS, addresses: ['10.1.1.2', '10.1.1.2'] };
    const free = table.connect({ ...original, srcPort: 30000 }, wish)!;
    assert.deepEqual(free, { reply: reverse({ ...original, srcPort: 30000 }, UDP), flags: 0 });
    assert.equal(table.connect({ ...original, dst: '10.1.1.64' }, toBackend)!.flags, DNAT);
    const { reply, flags } = table.connect(original, wish)!;
    assert.deepEqual(reply, { ...reverse(original, UDP), dstPort: 30002 });
    assert.equal(flags, SNAT);
  });
}

test('another destination: first its ports, then the source port', () => {
  const table = new Table();
  const wish: Wish = {
    flags: NAT_DESTINATION | GIVEN,
    addresses: ['10.1.1.2', '10.1.1.2'],
    ports: [8080, 8081],
  };
  const to = (dst: string) => table.connect({ src: '10.1.1.1', dst, srcPort: 4000, dstPort: 80 }, wish, TCP)!;
  const chosen = [1, 2, 3, 4].map((n) => to(`10.1.2.${n}`));
  assert.deepEqual(
    chosen.map(({ flags }) => flags),
    [DNAT, DNAT, SNAT | DNAT, SNAT | DNAT],
  );
  assert.deepEqual(
    chosen
      .map(({ reply }) => reply.srcPort)
      .slice(0, 2)
      .sort(),
    [8080, 8081],
  );
  assert.deepEqual(
    chosen.map(({ reply }) => reply.dstPort === 4000),
    [true, true, false, false],
  );
  assert.equal(new Set(chosen.map(({ reply }) => `${reply.srcPort} ${reply.dstPort}`)).size, 4);
  for (const { reply } of chosen) assert.deepEqual([reply.src, reply.dst], ['10.1.1.2', '10.1.1.1']);
});

test('ports for the destination mean nothing to ICMP', () => {
  const wish: Wish = {
    flags: NAT_DESTINATION | GIVEN,
    addresses: ['10.1.1.2', '10.1.1.2'],
    ports: [8080, 8081],
  };
  const echo = { src: '10.1.1.1', dst: '10.1.1.64', srcPort: 7, dstPort: ECHO };
  const { reply, flags } = new Table().connect(echo, wish, ICMP)!;
  assert.deepEqual(reply, { src: '10.1.1.2', dst: '10.1.1.1', srcPort: 7, dstPort: 0 });
  assert.equal(flags, DNAT);
});

test('what is translated to what it is is not translated', () => {
  const original = toServer('10.1.1.1', 4000);
  for (const wish of [
    { flags: NAT_DESTINATION | GIVEN, addresses: ['10.1.1.2', '10.1.1.2'], ports: [80, 80] },
    { flags: NAT_SOURCE | GIVEN, addresses: ['10.1.1.1', '10.1.1.1'], ports: [4000, 4000] },
  ] satisfies Wish[]) {
    assert.deepEqual(new Table().connect(original, wish), { reply: reverse(original, UDP), flags: 0 });
  }
});

test(
  'a persistent choice of address is the same for all that one client does, also after a restart',
  seeded((random) => {
    const wish: Wish = {
      flags: NAT_SOURCE | NAT_PERSISTENT | NAT_HAS_ADDRESS | pick(random, [0, NAT_HASH, NAT_RANDOM]),
      addresses: ['10.1.1.1', '10.1.1.200'],
    };
    const seen = new Set<string>();
    for (let n = 0; n < 30; n++) {
      const src = client(random.below(65536));
      const choices = new Set<string>();
      const table = new Table();
      for (let times = 0; times < 10; times++) {
        if (times === 5) table.salt();
        const original = {
          src,
          dst: client(random.below(65536)),
          srcPort: random.below(65536),
          dstPort: times,
        };
        choices.add(table.connect(original, wish, pick(random, [TCP, UDP, 132]))!.reply.dst);
      }
      assert.equal(choices.size, 1);
      for (const choice of choices) seen.add(choice);
    }
    assert.ok(seen.size > 10, `${seen.size} of 200 addresses for 30 clients`);
  }),
);

test('the address is picked anew for each connection otherwise', () => {
  for (const flags of [0, NAT_HASH, NAT_RANDOM]) {
    const table = new Table();
    const wish: Wish = {
      flags: NAT_SOURCE | NAT_HAS_ADDRESS | flags,
      addresses: ['fd00::ffff:ffff:ffff:fff0', 'fd00:0:0:1::f'],
    };
    const seen = new Set<string>();
    for (let n = 0; n < 50; n++) {
      const original = { src: 'fd00::1', dst: 'fd00::2', srcPort: 1024 + n, dstPort: 80 };
      seen.add(table.connect(original, wish)!.reply.dst);
    }
    assert.ok(seen.size > 15, `${seen.size} addresses`);
  }
});
