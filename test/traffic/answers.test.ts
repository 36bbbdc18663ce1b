/** What a host answers to a stranger, as a real one would: ARP, neighbour discovery, ping, UDP. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Address } from '../../src/port/traffic/addresses.ts';
import { ArpMessage } from '../../src/port/traffic/arp.ts';
import { NeighbourMessage, UNSPECIFIED, writeSolicitation } from '../../src/port/traffic/neighbour.ts';
import { FrameReader } from '../../src/port/traffic/reader.ts';
import { makeHosts } from './lan.ts';
import {
  ask,
  build,
  datagram,
  emitted,
  HOST_IPV4,
  HOST_IPV6,
  HOST_MAC,
  icmp,
  OUTSIDER_IPV4,
  OUTSIDER_IPV6,
  OUTSIDER_MAC,
  readPacket,
} from './outsider.ts';

const BROADCAST_MAC = 0xffffffffffff;
const TEXT = new TextEncoder().encode('an odd number of bytes here');

function arpRequest(targetIpv4: number): Uint8Array {
  const request = new ArpMessage();
  Object.assign(request, { operation: 1, senderMac: OUTSIDER_MAC, senderIpv4: OUTSIDER_IPV4.d, targetIpv4 });
  return build((frame) => request.write(frame, BROADCAST_MAC));
}

test('a host answers ARP requests for its address, and only those', () => {
  const hosts = makeHosts();
  const [answer] = ask(hosts, arpRequest(HOST_IPV4.d), 0);
  const reader = new FrameReader();
  assert.equal(reader.readEthernet(answer, 0, answer.length), undefined);
  assert.equal(reader.destinationMac, OUTSIDER_MAC);
  const reply = new ArpMessage();
  assert.ok(reply.read(reader));
  assert.deepEqual(
    { ...reply },
    {
      operation: 2,
      senderMac: HOST_MAC,
      senderIpv4: HOST_IPV4.d,
      targetMac: OUTSIDER_MAC,
      targetIpv4: OUTSIDER_IPV4.d,
    },
  );
  assert.deepEqual(ask(hosts, arpRequest(HOST_IPV4.d + 10), 0), []);
  assert.deepEqual(ask(hosts, arpRequest(HOST_IPV4.d - 1), 0), []);
  assert.equal(hosts.statistics.framesIgnored, 2);
});

test('a host answers neighbour solicitations for its address', () => {
  const [answer] = ask(
    makeHosts(),
    build((frame) => writeSolicitation(frame, OUTSIDER_MAC, OUTSIDER_IPV6, HOST_IPV6)),
    0,
  );
  const reader = readPacket(answer);
  const advertisement = new NeighbourMessage();
  assert.ok(advertisement.read(reader));
  assert.equal(reader.destinationMac, OUTSIDER_MAC);
  assert.ok(reader.destination.equals(OUTSIDER_IPV6));
  assert.ok(advertisement.target.equals(HOST_IPV6));
  assert.equal(advertisement.targetMac, HOST_MAC);
  assert.equal(reader.view.getUint8(reader.transportAt + 4), 0x60, 'solicited and override');
});

test('somebody who asks whether an address is free is told, with everybody, that it is not', () => {
  const [answer] = ask(
    makeHosts(),
    build((frame) => writeSolicitation(frame, OUTSIDER_MAC, UNSPECIFIED, HOST_IPV6)),
    0,
  );
  const reader = readPacket(answer);
  assert.equal(reader.destinationMac, 0x333300000001);
  assert.ok(reader.destination.equals(new Address().set(0xff020000 | 0, 0, 0, 1)));
  assert.equal(reader.view.getUint8(reader.transportAt + 4), 0x20, 'override, not solicited');
});

for (const version of [4, 6] as const) {
  test(`a host answers ping over IPv${version} with the same data`, () => {
    const hosts = makeHosts();
    const [answer] = ask(hosts, icmp(version, version === 4 ? 8 : 128, TEXT), 0);
    const reader = readPacket(answer);
    assert.equal(reader.view.getUint8(reader.transportAt), version === 4 ? 0 : 129);
    assert.deepEqual(answer.slice(reader.transportAt + 8), TEXT);
    assert.equal(hosts.statistics.pingsServed, 1);
  });

  test(`port 53 sends datagrams back over IPv${version}`, () => {
    const [answer] = ask(makeHosts(), datagram(version, 53, TEXT), 0);
    const reader = readPacket(answer);
    assert.equal(reader.view.getUint16(reader.transportAt), 53);
    assert.equal(reader.view.getUint16(reader.transportAt + 2), 4321);
    assert.deepEqual(answer.slice(reader.transportAt + 8), TEXT);
  });

  test(`other UDP ports are unreachable over IPv${version}, a hundred times a second`, () => {
    const hosts = makeHosts();
    const request = datagram(version, 54, TEXT);
    const [answer] = ask(hosts, request, 0);
    const reader = readPacket(answer);
    const [type, code] = answer.slice(reader.transportAt);
    assert.deepEqual([type, code], version === 4 ? [3, 3] : [1, 4]);
    assert.deepEqual(answer.slice(reader.transportAt + 8), request.slice(14), 'quotes the whole packet');
    for (let count = 1; count < 150; count++) ask(hosts, request, 999);
    assert.equal(hosts.statistics.unreachablesSent, 100);
    assert.equal(hosts.statistics.unreachablesSuppressed, 50);
    assert.equal(ask(hosts, request, 1000).length, 1);
  });
}

test('an unreachable message quotes no more of a long datagram than it may', () => {
  for (const [version, most] of [
    [4, 576],
    [6, 1280],
  ] as const) {
    const [answer] = ask(makeHosts(), datagram(version, 54, new Uint8Array(1400)), 0);
    assert.equal(answer.length, 14 + most);
  }
});

test('a UDP checksum may be left out over IPv4 and not over IPv6', () => {
  for (const version of [4, 6] as const) {
    const hosts = makeHosts();
    const request = datagram(version, 53, TEXT);
    const transportAt = version === 4 ? 34 : 54;
    request.fill(0, transportAt + 6, transportAt + 8);
    assert.equal(ask(hosts, request, 0).length, version === 4 ? 1 : 0);
    assert.equal(hosts.statistics.checksumsBad, version === 4 ? 0 : 1);
  }
});

test('what does not fit the queue of replies is counted', () => {
  const hosts = makeHosts();
  const request = icmp(4, 8, TEXT);
  for (let count = 0; count < 1100; count++) hosts.receive(request, 0, request.length, 0);
  assert.equal(emitted(hosts, 0).length, 1024);
  assert.equal(hosts.statistics.repliesDropped, 76);
  assert.equal(ask(hosts, request, 0).length, 1, 'and there is room again afterwards');
});

test('a host hears only its own VLAN', () => {
  const untagged = icmp(4, 8, TEXT);
  const tagged = (vlan: number): Uint8Array => {
    const frame = new Uint8Array(untagged.length + 4);
    frame.set(untagged.subarray(0, 12));
    frame.set([0x81, 0x00, 0xe0 | (vlan >> 8), vlan & 255], 12);
    frame.set(untagged.subarray(12), 16);
    return frame;
  };
  const [answer] = ask(makeHosts({ vlan: 7 }), tagged(7), 0);
  assert.deepEqual([...answer.slice(12, 18)], [0x81, 0x00, 0, 7, 0x08, 0x00]);
  assert.equal(ask(makeHosts({ vlan: 7 }), tagged(8), 0).length, 0);
  assert.equal(ask(makeHosts({ vlan: 7 }), untagged, 0).length, 0);
  assert.equal(ask(makeHosts(), tagged(7), 0).length, 0);
  assert.equal(ask(makeHosts(), tagged(0), 0).length, 1, 'a tag that carries a priority only');
});

test('packets to another host, to a group, and fragments are ignored', () => {
  const hosts = makeHosts();
  const request = icmp(4, 8, TEXT);
  const changed = (at: number, ...bytes: number[]): Uint8Array => {
    const frame = request.slice();
    frame.set(bytes, at);
    return frame;
  };
  assert.deepEqual(ask(hosts, changed(5, 0xff), 0), [], 'another MAC address');
  assert.deepEqual(
    ask(hosts, changed(5, 1), 0),
    [],
    'the second host, which does not have this IPv4 address',
  );
  assert.deepEqual(ask(hosts, changed(0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 0), []);
  const fragment = changed(20, 0x20, 0x00);
  new DataView(fragment.buffer).setUint16(24, new DataView(fragment.buffer).getUint16(24) + 0x2000);
  assert.deepEqual(ask(hosts, fragment, 0), []);
  assert.equal(hosts.statistics.framesIgnored, 4);
});
