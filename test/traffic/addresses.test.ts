/** The address plan: readable, disjoint between ports, and known to both directions of the lookup. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { AddressPlan, hostAddress, LocalHosts } from '../../src/port/traffic/addresses.ts';

test('addresses are as the plan says', () => {
  assert.deepEqual(hostAddress('10.0.0.0/16', 3, 0), {
    mac: '02:00:00:03:00:00',
    ipv4: '10.0.3.1',
    ipv6: 'fd00::10.0.3.1',
  });
  assert.equal(hostAddress('10.0.0.0/8', 3, 9999).ipv4, '10.3.39.16');
  assert.equal(hostAddress('10.0.0.0/24', 1, 0).ipv4, '10.0.0.17');
  assert.equal(hostAddress('192.168.0.0/16', 255, 253).ipv4, '192.168.255.254');
  assert.equal(hostAddress('10.0.0.0/8', 2, 9999).mac, '02:00:00:02:27:0f');
});

test('a host that has no address is refused', () => {
  assert.throws(() => hostAddress('10.0.0.0/16', 1, 254), /port 1 has 255 hosts/);
  assert.throws(() => hostAddress('10.0.0.0/16', 256, 0), /port number is 256/);
});

test('every address leads back to its host, and to none behind another port', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('10.0.0.0/8', '172.16.0.0/12', '10.0.0.0/16', '224.0.0.0/20', '10.0.0.0/24'),
      fc.nat(15),
      fc.nat(15),
      fc.nat(13),
      fc.constantFrom(4 as const, 6 as const),
      (network, port, other, index, version) => {
        const plan = new AddressPlan(network);
        const hosts = new LocalHosts(plan, port, 14);
        const address = plan.address(version, other, index);
        const mac = new LocalHosts(plan, other, 14).mac(index);
        assert.equal(hosts.indexOfAddress(address), port === other ? index : -1);
        assert.equal(hosts.indexOfMac(mac), port === other ? index : -1);
      },
    ),
  );
});
