import assert from 'node:assert/strict';
import test from 'node:test';
import type { Summary, ThreadRow, UpcallRow, UpkeepRow } from '../../src/model.ts';
import { liveLine, liveView } from '../../src/view/live.ts';
import { showRows } from '../../src/view/rows.ts';
import { Screen } from '../../src/view/screen.ts';
import { summaryText } from '../../src/view/summary.ts';
import { topRow, topText } from '../../src/view/top.ts';
import { upcallLines } from '../../src/view/upcalls.ts';
import { PORT, SUMMARY } from '../control/fake-switch.ts';

const BEFORE: Summary = { ...SUMMARY, durationMs: 1000, dropped: { flow: 10, table_miss: 4 } };
const NOW: Summary = {
  ...SUMMARY,
  durationMs: 3000,
  packetsReceived: 24_690,
  packetsForwarded: 20_000,
  dropped: { table_miss: 4, flow: 1010 },
  copiesForwarded: 7,
  ports: [
    { ...PORT, rxPackets: 24_690, rxBytes: 2_000_000, txPackets: 500, txBytes: 300_000_000, txDropped: 3 },
  ],
  megaflows: 12,
  cacheHits: 990,
  classifierHits: 9,
  upcalls: 1,
};

const THREAD: ThreadRow = {
  number: 1,
  role: 'datapath',
  ports: ['a', 'b'],
  load: 0.123,
  batches: 4,
  packets: 96,
  packetsPerBatch: 24,
  sleeps: 5,
  wakeUps: 6,
  restarts: 1,
  stages: [
    { stage: 'parse', packets: 64, nsPerPacket: 7.5, cyclesPerPacket: 19 },
    { stage: 'act', packets: 64, nsPerPacket: 12, cyclesPerPacket: 30 },
  ],
};

test('a table has a head, and numbers to the right', () => {
  assert.deepEqual(
    showRows('counters', [
      { name: 'upcalls', value: 12 },
      { name: 'cache_hits', value: 1_234_567 },
    ]),
    [
      'counter         value', //
      'upcalls            12',
      'cache_hits  1,234,567',
    ],
  );
});

test('columns are as wide all the way down', () => {
  const rows = Array.from({ length: 500 }, (_, i) => ({ name: 'c'.repeat(i % 50), value: 10 ** (i % 9) }));
  const lines = showRows('counters', rows);
  assert.equal(lines.length, 501);
  assert.deepEqual(new Set(lines.map((line) => line.length)), new Set([49 + 2 + '100,000,000'.length]));
});

test('a table of nothing is its head', () => {
  assert.deepEqual(showRows('macs', []), ['vlan  address  port  age']);
});

test('a row of each kind can be shown', () => {
  const cells = (lines: string[]) => lines[1]!.trim().split(/ {2,}/).join(' | ');
  assert.equal(
    cells(showRows('ports', [PORT])),
    '1 | web | traffic | up | 1 | 1500 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0',
  );
  assert.equal(
    cells(showRows('flows', [{ text: 'arp,actions=NORMAL', packets: 1000, bytes: 64_000 }])),
    '1,000 | 64,000 | arp,actions=NORMAL',
  );
  assert.equal(
    cells(showRows('megaflows', [{ number: 7, text: 'arp', packets: 1, bytes: 64, usedMs: 1500 }])),
    '7 | 1 | 64 | 1.5 s ago | arp',
  );
  assert.equal(
    cells(showRows('threads', [THREAD])),
    '1 | datapath | 12.3 % | 96 | 4 | 24.0 | 5 | 6 | 1 | a b',
  );
  const stages = showRows('threads', [THREAD]).slice(-2);
  assert.equal(cells(['', stages[0]!]), '1 | parse | 7.5 | 19 | 64');
  assert.equal(cells(['', stages[1]!]), '1 | act | 12.0 | 30 | 64');
  assert.equal(
    cells(
      showRows('memory', [
        { region: 'frames', address: 0x11000, bytes: 4096, records: 2, recordBytes: 2048 },
      ]),
    ),
    'frames | 0x00011000 | 4 KiB | 2 | 2,048 | - | - | -',
  );
  const used = { used: 1, mostUsed: 2, touchedBytes: 4096 };
  assert.equal(
    cells(
      showRows('memory', [
        { region: 'frames', address: 0x11000, bytes: 8192, records: 4, recordBytes: 2048, ...used },
      ]),
    ),
    'frames | 0x00011000 | 8 KiB | 4 | 2,048 | 1 | 2 | 4 KiB',
  );
  assert.equal(
    cells(showRows('macs', [{ vlan: 0, mac: '02:00:00:01:00:00', port: 'web', ageSeconds: 3 }])),
    '0 | 02:00:00:01:00:00 | web | 3.0 s',
  );
  assert.equal(
    cells(showRows('mirrors', [{ name: 'm', from: ['a'], to: ['a', 'b'], output: 'trace' }])),
    'm | a | a b | trace',
  );
  assert.equal(cells(showRows('limits', [{ zone: 5, limit: 1000, count: 3 }])), '5 | 1,000 | 3');
  assert.equal(
    cells(showRows('limits', [{ zone: 'default', limit: null, count: null }])),
    'default | none | -',
  );
  assert.equal(
    cells(showRows('timeouts', [{ zone: 5, seconds: { udpSingle: 1, icmpReply: 30 } }])),
    '5 | udp_single=1,icmp_reply=30',
  );
  assert.equal(
    cells(
      showRows('fragments', [
        {
          version: 'IPv4',
          tracked: true,
          leastBytes: 1200,
          accepted: 30,
          completed: 20,
          expired: 4,
          tooSmall: 3,
          overlapping: 2,
          noRoom: 1,
          held: 6,
          most: 1000,
        },
      ]),
    ),
    'IPv4 | yes | 1,200 | 30 | 20 | 4 | 3 | 2 | 1 | 6 | 1,000',
  );
});

