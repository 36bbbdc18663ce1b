/** Meters against a plain token bucket, what their bands do, and how threads share them. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import { isMainThread } from 'node:worker_threads';
import {
  BATCH,
  type BandLimits,
  KEY_SIZE,
  MAX_BANDS,
  METERS,
  type MeterLimits,
  MeterTable,
  NONE,
  Observer,
  OP_CLONE,
  OP_END,
  OP_METER,
  OP_OUTPUT,
  OP_TALLY,
  POOL_FRAMES,
} from '../../src/datapath.ts';
import { crew, type Job, shared, work } from '../support/crew.ts';
import { arp, ethernet, ipv4, ipv6, udp } from '../support/packets.ts';
import { hex } from '../support/programs.ts';
import { Rig } from '../support/rig.ts';
import { pick, Random, seeded } from '../support/seeded.ts';

const ANY = new Uint8Array(KEY_SIZE);
const PACKET = ethernet({}, ipv4({}, udp({}, new Uint8Array(20))));

interface MeterRig extends Rig {
  readonly meters: MeterTable;
}

/** A rig with ports 1 and 2 and a flow that takes everything. */
function rigWith(program: readonly number[]): MeterRig {
  const rig = new Rig();
  rig.open(1, 2);
  assert.notEqual(rig.handler.install(ANY, ANY, Uint32Array.from([...program, OP_END])), NONE);
  return Object.assign(rig, { meters: new MeterTable(rig.arena) });
}

const one = (band: Partial<BandLimits>, unit: MeterLimits['unit'] = 'pktps'): MeterLimits => ({
  unit,
  bands: [{ type: 'drop', rate: 1000, burst: 0, ...band }],
});

/** Sends packets through the rig at `nowMs`; returns those that came out at port 2. */
function send(rig: Rig, nowMs: number, packets: readonly Uint8Array[]): string[] {
  rig.datapath.setClock(nowMs);
  rig.receive(1, packets);
  return (rig.transmit().get(2) ?? []).map(hex);
}

/** A token bucket as it is told: tokens come in all the time, up to the burst. */
class Bucket {
  readonly #rate: number;
  readonly #depth: number;
  #tokens: number;
  #nowMs = 0;

  constructor(rate: number, burst: number) {
    this.#rate = rate;
    this.#depth = 1000 * (burst || rate);
    this.#tokens = this.#depth;
  }

