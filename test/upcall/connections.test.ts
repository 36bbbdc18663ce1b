/** Connections as the handler answers for them: in slices, and to several who watch. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { connectionEvents, connectionRows } from '../../src/control/connections.ts';
import { EVENT_NEW, EVENTS } from '../../src/datapath.ts';
import type { EventSlice } from '../../src/upcall/connection-events.ts';
import type { ConnectionSlice, FlushSlice } from '../../src/upcall/connections.ts';
import { putConnection, takeNumbers, UDP, type Way } from '../conntrack/records.ts';
import { SmallSwitch } from './small-switch.ts';

const WAY: Way = { src: [10, 0, 0, 1], dst: [10, 0, 0, 2], sport: 1, dport: 2 };

const put = ({ rig }: SmallSwitch, number: number, mark: number): number =>
  putConnection(rig.arena, number, { protocol: UDP, original: WAY, reply: WAY, mark });

/** A switch with room for connections that a test writes. */
function smallSwitch(connections = 16): SmallSwitch {
  const small = new SmallSwitch('');
  takeNumbers(small.rig.datapath, connections);
  return small;
}

/** Has an event noted of a connection with this mark. */
const note = (small: SmallSwitch, mark: number): void =>
  small.rig.datapath.exports.noteEvent(put(small, 0, mark), EVENT_NEW, 0);

/** The marks of all connections, and how many slices it took. */
function listAll(small: SmallSwitch, ...filter: string[]): { marks: number[]; slices: number } {
  const marks: number[] = [];
  let slices = 0;
  for (let from: number | undefined = 0; from !== undefined; slices++) {
    const slice = small.request({ command: 'connections', filter, from }) as ConnectionSlice;
    marks.push(...connectionRows(slice.records, slice.nowMs).map(({ mark }) => mark));
    from = slice.next;
  }
  return { marks, slices };
}

function watch(small: SmallSwitch, monitor: number, ...filter: string[]): { marks: number[]; lost: number } {
  const { records, lost } = small.request({ command: 'events', monitor, filter }) as EventSlice;
  return { marks: connectionEvents(records).map(({ connection }) => connection.mark), lost };
}

test('a full table is listed in slices, each connection once', () => {
  const count = 4096;
  const small = smallSwitch(count);
  for (let number = 0; number < count; number++) put(small, number, number);
  const { marks, slices } = listAll(small);
  assert.deepEqual(
    marks,
    Array.from({ length: count }, (_, mark) => mark),
  );
  assert.ok(slices >= count / 1100, `${slices} slices`);
});

test('packets pass between two slices', () => {
  const small = smallSwitch(2000);
  for (let number = 0; number < 2000; number++) put(small, number, number);
  const { next } = small.request({ command: 'connections', filter: [], from: 0 }) as ConnectionSlice;
  assert.ok(next! > 0 && next! < 2000);
  small.advance(1);
  put(small, 1999, 5000);
  const { marks } = listAll(small, 'mark=5000');
  assert.deepEqual(marks, [5000]);
});

test('a flush removes what it is about and nothing else', () => {
  const small = smallSwitch(100);
  for (let number = 0; number < 100; number++) put(small, number, number);
  const { count, next } = small.request({
    command: 'flush',
    filter: ['mark=1/1'],
    from: 0,
  }) as FlushSlice;
  assert.equal(count, 50);
  if (next !== undefined) assert.ok(next > 100);
  assert.deepEqual(
    listAll(small).marks,
    Array.from({ length: 50 }, (_, i) => 2 * i),
  );
});

test('a wrong filter is an error, and nobody watches by it', () => {
  const small = smallSwitch();
  for (const command of ['connections', 'flush'] as const) {
    assert.throws(() => small.request({ command, filter: ['zone=x'], from: 0 }), { name: 'FlowError' });
  }
  assert.throws(() => watch(small, 1, 'zone=x'), { name: 'FlowError' });
  assert.deepEqual(watch(small, 1), { marks: [], lost: 0 });
});

test('each who watches is told what passes its filter', () => {
  const small = smallSwitch();
  assert.deepEqual(watch(small, 1), { marks: [], lost: 0 });
  note(small, 1);
  assert.deepEqual(watch(small, 2, 'mark=2'), { marks: [], lost: 0 });
  for (const mark of [2, 3]) note(small, mark);
  small.advance(0);
  assert.deepEqual(watch(small, 1), { marks: [1, 2, 3], lost: 0 });
  assert.deepEqual(watch(small, 2, 'mark=2'), { marks: [2], lost: 0 });
  assert.deepEqual(watch(small, 2, 'mark=2'), { marks: [], lost: 0 });
});

test('who watches no more, and comes back, is told only what is new', () => {
  const small = smallSwitch();
  watch(small, 1);
  small.request({ command: 'unwatch', monitor: 1 });
  note(small, 1);
  assert.deepEqual(watch(small, 1), { marks: [], lost: 0 });
  note(small, 2);
  assert.deepEqual(watch(small, 1), { marks: [2], lost: 0 });
});

test('what there was no room for is counted', () => {
  const small = smallSwitch();
  watch(small, 1);
  for (let mark = 0; mark < EVENTS + 10; mark++) note(small, mark);
  // The handler takes them a round at a time.
  while (small.slow.round(0) > 0);
  const { marks, lost } = watch(small, 1);
  assert.deepEqual([marks.length, lost], [EVENTS, 10]);
});

test('there may only be so many who watch', () => {
  const small = smallSwitch();
  for (let monitor = 1; monitor <= 16; monitor++) watch(small, monitor);
  assert.throws(() => watch(small, 17), /more than 16 watch connections/);
  small.request({ command: 'unwatch', monitor: 3 });
  watch(small, 17);
});
