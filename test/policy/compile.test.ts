/** The flows that policies become, and that the real `ovs-ofctl` takes all of them. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { parseConfig } from '../../src/control/config.ts';
import { addressMatches, ipv4Text, isWithin, portMatches } from '../../src/policy/addresses.ts';
import { seeded } from '../support/seeded.ts';
import { compiled } from './box.ts';

const installed = spawnSync('ovs-ofctl', ['--version']).status === 0;
const skip = installed ? false : 'ovs-ofctl is not installed';

const PORTS = `ports: { alice: { type: traffic }, bob: { type: traffic }, eve: { type: traffic } }
`;
const ZONES = `${PORTS}policy:
  zones: { inside: [alice, bob], outside: [eve] }
`;

/** The flows of one table of a policy with these rules. */
const tableOf = (table: number, rules: string, more = ''): string[] =>
  compiled(`${ZONES}${rules === '' ? '' : `  rules:\n${rules}\n`}${more}`)
    .filter((flow) => flow.startsWith(`table=${table},`))
    .map((flow) => flow.replace(/^table=\d+,/, ''));

const example = (name: string): string =>
  readFileSync(new URL(`../../../examples/${name}.yaml`, import.meta.url), 'utf8');

test('rules are flows of falling priority, and their number is the cookie', () => {
  assert.deepEqual(
    tableOf(9, '  - allow: inside to outside\n  - deny: any to inside\n  - allow: any to any'),
    [
      'cookie=0x1,priority=29999,reg0=1,reg2=2 actions=resubmit(,10)',
      'cookie=0x2,priority=29998,reg2=1 actions=drop',
      'cookie=0x3,priority=29997 actions=resubmit(,10)',
      'priority=0 actions=drop',
    ],
  );
});

test('a protocol is matched over IPv4 and IPv6, as far as there is such a thing', () => {
  const matches = (protocol: string) =>
    tableOf(9, `  - { allow: any to any, protocol: ${protocol} }`)
      .slice(0, -1)
      .map((flow) => flow.replace(/.*29999,(.*) actions=.*/, '$1'));
  assert.deepEqual(matches('tcp'), ['tcp', 'tcp6']);
  assert.deepEqual(matches('[udp, icmp, icmpv6]'), ['udp', 'udp6', 'icmp', 'icmp6']);
  assert.deepEqual(matches('47'), ['ip,nw_proto=47', 'ipv6,nw_proto=47']);
});

test('types of ICMP are those of the protocol, by name or number', () => {
  const matches = (rule: string) =>
    tableOf(9, `  - { allow: any to any, ${rule} }`)
      .slice(0, -1)
      .map((flow) => flow.replace(/.*29999,(.*) actions=.*/, '$1'));
  assert.deepEqual(matches('protocol: [icmp, icmpv6], types: echo'), [
    'icmp,icmp_type=8',
    'icmp6,icmp_type=128',
  ]);
  assert.deepEqual(matches('protocol: [icmp, icmpv6], types: [timestamp, 13, 8]'), [
    'icmp,icmp_type=13',
    'icmp,icmp_type=8',
  ]);
});

test('addresses say which of IPv4 and IPv6 a rule is about', () => {
  assert.deepEqual(tableOf(9, '  - { allow: any to any, from: [10.0.0.0/8, fd00::/8] }').slice(0, 2), [
    'cookie=0x1,priority=29999,ip,nw_src=10.0.0.0/8 actions=resubmit(,10)',
    'cookie=0x1,priority=29999,ipv6,ipv6_src=fd00::/8 actions=resubmit(,10)',
  ]);
  assert.deepEqual(
    tableOf(9, '  - { deny: any to any, protocol: sctp, from: [10.0.0.0/8, fd00::/8], to: fd00::1 }'),
    [
      'cookie=0x1,priority=29999,sctp6,ipv6_src=fd00::/8,ipv6_dst=fd00::1 actions=drop',
      'priority=0 actions=drop',
    ],
  );
});

