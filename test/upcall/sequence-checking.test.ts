/** Sequence numbers of TCP are checked, or not, as the handler is told. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ACK, ethernet, FIN, ipv4, PSH, SYN, tcp } from '../support/packets.ts';
import { SmallSwitch } from './small-switch.ts';

const FLOWS = `tcp,ct_state=-trk,actions=ct(table=1)
  table=1,in_port=1,tcp,ct_state=+trk+new,actions=ct(commit),2
  table=1,in_port=1,tcp,ct_state=+trk+est,actions=2
  table=1,in_port=2,tcp,ct_state=+trk+est,actions=1
  table=1,tcp,ct_state=+trk+inv,actions=drop`;

const CLIENT = 1;
const SERVER = 2;
const [CLIENT_SEQ, SERVER_SEQ] = [1000, 5000];

function segment(from: number, flags: number, seq: number, ack: number, bytes = 0): [number, Uint8Array] {
  const ends = from === CLIENT ? { src: '10.1.1.1', dst: '10.1.1.2' } : { src: '10.1.1.2', dst: '10.1.1.1' };
  const ports = from === CLIENT ? { src: 40_000, dst: 80 } : { src: 80, dst: 40_000 };
  return [from, ethernet({}, ipv4(ends, tcp({ ...ports, flags, seq, ack }, new Uint8Array(bytes))))];
}

/** A whole conversation of eight segments, and one from the server that is far off its window. */
const CONVERSATION = [
  segment(CLIENT, SYN, CLIENT_SEQ, 0),
  segment(SERVER, SYN | ACK, SERVER_SEQ, CLIENT_SEQ + 1),
  segment(CLIENT, ACK, CLIENT_SEQ + 1, SERVER_SEQ + 1),
  segment(CLIENT, ACK | PSH, CLIENT_SEQ + 1, SERVER_SEQ + 1, 100),
  segment(SERVER, ACK | PSH, SERVER_SEQ + 1_000_000, CLIENT_SEQ + 101, 10),
  segment(SERVER, ACK, SERVER_SEQ + 1, CLIENT_SEQ + 101),
  segment(CLIENT, ACK | FIN, CLIENT_SEQ + 101, SERVER_SEQ + 1),
  segment(SERVER, ACK | FIN, SERVER_SEQ + 1, CLIENT_SEQ + 102),
  segment(CLIENT, ACK, CLIENT_SEQ + 102, SERVER_SEQ + 2),
];

/** How many packets the rules of table 1 have had: new, established of the client, of the server, invalid. */
function counts(small: SmallSwitch): number[] {
  return small.ask('flows', 'dump', 'table=1').map((line) => Number(/n_packets=(\d+)/.exec(line)![1]));
}

const ask = (small: SmallSwitch, on?: boolean) => small.request({ command: 'sequenceChecking', on });

test('a segment far off its window is invalid, unless nothing is checked', () => {
  const small = new SmallSwitch(FLOWS);
  assert.deepEqual(ask(small), ['sequence checking is on']);
  const converse = (): number[] => {
    for (const [port, packet] of CONVERSATION) small.send(port, packet);
    return counts(small);
  };
  assert.deepEqual(converse(), [1, 4, 3, 1]);
  assert.deepEqual(ask(small, false), ['sequence checking is off']);
  assert.deepEqual(converse(), [2, 8, 7, 1]);
  assert.deepEqual(ask(small), ['sequence checking is off']);
  assert.deepEqual(ask(small, true), ['sequence checking is on']);
  assert.deepEqual(converse(), [3, 12, 10, 2]);
});
