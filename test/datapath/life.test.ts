/** The lives of flows against a model: who installs, dumps and sweeps, and what is credited to whom. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  BAD_MOVES,
  DELETED,
  DUE_TELL,
  DUE_TRANSLATE,
  type DueFlow,
  type DumpOrders,
  EFFECT_KIND,
  EFFECT_PUNT,
  EFFECT_SENDER,
  EVICT_AVOID_CACHING,
  EVICT_FLOW_IDLE,
  EVICT_FLOW_LIMIT,
  EVICT_FLOW_MISSING_DP,
  EVICT_NAMES,
  EVICT_NONE,
  EVICT_PURGE,
  EVICT_TOO_EXPENSIVE,
  EVICT_UPDATE_FAIL,
  EVICTED,
  FLOW_COUNTERS_STRIDE,
  FLOW_STRIDE,
  type FlowAbout,
  INCONSISTENT,
  KEY_SIZE,
  LIFE_NORMAL,
  LIFE_STRIDE,
  LIFE_TELLS,
  Lives,
  NONE,
  OP_DROP,
  OP_END,
  OP_SELECT,
  OPERATIONAL,
  PLACE_DUMP,
  PLACE_INSTALL,
  POOL_FLOWS,
  Rounds,
  regionAddress,
  VISIBLE,
} from '../../src/datapath.ts';
import type { TestDatapath } from '../support/module.ts';
import { ethernet } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';

const RULES = 8;
const IDS = 12;
const ETH_DST = 8;
const DROP = Uint32Array.of(OP_DROP, 0, OP_END);
const LONG = [...Array.from({ length: 90 }, () => [OP_DROP, 0]).flat(), OP_END];
/** Two differ only behind what a flow has room for; one has buckets that go on elsewhere. */
const PROGRAMS = [
  DROP,
  Uint32Array.from(LONG),
  Uint32Array.from(LONG.with(177, 1)),
  Uint32Array.of(
    OP_SELECT,
    0,
    8,
    ...Array.from({ length: 16 }, (_, n) => n),
    ...Array(8).fill(OP_END),
    ...DROP,
  ),
];

const ADDRESS = (id: number) => `02:00:00:00:00:${id.toString(16).padStart(2, '0')}`;
const PACKETS = Array.from({ length: IDS }, (_, id) =>
  ethernet({ dst: ADDRESS(id) }, new Uint8Array(40 + id)),
);

const MASK = new Uint8Array(KEY_SIZE).fill(0xff, ETH_DST, ETH_DST + 6);
/** Of the packet that misses: it has more than the mask lets in. */
function keyOf(id: number): Uint8Array {
  const key = new Uint8Array(KEY_SIZE).fill(id, 32);
  key.set([2, 0, 0, 0, 0, id], ETH_DST);
  return key;
}

const ORDERS: DumpOrders = {
  revalidators: 1,
  index: 0,
  version: 0,
  learned: 0,
  killsAll: false,
  purges: false,
  minPacketsPerSecond: 0,
  maxIdleMs: 10_000,
  lastDumpMs: 0,
  maxDumpMs: 500,
};

/** Rules, some twice, and beside them words of every other kind; more than a life has room for, at times. */
function randomAbout(
  random: Random,
  version: number,
  learned: number,
): { about: FlowAbout; rules: number[] } {
  const rules = Array.from({ length: pick(random, [0, 1, 2, 5, 70]) }, () => random.below(RULES));
  const words = rules.flatMap((rule) => {
    const others = [
      [],
      [],
      [((EFFECT_PUNT << EFFECT_KIND) | random.below(9)) >>> 0],
      [((EFFECT_SENDER << EFFECT_KIND) | 3) >>> 0, 5, 6], // a VLAN and an address that look like rules
    ];
    return chance(random, 0.5) ? [rule, ...pick(random, others)] : [...pick(random, others), rule];
  });
  const flags = pick(random, [0, LIFE_NORMAL, LIFE_TELLS, LIFE_NORMAL | LIFE_TELLS]);
  return { about: { version, learned, flags, effects: Uint32Array.from(words) }, rules };
}

interface TwinFlow {
  number: number;
  serial: number;
  state: number;
  program: Uint32Array;
  about: FlowAbout;
  rules: number[];
  dump: number;
  createdMs: number;
  usedMs: number;
  /** Not credited yet. */
  packets: number;
  bytes: number;
  lastMs: number;
}

