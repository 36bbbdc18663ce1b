/** Limits of connections as the handler sets and lists them, and what they let in. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ethernet, ipv4, udp } from '../support/packets.ts';
import { SmallSwitch } from './small-switch.ts';

const change = (small: SmallSwitch, action: 'set' | 'del', text: string) =>
  small.request({ command: 'changeZones', setting: 'limits', action, text });

const list = (small: SmallSwitch) => small.request({ command: 'limits' });

/** Makes a connection of each packet that comes in at the port with the number of the zone. */
const FLOWS = 'in_port=1,udp,actions=ct(commit,zone=1),3\nin_port=2,udp,actions=ct(commit,zone=2),3';

const packet = (src: number): Uint8Array => ethernet({}, ipv4({}, udp({ src })));

/** Sends packets of as many connections; returns how many there then are in the zone. */
function send(small: SmallSwitch, zone: 1 | 2, ...sources: number[]): number {
  for (const src of sources) assert.deepEqual(small.send(zone, packet(src)), [3], 'a limit drops nothing');
  return small.connections(`zone=${zone}`).length;
}

const MOST = 4096;
const all = (count: number, limit = MOST) => ({ zone: 'all', limit, count });
const NO_DEFAULT = { zone: 'default', limit: null, count: null };

test('at first there is no limit but what there is room for', () => {
  assert.deepEqual(list(new SmallSwitch('')), [all(0), NO_DEFAULT]);
});

test('limits that are set are listed until they are deleted', () => {
  const small = new SmallSwitch('');
  assert.deepEqual(change(small, 'set', 'default=10 zone=1,limit=0 all=100'), ['3 limits set']);
  assert.deepEqual(list(small), [
    all(0, 100),
    { zone: 'default', limit: 10, count: null },
    { zone: 1, limit: 0, count: 0 },
  ]);
  assert.deepEqual(change(small, 'set', 'default=0'), ['1 limit set']);
  assert.deepEqual(change(small, 'del', 'zone=1,1,7'), ['1 limit deleted']);
  assert.deepEqual(list(small), [all(0, 100), NO_DEFAULT]);
});

test('a change that is wrong changes nothing', () => {
  const small = new SmallSwitch('');
  for (const text of ['default=5 zone=1', 'zone=1,limit=3,zone=x', 'zone=1,limit=3,all=4097', '']) {
    assert.throws(() => change(small, 'set', text), { name: 'FlowError' });
  }
  assert.throws(() => change(small, 'del', ''), { name: 'FlowError' });
  assert.deepEqual(list(small), [all(0), NO_DEFAULT]);
});

test('connections are counted in all, and as many may be as is said, also when that changes', () => {
  const small = new SmallSwitch(FLOWS);
  assert.equal(send(small, 1, 1), 1);
  assert.deepEqual(list(small), [all(1), NO_DEFAULT]);
  change(small, 'set', 'all=3');
  assert.equal(send(small, 1, 2, 3, 4, 5), 3);
  assert.equal(send(small, 2, 1), 0);
  change(small, 'set', 'all=1');
  assert.equal(send(small, 1, 1, 2, 3, 4), 3, 'none ends, and none begins');
  assert.deepEqual(list(small), [all(3, 1), NO_DEFAULT]);
  small.request({ command: 'flush', filter: [], from: 0 });
  assert.deepEqual(list(small), [all(0, 1), NO_DEFAULT]);
  assert.equal(send(small, 2, 1, 2), 1);
  change(small, 'set', 'all=0');
  assert.equal(send(small, 2, 1, 2), 1);
  change(small, 'set', `all=${MOST}`);
  assert.equal(send(small, 2, 1, 2), 2);
});

test('a zone with a limit of 0 has no connection, one without has the default’s, each for itself', () => {
  const small = new SmallSwitch(FLOWS);
  change(small, 'set', 'zone=1,limit=0');
  assert.equal(send(small, 1, 1, 2), 0);
  assert.deepEqual(list(small), [all(0), NO_DEFAULT, { zone: 1, limit: 0, count: 0 }]);
  change(small, 'del', 'zone=1');
  change(small, 'set', 'default=3');
  assert.deepEqual([send(small, 1, 1, 2, 3, 4, 5), send(small, 2, 1, 2, 3, 4, 5)], [3, 3]);
  assert.deepEqual(list(small), [
    all(6),
    { zone: 'default', limit: 3, count: null },
    { zone: 1, limit: 3, count: 3 },
    { zone: 2, limit: 3, count: 3 },
  ]);
});

test('a limit counts what begins under it', () => {
  const small = new SmallSwitch(FLOWS);
  assert.equal(send(small, 1, 1), 1);
  change(small, 'set', 'zone=1,limit=1');
  assert.equal(send(small, 1, 2, 3), 2);
  change(small, 'set', 'default=2');
  change(small, 'del', 'zone=1');
  assert.equal(send(small, 1, 4, 5, 6, 7), 4);
  assert.equal(small.rig.observer.totals().ctZoneFull, 1 + 2);
});
