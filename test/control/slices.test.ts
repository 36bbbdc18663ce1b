import assert from 'node:assert/strict';
import test from 'node:test';
import { macRows } from '../../src/control/slices.ts';

const row = (mac: string, port: string, ageSeconds: number) => ({ vlan: 0, mac, port, ageSeconds });

test('slices become one list, longest unheard first; what is in two is as the later one has it', async () => {
  const slices = [
    { rows: [row('a', 'p1', 3), row('b', 'p1', 5)], next: 7 },
    { rows: [row('c', 'p1', 4), row('a', 'p2', 0)] },
  ];
  const asked: number[] = [];
  const rows = await macRows(async (from) => {
    asked.push(from);
    return slices[asked.length - 1]!;
  });
  assert.deepEqual(asked, [0, 7]);
  assert.deepEqual(rows, [row('b', 'p1', 5), row('c', 'p1', 4), row('a', 'p2', 0)]);
});