class Twin {
  readonly rig = new Rig({ threads: 3, flows: 1024, rules: RULES });
  readonly lives = new Lives(this.rig.arena);
  readonly flows = new Map<number, TwinFlow>();
  readonly credited = Array.from({ length: RULES }, () => ({ packets: 0, bytes: 0, usedMs: 0 }));
  readonly coverage: Record<string, number> = {};
  readonly evictions: Record<string, number> = {};
  version = 1;
  learned = 1;
  dump = 0;
  nowMs = 1000;

  constructor() {
    this.rig.open(1);
    this.pass(0);
  }

  get revalidator(): TestDatapath {
    return this.rig.threads[1]!;
  }

  count(name: string): void {
    this.coverage[name] = (this.coverage[name] ?? 0) + 1;
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const thread of this.rig.threads) thread.setClock(this.nowMs);
  }

  lockOf(flow: TwinFlow): number {
    return (regionAddress(this.rig.arena, 'lives') + flow.number * LIFE_STRIDE) >> 2;
  }

  isLocked(flow: TwinFlow): boolean {
    return this.rig.datapath.u32[this.lockOf(flow)] !== 0;
  }

  /** Has a thread that does nothing else hold the locks of some flows meanwhile. */
  withLocks(random: Random, body: () => void): void {
    const locked = [...this.flows.values()].filter(() => chance(random, 0.1));
    for (const flow of locked) this.rig.datapath.u32[this.lockOf(flow)] = 1;
    body();
    for (const flow of locked) this.rig.datapath.u32[this.lockOf(flow)] = 0;
  }

  credit(flow: TwinFlow): number {
    const { packets } = flow;
    if (packets > 0) flow.usedMs = flow.lastMs;
    for (const rule of packets > 0 ? flow.rules : []) {
      const credited = this.credited[rule]!;
      credited.packets += packets;
      credited.bytes += flow.bytes;
      credited.usedMs = Math.max(credited.usedMs, flow.usedMs);
    }
    flow.packets = 0;
    flow.bytes = 0;
    return packets;
  }

  evict(flow: TwinFlow, reason: number): 0 {
    this.credit(flow);
    flow.state = EVICTED;
    const name = EVICT_NAMES[reason]!;
    this.evictions[name] = (this.evictions[name] ?? 0) + 1;
    return 0;
  }

  install(random: Random): void {
    const id = random.below(IDS);
    const { about, rules } = randomAbout(random, this.version, this.learned);
    const there = this.flows.get(id);
    const isLive = there !== undefined && there.state < EVICTED;
    const isLocked = there !== undefined && this.isLocked(there);
    const { handler } = this.rig;
    const program = pick(random, PROGRAMS);
    const number = handler.install(MASK, keyOf(id), program, about);
    assert.equal(handler.installedNew, !isLive && number !== NONE);
    if (isLive) {
      this.count('handler_duplicate_upcall');
      assert.equal(number, there.number);
    } else if (isLocked) {
      this.count('ukey_replace_contention');
      assert.equal(number, NONE);
    } else {
      if (there) this.count('upcall_ukey_replace');
      assert.notEqual(number, NONE);
      assert.deepEqual(Buffer.from(this.lives.key(number)), Buffer.from(keyOf(id)));
      this.flows.set(id, {
        number,
        serial: this.lives.of(number).serial,
        state: VISIBLE,
        program,
        about,
        rules,
        dump: there ? there.dump : this.dump,
        createdMs: this.nowMs,
        usedMs: 0,
        packets: 0,
        bytes: 0,
        lastMs: 0,
      });
    }
  }

  packets(random: Random): void {
    const ids = Array.from({ length: 1 + random.below(20) }, () => random.below(IDS));
    this.rig.receive(
      1,
      ids.map((id) => PACKETS[id]!),
    );
    for (const id of ids) {
      const flow = this.flows.get(id);
      if (flow === undefined || flow.state >= EVICTED) continue;
      flow.packets++;
      flow.bytes += PACKETS[id]!.length;
      flow.lastMs = this.nowMs;
    }
    this.rig.dropMisses(0);
  }

  orders(random: Random): DumpOrders {
    return {
      ...ORDERS,
      version: this.version,
      learned: this.learned,
      killsAll: chance(random, 0.05),
      purges: chance(random, 0.05),
      minPacketsPerSecond: pick(random, [0, 5, 100]),
      maxIdleMs: pick(random, [100, 10_000]),
      lastDumpMs: pick(random, [10, 400]),
    };
  }

  isStale({ about }: TwinFlow): boolean {
    return (
      about.version !== this.version || ((about.flags & LIFE_NORMAL) !== 0 && about.learned !== this.learned)
    );
  }

  runDump(random: Random): void {
    if (chance(random, 0.8)) assert.equal(this.revalidator.exports.beginDump(), ++this.dump);
    const orders = this.orders(random);
    const expected = new Map<number, number>();
    for (const flow of this.flows.values()) {
      if (flow.state === EVICTED) continue;
      if (this.isLocked(flow)) {
        this.count('upcall_ukey_contention');
        continue;
      }
      const why = this.dumped(flow, orders);
      if (why !== 0) expected.set(flow.number, why);
    }
    this.follow(
      random,
      this.step((from) => this.revalidator.dumpStep(orders, from, 7)),
      expected,
    );
  }

  /** DUE_…, for what TypeScript is told of. */
  dumped(flow: TwinFlow, orders: DumpOrders): number {
    if (flow.dump === this.dump) {
      this.count(flow.state === VISIBLE ? 'dumped_new_flow' : 'dumped_duplicate_flow');
      return 0;
    }
    flow.dump = this.dump;
    if (flow.state === INCONSISTENT) {
      this.count('dumped_inconsistent_flow');
      return this.evict(flow, EVICT_UPDATE_FAIL);
    }
    flow.state = OPERATIONAL;
    const { usedMs } = flow;
    const fresh = this.credit(flow);
    if (orders.killsAll) return this.evict(flow, EVICT_FLOW_LIMIT);
    const idleMs = this.nowMs - Math.max(flow.usedMs, flow.createdMs);
    if (idleMs > orders.maxIdleMs) return this.evict(flow, EVICT_FLOW_IDLE);
    const isWorthIt =
      orders.minPacketsPerSecond === 0 ||
      usedMs === 0 ||
      orders.lastDumpMs < orders.maxDumpMs / 2 ||
      (this.nowMs - usedMs) / Math.max(fresh, 1) < 1000 / orders.minPacketsPerSecond;
    if (this.isStale(flow) && !isWorthIt) return this.evict(flow, EVICT_TOO_EXPENSIVE);
    const tells = (flow.about.flags & LIFE_TELLS) !== 0 && fresh > 0;
    return (this.isStale(flow) ? DUE_TRANSLATE : 0) | (tells ? DUE_TELL : 0);
  }

  runSweep(random: Random): void {
    const orders = this.orders(random);
    const expected = new Map<number, number>();
    for (const [id, flow] of [...this.flows]) {
      if (this.isLocked(flow)) this.count('upcall_ukey_contention');
      else if (flow.state === EVICTED) this.flows.delete(id);
      else if (orders.purges) this.evict(flow, EVICT_PURGE);
      else if (flow.state === INCONSISTENT) this.evict(flow, EVICT_UPDATE_FAIL);
      else if (flow.state === OPERATIONAL && flow.dump !== this.dump && this.isStale(flow)) {
        this.count('revalidate_missed_dp_flow');
        expected.set(flow.number, DUE_TRANSLATE);
      }
    }
    this.follow(
      random,
      this.step((from) => this.revalidator.sweepStep(orders, from, 7)),
      expected,
    );
  }

  /** All that the steps list. */
  step(go: (from: number) => ReturnType<TestDatapath['dumpStep']>) {
    const all: DueFlow[] = [];
    for (let from = 0; from !== NONE; ) {
      const { due, next } = go(from);
      all.push(...due);
      from = next;
    }
    return all;
  }

  /** Does with the flows that were listed what TypeScript might. */
  follow(random: Random, due: ReturnType<Twin['step']>, expected: Map<number, number>): void {
    assert.deepEqual(new Map(due.map(({ flow, why }) => [flow, why])), expected);
    for (const { flow: number, serial } of due) {
      const flow = [...this.flows.values()].find((candidate) => candidate.number === number)!;
      assert.equal(serial, flow.serial);
      const { about, rules } = randomAbout(random, this.version, this.learned);
      const { exports } = this.revalidator;
      switch (random.below(5)) {
        case 0:
          assert.ok(exports.failFlow(number, serial));
          flow.state = INCONSISTENT;
          break;
        case 1:
          assert.ok(exports.evictFlow(number, serial, EVICT_AVOID_CACHING));
          this.evict(flow, EVICT_AVOID_CACHING);
          break;
        default: {
          const program = pick(random, PROGRAMS);
          const isSame = program === flow.program;
          const renewed = this.revalidator.renewFlow(number, serial, program, about);
          assert.equal(renewed === number, isSame);
          assert.notEqual(renewed, NONE);
          this.credit(flow);
          Object.assign(flow, {
            number: renewed,
            program,
            about,
            rules,
            serial: this.lives.of(renewed).serial,
          });
          if (isSame) break;
          assert.equal(this.lives.of(number).state, DELETED);
          assert.equal(this.revalidator.renewFlow(number, serial, program, about), NONE, 'that life is over');
        }
      }
    }
  }

  check(): void {
    for (const flow of this.flows.values()) {
      const { serial, state } = this.lives.of(flow.number);
      assert.deepEqual([serial, state], [flow.serial, flow.state]);
    }
    for (const [rule, credited] of this.credited.entries()) {
      assert.deepEqual(this.rig.observer.rule(rule), credited, `rule ${rule}`);
    }
    const live = [...this.flows.values()].filter(({ state }) => state < EVICTED);
    assert.equal(this.rig.observer.liveFlows(), live.length);
    const counted = (counts: Record<string, number>) =>
      Object.fromEntries(Object.entries(counts).filter(([, n]) => n > 0));
    assert.deepEqual(counted(this.rig.observer.coverage()), this.coverage);
    assert.deepEqual(counted(this.rig.observer.evictions()), this.evictions);
    assert.equal(this.lives.refused, 0);
  }
}

