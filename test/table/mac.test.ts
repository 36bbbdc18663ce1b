import assert from 'node:assert/strict';
import test from 'node:test';
import { MAC_AGEING_MS, MacTable } from '../../src/table/mac.ts';

const station = 0x0200_0000_000a;

test('a station is found on the port and VLAN where it was heard', () => {
  const macs = new MacTable();
  macs.learn(5, station, 1, 0);
  assert.equal(macs.lookup(5, station)?.port, 1);
  assert.equal(macs.lookup(6, station), undefined);
});

test('a multicast address is no station', () => {
  const macs = new MacTable();
  assert.equal(macs.learn(0, 0x0100_5e00_0001, 1, 0), undefined);
  assert.equal(macs.size, 0);
});

test('the generation counts bindings that are added, moved or removed, not those refreshed', () => {
  const macs = new MacTable();
  const entry = macs.learn(0, station, 1, 0)!;
  assert.equal(macs.generation, 1);
  macs.learn(0, station, 1, 5);
  macs.refresh(entry, 6);
  assert.equal(macs.generation, 1);
  macs.learn(0, station, 2, 7);
  assert.equal(macs.generation, 2);
  macs.forgetPort(1);
  assert.equal(macs.generation, 2);
  assert.equal(macs.forgetPort(2), 1);
  assert.equal(macs.generation, 3);
});

test('a station that is not heard is forgotten after the ageing time', () => {
  const macs = new MacTable();
  const first = macs.learn(0, station, 1, 0)!;
  macs.learn(0, station + 1, 1, 10);
  macs.refresh(first, 20);
  assert.equal(macs.expire(MAC_AGEING_MS + 9), 0);
  assert.equal(macs.expire(MAC_AGEING_MS + 10), 1);
  assert.equal(macs.lookup(0, station), first);
  assert.equal(macs.expire(MAC_AGEING_MS + 20), 1);
  macs.refresh(first, 30);
  assert.equal(macs.size, 0);
});

test('a full table forgets the station longest unheard', () => {
  const macs = new MacTable(2);
  macs.learn(0, station, 1, 0);
  macs.learn(0, station + 1, 1, 1);
  macs.learn(0, station, 1, 2);
  macs.learn(0, station + 2, 1, 3);
  assert.deepEqual(
    [...macs.entries()].map(({ mac }) => mac),
    [station, station + 2],
  );
});
