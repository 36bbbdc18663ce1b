/** Learned addresses in the arena do what a plain map does, also for the next who needs them when a thread has died. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { NONE, regionAddress } from '../../src/datapath.ts';
import type { MacEntry } from '../../src/table/mac.ts';
import { releaseLocks } from '../../src/thread/reclaim.ts';
import { MacTable } from '../../src/upcall/mac-table.ts';
import { NaiveMacs } from '../support/naive-macs.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';

const AGEING_MS = 100;
const CAPACITY = 12;
const VLANS = [0, 1, 4095];
/** Differ in their first bytes or their last; one is a group's. */
const MACS = [
  0x0000_0000_0000, 0x0000_0000_0001, 0x0200_0000_0001, 0xfeff_ffff_ffff, 0xfeff_7fff_ffff, 0x0100_5e00_0001,
];
const PORTS = 4;

/** Longest unheard first, and of those heard at the same time in any order that is always the same. */
const inOrder = (entries: Iterable<MacEntry>): MacEntry[] =>
  [...entries].sort((a, b) => a.heardMs - b.heardMs || a.vlan - b.vlan || a.mac - b.mac);

/** All that is known, in slices. */
function all(macs: MacTable): MacEntry[] {
  const found: MacEntry[] = [];
  for (let from: number | undefined = 0; from !== undefined; ) {
    const { entries, next }: ReturnType<MacTable['entries']> = macs.entries(from);
    found.push(...entries);
    from = next;
  }
  return found;
}

class Pair {
  readonly rig = new Rig({ threads: 3, ports: PORTS + 1, macs: CAPACITY });
  /** As each thread sees it. */
  readonly tables = this.rig.threads.map((datapath) => new MacTable(datapath, AGEING_MS));
  readonly twin = new NaiveMacs(CAPACITY, AGEING_MS);
  nowMs = 1000;

  /** Does the same to both, and compares what can be seen. */
  step(random: Random): void {
    const real = pick(random, this.tables);
    const [vlan, mac, port] = [pick(random, VLANS), pick(random, MACS), 1 + random.below(PORTS)];
    const before = [real.generation, this.twin.generation];
    if (chance(random, 0.8)) {
      const heardMs = this.nowMs - random.below(20);
      for (const table of [real, this.twin]) table.learn({ vlan, mac, port }, heardMs);
    } else if (chance(random, 0.5)) {
      this.nowMs += random.below(AGEING_MS);
      for (const table of [real, this.twin]) table.expire(this.nowMs);
    } else {
      for (const table of [real, this.twin]) table.forget((number) => number === port);
    }
    assert.equal(real.generation - before[0]!, this.twin.generation - before[1]!, 'generation');
    assert.deepEqual(real.lookup(vlan, mac), this.twin.lookup(vlan, mac), 'lookup');
    assert.deepEqual(inOrder(all(real)), inOrder(this.twin.entries()), 'entries');
    assert.equal(this.rig.observer.stations(), this.twin.size);
    assert.equal(this.rig.datapath.exports.auditStations() >>> 0, this.twin.size);
  }
}

test(
  'whatever is learned and forgotten, the table has what a plain map has',
  seeded((random) => {
    const pair = new Pair();
    for (let n = 0; n < 5000; n++) pair.step(random);
  }),
);

test('a table of any size is listed in slices, and nothing is left out', () => {
  for (const stations of [0, 1, 1023, 1024, 1025, 5000]) {
    const macs = new MacTable(new Rig({ macs: 8192 }).datapath, AGEING_MS);
    for (let mac = 0; mac < stations; mac++) macs.learn({ vlan: 0, mac, port: 1 }, mac);
    macs.expire(AGEING_MS + 9);
    assert.deepEqual(
      all(macs).map(({ mac }) => mac),
      Array.from({ length: Math.max(stations - 10, 0) }, (_, i) => i + 10),
    );
  }
});

test('when a thread died in the middle, its lock is released and what was learned is still known', () => {
  const { rig, tables } = new Pair();
  const [first, second] = tables as [MacTable, MacTable];
  for (let mac = 0; mac < CAPACITY; mac++) first.learn({ vlan: 0, mac, port: 1 + (mac % PORTS) }, mac);
  const { generation } = second;
  const entries = all(second);
  rig.datapath.exports.acquire(regionAddress(rig.arena, 'stationTable'), 0);
  assert.equal(releaseLocks(rig.arena, 0), 1);
  assert.deepEqual(all(second), entries);
  assert.notEqual(second.generation, generation, 'whoever went by it looks again');
  second.learn({ vlan: 0, mac: 99, port: 1 }, 99);
  assert.equal(second.lookup(0, 0), undefined, 'the one longest unheard made room');
  assert.notEqual(rig.datapath.exports.auditStations() >>> 0, NONE);
});