test(
  'flows live, are credited and go as a model says, whatever is done to them',
  seeded((random) => {
    const twin = new Twin();
    for (let i = 0; i < 4000; i++) {
      const doing = random.fraction();
      if (doing < 0.3) twin.withLocks(random, () => twin.install(random));
      else if (doing < 0.6) twin.packets(random);
      else if (doing < 0.7) twin.withLocks(random, () => twin.runDump(random));
      else if (doing < 0.8) twin.withLocks(random, () => twin.runSweep(random));
      else if (doing < 0.85) twin.version++;
      else if (doing < 0.9) twin.learned++;
      else if (doing < 0.95) twin.pass(random.below(300));
      else twin.rig.reclaim();
      twin.check();
    }
    for (const flow of twin.flows.values()) twin.revalidator.exports.remove(flow.number);
    twin.rig.reclaim();
    twin.rig.checkNoFlows();
  }),
);

const about = (...rules: number[]): FlowAbout => ({
  version: 0,
  learned: 0,
  flags: 0,
  effects: Uint32Array.from(rules),
});

test('two revalidators go over every flow once, each over its share', () => {
  const rig = new Rig({ threads: 3, flows: 2048 });
  const numbers = Array.from({ length: 1100 }, (_, n) => {
    const key = new Uint8Array(KEY_SIZE);
    new DataView(key.buffer).setUint32(32, n);
    return rig.handler.install(new Uint8Array(KEY_SIZE).fill(0xff), key, DROP, about(0));
  });
  rig.handler.exports.beginDump();
  const seen = [0, 1].flatMap((index) => {
    const all: number[] = [];
    for (let from = 0; from !== NONE; ) {
      const { due, next } = rig.datapath.dumpStep({ ...ORDERS, revalidators: 2, index, version: 1 }, from);
      all.push(...due.map(({ flow }) => flow));
      from = next;
    }
    assert.ok(all.every((flow) => (flow >>> 8) % 2 === index));
    return all;
  });
  assert.deepEqual(
    seen.toSorted((a, b) => a - b),
    numbers.toSorted((a, b) => a - b),
  );
});

