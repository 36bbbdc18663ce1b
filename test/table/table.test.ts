import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Refusal } from '../../src/table/journal.ts';
import { wordsOf } from '../../src/table/match.ts';
import { parseChange, parseFilter, parseFlows } from '../../src/table/parse.ts';
import { printFlow } from '../../src/table/print.ts';
import { Tables } from '../../src/table/tables.ts';
import { parseFlow } from './flow.ts';
import { flowText, keyOf, packetAndKin } from './packets.ts';

function tablesOf(text: string): Tables {
  const tables = new Tables();
  tables.add(parseFlows(text), 0);
  return tables;
}

const dump = (tables: Tables): string[] => tables.dump().map((rule) => printFlow(rule));

test('rules stand by table, then priority, then age', () => {
  const tables = tablesOf(
    'table=1,actions=1\npriority=5,actions=1\npriority=9,ip,actions=2\npriority=9,arp,actions=3',
  );
  assert.deepEqual(dump(tables), [
    'priority=9,ip actions=output:2',
    'priority=9,arp actions=output:3',
    'priority=5 actions=output:1',
    'table=1, actions=output:1',
  ]);
});

test('a flow replaces the rule with its match and priority, and starts anew', () => {
  const tables = tablesOf('priority=5,tcp,actions=1');
  const [old] = tables.dump();
  old!.packets = 7;
  const { generation } = tables;
  tables.add([parseFlow('priority=5,ip,nw_proto=6,actions=2')], 9);
  assert.deepEqual(dump(tables), ['priority=5,tcp actions=output:2']);
  const [rule] = tables.dump();
  assert.deepEqual([rule!.packets, rule!.createdMs, tables.size], [0, 9, 1]);
  assert.notEqual(rule!.id, old!.id);
  assert.ok(tables.generation > generation);
});

const some = `priority=5,ip,actions=1
  priority=6,tcp,tp_dst=80,actions=2
  table=1,cookie=0x13,udp,actions=1,2
  arp,actions=NORMAL`;

test('flows are deleted loosely by whatever their match is part of', () => {
  const left = (filter: string): number => {
    const tables = tablesOf(some);
    const deleted = tables.delete(parseFilter(filter), false);
    assert.equal(tables.size + deleted, 4);
    return tables.size;
  };
  assert.equal(left(''), 0);
  assert.equal(left('ip'), 1);
  assert.equal(left('tcp'), 3);
  assert.equal(left('table=1'), 3);
  assert.equal(left('out_port=2'), 2);
  assert.equal(left('cookie=0x3/0xf'), 3);
  assert.equal(left('tcp,tp_dst=81'), 4);
});

test('flows are deleted strictly only by their own match and priority', () => {
  const tables = tablesOf(some);
  assert.equal(tables.delete(parseFilter('ip'), true), 0);
  assert.equal(tables.delete(parseFilter('priority=5,ip'), true), 1);
  assert.equal(tables.size, 3);
});

test('a change keeps what a rule has counted', () => {
  const tables = tablesOf(some);
  for (const rule of tables.dump()) rule.packets = 3;
  assert.equal(tables.modify(parseChange('ip,cookie=0x9,actions=7'), false, 5), 3);
  assert.deepEqual(dump(tables), [
    'arp actions=NORMAL',
    'cookie=0x9, priority=6,tcp,tp_dst=80 actions=output:7',
    'cookie=0x9, priority=5,ip actions=output:7',
    'cookie=0x9, table=1, udp actions=output:7',
  ]);
  assert.ok(tables.dump().every((rule) => rule.packets === 3 && rule.createdMs === 0));
  assert.equal(tables.modify(parseChange('priority=5,ip,actions=drop'), true, 5), 1);
  assert.equal(tables.dump().filter((rule) => rule.actions.length === 0).length, 1);
});

test('a change that finds no rule adds its flow', () => {
  const tables = tablesOf('arp,actions=1');
  assert.equal(tables.modify(parseChange('tcp,actions=2'), false, 0), 1);
  assert.deepEqual(dump(tables), ['arp actions=output:1', 'tcp actions=output:2']);
});

test('the generation goes up with each change and only then', () => {
  const tables = tablesOf(some);
  const { generation } = tables;
  tables.delete(parseFilter('tcp,tp_dst=1'), false);
  tables.dump();
  assert.equal(tables.generation, generation);
  tables.delete(parseFilter('arp'), false);
  assert.equal(tables.generation, generation + 1);
});

test('too many flows are refused as a whole', () => {
  const tables = new Tables({ rules: 3, tables: {} });
  tables.add(parseFlows('arp,actions=1\nip,actions=1'), 0);
  assert.throws(() => tables.add(parseFlows('tcp,actions=1\nudp,actions=1'), 0), Refusal);
  assert.equal(tables.size, 2);
});

test('matches cover and equal as the packets in them do', () => {
  fc.assert(
    fc.property(flowText, flowText, packetAndKin(30), (one, two, { packet, kin }) => {
      const [a, b] = [parseFlow(one).match, parseFlow(two).match];
      for (const text of [packet, ...kin]) {
        const key = wordsOf(keyOf(text));
        if (a.covers(b) && b.matches(key)) assert.ok(a.matches(key));
      }
      assert.equal(a.equals(b), a.covers(b) && b.covers(a));
    }),
    { numRuns: 300 },
  );
});

test('a filter by port or group finds what stands inside other actions', () => {
  const tables = new Tables();
  const texts = ['actions=clone(2),1', 'table=1,actions=write_actions(group:7)', 'table=2,actions=3'];
  tables.add(
    texts.map((text) => parseFlow(text)),
    0,
  );
  const found = (text: string) => tables.dump(parseFilter(text)).map(({ table }) => table);
  assert.deepEqual([found('out_port=2'), found('out_group=7'), found('out_group=2')], [[0], [1], []]);
});
