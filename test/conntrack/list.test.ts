/** Listing and flushing connections by what filters mean, against naive twins. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { connectionRows } from '../../src/control/connections.ts';
import { NONE } from '../../src/datapath.ts';
import type { ConnectionRow } from '../../src/model.ts';
import { parseConnectionFilter, shownState } from '../../src/table/connection-filter.ts';
import type { TestDatapath } from '../support/module.ts';
import { Rig } from '../support/rig.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';
import { type Fake, ICMP, putConnection, TCP, takeEvents, takeNumbers, UDP, type Way } from './records.ts';

const NOW_MS = 1000;
const RECORDS = 4096;

function rigWithRecords(): Rig {
  const rig = new Rig({ connections: RECORDS });
  takeNumbers(rig.datapath, RECORDS);
  return rig;
}

/** Few values each, so that filters meet some. */
function randomWay(random: Random, protocol: number, v6: boolean): Way {
  const address = () => [...(v6 ? [0xfc, ...Array(14).fill(0)] : [10, 1, random.below(2)]), random.below(4)];
  return {
    src: address(),
    dst: address(),
    sport: random.below(4),
    dport: protocol === ICMP ? pick(random, [0x0800, 0x0000, 0x0801]) : random.below(4),
  };
}

function randomFake(random: Random): Fake {
  const protocol = pick(random, [TCP, UDP, ICMP, 112]);
  const v6 = protocol !== ICMP && chance(random, 0.3);
  return {
    generation: 4 * random.below(5) + (chance(random, 0.8) ? 3 : pick(random, [0, 2])),
    protocol,
    original: randomWay(random, protocol, v6),
    reply: randomWay(random, protocol, v6),
    zone: random.below(3),
    mark: random.below(8),
    label: BigInt(random.below(8)) << 32n,
    states: protocol === TCP ? [random.below(6), random.below(6)] : [0, 0],
    expiresMs: NOW_MS + (chance(random, 0.8) ? 1 + random.below(5000) : -random.below(10)),
  };
}

const isThere = ({ generation, expiresMs }: Fake): boolean => generation! % 2 === 1 && expiresMs! > NOW_MS;

type Wanted = (fake: Fake) => boolean;

const ipv4 = (address: readonly number[], text: string) => address.length === 4 && address.join('.') === text;

/** A word of a filter, and what it means. */
const WORDS: readonly ((random: Random) => readonly [word: string, wanted: Wanted])[] = [
  (random) => {
    const zone = random.below(3);
    return [`zone=${zone}`, (fake) => fake.zone === zone];
  },
  (random) => {
    const [mark, mask] = [random.below(8), random.below(8)];
    return [`mark=${mark}/0x${mask.toString(16)}`, (fake) => (fake.mark! & mask) === (mark & mask)];
  },
  (random) => {
    const [label, mask] = [BigInt(random.below(8)) << 32n, 0x2_0000_0000n];
    return [
      `labels=0x${label.toString(16)}/0x${mask.toString(16)}`,
      (fake) => (fake.label! & mask) === (label & mask),
    ];
  },
  (random) => {
    const state = pick(random, ['ESTABLISHED', 'TIME_WAIT', 'SYN_SENT', 'CLOSING']);
    return [
      `state=${state}`,
      ({ protocol, states }) => protocol === TCP && shownState(Math.max(...states!)) === state,
    ];
  },
];

const TUPLE_WORDS: readonly ((
  random: Random,
) => readonly [word: string, wanted: (way: Way, fake: Fake) => boolean])[] = [
  (random) => {
    const address = `10.1.${random.below(2)}.${random.below(4)}`;
    return [`ct_nw_src=${address}`, ({ src }) => ipv4(src, address)];
  },
  (random) => {
    const third = random.below(2);
    return [
      `ct_nw_dst=10.1.${third}.0/24,tcp`,
      ({ dst }, { protocol }) => dst.length === 4 && dst[2] === third && protocol === TCP,
    ];
  },
  (random) => {
    const last = random.below(4);
    return [`ct_ipv6_src=fc00::${last}`, ({ src }) => src.length === 16 && src[15] === last];
  },
  (random) => {
    const [sport, dport] = [random.below(4), random.below(4)];
    return [
      `ct_tp_src=${sport},ct_tp_dst=${dport}`,
      (way, { protocol }) => protocol !== ICMP && way.sport === sport && way.dport === dport,
    ];
  },
  (random) => {
    const [id, code] = [random.below(4), random.below(2)];
    return [
      `icmp,icmp_id=${id},icmp_type=8,icmp_code=${code}`,
      (way, { protocol }) => protocol === ICMP && way.sport === id && way.dport === 0x800 + code,
    ];
  },
  () => ['ct_nw_proto=112', (_, { protocol }) => protocol === 112],
  () => ['', () => true],
];

/** Up to two words about connections, and up to one about each direction. */
function randomFilter(random: Random): { words: string[]; wanted: Wanted } {
  const words: string[] = [];
  const all: Wanted[] = [];
  for (const make of WORDS) {
    if (!chance(random, 0.3)) continue;
    const [word, wanted] = make(random);
    words.push(word);
    all.push(wanted);
  }
  for (const direction of (['original', 'reply'] as const).slice(0, random.below(3))) {
    const [word, wanted] = pick(random, TUPLE_WORDS)(random);
    words.push(word);
    all.push((fake) => wanted(fake[direction], fake));
  }
  return { words, wanted: (fake) => all.every((wanted) => wanted(fake)) };
}

