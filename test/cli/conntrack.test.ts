/** What connection tracking says of a capture; the text is what `ovstest test-conntrack pcap` of Open vSwitch 3.1.0 prints. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { CaptureWriter } from '../../src/port/capture/writer.ts';
import {
  ACK,
  arp,
  ethernet,
  FIN,
  icmp,
  ipv4,
  PSH,
  RST,
  SYN,
  type Transport,
  tcp,
  udp,
} from '../support/packets.ts';
import { folder, heddle } from './child.ts';

const up = (inner: Transport) => ethernet({}, ipv4({ src: '10.0.0.1', dst: '10.0.0.2' }, inner));
const down = (inner: Transport) => ethernet({}, ipv4({ src: '10.0.0.2', dst: '10.0.0.1' }, inner));
const client = { src: 40_000, dst: 80 };
const server = { src: 80, dst: 40_000 };

/** Packets, each with the line that ovstest prints for it. */
const PACKETS: readonly [packet: Uint8Array, line: string][] = [
  [up(tcp({ ...client, seq: 999, flags: SYN })), '1: new|trk'],
  [down(tcp({ ...server, seq: 4999, ack: 1000, flags: SYN | ACK })), '2: est|rpl|trk'],
  [up(tcp({ ...client, seq: 1000, ack: 5000 })), '3: est|trk'],
  [up(tcp({ ...client, seq: 1000, ack: 5000, flags: PSH | ACK }, new Uint8Array(10))), '4: est|trk'],
  [up(udp({ src: 5000, dst: 53 })), '5: new|trk'],
  [up(udp({ src: 5000, dst: 53 })), '6: new|trk'],
  [down(udp({ src: 53, dst: 5000 })), '7: est|rpl|trk'],
  [up(udp({ src: 5000, dst: 53 })), '8: est|trk'],
  [up(icmp({ type: 8 })), '9: new|trk'],
  [down(icmp({ type: 0 })), '10: est|rpl|trk'],
  [up(icmp({ type: 0, rest: 0x00020001 })), '11: inv|trk'], // nobody asked
  [down(tcp({ src: 80, dst: 40_001, flags: SYN | ACK })), '12: inv|trk'],
  [up(udp({ src: 5001, dst: 53, checksum: 0x1234 })), '13: inv|trk'],
  [ethernet({}, arp()), '14: inv|trk'],
  [new Uint8Array(10), '15: inv|trk'],
  [up(tcp({ ...client, seq: 1010, ack: 5000, flags: FIN | ACK })), '16: est|trk'],
  [down(tcp({ ...server, seq: 5000, ack: 1011, flags: FIN | ACK })), '17: est|rpl|trk'],
  [up(tcp({ ...client, seq: 1011, ack: 5001 })), '18: est|trk'],
  [up(tcp({ ...client, seq: 1011, ack: 5001, dataOffset: 4 })), '19: inv|trk'],
  [up(tcp({ src: 40_002, dst: 80, flags: RST })), '20: new|trk'],
];
const TEXT = PACKETS.map(([, line]) => `${line}\n`).join('');

function capture(name: string): string {
  const path = join(folder, name);
  const writer = CaptureWriter.create(path, ['all']);
  for (const [packet] of PACKETS) writer.write(0, 1_700_000_000_000, packet, 0, packet.length);
  writer.close();
  return path;
}

for (const batch of [[], ['7'], ['32']]) {
  test(`conntrack pcap prints the state of each packet ${batch}`, async () => {
    const { code, stdout, stderr } = await heddle('conntrack', 'pcap', capture('all.pcap'), ...batch).outcome;
    assert.equal(stderr, '');
    assert.equal(stdout, TEXT);
    assert.equal(code, 0);
  });
}

test('conntrack pcap of a file that is not there', async () => {
  const { code, stdout, stderr } = await heddle('conntrack', 'pcap', 'nowhere.pcap').outcome;
  assert.equal(stderr, 'heddle: nowhere.pcap: found no such file, expected a pcap or pcapng capture\n');
  assert.equal(stdout, '');
  assert.equal(code, 1);
});
