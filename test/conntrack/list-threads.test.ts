/** Connections listed and watched on one thread while others change them, on real threads. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import { connectionEvents, connectionRows } from '../../src/control/connections.ts';
import { Connection, EVENT_NEW, NONE } from '../../src/datapath.ts';
import type { ConnectionRow } from '../../src/model.ts';
import { parseConnectionFilter } from '../../src/table/connection-filter.ts';
import { crew, type Job, type Shared, shared, work } from '../support/crew.ts';
import type { TestDatapath } from '../support/module.ts';
import { Rig } from '../support/rig.ts';
import { putConnection, takeNumbers, UDP, type Way } from './records.ts';

const CHANGES = 100_000;
const CHANGERS = 2;

/** Gives thread `thread`'s connection a mark and a label that belong together, under its lock. */
function change({ exports, thread, u32 }: TestDatapath, mark: number): number {
  const record = exports.connectionAt(thread);
  exports.acquire(record, thread);
  u32[(record + Connection.mark) >> 2] = mark;
  u32[(record + Connection.label) >> 2] = mark;
  exports.release(record);
  return record;
}

/** The number that a mark has as the first four bytes of a label. */
function isWhole({ mark, labels }: ConnectionRow): boolean {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setUint32(0, mark, true);
  return BigInt(labels) === BigInt(bytes.getUint32(0)) << 96n;
}

const changeAndTell: Job = (datapath, done) => {
  for (let mark = 1; mark <= CHANGES; mark++) {
    datapath.exports.noteEvent(change(datapath, mark), EVENT_NEW, 0);
  }
  Atomics.add(done, 0, 1);
};

/** Marks only go up, and copies are whole; events that are missing are counted as lost. */
const watch: Job = (datapath, done) => {
  const { exports } = datapath;
  const last = Array<number>(CHANGERS).fill(0);
  let taken = 0;
  for (let isLast = false; ; ) {
    const event = datapath.nextEvent();
    if (!event) {
      if (isLast) break;
      isLast = Atomics.load(done, 0) === CHANGERS;
      continue;
    }
    const { connection } = connectionEvents(event.slice())[0]!;
    assert.ok(isWhole(connection), JSON.stringify(connection));
    assert.ok(connection.mark > last[connection.zone]!);
    last[connection.zone] = connection.mark;
    exports.endEvent();
    taken++;
  }
  assert.equal(taken + exports.takeLostEvents(), CHANGERS * CHANGES);
  return taken;
};

const list: Job = (datapath, done) => {
  const last = Array<number>(CHANGERS).fill(0);
  const filter = parseConnectionFilter(['udp']);
  while (Atomics.load(done, 0) < CHANGERS) {
    const { records, next } = datapath.listConnections(0, 64, filter);
    const rows = connectionRows(records.slice(), 0);
    assert.deepEqual([rows.length, next], [CHANGERS, NONE]);
    for (const row of rows) {
      assert.ok(isWhole(row), JSON.stringify(row));
      assert.ok(row.mark >= last[row.zone]!);
      last[row.zone] = row.mark;
    }
  }
};

const WAY: Way = { src: [10, 0, 0, 1], dst: [10, 0, 0, 2], sport: 1, dport: 2 };

function together(looker: string): Promise<unknown[]> {
  const rig = new Rig({ threads: CHANGERS + 1, connections: 64 });
  takeNumbers(rig.handler, 1);
  for (let zone = 0; zone < CHANGERS; zone++) {
    putConnection(rig.arena, zone, { protocol: UDP, original: WAY, reply: WAY, zone });
  }
  rig.handler.exports.watchEvents(true);
  const done: Shared = shared(1);
  return crew(import.meta.url, rig.arena, ['changeAndTell', 'changeAndTell', looker], done, 1);
}

if (isMainThread) {
  test('who watches while others change connections sees whole ones in order, or that some were lost', async () => {
    const taken = (await together('watch')).at(-1) as number;
    assert.ok(taken > 0);
  });

  test('who lists while others change connections sees each, whole', async () => {
    await together('list');
  });
} else {
  work({ changeAndTell, watch, list });
}