/** Everything that passes, in steps of random length. */
function listAll(random: Random, datapath: TestDatapath, filter: Uint8Array): ConnectionRow[] {
  const rows: ConnectionRow[] = [];
  for (let from = 0; from !== NONE; ) {
    const budget = 1 + random.below(500);
    const { records, next } = datapath.listConnections(from, budget, filter);
    rows.push(...connectionRows(records.slice(), NOW_MS));
    assert.ok(next > from && (next === NONE || next <= from + budget));
    from = next;
  }
  return rows;
}

const rowOf = (rig: Rig, number: number): ConnectionRow => {
  const record = rig.datapath.exports.connectionAt(number);
  return connectionRows(rig.datapath.u8.slice(record, record + 192), NOW_MS)[0]!;
};

test(
  'what a filter means is listed, in the order of numbers, and nothing else',
  seeded((random) => {
    const rig = rigWithRecords();
    const fakes = new Map<number, Fake>();
    for (let i = 0; i < 500; i++) {
      const number = random.below(RECORDS);
      if (fakes.has(number)) continue;
      fakes.set(number, randomFake(random));
      putConnection(rig.arena, number, fakes.get(number)!);
    }
    rig.handler.setClock(NOW_MS);
    const numbers = [...fakes.keys()].sort((a, b) => a - b);
    for (let i = 0; i < 100; i++) {
      const { words, wanted } = randomFilter(random);
      const expected = numbers
        .filter((number) => isThere(fakes.get(number)!) && wanted(fakes.get(number)!))
        .map((number) => rowOf(rig, number));
      assert.deepEqual(
        listAll(random, rig.handler, parseConnectionFilter(words)),
        expected,
        JSON.stringify(words),
      );
    }
  }),
);

test('a stretch ends where the page is full, and the next goes on behind it', () => {
  const rig = rigWithRecords();
  const way = { src: [10, 0, 0, 1], dst: [10, 0, 0, 2], sport: 1, dport: 2 };
  for (let number = 0; number < 50; number++) {
    putConnection(rig.arena, number, { protocol: UDP, original: way, reply: way, mark: number });
  }
  const seen: number[] = [];
  let calls = 0;
  for (let from = 0; from !== NONE; calls++) {
    const { records, next } = rig.handler.listConnections(from, 1_000_000, parseConnectionFilter([]));
    seen.push(...connectionRows(records.slice(), 0).map(({ mark }) => mark));
    from = next;
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 50 }, (_, mark) => mark),
  );
  assert.equal(calls, 3);
});

test('a number beyond the last is the end', () => {
  const rig = rigWithRecords();
  for (const from of [RECORDS + 64, NONE - 1, NONE]) {
    const { records, next } = rig.handler.listConnections(from, 100, parseConnectionFilter([]));
    assert.deepEqual([records.length, next], [0, NONE]);
  }
});

test('records that nobody has ever taken are not looked at', () => {
  const rig = new Rig({ connections: RECORDS });
  takeNumbers(rig.datapath, 1);
  const way = { src: [10, 0, 0, 1], dst: [10, 0, 0, 2], sport: 1, dport: 2 };
  for (const number of [0, RECORDS - 1]) {
    putConnection(rig.arena, number, { protocol: UDP, original: way, reply: way, mark: number });
  }
  const { records, next } = rig.handler.listConnections(0, RECORDS, parseConnectionFilter([]));
  assert.deepEqual(
    connectionRows(records.slice(), 0).map(({ mark }) => mark),
    [0],
  );
  assert.equal(next, NONE);
});

test('nothing listed keeps a lock', () => {
  const rig = rigWithRecords();
  const way = { src: [10, 0, 0, 1], dst: [10, 0, 0, 2], sport: 1, dport: 2 };
  const record = putConnection(rig.arena, 5, { protocol: UDP, original: way, reply: way });
  rig.handler.listConnections(0, 100, parseConnectionFilter([]));
  rig.datapath.exports.acquire(record, 0);
  rig.datapath.exports.release(record);
});

test(
  'a flush removes what a filter means, once, and tells who watches',
  seeded((random) => {
    const rig = rigWithRecords();
    rig.handler.setClock(NOW_MS);
    const fakes = Array.from({ length: 300 }, () => randomFake(random));
    for (const [number, fake] of fakes.entries()) putConnection(rig.arena, number, fake);
    rig.handler.exports.watchEvents(true);
    const { words, wanted } = randomFilter(random);
    const flush = () => {
      let flushed = 0;
      for (let from = 0; from !== NONE; ) {
        const { count, next } = rig.handler.flushConnections(from, 100, parseConnectionFilter(words));
        flushed += count;
        from = next;
      }
      return flushed;
    };
    const met = fakes.filter((fake) => isThere(fake) && wanted(fake));
    assert.equal(flush(), met.length, JSON.stringify(words));
    const events = takeEvents(rig.handler);
    assert.ok(events.every(({ kind, reason }) => kind === 'destroy' && reason === 'flushed'));
    assert.equal(events.length, met.length);
    assert.equal(flush(), 0);
    const left = listAll(random, rig.handler, parseConnectionFilter([]));
    assert.equal(left.length, fakes.filter(isThere).length - met.length);
  }),
);