test('no more flows are installed than may live, but what is there is found', () => {
  const rig = new Rig();
  const { handler, observer } = rig;
  new Rounds(rig.arena).flowLimit = 2;
  const [one, two] = [0, 1].map((id) => handler.install(MASK, keyOf(id), DROP));
  assert.equal(handler.install(MASK, keyOf(2), DROP), NONE);
  assert.equal(handler.install(MASK, keyOf(1), DROP), two);
  assert.equal(observer.coverage().upcall_flow_limit_hit, 1);
  handler.exports.evictFlow(one!, handler.serial(one!), EVICT_NONE);
  assert.notEqual(handler.install(MASK, keyOf(2), DROP), NONE, 'one that was evicted does not live');
  assert.equal(handler.install(MASK, keyOf(0), DROP), NONE);
});

test('an evicted flow is in the way until the sweep where it is not to be replaced', () => {
  const rig = new Rig();
  const { handler } = rig;
  new Lives(rig.arena).replacesEvicted = false;
  const number = handler.install(MASK, keyOf(0), DROP);
  handler.exports.evictFlow(number, handler.serial(number), EVICT_NONE);
  assert.equal(handler.install(MASK, keyOf(0), DROP), NONE);
  handler.sweepStep(ORDERS, 0);
  assert.notEqual(handler.install(MASK, keyOf(0), DROP), NONE);
});