test('several addresses and several ports are the clauses of a conjunction', () => {
  const sets = '  sets: { office: [10.1.0.0/16, 10.2.0.0/16], web: [80, 8000-8080] }';
  const rule = '  - { allow: any to any, protocol: tcp, from: office, ports: web, log: yes }';
  assert.deepEqual(tableOf(9, rule, sets).slice(0, -1), [
    'cookie=0x1,priority=29999,tcp,nw_src=10.1.0.0/16 actions=conjunction(1,1/2)',
    'cookie=0x1,priority=29999,tcp,nw_src=10.2.0.0/16 actions=conjunction(1,1/2)',
    'cookie=0x1,priority=29999,tcp,tp_dst=80 actions=conjunction(1,2/2)',
    'cookie=0x1,priority=29999,tcp,tp_dst=0x1f40/0xffc0 actions=conjunction(1,2/2)',
    'cookie=0x1,priority=29999,tcp,tp_dst=0x1f80/0xfff0 actions=conjunction(1,2/2)',
    'cookie=0x1,priority=29999,tcp,tp_dst=8080 actions=conjunction(1,2/2)',
    'cookie=0x1,priority=29999,conj_id=1,tcp actions=controller(max_len=128),resubmit(,10)',
  ]);
});

test('what no rule takes is dropped, or allowed if the policy says so', () => {
  assert.deepEqual(tableOf(9, ''), ['priority=0 actions=drop']);
  assert.deepEqual(tableOf(9, '', '  default: allow'), ['priority=0 actions=resubmit(,10)']);
});

test('translations are committed by ct(), and with ports if they are given', () => {
  const nat = `nat:
  router: { inside: 10.0.0.1/24, outside: 203.0.113.1/24 }
  masquerade: [{ zones: inside to outside, address: 203.0.113.8-203.0.113.11, ports: 1024-65535 }]
  forward:
    - { address: 203.0.113.1, port: 8080, to: 10.0.0.5:80 }
    - { address: 203.0.113.2, protocol: udp, port: 5000-5003, to: 10.0.0.5 }`;
  assert.deepEqual(tableOf(10, '', nat), [
    'priority=200,tcp,reg4=1 actions=mod_nw_dst:203.0.113.1,mod_tp_dst:8080,ct(commit,zone=1,nat(dst=10.0.0.5:80)),resubmit(,11)',
    'priority=200,udp,reg4=2 actions=mod_nw_dst:203.0.113.2,ct(commit,zone=1,nat(dst=10.0.0.5)),resubmit(,11)',
    'priority=100,ip,reg0=1,reg2=2 actions=ct(commit,zone=1,nat(src=203.0.113.8-203.0.113.11:1024-65535)),resubmit(,11)',
    'priority=0,ip actions=ct(commit,zone=1),resubmit(,11)',
    'priority=0,ipv6 actions=ct(commit,zone=1),resubmit(,11)',
  ]);
  const own = tableOf(3, '', nat).filter((flow) => flow.startsWith('priority=100,'));
  assert.deepEqual(
    own.map((flow) => flow.replace(/.*nw_dst=(\S+) .*/, '$1')),
    ['10.0.0.1', '203.0.113.1', '203.0.113.8/30', '203.0.113.2'],
  );
});

test('ovs-ofctl takes the flows of the examples', { skip }, () => {
  for (const name of ['firewall', 'nat']) {
    const { ports } = parseConfig(name, example(name), () => []);
    const flows = ports.reduce(
      (text, port) =>
        text.replaceAll(new RegExp(`(in_port=|output:)${port.name}\\b`, 'g'), `$1${port.number}`),
      compiled(example(name)).join('\n'),
    );
    const input = `${flows}\n`;
    const parsed = execFileSync('ovs-ofctl', ['parse-flows', '-'], {
      input,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    assert.equal(parsed.toString().match(/: ADD /g)?.length, input.trim().split('\n').length);
  }
});

test('a configuration with a policy has the flows that it becomes, and no other', () => {
  const config = parseConfig('x.yaml', ZONES, () => []);
  assert.match(config.flows, /^table=0,/);
  assert.ok(!('policy' in config));
});

test(
  'a range of ports or addresses is matched, and nothing beside it',
  seeded((random) => {
    for (let i = 0; i < 300; i++) {
      const [first, last] = [1 + random.below(65535), 1 + random.below(65535)].sort((a, b) => a - b);
      const matches = portMatches({ first: first!, last: last! }).map((text) => text.split('/').map(Number));
      const addresses = addressMatches({ first: first!, last: last! });
      for (const port of [0, first! - 1, first!, last!, last! + 1, random.below(65536)]) {
        const within = port >= first! && port <= last!;
        const found = matches.filter(([value, mask = 0xffff]) => (port & mask) === value);
        assert.equal(found.length, within ? 1 : 0, `${port} in ${first}-${last}`);
        const covering = addresses.filter((block) =>
          isWithin(ipv4Text(port), block.includes('/') ? block : `${block}/32`),
        );
        assert.equal(covering.length, within ? 1 : 0, `${port} in ${first}-${last} as addresses`);
      }
    }
  }),
);
