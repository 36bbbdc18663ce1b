import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import test from 'node:test';
import { file, heddle } from './child.ts';

test('without a name, the benches are listed', async () => {
  const { code, stdout } = await heddle('bench').outcome;
  assert.equal(code, 0);
  assert.match(stdout, /^forward +the packet path/m);
  assert.match(stdout, /^classifier +the look-up of flows/m);
});

const SHORT = ['bench', 'forward', '--flows', '100', '--seconds', '0.02', '--rounds', '3'];

test('bench forward prints each round and the median', async () => {
  const { code, stdout } = await heddle(...SHORT).outcome;
  assert.equal(code, 0);
  assert.equal(stdout.match(/^round \d {2}1 thread [\d.]+ Mpps, [\d.]+ ns\/packet$/gm)?.length, 3);
  assert.match(stdout, /^median +forward, 1 thread: [\d.]+ Mpps, [\d.]+ ns\/packet \([\d.]+ to [\d.]+\)$/m);
});

test('with --json, one row a line; more threads are compared with one', async () => {
  const { code, stdout } = await heddle(...SHORT, '--size', '128', '--threads', '2', '--json').outcome;
  assert.equal(code, 0);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    rows.map(({ name, unit, flows, size, threads, rounds }) => [name, unit, flows, size, threads, rounds]),
    [
      ['forward', 'Mpps', 100, 128, 1, 3],
      ['forward', 'Mpps', 100, 128, 2, 3],
      ['forward-scaling', 'ratio', 100, 128, 2, 3],
    ],
  );
  for (const { value, min, max } of rows) assert.ok(0 < min && min <= value && value <= max);
  assert.ok(rows[0].nsPerPacket > 0);
});

test('bench classifier has a row for each number of subtables and of flows', async () => {
  const { code, stdout } = await heddle(
    'bench',
    'classifier',
    '--seconds',
    '0.001',
    '--rounds',
    '1',
    '--json',
  ).outcome;
  assert.equal(code, 0);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    rows.map(({ name, unit, subtables, flows }) => [name, unit, subtables, flows]),
    [1, 10, 100].flatMap((subtables) =>
      [1000, 100_000, 200_000].map((flows) => ['classifier', 'ns', subtables, flows]),
    ),
  );
  for (const { value, bytesPerFlow } of rows) assert.ok(value > 0 && bytesPerFlow > 0);
});

test('bench memory prints what an operation costs one thread and two', async () => {
  const { code, stdout } = await heddle('bench', 'memory', '--seconds', '0.001', '--rounds', '1', '--json')
    .outcome;
  assert.equal(code, 0);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(rows.length, 2 * 11);
  for (const { name, value, unit, threads } of rows) {
    assert.match(name, /^memory-/);
    assert.equal(unit, 'ns/operation');
    assert.ok(value > 0 && (threads === 1 || threads === 2));
  }
});

test('bench conntrack prints what the slowest thread took, as ovstest does', async () => {
  const { code, stdout } = await heddle('bench', 'conntrack', '2', '1000', '32').outcome;
  assert.match(stdout, /^conntrack: \d+ ms\n$/);
  assert.equal(code, 0);
});

test('bench conntrack runs a peer in turn, with the same arguments', async () => {
  const peer = file(
    'ovstest',
    '#!/bin/sh\n[ "$*" = "test-conntrack benchmark 1 1000 8 1" ] && echo "conntrack:     7 ms"\n',
  );
  chmodSync(peer, 0o755);
  const conntrack = ['bench', 'conntrack', '1', '1000', '8', '1', '--peer', peer, '--rounds', '2'];
  const { code, stdout } = await heddle(...conntrack, '--json').outcome;
  assert.equal(code, 0);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    rows.map(({ name, unit, threads, packets, batch, change, rounds }) => [
      name,
      unit,
      [threads, packets, batch, change, rounds],
    ]),
    [
      ['conntrack', 'ms', [1, 1000, 8, 1, 2]],
      ['conntrack-peer', 'ms', [1, 1000, 8, 1, 2]],
      ['conntrack-ratio', 'ratio', [1, 1000, 8, 1, 2]],
    ],
  );
  assert.equal(rows[1].value, 7);
  const text = (await heddle(...conntrack).outcome).stdout;
  assert.match(text, /^(conntrack: \d+ ms\novstest: {3}7 ms\n){2}median /);
  assert.match(text, /^median {3}conntrack-peer: 7 ms \(7 to 7\)$/m);
  assert.match(text, /^median {3}conntrack-ratio: [\d.]+ times as fast as the peer/m);
});

test('bench conntrack: a peer that says something else is no peer', async () => {
  const { code, stderr } = await heddle('bench', 'conntrack', '1', '1000', '8', '--peer', '/bin/true')
    .outcome;
  assert.equal(stderr, 'heddle: /bin/true: found "", expected "conntrack: N ms"\n');
  assert.equal(code, 1);
});

test('bench connections has a row for each figure', async () => {
  const only = ['--connections', '10000', '--threads', '2', '--rounds', '1'];
  const { code, stdout } = await heddle('bench', 'connections', ...only, '--json').outcome;
  assert.equal(code, 0);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    rows.map(({ name, unit, connections, threads, rounds }) => [name, unit, connections, threads, rounds]),
    [
      ['connections-setup', 'connections/s', 10000, 2, 1],
      ['connections-lookup', 'ns/packet', 10000, 2, 1],
      ['connections-snat', 'connections/s', 10000, 2, 1],
      ['connections-lives', 'lives/s', 10000, 2, 1],
      ['connections-bytesPerConnection', 'bytes', 10000, 2, 1],
    ],
  );
});

