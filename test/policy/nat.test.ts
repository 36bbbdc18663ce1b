/** What a router does to packets between its zones, with the configuration of the example. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { Box } from './box.ts';

const EXAMPLE = readFileSync(new URL('../../../examples/nat.yaml', import.meta.url), 'utf8');

const HOSTS = {
  alice: { mac: '02:00:00:00:00:0a', ip: '10.0.0.2', gateway: '02:00:0a:00:00:01', router: '10.0.0.1' },
  bob: { mac: '02:00:00:00:00:0b', ip: '10.0.0.3', gateway: '02:00:0a:00:00:01', router: '10.0.0.1' },
  server: {
    mac: '02:00:00:00:00:05',
    ip: '203.0.113.10',
    gateway: '02:00:cb:00:71:01',
    router: '203.0.113.1',
  },
  visitor: {
    mac: '02:00:00:00:00:06',
    ip: '203.0.113.20',
    gateway: '02:00:cb:00:71:01',
    router: '203.0.113.1',
  },
};
type Host = keyof typeof HOSTS;

const BROADCAST = 'ff:ff:ff:ff:ff:ff';

function arp(host: Host, operation: 1 | 2, target: string): string {
  const { mac, ip, gateway } = HOSTS[host];
  const to = operation === 1 ? BROADCAST : gateway;
  return `in_port=${host},dl_src=${mac},dl_dst=${to},arp,arp_op=${operation},arp_spa=${ip},arp_tpa=${target},arp_sha=${mac}`;
}

/** A packet that a host sends to the router, or with `mac` to another host. */
function tcp(host: Host, to: string, port: number, state: string, mac = HOSTS[host].gateway): string {
  const { ip, mac: from } = HOSTS[host];
  const ends = `nw_src=${ip},nw_dst=${to},nw_ttl=64,tp_src=999,tp_dst=${port}`;
  return `in_port=${host},dl_src=${from},dl_dst=${mac},tcp,${ends},ct_state=${state}+trk`;
}

/** The example when everybody has asked for the router or been asked by it. */
function settled(text = EXAMPLE): Box {
  const box = new Box(text);
  for (const host of Object.keys(HOSTS) as Host[]) box.send(arp(host, 1, HOSTS[host].router));
  return box;
}

const toServer =
  'set(eth(src=02:00:cb:00:71:01,dst=02:00:00:00:00:05)),set(ipv4(src=203.0.113.1,ttl=63)),server';
const toBob =
  'set(eth(src=02:00:0a:00:00:01,dst=02:00:00:00:00:0b)),set(ipv4(dst=10.0.0.3,ttl=63)),set(tcp(dst=80)),bob';

test('who asks for the router is answered', () => {
  assert.match(
    new Box(EXAMPLE).send(arp('alice', 1, '10.0.0.1')),
    /,set\(eth\(src=02:00:0a:00:00:01,dst=02:00:00:00:00:0a\)\),set\(arp\(sip=10.0.0.1,tip=10.0.0.2,op=2,sha=02:00:0a:00:00:01,tha=02:00:00:00:00:0a\)\),alice$/,
  );
});

test('with that question the router asks for the neighbours that it must know', () => {
  const box = new Box(EXAMPLE);
  assert.equal(box.send(tcp('alice', '203.0.113.10', 80, '+new')), 'drop');
  const sent = box.send(arp('alice', 1, '10.0.0.1'));
  assert.match(sent, /arp\(sip=203.0.113.1,tip=203.0.113.10,sha=02:00:cb:00:71:01.*?\),server,visitor\)/);
  assert.match(sent, /arp\(sip=10.0.0.1,tip=10.0.0.3,sha=02:00:0a:00:00:01.*?\),bob\)/);
  assert.equal(box.send(arp('server', 2, '203.0.113.1')), 'drop');
  assert.equal(box.send(tcp('alice', '203.0.113.10', 80, '+new')), toServer);
});

