/** The commands that list and change what a running switch does with packets. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import test from 'node:test';
import type { Summary, SwitchEvent } from '../../src/model.ts';
import { runSwitch, withSwitch } from '../support/switch.ts';
import { type Child, file, heddle } from './child.ts';

const timeout = 60_000;
const traffic = { type: 'traffic', hosts: 2, connectionsPerSecond: 50 };
const ports = { a: traffic, b: traffic };

const RULES = `meter add meter=1,pktps,bands=type=drop,rate=100000
group add group_id=1,type=all,bucket=output:a,bucket=output:b
in_port=a,actions=meter:1,group:1
in_port=b,actions=a`;

test('check prints meters, groups and flows in normal form', async () => {
  const good = file('rules.yaml', JSON.stringify({ ports, flows: RULES }));
  const { code, stdout } = await heddle('check', good).outcome;
  assert.deepEqual(stdout.split('\n'), [
    'meter add meter=1 pktps bands= type=drop rate=100000',
    'group add group_id=1,type=all,bucket=bucket_id:0,actions=output:a,bucket=bucket_id:1,actions=output:b',
    'in_port=a actions=meter:1,group:1',
    'in_port=b actions=output:a',
    '',
  ]);
  assert.equal(code, 0);
  const again = file('again.yaml', JSON.stringify({ ports, flows: stdout }));
  assert.equal((await heddle('check', again).outcome).stdout, stdout);
  const bad = file('bad.yaml', JSON.stringify({ ports, flows: 'arp,actions=a\nip,actions=group:2' }));
  const refused = await heddle('check', bad).outcome;
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /group 2, which is not there, expected one that is/);
});

test('a bundle changes everything at once, or nothing', { timeout }, (t) =>
  withSwitch(t, { ports, flows: RULES }, async (running) => {
    const snapshot = await running.heddle('flows', 'snapshot');
    const bundle = (...lines: string[]) => file('bundle', lines.join('\n'));
    const bad = bundle('flow delete', 'group delete', 'actions=group:1');
    const refused = await heddle('flows', 'bundle', bad, '--socket', running.socket).outcome;
    assert.deepEqual([refused.code, refused.stdout], [2, '']);
    assert.match(refused.stderr, /line 3, column 1: group 1, which is not there; expected one that is/);
    assert.deepEqual(await running.heddle('flows', 'snapshot'), snapshot);
    const good = bundle(
      'flow delete in_port=b',
      'meter add meter=2 kbps bands=type=drop,rate=9',
      'arp,actions=b',
    );
    assert.deepEqual(await running.heddle('flows', 'bundle', good), [
      '1 flow deleted',
      '1 meter added',
      '1 flow added',
    ]);
    assert.deepEqual(await running.heddle('groups', 'del', 'group_id=1'), ['1 group deleted']);
    assert.deepEqual(await running.heddle('flows', 'snapshot'), [
      'meter add meter=1 pktps bands= type=drop rate=100000',
      'meter add meter=2 kbps bands= type=drop rate=9',
      'arp actions=output:b',
    ]);
    writeFileSync(
      good,
      snapshot
        .slice(2)
        .join('\n')
        .replace(/meter:1,group:1/, 'b'),
    );
    assert.deepEqual(await running.heddle('flows', 'replace', good), ['1 flow deleted', '2 flows added']);
    assert.match(
      (await running.heddle('flows', 'dump')).join('\n'),
      /idle_age=0, in_port=a actions=output:b/,
    );
    await running.heddle('flows', 'add', 'priority=9,hard_timeout=1,ipv6,actions=drop');
    while ((await running.heddle('flows', 'dump', 'ipv6')).length > 0);
    assert.match((await running.heddle('meters', 'stats')).join('\n'), /^meter:2 flow_count:0 /m);
  }),
);

test('on the virtual clock a time-out falls at the same packet each time', { timeout }, async () => {
  const flows = 'priority=2,hard_timeout=2,actions=NORMAL\npriority=1,actions=drop';
  const run = async (duration: string) => {
    const config = { ports, flows, threads: 'inline' } as const;
    const { code, stdout } = await runSwitch(config, { more: ['--duration', duration] });
    assert.equal(code, 0);
    return JSON.parse(stdout) as Summary;
  };
  const [short, long, again] = [await run('1.9'), await run('4'), await run('4')];
  assert.deepEqual(short.dropped, {});
  assert.ok(long.packetsForwarded > short.packetsForwarded && long.dropped.flow! > 0);
  assert.deepEqual(again, long);
});

test('monitor shows packets for controllers, and flows that go', { timeout }, (t) =>
  withSwitch(t, { ports, flows: 'send_flow_rem,in_port=a,actions=controller(id=4),b' }, async (running) => {
    const target = ['--socket', running.socket];
    const counted = await heddle('monitor', '--json', '--count', '3', ...target).outcome;
    const events = parsed(counted.stdout);
    assert.equal(events.length, 3);
    for (const event of events) {
      assert.ok(event.kind === 'packetIn');
      assert.deepEqual([event.port, event.controller, event.reason], ['a', 4, 'action']);
      assert.equal(event.bytes.length, 2 * event.length);
    }
    const watching = heddle('monitor', ...target);
    await seen(
      watching,
      /^\d+\.\d{3}s packet-in reason=action table=0 cookie=0x0 port=a controller=4 length=/m,
    );
    const removed = seen(
      watching,
      /flow-removed reason=delete .*: send_flow_rem in_port=a actions=controller/,
    );
    await running.heddle('flows', 'del');
    await removed;
    watching.process.kill('SIGKILL');
    await watching.outcome;
  }),
);

const parsed = (stdout: string): SwitchEvent[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** Waits until a child's standard output has something. */
function seen(child: Child, wanted: RegExp): Promise<void> {
  let said = '';
  return new Promise((resolve, reject) => {
    child.process.stdout!.on('data', (chunk) => {
      said += chunk;
      if (wanted.test(said)) resolve();
    });
    child.process.once('close', () => reject(new Error(`ended after ${said}`)));
  });
}
