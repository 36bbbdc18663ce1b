/** Ports that come and go while simulated hosts talk: the books add up before, during and after. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, parseConfig } from '../../src/control/config.ts';
import { openSwitch, type Switch } from '../../src/control/switch.ts';
import type { Summary } from '../../src/model.ts';

const LATE = 'type: traffic, hosts: 5, connectionsPerSecond: 500, peers: [web]';

function config(more = ''): Config {
  const ports = `
ports:
  web: { type: traffic, hosts: 2, connectionsPerSecond: 0 }
  office: { type: traffic, hosts: 5, connectionsPerSecond: 500, peers: [web] }
control: none`;
  return parseConfig('demo.yaml', `${ports}\n${more}`);
}

const sum = (drops: Record<string, number>) => Object.values(drops).reduce((a, b) => a + b, 0);

function assertAddsUp({ packetsReceived, packetsForwarded, packetsQueued, dropped }: Summary): void {
  assert.equal(packetsReceived, packetsForwarded + packetsQueued + sum(dropped));
}

/** Waits until a port has received so many packets. */
async function untilReceived(control: Switch, name: string, packets: number): Promise<void> {
  const received = () => control.summary().ports.find((port) => port.name === name)!.rxPackets;
  while (received() < packets) await sleep(5);
}

for (const threads of ['{ datapath: 2 }', '{ datapath: 1 }']) {
  test(`threads: ${threads}: a port that is added, removed and added again`, {
    timeout: 60_000,
  }, async () => {
    const control = await openSwitch(config(`threads: ${threads}`));
    try {
      for (let round = 0; round < 10; round++) {
        await control.addPort('late', LATE);
        const [, , late] = control.summary().ports;
        assert.deepEqual([late!.number, late!.state, late!.txDropped], [3, 'up', 0]);
        await untilReceived(control, 'late', 100);
        assertAddsUp(control.summary());
        await control.removePort('late');
        assertAddsUp(control.summary());
        const macs = await control.show('macs');
        assert.deepEqual(
          macs.filter(({ port }) => port !== 'web' && port !== 'office'),
          [],
        );
        for (const { text } of await control.show('megaflows')) assert.doesNotMatch(text, /actions=.*\b3\b/);
      }
    } finally {
      await control.stop();
    }
    const summary = control.summary();
    assertAddsUp(summary);
    assert.equal(summary.packetsQueued, 0);
    assert.deepEqual(
      Object.keys(summary.dropped).filter((reason) => !/^port_closed$/.test(reason)),
      [],
    );
  });
}

test('threads: inline: ports come and go as well', async () => {
  const control = await openSwitch(config('threads: inline'), { durationMs: 1e9 });
  await control.addPort('late', LATE);
  await untilReceived(control, 'late', 100);
  await control.removePort('late');
  assert.deepEqual(
    control.summary().ports.map(({ name }) => name),
    ['web', 'office'],
  );
  await control.stop();
  assertAddsUp(control.summary());
});

test('a port counts what the handler got from it', async () => {
  const control = await openSwitch(config('threads: inline'), { durationMs: 1e9 });
  await control.addPort('late', LATE);
  await untilReceived(control, 'late', 100);
  await control.stop();
  const { ports, upcalls } = control.summary();
  assert.ok(ports.every((port) => port.upcalls > 0 && port.upcallsRefused === 0));
  assert.equal(
    ports.reduce((total, port) => total + port.upcalls, 0),
    upcalls,
  );
});

test('what cannot be added leaves everything as it was', async () => {
  const control = await openSwitch(config());
  try {
    const before = control.summary().ports.map(({ name }) => name);
    await assert.rejects(control.addPort('web', LATE), /expected a name that no port has/);
    await assert.rejects(
      control.addPort('late', 'type: capture, read: /no/such/file'),
      /port late \(capture\): /,
    );
    await assert.rejects(
      control.addPort('late', 'type: packet, interface: nobody'),
      /port late \(packet\): /,
    );
    await assert.rejects(control.addCapture('late', 'nobody', '/dev/null'), /found no port nobody/);
    await assert.rejects(control.removePort('nobody'), /found no port nobody, expected one of web, office/);
    await assert.rejects(control.removeMirror('nobody'), /found no mirror nobody, expected none/);
    assert.deepEqual(
      control.summary().ports.map(({ name }) => name),
      before,
    );
    await control.addPort('late', LATE);
    await untilReceived(control, 'late', 10);
  } finally {
    await control.stop();
  }
});
