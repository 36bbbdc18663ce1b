import assert from 'node:assert/strict';
import test from 'node:test';
import { parseLab, readLab } from '../../src/lab/file.ts';
import { ConfigError } from '../../src/yaml/problem.ts';

const one = (host: string) => `name: demo\nhosts:\n  h1: { ${host} }\n`;

/** Says that `text` is refused with exactly these lines. */
function refused(text: string, ...lines: string[]) {
  assert.throws(
    () => parseLab(text, 'lab.yaml'),
    (error) => {
      assert(error instanceof ConfigError);
      assert.deepEqual(error.message.split('\n'), lines);
      return true;
    },
  );
}

test('a host needs a port and an address; offloads are on unless switched off', () => {
  assert.deepEqual(parseLab(one('port: p1, address: 10.1.1.1/24'), 'lab.yaml'), {
    name: 'demo',
    hosts: { h1: { port: 'p1', address: ['10.1.1.1/24'], offload: true } },
  });
});

test('the example is a lab', () => {
  const { hosts } = readLab('examples/lab.yaml');
  assert.deepEqual(Object.keys(hosts), ['h1', 'h2', 'h3']);
  assert.deepEqual(hosts.h3, {
    port: 'p3',
    address: ['10.1.1.3/24'],
    mac: '02:00:00:00:00:03',
    offload: false,
    mtu: 1400,
  });
});

test('a mistake is found at its line and column', () => {
  refused(
    one('port: p1, address: 10.1.1.1'),
    'lab.yaml:3:28: hosts.h1.address.0: found "10.1.1.1", expected an address with its prefix length, such as 10.1.1.1/24',
  );
  refused(
    one('port: p1, address: 10.1.1.1/24, mtu: big'),
    'lab.yaml:3:46: hosts.h1.mtu: found "big", expected a whole number from 68 to 65535',
  );
  refused(
    one('port: p1, address: 10.1.1.1/24, mac: 01:00:00:00:00:01'),
    'lab.yaml:3:46: hosts.h1.mac: found "01:00:00:00:00:01", expected the MAC address of one host, not of a group',
  );
  refused(
    one('port: a-name-that-is-long, address: 10.1.1.1/24'),
    'lab.yaml:3:15: hosts.h1.port: found "a-name-that-is-long", expected an interface name of at most 15 characters',
  );
});

test('a gateway is in a network of its host', () => {
  const two = 'port: p1, address: [10.1.1.1/24, fd00::1/64]';
  for (const gateway of ['10.1.1.254', 'fd00::9'])
    assert.equal(parseLab(one(`${two}, gateway: ${gateway}`), 'lab.yaml').hosts.h1?.gateway, gateway);
  refused(
    one('port: p1, address: 10.1.1.1/24, gateway: 10.1.2.1'),
    'lab.yaml:3:50: hosts.h1.gateway: found "10.1.2.1", expected an address in the network of the host',
  );
  refused(
    one('port: p1, address: 10.1.1.1/24, gateway: 10.1.1.254/24'),
    'lab.yaml:3:50: hosts.h1.gateway: found "10.1.1.254/24", expected an address without prefix length, such as 10.1.1.254',
  );
});

test('the lab of the example of NAT is a lab', () => {
  assert.deepEqual(Object.keys(readLab('examples/nat-lab.yaml').hosts), [
    'alice',
    'bob',
    'server',
    'visitor',
  ]);
});

test('every mistake is named', () => {
  refused(
    one('prot: p1, address: 10.1.1.1/24'),
    'lab.yaml:3:3: hosts.h1.port: found nothing, expected an interface name of at most 15 characters',
    'lab.yaml:3:9: hosts.h1: found "prot", expected one of port, address, mac, gateway, offload, mtu (did you mean port?)',
  );
});

test('a name of a host is one that a namespace can have', () => {
  refused(
    'name: demo\nhosts:\n  ok: { port: p1, address: 10.1.1.1/24 }\n  a/b: { port: p2, address: 10.1.1.2/24 }\n',
    'lab.yaml:4:3: hosts: found "a/b", expected a name of letters, digits, "_", "." and "-"',
  );
});

test('two hosts cannot share a port, a MAC address or an address', () => {
  refused(
    `name: demo
hosts:
  h1: { port: p1, address: ['fd00::1/64', 10.1.1.1/24], mac: '02:00:00:00:00:0a' }
  h2: { port: p1, address: ['fd00:0::1/64', 10.1.1.2/24], mac: '02:00:00:00:00:0A' }
`,
    'lab.yaml:4:15: hosts.h2.port: found "p1", expected a port that h1 does not have',
    'lab.yaml:4:64: hosts.h2.mac: found "02:00:00:00:00:0A", expected a MAC address that h1 does not have',
    'lab.yaml:4:29: hosts.h2.address.0: found "fd00:0::1/64", expected an address that h1 does not have',
  );
});

test('IPv6 needs an MTU of 1280', () => {
  refused(
    one("port: p1, address: 'fd00::1/64', mtu: 1000"),
    'lab.yaml:3:47: hosts.h1.mtu: found 1000, expected at least 1280 for IPv6',
  );
});

test('what is not YAML is found at its line and column', () => {
  assert.throws(
    () => parseLab('name: demo\nhosts:\n  h1: { port: p1\n', 'lab.yaml'),
    /^ConfigError: lab\.yaml:4:1: /,
  );
  assert.throws(
    () => parseLab('name: demo\nname: other\nhosts: {}\n', 'lab.yaml'),
    /^ConfigError: lab\.yaml:2:1: .*unique/,
  );
  refused('', 'lab.yaml:1:1: found nothing, expected a mapping');
});

test('a file that is not there is named', () => {
  assert.throws(
    () => readLab('/nowhere/lab.yaml'),
    /\/nowhere\/lab\.yaml: found no such file, expected a lab in YAML/,
  );
});