test('hosts inside reach what is outside by the address of the router', () => {
  assert.equal(settled().send(tcp('alice', '203.0.113.10', 80, '+new')), toServer);
});

test('answers, which ct() has translated back, go to the host that asked', () => {
  const back = 'set(eth(src=02:00:0a:00:00:01,dst=02:00:00:00:00:0a)),set(ipv4(ttl=63)),alice';
  assert.equal(settled().send(tcp('server', '10.0.0.2', 999, '+est+rpl+dnat')), back);
});

test('hosts outside reach what is forwarded and nothing else', () => {
  const box = settled();
  assert.equal(box.send(tcp('visitor', '203.0.113.1', 8080, '+new')), toBob);
  assert.equal(box.send(tcp('visitor', '203.0.113.1', 8081, '+new')), 'drop');
  assert.equal(box.send(tcp('visitor', '10.0.0.3', 80, '+new')), 'drop');
});

test('a first packet that is sent again is translated by its connection and passes', () => {
  const again = 'set(eth(src=02:00:0a:00:00:01,dst=02:00:00:00:00:0b)),set(ipv4(ttl=63)),bob';
  assert.equal(settled().send(tcp('visitor', '10.0.0.3', 80, '+new+dnat')), again);
});

test('hosts inside reach what is forwarded by the address outside', () => {
  const box = settled();
  assert.equal(box.send(tcp('alice', '203.0.113.1', 8080, '+new')), toBob);
  assert.equal(box.send(tcp('bob', '10.0.0.2', 999, '+est+rpl+snat', HOSTS.alice.mac)), 'alice');
});

test('rules see where a forward leads to, and may deny it', () => {
  const rule = '  rules:\n    - { deny: outside to inside, to: 10.0.0.3, from: 203.0.113.20 }';
  const box = settled(EXAMPLE.replace('  rules:', rule));
  assert.equal(box.send(tcp('visitor', '203.0.113.1', 8080, '+new')), 'drop');
  assert.equal(box.send(tcp('server', '203.0.113.1', 8080, '+new')), toBob);
});

test('zones are bridges of their own', () => {
  const box = settled();
  assert.equal(box.send(arp('alice', 1, '10.0.0.99')), 'bob');
  assert.equal(box.send(tcp('alice', '10.0.0.3', 22, '+new', HOSTS.bob.mac)), 'bob');
  assert.equal(box.send(tcp('alice', '203.0.113.10', 22, '+new', HOSTS.server.mac)), 'bob');
});

test('nobody sends from the network of another zone, or in the name of the router', () => {
  const box = settled();
  const forged = tcp('visitor', '10.0.0.3', 80, '+est').replace('nw_src=203.0.113.20', 'nw_src=10.0.0.2');
  assert.equal(box.send(forged), 'drop');
  assert.equal(
    box.send(arp('visitor', 1, '203.0.113.10').replace('arp_spa=203.0.113.20', 'arp_spa=203.0.113.1')),
    'drop',
  );
});

test('the router answers pings', () => {
  const { mac, gateway } = HOSTS.alice;
  const ping = `in_port=alice,dl_src=${mac},dl_dst=${gateway},icmp,nw_src=10.0.0.2,nw_dst=203.0.113.1,nw_ttl=9,icmp_type=8,icmp_code=0,ct_state=+new+trk`;
  assert.equal(
    settled().send(ping),
    'set(eth(src=02:00:0a:00:00:01,dst=02:00:00:00:00:0a)),set(ipv4(src=203.0.113.1,dst=10.0.0.2,ttl=64)),set(icmp(type=0)),alice',
  );
});

test('what lies beyond goes through the gateway', () => {
  const text = EXAMPLE.replace('neighbours: [203.0.113.10]', 'gateway: 203.0.113.10');
  assert.equal(settled().send(tcp('alice', '198.51.100.7', 80, '+new')), 'drop');
  assert.equal(settled(text).send(tcp('alice', '198.51.100.7', 80, '+new')), toServer);
});
