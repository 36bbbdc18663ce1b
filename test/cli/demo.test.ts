import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { file, heddle } from './child.ts';

const DEMO = new URL('../../../examples/demo.yaml', import.meta.url).pathname;

test('the demo forwards, drops what it should, and loses nothing', async () => {
  const { code, stdout } = await heddle('run', DEMO, '--duration', '1', '--json').outcome;
  assert.equal(code, 0);
  const { packetsReceived, packetsForwarded, packetsQueued, dropped, ports } = JSON.parse(stdout);
  assert.ok(packetsForwarded > 0);
  const { flow = 0, table_miss = 0, ...others } = dropped;
  assert.ok(table_miss > 0);
  assert.deepEqual(others, {});
  assert.equal(packetsReceived, packetsForwarded + packetsQueued + flow + table_miss);
  assert.deepEqual(
    ports.map(({ name }: { name: string }) => name),
    ['web', 'office', 'guests'],
  );
});

test('with threads: inline, the same configuration does the same each time', async () => {
  const path = file('inline.yaml', `${readFileSync(DEMO, 'utf8')}\nthreads: inline\n`);
  const outcomes = await Promise.all(
    [1, 2].map(() => heddle('run', path, '--duration', '1', '--json').outcome),
  );
  const [one, other] = outcomes.map(({ stdout }) => {
    // Which of the two finds a flow depends on what collides in the cache, and the hash has a random seed.
    const { cacheHits, classifierHits, ...fates } = JSON.parse(stdout);
    return { ...fates, hits: cacheHits + classifierHits };
  });
  assert.ok(one.packetsForwarded > 0);
  assert.deepEqual(one, other);
});
