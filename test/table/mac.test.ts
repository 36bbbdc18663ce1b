import assert from 'node:assert/strict';
import test from 'node:test';
import { NaiveMacs } from '../support/naive-macs.ts';

const AGEING_MS = 300_000;
const table = (capacity = 8192) => new NaiveMacs(capacity, AGEING_MS);
const station = 0x0200_0000_000a;
const onPort = (port: number, mac = station, vlan = 0) => ({ vlan, mac, port });

test('a station is found on the port and VLAN where it was heard', () => {
  const macs = table();
  macs.learn(onPort(1, station, 5), 0);
  assert.equal(macs.lookup(5, station)?.port, 1);
  assert.equal(macs.lookup(6, station), undefined);
});

test('a multicast address is no station', () => {
  const macs = table();
  macs.learn(onPort(1, 0x0100_5e00_0001), 0);
  assert.equal(macs.size, 0);
});

test('the generation counts bindings that are added, moved or removed, not those refreshed', () => {
  const macs = table();
  macs.learn(onPort(1), 0);
  assert.equal(macs.generation, 1);
  macs.learn(onPort(1), 5);
  assert.equal(macs.generation, 1);
  macs.learn(onPort(2), 7);
  assert.equal(macs.generation, 2);
  macs.expire(AGEING_MS + 7);
  assert.equal(macs.generation, 3);
});

test('a station that is not heard is forgotten after the ageing time', () => {
  const macs = table();
  macs.learn(onPort(1), 0);
  macs.learn(onPort(1, station + 1), 10);
  macs.learn(onPort(1), 20);
  macs.expire(AGEING_MS + 9);
  assert.equal(macs.size, 2);
  macs.expire(AGEING_MS + 10);
  assert.equal(macs.size, 1);
  assert.equal(macs.lookup(0, station)?.heardMs, 20);
  macs.expire(AGEING_MS + 20);
  assert.equal(macs.size, 0);
});

test('what was heard before what is known changes nothing', () => {
  const macs = table();
  macs.learn(onPort(1), 10);
  macs.learn(onPort(2), 9);
  assert.deepEqual(macs.lookup(0, station), { ...onPort(1), heardMs: 10 });
  macs.learn(onPort(2), 10);
  assert.equal(macs.lookup(0, station)?.port, 2);
});

test('a full table forgets the station longest unheard', () => {
  const macs = table(2);
  macs.learn(onPort(1), 0);
  macs.learn(onPort(1, station + 1), 1);
  macs.learn(onPort(1), 2);
  macs.learn(onPort(1, station + 2), 3);
  assert.deepEqual(
    [...macs.entries()].map(({ mac }) => mac),
    [station, station + 2],
  );
});