  take(nowMs: number, tokens: number): boolean {
    this.#tokens = Math.min(this.#tokens + (nowMs - this.#nowMs) * this.#rate, this.#depth);
    this.#nowMs = nowMs;
    if (this.#tokens < tokens) return false;
    this.#tokens -= tokens;
    return true;
  }
}

// Two threads and a third that changes the meter

const EACH = 4000;
const BURST = 3000;
const METER = 5;

const packets = (datapath: Parameters<Job>[0]): void => {
  for (let slot = 0; slot < BATCH; slot++) {
    const frame = datapath.takeFrame(PACKET.length);
    datapath.u8.set(PACKET, datapath.dataAddress(frame));
    datapath.receive(slot, 1, frame, PACKET.length);
  }
  datapath.exports.process(1, BATCH);
};

const sendThrough: Job = (datapath) => {
  datapath.setClock(1000);
  for (let sent = 0; sent < EACH; sent += BATCH) packets(datapath);
  datapath.exports.leave();
};

const changeMeters: Job = (datapath, _, seed) => {
  const random = new Random(seed);
  const meters = new MeterTable(datapath.arena);
  for (let i = 0; i < 5000; i++) {
    const bands = Array.from({ length: 1 + random.below(MAX_BANDS) }, () => ({
      type: pick(random, ['drop', 'dscp_remark'] as const),
      rate: random.below(100_000),
      burst: random.below(100),
    }));
    if (random.below(4) === 0) meters.remove(METER);
    else meters.set(METER, { unit: pick(random, ['kbps', 'pktps'] as const), bands });
    const totals = meters.read(METER);
    for (const band of totals?.bands ?? []) assert.ok(band.packets <= 2 * EACH);
  }
};

const stand: Job = () => {};

/** Two threads that send everything through the meter; what is dropped by it, and what by the flow's end. */
async function shareMeter(limits: MeterLimits, third: string): Promise<{ rig: Rig; meters: MeterTable }> {
  const rig = new Rig({ threads: 3 });
  const meters = new MeterTable(rig.arena);
  meters.set(METER, limits);
  rig.handler.install(ANY, ANY, Uint32Array.of(OP_TALLY, 1, OP_METER, METER, OP_TALLY, 2, OP_END));
  const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
  try {
    await crew(import.meta.url, rig.arena, ['sendThrough', 'sendThrough', third], shared(1), seed);
  } catch (error) {
    if (error instanceof Error) error.message += `\n(jobs drew from SEED=${seed})`;
    throw error;
  }
  const { dropped, received } = new Observer(rig.arena).totals();
  assert.equal(received, 2 * EACH);
  assert.equal((dropped.meter ?? 0) + (dropped.flow ?? 0), received);
  assert.equal(rig.observer.tally(1).packets, received, 'threads tally in rows of their own');
  assert.equal(rig.observer.tally(2).packets, dropped.flow ?? 0);
  assert.equal(rig.free(POOL_FRAMES), rig.arena.limits.frames);
  return { rig, meters };
}

function tests(): void {
  test(
    'bands let through what token buckets do',
    seeded((random) => {
      for (let run = 0; run < 20; run++) {
        // Rates are powers of two, so that both reckon exactly.
        const unit = pick(random, ['kbps', 'pktps'] as const);
        const bands = Array.from({ length: 1 + random.below(3) }, () => ({
          type: 'drop' as const,
          rate: 2 ** random.below(12),
          burst: random.below(20),
        }));
        const rig = rigWith([OP_METER, 7, OP_OUTPUT, 2]);
        rig.meters.set(7, { unit, bands });
        const buckets = bands.map(({ rate, burst }) => new Bucket(rate, burst));
        const taken = bands.map(() => ({ packets: 0, bytes: 0 }));
        const all = { packets: 0, bytes: 0 };
        for (let round = 0, nowMs = 1; round < 100; round++, nowMs += random.below(2 ** random.below(9))) {
          const packet = ethernet({}, ipv4({}, udp({}, new Uint8Array(random.below(500)))));
          all.packets++;
          all.bytes += packet.length;
          const tokens = unit === 'pktps' ? 1000 : 8 * packet.length;
          const exceeded = bands.filter((_, i) => !buckets[i]!.take(nowMs, tokens));
          const acting = bands.indexOf(
            exceeded.reduce((a, b) => (b.rate > a.rate ? b : a), exceeded[0] ?? bands[0]!),
          );
          if (exceeded.length > 0) {
            taken[acting]!.packets++;
            taken[acting]!.bytes += packet.length;
          }
          assert.equal(send(rig, nowMs, [packet]).length, exceeded.length > 0 ? 0 : 1, `at ${nowMs} ms`);
        }
        assert.deepEqual(rig.meters.read(7), { ...all, bands: taken });
        rig.checkFates();
      }
    }),
  );

  test('a meter without a burst lets a second of its rate through at once', () => {
    const rig = rigWith([OP_METER, 0, OP_OUTPUT, 2]);
    rig.meters.set(0, one({ rate: 10 }));
    assert.equal(send(rig, 1, Array(30).fill(PACKET)).length, 10);
    assert.equal(send(rig, 101, Array(30).fill(PACKET)).length, 1);
    assert.deepEqual(rig.checkFates().dropped, { meter: 49 });
  });

  test('a rate of zero lets nothing through', () => {
    const rig = rigWith([OP_METER, 0, OP_OUTPUT, 2]);
    for (const burst of [0, 5]) {
      rig.meters.set(0, one({ rate: 0, burst }));
      assert.equal(send(rig, 1, [PACKET]).length, 0);
      assert.equal(send(rig, 1e9, [PACKET]).length, 0);
    }
    rig.checkFates();
  });

  test('a meter drops what comes after it, not what was sent before, and a copy alone inside', () => {
    const rig = rigWith([
      OP_OUTPUT,
      2,
      OP_CLONE,
      OP_METER,
      1,
      OP_OUTPUT,
      2,
      OP_END,
      OP_METER,
      1,
      OP_OUTPUT,
      2,
    ]);
    rig.meters.set(1, one({ rate: 0 }));
    assert.equal(send(rig, 1, [PACKET]).length, 1);
    const totals = rig.checkFates();
    assert.deepEqual([totals.dropped, totals.copiesDropped], [{ meter: 1 }, { meter: 1 }]);
  });

  test('where there is no meter packets pass, and a meter set again is new', () => {
    const rig = rigWith([OP_METER, METERS - 1, OP_OUTPUT, 2]);
    assert.equal(rig.meters.read(METERS - 1), undefined);
    assert.equal(send(rig, 1, [PACKET]).length, 1);
    rig.meters.set(METERS - 1, one({ rate: 1 }));
    assert.equal(send(rig, 1, [PACKET, PACKET]).length, 1);
    assert.equal(rig.meters.read(METERS - 1)!.bands[0]!.packets, 1);
    rig.meters.set(METERS - 1, one({ rate: 1 }));
    assert.deepEqual(rig.meters.read(METERS - 1), {
      packets: 0,
      bytes: 0,
      bands: [{ packets: 0, bytes: 0 }],
    });
    assert.equal(send(rig, 1, [PACKET, PACKET]).length, 1);
    rig.meters.remove(METERS - 1);
    assert.equal(send(rig, 1, [PACKET, PACKET]).length, 2);
    rig.checkFates();
  });

  // RFC 2597 §6: class × 8 + precedence × 2.
  const af = (class_: number, precedence: number): number => class_ * 8 + precedence * 2;
  for (const [what, before, level, after] of [
    ['AF11', af(1, 1), 1, af(1, 2)],
    ['AF22', af(2, 2), 1, af(2, 3)],
    ['AF41 by two', af(4, 1), 2, af(4, 3)],
    ['AF33, which is the last', af(3, 3), 1, af(3, 3)],
    ['AF12 by more than there are', af(1, 2), 200, af(1, 3)],
    ['best effort', 0, 1, 0],
    ['EF', 46, 1, 46],
    ['CS3', 24, 1, 24],
  ] as [string, number, number, number][]) {
    test(`a band that remarks ${what}`, () => {
      const rig = rigWith([OP_METER, 3, OP_OUTPUT, 2]);
      rig.meters.set(3, one({ type: 'dscp_remark', rate: 0, precLevel: level }));
      const ofV4 = (dscp: number) => ethernet({}, ipv4({ tos: dscp * 4 + 1 }, udp()));
      const ofV6 = (dscp: number) => ethernet({ vlan: 3 }, ipv6({ trafficClass: dscp * 4 + 2 }, udp()));
      assert.deepEqual(send(rig, 1, [ofV4(before), ofV6(before), ethernet({}, arp())]), [
        hex(ofV4(after)),
        hex(ofV6(after)),
        hex(ethernet({}, arp())),
      ]);
      assert.equal(rig.meters.read(3)!.bands[0]!.packets, 3);
      rig.checkFates();
    });
  }

  test('the band of the highest rate acts', () => {
    const rig = rigWith([OP_METER, 3, OP_OUTPUT, 2]);
    rig.meters.set(3, {
      unit: 'pktps',
      bands: [
        { type: 'drop', rate: 2, burst: 0 },
        { type: 'dscp_remark', rate: 1, burst: 0 },
      ],
    });
    const of = (dscp: number) => ethernet({}, ipv4({ tos: dscp * 4 }, udp()));
    assert.deepEqual(send(rig, 1, Array(4).fill(of(af(1, 1)))), [hex(of(af(1, 1))), hex(of(af(1, 2)))]);
    rig.checkFates();
  });

  for (const [what, number, limits] of [
    ['a number beyond all', METERS, one({})],
    ['no bands', 1, { unit: 'kbps', bands: [] }],
    ['too many bands', 1, { unit: 'kbps', bands: Array(MAX_BANDS + 1).fill(one({}).bands[0]) }],
  ] as [string, number, MeterLimits][]) {
    test(`a meter with ${what} is refused, and one that was there stays`, () => {
      const rig = rigWith([]);
      rig.meters.set(1, one({}));
      assert.throws(() => rig.meters.set(number, limits), RangeError);
      assert.equal(rig.meters.read(1)!.bands.length, 1);
    });
  }

  test('threads together take no more than is there', async () => {
    const { rig, meters } = await shareMeter(one({ rate: 1, burst: BURST }), 'stand');
    assert.deepEqual(rig.observer.totals().dropped, { flow: BURST, meter: 2 * EACH - BURST });
    const { packets, bytes, bands } = meters.read(METER)!;
    assert.deepEqual([packets, bytes], [2 * EACH, 2 * EACH * PACKET.length]);
    assert.equal(bands[0]!.packets, 2 * EACH - BURST);
  });

  test('a meter may be changed while packets go through it', async () => {
    const { rig, meters } = await shareMeter(one({ rate: 1, burst: BURST }), 'changeMeters');
    meters.set(METER, one({ rate: 3 }));
    rig.datapath.setClock(2000);
    const before = rig.observer.totals(0).dropped.flow ?? 0;
    packets(rig.datapath);
    assert.equal(rig.observer.totals(0).dropped.flow! - before, 3, 'nothing of the old one is left');
  });
}

if (isMainThread) tests();
else work({ sendThrough, changeMeters, stand });