test('a flow that four sweeps do not find in the datapath is removed', () => {
  const rig = new Rig();
  const { handler, observer } = rig;
  const number = handler.install(MASK, keyOf(0), DROP, about(0));
  handler.exports.beginDump();
  handler.dumpStep(ORDERS, 0);
  handler.u32[(regionAddress(rig.arena, 'flows') + number * FLOW_STRIDE) >> 2]!++;
  const lives = new Lives(rig.arena);
  for (let dump = 1; dump <= 4; dump++) {
    assert.equal(lives.of(number).state, OPERATIONAL);
    handler.exports.beginDump();
    handler.dumpStep(ORDERS, 0);
    handler.sweepStep(ORDERS, 0);
  }
  assert.deepEqual([lives.of(number).state, lives.of(number).reason], [EVICTED, EVICT_FLOW_MISSING_DP]);
  assert.equal(observer.coverage().revalidate_missing_dp_flow, 1);
  handler.sweepStep(ORDERS, 0);
  rig.reclaim();
  assert.equal(rig.free(POOL_FLOWS), rig.arena.limits.flows);
});

test('a move that no life makes changes nothing, is counted, and says who tried it and who came before', () => {
  const rig = new Rig();
  const { handler, datapath } = rig;
  const number = handler.install(MASK, keyOf(0), DROP);
  const lives = new Lives(rig.arena);
  const life = regionAddress(rig.arena, 'lives') + number * LIFE_STRIDE;
  for (let i = 0; i < BAD_MOVES + 3; i++) {
    assert.equal(datapath.exports.moveLife(life, DELETED, PLACE_DUMP), 0);
  }
  assert.equal(lives.of(number).state, VISIBLE);
  const refused = lives.refusedSince(BAD_MOVES + 2);
  const move = { flow: number, serial: lives.of(number).serial, from: VISIBLE, to: DELETED };
  const who = { thread: 1, place: PLACE_INSTALL, byThread: 0, byPlace: PLACE_DUMP };
  assert.deepEqual(refused, [{ ...move, ...who }]);
  assert.equal(lives.refusedSince(0).length, BAD_MOVES, 'the last are kept');
});

test('counters that went back are taken for a new beginning', () => {
  const rig = new Rig();
  rig.open(1);
  const { handler, observer } = rig;
  const number = handler.install(MASK, keyOf(0), DROP, about(3));
  const receive = (n: number) =>
    rig.receive(
      1,
      Array.from({ length: n }, () => PACKETS[0]!),
    );
  const dump = () => {
    handler.exports.beginDump();
    handler.dumpStep(ORDERS, 0);
    return observer.rule(3).packets;
  };
  receive(5);
  assert.equal(dump(), 5);
  handler.u64[(regionAddress(rig.arena, 'flowCounters') + number * FLOW_COUNTERS_STRIDE) >> 3] = 0n;
  receive(2);
  assert.equal(dump(), 5);
  assert.equal(observer.coverage().ukey_invalid_stat_reset, 1);
  receive(1);
  assert.equal(dump(), 6);
});

test('a flow that was retired is waited for until no batch can count on it, and has its last packets credited', () => {
  const rig = new Rig();
  rig.open(1);
  const { handler, datapath, observer } = rig;
  const number = handler.install(MASK, keyOf(0), DROP, about(3));
  datapath.exports.enter();
  rig.receive(1, [PACKETS[0]!, PACKETS[0]!, PACKETS[0]!]);
  assert.ok(handler.exports.remove(number));
  // The batch that is under way had found it before.
  handler.u64[(regionAddress(rig.arena, 'flowCounters') + number * FLOW_COUNTERS_STRIDE) >> 3]! += 2n;
  const epoch = handler.exports.currentEpoch();
  for (let i = 0; i < 5; i++) handler.exports.reclaim();
  assert.equal(observer.rule(3).packets, 3);
  assert.ok(handler.hasRetired);
  assert.ok(!datapath.exports.areGivenBack(epoch));
  assert.ok(datapath.exports.areGivenBack(epoch - 1), 'nobody waits for what others retire later');
  datapath.exports.leave();
  for (let i = 0; i < 5; i++) handler.exports.reclaim();
  assert.ok(!handler.hasRetired);
  assert.ok(datapath.exports.areGivenBack(epoch));
  assert.equal(observer.rule(3).packets, 5);
});
