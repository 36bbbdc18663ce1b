/** The rings in which threads note what happens to connections. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { connectionEvents } from '../../src/control/connections.ts';
import { EVENT_DESTROY, EVENT_NEW, EVENTS, REMOVED_EXPIRED } from '../../src/datapath.ts';
import { TCP_STATES } from '../../src/table/connection-filter.ts';
import { Rig } from '../support/rig.ts';
import { chance, seeded } from '../support/seeded.ts';
import { type Fake, putConnection, TCP, takeEvents, UDP, type Way } from './records.ts';

const WAY: Way = { src: [10, 0, 0, 1], dst: [10, 0, 0, 2], sport: 1, dport: 2 };

test('events come in the order in which they happened, from whichever thread', () => {
  const rig = new Rig({ threads: 3, connections: 16 });
  const [a, b] = rig.threads;
  rig.handler.exports.watchEvents(true);
  const record = putConnection(rig.arena, 1, { protocol: UDP, original: WAY, reply: WAY, zone: 7 });
  for (const [thread, atMs] of [
    [a, 10],
    [b, 5],
    [a, 20],
    [b, 15],
  ] as const) {
    thread!.setClock(atMs);
    thread!.exports.noteEvent(
      record,
      atMs === 20 ? EVENT_DESTROY : EVENT_NEW,
      atMs === 20 ? REMOVED_EXPIRED : 0,
    );
  }
  const events = takeEvents(rig.handler);
  assert.deepEqual(
    events.map(({ atMs, kind, reason }) => [atMs, kind, reason]),
    [
      [5, 'new', undefined],
      [10, 'new', undefined],
      [15, 'new', undefined],
      [20, 'destroy', 'expired'],
    ],
  );
  assert.ok(
    events.every(({ connection }) => connection.zone === 7 && connection.original.src === '10.0.0.1'),
  );
  assert.equal(rig.handler.exports.takeLostEvents(), 0);
});

test('an event is the connection as it was, whatever becomes of it', () => {
  const rig = new Rig({ connections: 16 });
  rig.handler.exports.watchEvents(true);
  const [open, closing] = [TCP_STATES.indexOf('ESTABLISHED'), TCP_STATES.indexOf('CLOSING')];
  const fake: Fake = { protocol: TCP, original: WAY, reply: WAY, states: [open, open], mark: 1 };
  const record = putConnection(rig.arena, 1, fake);
  rig.datapath.exports.noteEvent(record, EVENT_NEW, 0);
  putConnection(rig.arena, 1, { ...fake, mark: 2, states: [closing, open] });
  const [event] = takeEvents(rig.handler);
  assert.deepEqual([event!.connection.mark, event!.connection.state], [1, 'ESTABLISHED']);
});

test('while nobody watches nothing is noted, and who begins to watch sees nothing old', () => {
  const rig = new Rig({ connections: 16 });
  const { exports } = rig.handler;
  const record = putConnection(rig.arena, 1, { protocol: UDP, original: WAY, reply: WAY });
  const note = () => rig.datapath.exports.noteEvent(record, EVENT_NEW, 0);
  note();
  exports.watchEvents(true);
  assert.equal(takeEvents(rig.handler).length, 0);
  note();
  exports.watchEvents(false);
  note();
  exports.watchEvents(true);
  assert.equal(takeEvents(rig.handler).length, 0);
});

test(
  'a ring that is full loses what comes, and counts it',
  seeded((random) => {
    const rig = new Rig({ connections: 16 });
    const { exports } = rig.handler;
    exports.watchEvents(true);
    let waiting = 0;
    let lost = 0;
    for (let i = 0, mark = 0, next = 0; i < 200; i++) {
      for (let n = random.below(400); n > 0; n--, mark++) {
        const record = putConnection(rig.arena, 1, { protocol: UDP, original: WAY, reply: WAY, mark });
        rig.datapath.exports.noteEvent(record, EVENT_NEW, 0);
        if (waiting < EVENTS) waiting++;
        else lost++;
      }
      if (chance(random, 0.5)) {
        assert.equal(exports.takeLostEvents(), lost);
        lost = 0;
      }
      for (let n = random.below(400); n > 0 && waiting > 0; n--, waiting--) {
        const [event] = connectionEvents(rig.handler.nextEvent()!.slice());
        assert.ok(event!.connection.mark >= next, 'in order');
        next = event!.connection.mark + 1;
        exports.endEvent();
      }
    }
    assert.equal(takeEvents(rig.handler).length, waiting);
  }),
);
