/** What a policy does to packets on one bridge. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { pick, type Random, seeded } from '../support/seeded.ts';
import { Box } from './box.ts';

const PORTS = ['alice', 'bob', 'eve', 'loose'] as const;
type Port = (typeof PORTS)[number];
const ZONES: Record<Port, string | undefined> = {
  alice: 'inside',
  bob: 'inside',
  eve: 'outside',
  loose: undefined,
};

const boxOf = (rules: object[], more: object = {}): Box =>
  new Box(
    JSON.stringify({
      ports: Object.fromEntries(PORTS.map((name) => [name, { type: 'traffic' }])),
      policy: { zones: { inside: ['alice', 'bob'], outside: ['eve'] }, rules, ...more },
    }),
  );

const macOf = (port: Port): string => `02:00:00:00:00:0${PORTS.indexOf(port) + 1}`;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';

const frame = (from: Port, to: Port | undefined, rest: string): string =>
  `in_port=${from},dl_src=${macOf(from)},dl_dst=${to ? macOf(to) : BROADCAST},${rest}`;

/** A connection's packet in some state, to port 80. */
const tcp = (from: Port, to: Port | undefined, state: string): string =>
  frame(from, to, `tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64,tp_src=999,tp_dst=80,ct_state=${state}+trk`);

const arp = (from: Port): string => frame(from, undefined, 'arp,arp_op=1');

/** A box whose hosts have all been heard. */
function known(rules: object[], more?: object): Box {
  const box = boxOf(rules, more);
  for (const port of PORTS) box.send(arp(port));
  return box;
}

test('the first packet of a connection passes where a rule allows it', () => {
  const box = known([{ allow: 'inside to outside' }]);
  assert.equal(box.send(tcp('alice', 'eve', '+new')), 'eve');
  assert.equal(box.send(tcp('eve', 'alice', '+new')), 'drop');
  assert.equal(box.send(tcp('alice', 'bob', '+new')), 'drop');
  assert.equal(box.send(tcp('loose', 'eve', '+new')), 'drop');
});

test('what belongs to a connection passes without a rule', () => {
  const box = known([]);
  assert.equal(box.send(tcp('eve', 'alice', '+est+rpl')), 'alice');
  assert.equal(box.send(tcp('alice', 'eve', '+est')), 'eve');
  assert.equal(box.send(tcp('eve', 'alice', '+rel+rpl')), 'alice');
});

test('what cannot be tracked, what is invalid and what is tagged is dropped', () => {
  const box = known([{ allow: 'any to any' }]);
  assert.equal(box.send(tcp('alice', 'eve', '+inv')), 'drop');
  assert.equal(box.send(tcp('alice', 'eve', '')), 'drop');
  assert.equal(box.send(frame('alice', 'eve', 'dl_type=0x88cc')), 'drop');
  assert.equal(box.send(`${tcp('alice', 'eve', '+est')},dl_vlan=5,dl_vlan_pcp=0`), 'drop');
});

test('a host that has not been heard is looked for only in the zones that the rules allow', () => {
  const box = boxOf([{ allow: 'inside to outside' }, { allow: 'inside to inside' }]);
  assert.equal(box.send(tcp('alice', 'eve', '+new')), 'bob,eve');
  assert.equal(boxOf([{ allow: 'any to outside' }]).send(tcp('alice', undefined, '+new')), 'eve');
  assert.equal(boxOf([{ allow: 'any to any' }]).send(tcp('alice', undefined, '+new')), 'bob,eve,loose');
});

test('ARP and neighbour discovery reach everybody', () => {
  const box = boxOf([]);
  assert.equal(box.send(arp('eve')), 'alice,bob,loose');
  assert.equal(box.send(frame('alice', undefined, 'icmp6,icmp_type=135,icmp_code=0')), 'bob,eve,loose');
  assert.equal(box.send(frame('bob', 'eve', 'icmp6,icmp_type=136,icmp_code=0')), 'eve');
});

test('a host may move to another port', () => {
  const box = known([{ allow: 'any to inside' }]);
  assert.equal(box.send(tcp('eve', 'alice', '+new')), 'alice');
  box.send(arp('alice').replace('in_port=alice', 'in_port=bob'));
  assert.equal(box.send(tcp('eve', 'alice', '+new')), 'bob');
});

test('a rule that logs shows the packet to controllers, whatever it decides', () => {
  const rules = [
    { allow: 'inside to outside', log: true },
    { deny: 'outside to any', log: true },
  ];
  const box = known(rules);
  assert.match(box.send(tcp('alice', 'eve', '+new')), /^userspace\(.*\),eve$|^controller.*,eve$/);
  assert.match(box.send(tcp('eve', 'alice', '+new')), /^controller.*,drop$/);
});