test('upcalls: facts about all flows, then what each thread does', () => {
  const flows: UpkeepRow = {
    kind: 'flows',
    current: 3,
    average: 2.6,
    most: 7,
    limit: 10_000,
    ceiling: 200_000,
    dumpMs: 4,
    rounds: 12,
    isPaused: false,
    idleMs: 100,
    maxIdleMs: 10_000,
    maxRevalidatorMs: 500,
    minPacketsPerSecond: 5,
    replacesEvicted: true,
    evicted: {},
    refusedMoves: 0,
  };
  const threads: UpcallRow[] = [
    { kind: 'datapath', thread: 1, waiting: 2 },
    { kind: 'handler', thread: 2, handled: 1234, waiting: 5 },
    { kind: 'revalidator', thread: 3, flows: 3, dumpNs: 95.6, sweepNs: 20 },
  ];
  assert.deepEqual(upcallLines([flows, ...threads]), [
    'flows         : (current 3) (average 3) (most 7) (limit 10000) (ceiling 200000)',
    'dump duration : 4 ms',
    'rounds        : 12',
    'idle time     : 100 ms',
    'settings      : (max-idle 10000) (max-revalidator 500) (min-revalidate-pps 5) (replace on)',
    'evicted       : none',
    'refused moves : 0',
    'datapath 1    : (waiting 2)',
    'handler 2     : (handled 1234) (waiting 5)',
    'revalidator 3 : (flows 3) (dump 96 ns) (sweep 20 ns)',
  ]);
  const paused = { ...flows, isPaused: true, evicted: { flow_idle: 2, purge: 1 } };
  const lines = upcallLines([paused]);
  assert.deepEqual(
    [lines[2], lines[5]],
    ['rounds        : 12, paused', 'evicted       : (flow_idle 2) (purge 1)'],
  );
});

test('text that would move the cursor does not', () => {
  assert.equal(showRows('counters', [{ name: '\x1b[2Jx\n', value: 1 }])[1], '?[2Jx?       1');
});

test('live: rates are what changed in a second of the switch clock', () => {
  assert.equal(
    liveLine(BEFORE, NOW),
    '3.0 s  12.3 kpps received  10 kpps forwarded  1.2 Gbit/s sent  500 pps dropped (flow 500 pps)  12 megaflows',
  );
  const view = liveView(BEFORE, NOW).join('\n');
  assert.match(view, /^demo, running for 3.0 s\n/);
  assert.match(view, /\nweb +traffic +up +12.3 kpps +8 Mbit\/s +250 pps +1.2 Gbit\/s +3\n/);
  assert.match(view, /10 kpps forwarded, 12 megaflows, 99.0 % found by cache/);
  assert.match(view, /\nflow +1,010 +500 pps\ntable_miss +4 +0 pps$/);
});

test('top: rates are what changed in a second of the switch clock', () => {
  const busier = { ...THREAD, packets: 96 + 3200, batches: 4 + 100, wakeUps: 26 };
  const row = topRow({ summary: BEFORE, threads: [THREAD] }, { summary: NOW, threads: [busier] });
  assert.deepEqual(row.threads, [
    {
      number: 1,
      role: 'datapath',
      load: 0.123,
      packetsPerSecond: 1600,
      packetsPerBatch: 32,
      wakeUpsPerSecond: 10,
      nsPerPacket: 19.5,
      restarts: 1,
    },
  ]);
  assert.deepEqual(row.droppedPerSecond, { table_miss: 0, flow: 500 });
  const text = topText(row).join('\n');
  assert.match(text, /^demo, running for 3.0 s: 10 kpps forwarded, 12 megaflows/);
  assert.match(text, /\n +1 +datapath +12.3 % +1.6 kpps +32.0 +20 +10 +1\n/);
  assert.match(text, /\nweb +up +12.3 kpps +8 Mbit\/s +250 pps +1.2 Gbit\/s +/);
  assert.match(text, /\nflow +500 pps\ntable_miss +0 pps$/);
});

test('top: no time between two looks is no rate', () => {
  const look = { summary: NOW, threads: [THREAD] };
  const row = topRow(look, look);
  assert.equal(row.packetsForwardedPerSecond, 0);
  assert.equal(row.threads[0]!.packetsPerBatch, 0);
});

test('live: no time between two summaries is no rate', () => {
  assert.match(liveLine(NOW, NOW), /^3.0 s {2}0 pps received/);
  assert.doesNotMatch(liveView(NOW, NOW).join('\n'), /NaN|Infinity/);
});

test('the summary says what came in, what became of it, and why', () => {
  const text = summaryText(NOW).join('\n');
  assert.match(text, /^demo ran for 3.0 s\n/);
  assert.match(
    text,
    /\nreceived +24,690\nforwarded +20,000 +and 7 copies\ndropped +1,014 +flow 1,010, table_miss 4\nqueued +0\n/,
  );
  assert.match(text, /\nfound by cache 99.0 %, classifier 0.9 %, upcall 0.1 %; 12 megaflows$/);
});

test('a drawing replaces the last one, and fits the terminal', () => {
  let written = '';
  const screen = new Screen({ columns: 5, rows: 3, write: (text) => (written += text) });
  screen.draw(['one']);
  screen.draw(['a long line', 'two', 'three']);
  screen.draw([]);
  assert.equal(written, '\r\x1b[Jone\n' + '\x1b[1A\r\x1b[Ja lon\ntwo\n' + '\x1b[2A\r\x1b[J');
});
