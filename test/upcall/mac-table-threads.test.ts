/** Two threads learn and forget the same addresses, while a third looks. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import { NONE } from '../../src/datapath.ts';
import { MacTable } from '../../src/upcall/mac-table.ts';
import { crew, type Job, shared, work } from '../support/crew.ts';
import { Rig } from '../support/rig.ts';
import { Random, seeded } from '../support/seeded.ts';

const LEARNERS = 2;
const STEPS = 150_000;
const AGEING_MS = 200;
const CAPACITY = 64;
const STATIONS = 80;
const PORTS = 5;

/** So that a port says when it was learned: a mixture of two sightings is found out. */
const portAt = (mac: number, heardMs: number): number => 1 + ((mac + heardMs) % PORTS);

/** What the learners share: how far their clock is, and how many of them have ended. */
const CLOCK = 0;
const ENDED = 1;

const learn: Job = (datapath, progress, seed) => {
  const random = new Random(seed);
  const macs = new MacTable(datapath, AGEING_MS);
  for (let n = 0; n < STEPS; n++) {
    const nowMs = Atomics.add(progress, CLOCK, 1);
    const [mac, heardMs] = [random.below(STATIONS), Math.max(nowMs - random.below(50), 0)];
    macs.learn({ vlan: 7, mac, port: portAt(mac, heardMs) }, heardMs);
    if (n % 64 === 0) macs.expire(nowMs);
    if (n % 1000 !== 0) continue;
    const gone = 1 + random.below(PORTS);
    macs.forget((port) => port === gone);
  }
  Atomics.add(progress, ENDED, 1);
};

/** Returns how often it looked. */
const look: Job = (datapath, progress) => {
  const macs = new MacTable(datapath, AGEING_MS);
  let looks = 0;
  for (; Atomics.load(progress, ENDED) < LEARNERS; looks++) {
    assert.notEqual(
      datapath.exports.auditStations() >>> 0,
      NONE,
      'what leads to the stations does not agree',
    );
    for (const { vlan, mac, port, heardMs } of macs.entries(0).entries) {
      assert.deepEqual([vlan, port], [7, portAt(mac, heardMs)]);
    }
    const found = macs.lookup(7, looks % STATIONS);
    assert.equal(found?.mac ?? looks % STATIONS, looks % STATIONS);
  }
  return looks;
};

function tests(): void {
  test(
    'each station is on one port, where it was heard, however many threads learn it',
    seeded(async (random) => {
      const rig = new Rig({ threads: LEARNERS + 1, ports: PORTS + 1, macs: CAPACITY });
      const jobs = [...Array<string>(LEARNERS).fill('learn'), 'look'];
      const looks = (await crew(import.meta.url, rig.arena, jobs, shared(2), random.word())).at(-1);
      assert.ok(Number(looks) > 0);
      const { entries } = new MacTable(rig.datapath, AGEING_MS).entries(0);
      assert.equal(rig.datapath.exports.auditStations() >>> 0, entries.length);
      assert.equal(rig.observer.stations(), entries.length);
      assert.equal(new Set(entries.map(({ mac }) => mac)).size, entries.length);
    }),
  );
}

if (isMainThread) tests();
else work({ learn, look });