interface Rule {
  allow?: string;
  deny?: string;
  protocol?: string[];
  from?: string[];
  to?: string[];
  ports?: (number | string)[];
}

interface Connection {
  from: Port;
  to: Port;
  protocol: 'tcp' | 'udp' | 'icmp';
  source: string;
  destination: string;
  port: number;
}

const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.1.1', '10.1.0.1'];
const SETS = { lab: ['10.0.1.0/24', '10.1.0.1'], web: [80, '8000-8007'] };
const PORT_ITEMS = [80, 53, '50-90', '8004-9000', 'web'];
const NUMBERS = [53, 80, 8003, 8007, 9000];

const some = <T>(random: Random, choices: readonly T[]): T[] =>
  Array.from({ length: 1 + random.below(2) }, () => pick(random, choices));

function randomRule(random: Random): Rule {
  const zone = () => pick(random, ['inside', 'outside', 'any']);
  const sometimes = (make: () => object) => (random.below(3) === 0 ? make() : {});
  const withPorts = sometimes(() => ({
    protocol: some(random, ['tcp', 'udp']),
    ports: some(random, PORT_ITEMS),
  }));
  const addresses = ['10.0.0.0/24', '10.0.0.0/16', '10.0.0.2', 'lab'];
  return {
    [pick(random, ['allow', 'deny'])]: `${zone()} to ${zone()}`,
    ...sometimes(() => ({ protocol: some(random, ['tcp', 'udp', 'icmp']) })),
    ...withPorts,
    ...sometimes(() => ({ from: some(random, addresses) })),
    ...sometimes(() => ({ to: some(random, addresses) })),
  };
}

const numberOf = (address: string) =>
  address.split('.').reduce((number, byte) => number * 256 + Number(byte), 0);

/** The naive twin: reads the rules as they are written. */
function isAllowed(rules: readonly Rule[], connection: Connection): boolean {
  const inNetwork = (address: string, network: string): boolean => {
    if (network === 'lab') return SETS.lab.some((one) => inNetwork(address, one));
    const [base, bits = '32'] = network.split('/');
    const size = 2 ** (32 - Number(bits));
    return Math.floor(numberOf(address) / size) === Math.floor(numberOf(base!) / size);
  };
  const inPorts = (port: number, item: number | string): boolean => {
    if (item === 'web') return SETS.web.some((one) => inPorts(port, one));
    const [first, last = first] = String(item).split('-').map(Number);
    return port >= first! && port <= last!;
  };
  const inZone = (port: Port, zone: string) => zone === 'any' || ZONES[port] === zone;
  for (const rule of rules) {
    const [from, to] = (rule.allow ?? rule.deny)!.split(' to ');
    const { protocol, source, destination, port } = connection;
    if (!inZone(connection.from, from!) || !inZone(connection.to, to!)) continue;
    if (rule.protocol && !rule.protocol.includes(protocol)) continue;
    if (rule.from && !rule.from.some((one) => inNetwork(source, one))) continue;
    if (rule.to && !rule.to.some((one) => inNetwork(destination, one))) continue;
    if (rule.ports && !rule.ports.some((one) => inPorts(port, one))) continue;
    return rule.allow !== undefined;
  }
  return false;
}

test(
  'the first rule that fits decides, whatever it is made of',
  seeded((random) => {
    for (let i = 0; i < 60; i++) {
      const rules = Array.from({ length: 1 + random.below(6) }, () => randomRule(random));
      const box = known(rules, { sets: SETS });
      for (let j = 0; j < 30; j++) {
        const from = pick(random, PORTS);
        const connection: Connection = {
          from,
          to: pick(
            random,
            PORTS.filter((port) => port !== from),
          ),
          protocol: pick(random, ['tcp', 'udp', 'icmp']),
          source: pick(random, ADDRESSES),
          destination: pick(random, ADDRESSES),
          port: pick(random, NUMBERS),
        };
        const { to, protocol, source, destination, port } = connection;
        const transport = protocol === 'icmp' ? 'icmp_type=8,icmp_code=0' : `tp_src=999,tp_dst=${port}`;
        const packet = `${protocol},nw_src=${source},nw_dst=${destination},nw_ttl=64,${transport}`;
        const expected = isAllowed(rules, connection) ? to : 'drop';
        const found = box.send(frame(from, to, `${packet},ct_state=+new+trk`));
        assert.equal(found, expected, JSON.stringify({ rules, connection }));
      }
    }
  }),
);