test('bench pauses has rows for what goes on, and connections that are due together are gone soon', async () => {
  const only = ['--connections', '1000', '--rounds', '1'];
  const { code, stdout } = await heddle('bench', 'pauses', ...only, '--json').outcome;
  assert.equal(code, 0);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const watched = ['nothing', 'listing', 'flushing', 'expiring', 'rounds'];
  const names = watched.map((what) => `pauses-${what}-passed`);
  const found = rows.map(({ name }) => name).filter((name) => !name.endsWith('-worked'));
  assert.deepEqual(found, [...names, 'pauses-gone']);
  assert.ok(rows.every(({ value, unit, connections }) => unit === 'ms' && value > 0 && connections === 1000));
});

/** The rows that a bench prints with --json. */
async function rowsOf(...bench: string[]): Promise<Record<string, string | number>[]> {
  const { code, stdout } = await heddle('bench', ...bench, '--rounds', '1', '--json').outcome;
  assert.equal(code, 0);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('bench replace tells what misses with and without another flow in the place of an evicted one', async () => {
  const rows = await rowsOf('replace', '--flows', '1000', '--rate', '20000');
  assert.deepEqual(
    rows.map(({ name, unit, rate, flows, rounds }) => [name, unit, rate, flows, rounds]),
    ['replace', 'without'].flatMap((what) => [
      [`${what}Upcalls`, 'packets', 20000, 1000, 1],
      [`${what}Ms`, 'ms', 20000, 1000, 1],
      [`${what}InFlight`, 'packets', 20000, 1000, 1],
    ]),
  );
  for (const { name, value } of rows) assert.ok(Number(value) > 0 || String(name).endsWith('InFlight'));
});

for (const handlers of [1, 2]) {
  test(`bench upcalls with ${handlers} handlers tells how many flows are set up a second, and what takes the time`, async () => {
    const rows = await rowsOf('upcalls', '--flows', '1000', '--handlers', String(handlers));
    const parts = ['translate', 'install', 'parse', 'act', 'rest'];
    assert.deepEqual(
      rows.map(({ name, unit, flows, handlers }) => [name, unit, flows, handlers]),
      [
        ['upcalls', 'flows/s', 1000, handlers],
        ...parts.map((part) => [`upcalls-${part}`, 'us/flow', 1000, handlers]),
      ],
    );
    assert.ok(Number(rows[0]!.value) > 0);
    const usOfAll = rows.slice(1).reduce((sum, { value }) => sum + Number(value), 0);
    const usTaken = (handlers * 1e6) / Number(rows[0]!.value);
    assert.ok(Math.abs(usOfAll - usTaken) < 0.01 * usTaken);
  });
}

test('bench revalidation: a change loses no packet, and none follows the old rule after its acknowledgement', async () => {
  const rows = await rowsOf('revalidation', '--flows', '2000', '--revalidators', '2', '--seconds', '0.01');
  const values = new Map(rows.map(({ name, value }) => [name, Number(value)]));
  for (const name of ['idle', 'used', 'changed', 'alone', 'beside', 'bytes-lives', 'bytes-flows']) {
    assert.ok(values.get(`revalidation-${name}`)! > 0, name);
  }
  for (const name of ['lost', 'by-old-rule', 'stale']) assert.equal(values.get(`change-${name}`), 0, name);
  assert.ok(values.get('change-acknowledged')! > 0);
  assert.ok(values.get('change-packets')! > 2 * 1000);
  assert.ok(rows.every(({ revalidators, rounds }) => revalidators === 2 && rounds === 1));
});

const WRONG: readonly [args: string[], message: RegExp][] = [
  [
    ['bench', 'fly'],
    /^heddle: bench: found "fly", expected one of forward, classifier, memory, conntrack, connections, pauses, replace, upcalls, revalidation$/m,
  ],
  [['bench', 'forward', '--flows', '0'], /Expected a whole number from 1 to 4096/],
  [['bench', 'forward', '--size', '63'], /Expected a whole number from 64 to 1518/],
  [['bench', 'forward', '--threads', 'two'], /Expected a whole number from 1 to 16/],
  [['bench', 'memory', '--only', 'heap'], /Allowed choices are lock, sequence, /],
  [['bench', 'forward', '--speed', '1'], /unknown option '--speed'/],
  [['bench', 'conntrack', '1', '1000'], /^heddle: missing required argument 'batch'$/m],
  [['bench', 'conntrack', '0', '1000', '32'], /Expected a whole number from 1 to 16/],
  [['bench', 'conntrack', '1', '1000', '33'], /Expected a whole number from 1 to 32/],
  [['bench', 'conntrack', '1', '1000', '32', '2'], /Expected a whole number from 0 to 1/],
  [
    ['bench', 'conntrack', '1', '1000', '32', '--peer', 'nowhere'],
    /^heddle: --peer: found no file nowhere, expected the path of ovstest$/m,
  ],
  [['bench', 'connections', '--connections', '10'], /Expected a whole number from 1000 to 1000000/],
  [['bench', 'replace', '--rate', '10'], /Expected a whole number from 1000 to 1000000/],
  [['bench', 'upcalls', '--handlers', '0'], /Expected a whole number from 1 to 8/],
  [['bench', 'revalidation', '--flows', '0'], /Expected a whole number from 1000 to 1000000/],
];

for (const [args, message] of WRONG) {
  test(`heddle ${args.join(' ')}: exit code 2 and a reason`, async () => {
    const { code, stdout, stderr } = await heddle(...args).outcome;
    assert.match(stderr, message);
    assert.equal(code, 2);
    assert.equal(stdout, '');
  });
}
