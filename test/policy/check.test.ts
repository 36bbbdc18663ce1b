/** What is wrong in `policy` and `nat` is named with its place, what was found and what was expected. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConfig } from '../../src/control/config.ts';
import { ConfigError } from '../../src/yaml/problem.ts';

function problemsOf(text: string): string[] {
  try {
    parseConfig('box.yaml', text, () => []);
  } catch (error) {
    assert.ok(error instanceof ConfigError, `expected a ConfigError, found ${error}`);
    return error.message.split('\n');
  }
  return [];
}

const PORTS = 'ports: { alice: { type: traffic }, bob: { type: traffic }, eve: { type: traffic } }\n';
const ZONES = `${PORTS}policy:
  zones: { inside: [alice, bob], outside: [eve] }
  sets: { web: [80, 8000-8080], lab: [10.0.0.0/8], six: fd00::/8 }
`;
const rule = (text: string): string => `${ZONES}  rules:\n    - { ${text} }\n`;
const nat = (text: string, router = 'inside: 10.0.0.1/24, outside: 203.0.113.1/24'): string =>
  `${ZONES}nat:\n  router: { ${router} }\n  ${text}\n`;

const MISTAKES: readonly [why: string, text: string, ...problems: string[]][] = [
  [
    'flows beside a policy',
    `${ZONES}flows: actions=NORMAL`,
    'box.yaml:5:1: found "flows", expected flows or the policy at 2:1, not both',
  ],
  [
    'nat without a policy',
    `${PORTS}nat: { router: { inside: 10.0.0.1/24 } }`,
    'box.yaml:2:6: nat: found none, expected a section policy beside it, for its zones and rules',
  ],
  [
    'a port that is not there',
    `${PORTS}policy: { zones: { inside: [alise] } }`,
    'box.yaml:2:29: policy.zones.inside.0: found "alise", expected one of alice, bob, eve (did you mean alice?)',
  ],
  [
    'a port in two zones',
    `${PORTS}policy: { zones: { inside: [alice], outside: [bob, alice] } }`,
    'box.yaml:2:52: policy.zones.outside.1: found "alice", expected a port that zone inside does not have',
  ],
  [
    'a zone that is called any',
    `${PORTS}policy: { zones: { any: [alice] } }`,
    'box.yaml:2:20: policy.zones: found "any", expected a name: a letter, then letters, digits, ".", "-" or "_", at most 31, not "any" or "to"',
  ],
  [
    'no zones',
    `${PORTS}policy: { rules: [] }`,
    'box.yaml:2:1: policy.zones: found nothing, expected a mapping of names to lists of ports',
  ],
  [
    'a set of addresses and ports',
    `${ZONES.replace('[80, 8000-8080]', '[80, 10.0.0.1]')}`,
    'box.yaml:4:21: policy.sets.web.1: found "10.0.0.1", expected ports only, as before it',
  ],
  [
    'an unknown zone in a rule',
    rule('allow: inside to outsid'),
    'box.yaml:6:26: policy.rules.0.allow: found "outsid", expected one of inside, outside, any (did you mean outside?)',
  ],
  [
    'a rule about one zone',
    rule('allow: inside'),
    'box.yaml:6:16: policy.rules.0.allow: found "inside", expected two zones, such as inside to outside',
  ],
  [
    'a rule that allows and denies',
    rule('allow: any to any, deny: any to any'),
    'box.yaml:6:7: policy.rules.0: found both, expected allow or deny',
  ],
  [
    'types without ICMP',
    rule('allow: any to any, types: echo'),
    'box.yaml:6:7: policy.rules.0.protocol: found nothing, expected icmp or icmpv6, which have types',
  ],
  [
    'types of TCP',
    rule('allow: any to any, protocol: [icmp, tcp], types: echo'),
    'box.yaml:6:38: policy.rules.0.protocol: found a list, expected icmp or icmpv6, which have types',
  ],
  [
    'a type that begins no connection',
    rule('allow: any to any, protocol: icmpv6, types: [echo, timestamp, 3]'),
    'box.yaml:6:60: policy.rules.0.types.1: found "timestamp", expected a query of icmpv6: nothing else begins a connection',
    'box.yaml:6:71: policy.rules.0.types.2: found 3, expected a query of icmpv6: nothing else begins a connection',
  ],
  [
    'a type that nobody knows',
    rule('allow: any to any, protocol: icmp, types: ecko'),
    'box.yaml:6:51: policy.rules.0.types.0: found "ecko", expected echo, timestamp, information, or the number of such a type',
  ],
  [
    'a rule that does neither',
    rule('protocol: tcp'),
    'box.yaml:6:7: policy.rules.0: found a rule with neither, expected allow or deny',
  ],
  [
    'an unknown key',
    rule('allow: any to any, port: 80'),
    'box.yaml:6:28: policy.rules.0: found "port", expected one of allow, deny, protocol, from, to, ports, types, log (did you mean ports?)',
  ],
  [
    'an unknown protocol',
    rule('allow: any to any, protocol: [udp, tpc]'),
    'box.yaml:6:44: policy.rules.0.protocol.1: found "tpc", expected one of tcp, udp, sctp, icmp, icmpv6, or a number from 0 to 255 (did you mean tcp?)',
  ],
  [
    'ports without a protocol',
    rule('allow: any to any, ports: 80'),
    'box.yaml:6:7: policy.rules.0.protocol: found nothing, expected one of tcp, udp, sctp, which have ports',
  ],
  [
    'ports of a protocol that has none',
    rule('allow: any to any, protocol: [tcp, icmp], ports: 80'),
    'box.yaml:6:38: policy.rules.0.protocol: found a list, expected one of tcp, udp, sctp, which have ports',
  ],
  [
    'a range that is the wrong way round',
    rule('allow: any to any, protocol: tcp, ports: [22, 90-80]'),
    'box.yaml:6:55: policy.rules.0.ports.1: found "90-80", expected a port such as 80 or a range such as 8000-8080, or a set of them',
  ],
  [
    'an unknown set',
    rule('allow: any to any, from: labs'),
    'box.yaml:6:34: policy.rules.0.from.0: found "labs", expected one of lab, six (did you mean lab?)',
  ],
  [
    'a set of the wrong kind',
    rule('allow: any to any, to: web'),
    'box.yaml:6:32: policy.rules.0.to.0: found "web", expected one of lab, six',
  ],
  [
    'a network with bits beyond its prefix',
    rule('allow: any to any, from: 10.0.0.1/8'),
    'box.yaml:6:34: policy.rules.0.from.0: found "10.0.0.1/8", expected an address or a network, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8, or a set of them',
  ],
  [
    'IPv4 to IPv6',
    rule('allow: any to any, from: lab, to: six'),
    'box.yaml:6:43: policy.rules.0.to: found "six", expected an IPv4 address among them, as in from',
  ],
  [
    'ICMPv6 over IPv4',
    rule('allow: any to any, from: lab, protocol: icmpv6'),
    'box.yaml:6:34: policy.rules.0.from: found "lab", expected an IPv6 address among them, for icmpv6',
  ],
  [
    'a router that is not in every zone',
    nat('', 'inside: 10.0.0.1/24'),
    'box.yaml:6:3: nat.router.outside: found nothing, expected the router’s address in zone outside',
  ],
  [
    'a router in an unknown zone',
    nat('', 'inside: 10.0.0.1/24, outside: 203.0.113.1/24, dmz: 10.1.0.1/24'),
    'box.yaml:6:59: nat.router: found "dmz", expected one of inside, outside',
  ],
  [
    'networks that meet',
    nat('', 'inside: 10.0.0.1/8, outside: 10.1.0.1/24'),
    'box.yaml:6:42: nat.router.outside.address: found "10.1.0.1/24", expected a network apart from that of inside, 10.0.0.0/8',
  ],
  [
    'a gateway elsewhere',
    nat('', 'inside: 10.0.0.1/24, outside: { address: 203.0.113.1/24, gateway: 10.0.0.9 }'),
    'box.yaml:6:79: nat.router.outside.gateway: found "10.0.0.9", expected another address in 203.0.113.0/24',
  ],
  [
    'two gateways',
    nat(
      '',
      'inside: { address: 10.0.0.1/24, gateway: 10.0.0.2 }, outside: { address: 203.0.113.1/24, gateway: 203.0.113.9 }',
    ),
    'box.yaml:6:102: nat.router.outside: found "gateway", expected one gateway, which inside has',
  ],
  [
    'a port in no zone',
    nat('').replace('eve: {', 'zoe: { type: traffic }, eve: {'),
    'box.yaml:1:60: ports: found "zoe", expected a port in a zone, since nat joins zones',
  ],
  [
    'a masquerade within a zone',
    nat('masquerade: [{ zones: inside to inside }]'),
    'box.yaml:7:25: nat.masquerade.0.zones: found "inside to inside", expected two zones',
  ],
  [
    'the same masquerade twice',
    nat('masquerade: [{ zones: inside to outside }, { zones: inside to outside, ports: 1-9 }]'),
    'box.yaml:7:55: nat.masquerade.1.zones: found "inside to outside", expected zones that masquerade 0 does not have',
  ],
  [
    'a pool that is the wrong way round',
    nat('masquerade: [{ zones: inside to outside, address: 203.0.113.9-203.0.113.8 }]'),
    'box.yaml:7:53: nat.masquerade.0.address: found "203.0.113.9-203.0.113.8", expected the lower address first',
  ],
  [
    'a forward from nowhere to nowhere',
    nat('forward: [{ address: 192.0.2.1, port: 80, to: 192.0.2.2 }]'),
    'box.yaml:7:24: nat.forward.0.address: found "192.0.2.1", expected an address in 10.0.0.0/24 or 203.0.113.0/24',
    'box.yaml:7:49: nat.forward.0.to: found "192.0.2.2", expected an address in 10.0.0.0/24 or 203.0.113.0/24',
  ],
  [
    'a range of ports to one port',
    nat('forward: [{ address: 203.0.113.1, port: 80-90, to: 10.0.0.5:80 }]'),
    'box.yaml:7:54: nat.forward.0.to: found "10.0.0.5:80", expected no port: each port of a range stays what it is',
  ],
  [
    'a port that is forwarded twice',
    nat(
      'forward: [{ address: 203.0.113.1, port: 80-90, to: 10.0.0.5 }, { address: 203.0.113.1, port: 85, to: 10.0.0.6 }]',
    ),
    'box.yaml:7:96: nat.forward.1.port: found 85, expected a port that forward 0 does not have',
  ],
  [
    'a forward to where sources are masqueraded',
    nat(
      'masquerade: [{ zones: inside to outside }]\n  forward: [{ address: 203.0.113.1, port: 80, to: 203.0.113.9 }]',
    ),
    'box.yaml:8:51: nat.forward.0.to: found "203.0.113.9", expected an address in a zone that nothing is masqueraded to',
  ],
];

for (const [why, text, ...problems] of MISTAKES) {
  test(`refused: ${why}`, () => assert.deepEqual(problemsOf(text), problems));
}

test('one value stands for a list of one', () => {
  assert.deepEqual(
    problemsOf(rule('allow: any to any, protocol: tcp, ports: 80, from: lab, to: 10.0.0.1')),
    [],
  );
});
