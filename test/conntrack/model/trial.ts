/** The datapath and the model side by side: the same packets and settings to both, and what they say compared. */
import assert from 'node:assert/strict';
import type { ConnectionEvent } from '../../../src/model.ts';
import { TIMEOUTS } from '../../support/one-connection.ts';
import { chance, pick, type Random } from '../../support/seeded.ts';
import type { Call, Passing } from './call.ts';
import type { Connection } from './connection.ts';
import { History } from './history.ts';
import type { Life, Sent } from './life.ts';
import { encode } from './packet.ts';
import { Real } from './real.ts';
import { Tracker } from './tracker.ts';
import { drawCalls, drawLife, drawRoute, type Route, ZONES } from './world.ts';

const LIVES = 50;
const CONNECTIONS = 250;
const MOST_IN_BATCH = 20;
/** Batches between two looks at everything. */
const SETTLED_EVERY = 150;

const COUNTERS = [
  'ctCreated',
  'ctExpired',
  'ctReplaced',
  'ctFlushed',
  'ctForced',
  'ctInvalid',
  'ctFull',
  'ctZoneFull',
  'ctNatExhausted',
  'ctIpv4Checksum',
  'ctChecksum',
  'ctTcpFlags',
  'ctTcpSequence',
  'ctTcpUnchecked',
];

interface Living {
  life: Life;
  route: Route;
}

export class Trial {
  readonly #random: Random;
  readonly #real = new Real(CONNECTIONS);
  readonly #tracker = new Tracker(CONNECTIONS);
  readonly #history = new History();
  readonly #living: Living[] = [];

