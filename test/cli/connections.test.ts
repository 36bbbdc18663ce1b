/** The commands about connections, asked of a switch that tracks those of simulated hosts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { withSwitch } from '../support/switch.ts';

const timeout = 60_000;
const traffic = { type: 'traffic', hosts: 2, connectionsPerSecond: 50 };
const config = {
  ports: { a: traffic, b: traffic },
  flows: `
    priority=1,actions=NORMAL
    priority=10,ip,ct_state=-trk,actions=ct(table=0,zone=5)
    priority=10,ip,ct_state=+trk+new,actions=ct(commit,zone=5,exec(set_field:0xaa->ct_mark)),NORMAL
    priority=10,ip,ct_state=+trk+est,actions=NORMAL`,
};

const CONNECTION = String.raw`(tcp|udp|icmp),orig=\(\S+\),reply=\(\S+\),zone=5,mark=170\S*$`;
const LINE = new RegExp(`^${CONNECTION}`);
const EVENT = new RegExp(String.raw`^\d+\.\d+s (new|updated|destroyed reason=\w+): ${CONNECTION}`);

test('connections are watched, listed, limited and flushed', { timeout }, async (t) => {
  await withSwitch(t, config, async ({ heddle, counter }) => {
    const events = await heddle('events', 'zone=5', '--count', '10');
    assert.equal(events.length, 10);
    for (const line of events) assert.match(line, EVENT);

    const lines = await heddle('show', 'connections', 'zone=5', 'mark=2/2');
    assert.ok(lines.length > 0);
    for (const line of lines) assert.match(line, LINE);
    assert.deepEqual(await heddle('show', 'connections', 'zone=6'), []);

    assert.deepEqual(await heddle('flush', 'connections', 'zone=6'), ['0 connections removed']);
    assert.deepEqual(await heddle('limits', 'set', 'zone=5,limit=0'), ['1 limit set']);
    const [removed] = await heddle('flush', 'connections', '--all');
    assert.match(removed!, /^[1-9]\d* connections? removed$/);
    assert.deepEqual(await heddle('show', 'connections'), []);

    assert.deepEqual(await heddle('limits', 'del', 'zone=5'), ['1 limit deleted']);
    const refused = await counter('ctZoneFull');
    assert.ok(refused > 0, `${refused} packets found the zone full`);
    const again = await heddle('events', 'zone=5', '--count', '10');
    assert.ok(again.some((line) => / new: /.test(line)));
  });
});
