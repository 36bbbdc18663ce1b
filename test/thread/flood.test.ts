/** A switch under a flood that fills its table of connections: transfers that were under way before go on. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as later } from 'node:timers/promises';
import { parseConfig } from '../../src/control/config.ts';
import { openSwitch, type Switch } from '../../src/control/switch.ts';
import type { ConnectionRow } from '../../src/model.ts';
import { CaptureWriter } from '../../src/port/capture/writer.ts';
import { folder } from '../capture/build.ts';
import { ethernet, ipv4, SYN, tcp } from '../support/packets.ts';

const CONNECTIONS = 1000;
const SYNS = 20_000;
/** Each of the transfers gets so many packets further, while so many SYNs are refused. */
const PACKETS = 200;
const REFUSED = 100_000;

const FLOWS = `
priority=1,actions=NORMAL
priority=2,ip,actions=ct(table=1)
table=1,priority=2,ip,ct_state=+est,actions=NORMAL
table=1,priority=1,ip,ct_state=+new,actions=ct(commit),NORMAL`;

/** SYNs of many hosts: played in a loop, more than a switch can take. */
function flood(t: TestContext): string {
  const path = join(folder(t), 'flood.pcap');
  const writer = CaptureWriter.create(path, ['flood']);
  for (let i = 0; i < SYNS; i++) {
    const network = { src: `192.168.${i % 200}.${i % 250}`, dst: '192.168.250.1' };
    const packet = ethernet(
      { src: '02:00:00:00:01:01', dst: '02:00:00:00:01:02' },
      ipv4(network, tcp({ src: 1024 + i, flags: SYN })),
    );
    writer.write(0, 1e12, packet, 0, packet.length);
  }
  writer.close();
  return path;
}

async function busySwitch(t: TestContext): Promise<Switch> {
  const transfers = { hosts: 5, bytesPerConnection: 1e9, mix: { http: 1, dns: 0, ping: 0 } };
  const ports = {
    clients: { type: 'traffic', ...transfers, connectionsPerSecond: 20, peers: ['servers'], thread: 1 },
    servers: { type: 'traffic', ...transfers, connectionsPerSecond: 0, thread: 2 },
  };
  const limits = { connections: CONNECTIONS };
  const yaml = { ports, flows: FLOWS, threads: { datapath: 2 }, limits, control: 'none' };
  const control = await openSwitch(parseConfig('test.yaml', JSON.stringify(yaml)));
  t.after(() => control.stop().catch(() => {}));
  return control;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await later(5);
}

/** Packets of established connections so far, by client. */
async function established(control: Switch): Promise<Map<string, number>> {
  const rows: ConnectionRow[] = [];
  for (let from: number | undefined = 0; from !== undefined; ) {
    const page = await control.connections(['state=ESTABLISHED'], from);
    rows.push(...page.rows);
    from = page.next;
  }
  return new Map(
    rows.map(({ original, reply }) => [JSON.stringify([original.src, original.sport]), reply.packets]),
  );
}

test('transfers go on while a flood of SYNs fills the table, and what is refused is counted', async (t) => {
  const control = await busySwitch(t);
  await until(async () => (await established(control)).size >= 5);
  const before = await established(control);
  await control.addPort(
    'attacker',
    JSON.stringify({ type: 'capture', read: flood(t), loop: true, thread: 1 }),
  );
  const refused = async () => (await control.show('counters')).find(({ name }) => name === 'ctFull')!.value;
  await until(async () => (await refused()) > REFUSED);
  await until(async () => {
    const now = await established(control);
    return [...before].every(([client, packets]) => {
      assert.ok(now.has(client), `${client} is established no more`);
      return now.get(client)! >= packets + PACKETS;
    });
  });
  await control.stop();
  assert.equal(control.summary().packetsQueued, 0, 'packets without a fate');
});