  constructor(random: Random) {
    this.#random = random;
    while (this.#living.length < LIVES) this.#living.push(this.#drawLiving());
  }

  /** How often what happened. */
  get tally(): ReadonlyMap<string, number> {
    return this.#tracker.tally;
  }

  run(packets: number): void {
    const random = this.#random;
    try {
      for (let batch = 1, left = packets; left > 0; batch++) {
        const n = Math.min(left, 1 + random.below(MOST_IN_BATCH));
        this.#sendBatch(n);
        left -= n;
        if (chance(random, 0.2)) this.#pass();
        if (chance(random, 0.02)) this.#disturb();
        if (left <= 0 || batch % SETTLED_EVERY === 0) this.#settle();
      }
    } catch (error) {
      if (error instanceof Error) error.message += `\n${this.#history.text()}`;
      throw error;
    }
  }

  #drawLiving(): Living {
    const life = drawLife(this.#random);
    return { life, route: drawRoute(this.#random, life) };
  }

  // Packets

  #sendBatch(packets: number): void {
    const random = this.#random;
    this.#real.beginBatch(random.below(2));
    let number = 0;
    for (let n = 0; n < packets; n++) {
      // Several of one life often come one behind the other.
      if (n === 0 || chance(random, 0.7)) number = random.below(LIVES);
      this.#send(number);
    }
    this.#real.endBatch();
  }

  #send(number: number): void {
    const { life, route } = this.#living[number]!;
    const sent = life.next();
    const calls = drawCalls(this.#random, route, sent.direction);
    life.arrive({ ...sent, packet: this.#travel(sent, calls, life) });
    if (life.isOver) this.#living[number] = this.#drawLiving();
  }

  /** Takes a packet through its ct()s; as it leaves. */
  #travel({ packet }: Sent, calls: readonly Call[], life: Life): Sent['packet'] {
    const random = this.#random;
    let bytes = encode(packet);
    const passing: Passing = { packet, bytes: bytes.length, told: undefined };
    this.#real.receive(bytes);
    for (const [i, call] of calls.entries()) {
      if (i > 0 && chance(random, 0.1)) {
        this.#real.clear();
        passing.told = undefined;
      }
      if (i > 0 && chance(random, 0.5)) this.#real.parse();
      const before = passing.packet;
      this.#real.ct(call);
      this.#history.note({ atMs: this.#tracker.nowMs, life, packet: before, call, passing });
      this.#tracker.ct(passing, call, () => this.#real.replyTuple(call.zone));
      if (passing.packet !== before) bytes = encode(passing.packet);
      this.#compare(passing, bytes);
    }
    this.#real.end();
    return passing.packet;
  }

  #compare({ told }: Passing, bytes: Uint8Array): void {
    if (told && !this.#real.tells(told)) {
      const { is, should } = this.#real.toldBytes(told);
      assert.equal(is, should, 'what the packet is said to be');
    }
    if (Buffer.compare(bytes, this.#real.bytes()) !== 0) {
      const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
      assert.equal(hex(this.#real.bytes()), hex(bytes), 'the packet as it leaves');
    }
    if (told?.connection && chance(this.#random, 0.1)) {
      const row = told.connection.row(this.#tracker.nowMs);
      const real = this.#real.row();
      if (JSON.stringify(real) !== JSON.stringify(row)) assert.deepEqual(real, row);
    }
  }

  // What else happens

  /** Time goes on, mostly a little. */
  #pass(): void {
    const random = this.#random;
    const step = random.fraction();
    const mostMs = step < 0.9 ? 200 : step < 0.99 ? 20e3 : step < 0.998 ? 120e3 : 100_000e3;
    const nowMs = this.#tracker.nowMs + random.below(mostMs);
    this.#real.setClock(nowMs);
    this.#tracker.advance(nowMs);
    if (chance(random, 0.3)) this.#real.sweep();
  }

  /** Somebody flushes, or sets something. */
  #disturb(): void {
    const zone = pick(this.#random, ZONES);
    const disturbances = [
      () => this.#flush(zone),
      () => this.#setTimeout(zone),
      () => this.#deleteTimeouts(zone),
      () => this.#setLimit(zone),
      () => this.#setDefaultLimit(),
      () => this.#setConnectionLimit(),
      () => this.#setChecking(),
    ];
    pick(this.#random, disturbances)();
  }

  #flush(zone: number): void {
    const random = this.#random;
    const { protocol } = pick(random, this.#living).life;
    const [word, isMeant] = pick<[string, (connection: Connection) => boolean]>(random, [
      [`zone=${zone}`, ({ tuples }) => tuples[0].zone === zone],
      [`ct_nw_proto=${protocol}`, ({ tuples }) => tuples[0].protocol === protocol],
      ['mark=0x1/0x1', ({ mark }) => (mark & 1) === 1],
    ]);
    this.#history.say(`flush ${word}`);
    assert.equal(this.#real.flush(word), this.#tracker.remove('flushed', isMeant), 'flushed');
  }

  #setTimeout(zone: number): void {
    const random = this.#random;
    const [name] = pick(random, TIMEOUTS);
    const ms = 1 + random.below(100) * random.below(1000);
    this.#history.say(`timeout ${name} of zone ${zone} is ${ms} ms`);
    this.#real.setTimeout(zone, name, ms);
    this.#tracker.timeouts.set(`${zone} ${name}`, ms);
  }

  #deleteTimeouts(zone: number): void {
    this.#history.say(`zone ${zone} has no timeouts of its own`);
    this.#real.deleteTimeouts(zone);
    for (const [name] of TIMEOUTS) this.#tracker.timeouts.delete(`${zone} ${name}`);
  }

  #setLimit(zone: number): void {
    const random = this.#random;
    const most = chance(random, 0.7) ? undefined : pick(random, [0, 5, 40, 40, 80]);
    this.#history.say(`the limit of zone ${zone} is ${most}`);
    this.#real.setLimit(zone, most);
    if (most === undefined) this.#tracker.limits.delete(zone);
    else this.#tracker.limits.set(zone, most);
  }

  #setDefaultLimit(): void {
    const most = chance(this.#random, 0.7) ? 0 : pick(this.#random, [40, 80]);
    this.#history.say(`the default limit is ${most}`);
    this.#real.setDefaultLimit(most);
    this.#tracker.limits.setDefault(most);
  }

  #setConnectionLimit(): void {
    const most = chance(this.#random, 0.9) ? CONNECTIONS : this.#random.below(CONNECTIONS);
    this.#history.say(`the limit of all connections is ${most}`);
    this.#real.setConnectionLimit(most);
    this.#tracker.most = most;
  }

  #setChecking(): void {
    const checks = chance(this.#random, 0.9);
    this.#history.say(`sequence numbers are ${checks ? '' : 'not '}checked`);
    this.#real.checksSequence = checks;
    this.#tracker.checksSequence = checks;
  }

  // Everything

  /** When nothing is left to be swept up, all that there is must be the same. */
  #settle(): void {
    this.#real.sweep();
    const { tally, limits, nowMs } = this.#tracker;
    const counters = this.#real.counters();
    for (const name of COUNTERS) assert.equal(counters[name], tally.get(name) ?? 0, name);
    assert.equal(this.#real.count(), this.#tracker.size, 'connections');
    for (const zone of ZONES) {
      assert.equal(
        this.#real.countOf(zone),
        limits.countOf(zone),
        `connections under the limit of zone ${zone}`,
      );
    }
    const rows = [...this.#tracker.connections()].map((connection) => connection.row(nowMs));
    assertSame(inText(this.#real.rows()), inText(rows));
    this.#compareEvents();
    this.#watch(chance(this.#random, 0.3));
  }

  #watch(isWatching: boolean): void {
    this.#real.watch(isWatching);
    this.#tracker.events = isWatching ? [] : undefined;
  }

  /** Whatever their order; and when a connection that has expired is found to be gone is nobody's concern. */
  #compareEvents(): void {
    const dated = (event: ConnectionEvent): ConnectionEvent =>
      event.reason === 'expired'
        ? { ...event, atMs: 0, connection: { ...event.connection, ageSeconds: 0 } }
        : event;
    assertSame(inText(this.#real.events().map(dated)), inText((this.#tracker.events ?? []).map(dated)));
  }
}

const inText = (things: readonly object[]): string[] => things.map((thing) => JSON.stringify(thing)).sort();

/** Says the first that differs. */
function assertSame(is: readonly string[], should: readonly string[]): void {
  for (let i = 0; i < Math.max(is.length, should.length); i++) assert.equal(is[i], should[i]);
}
