/**
 * Ports while the switch runs: several queues, ports that are added and removed, interfaces that go away and
 * come back. Whatever happens to a port, the others never notice, and every packet is accounted for.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { askSwitch } from '../../src/control/ask.ts';
import { attempt, command, end } from '../../src/lab/command.ts';
import type { PortRow } from '../../src/model.ts';
import { noPing, numbered, pings, sendsTcp, serve } from '../support/hosts.ts';
import { type LabHost, rootTools, type TestLab, withLab } from '../support/lab.ts';
import { type TestSwitch, withSwitch } from '../support/switch.ts';

const skip = rootTools('ip', 'ethtool', 'ping');
const timeout = 90_000;
const WAIT_MS = 15_000;

const hosts = (count: number) => numbered(count, () => ({ offload: false }));
const mac = (n: number) => `02:00:00:00:00:0${n}`;

function portsOf(lab: TestLab, type: string, ...names: string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, { type, interface: lab.host(name).port }]));
}

async function portRow({ socket }: TestSwitch, name: string): Promise<PortRow> {
  const rows = await askSwitch(socket, { command: 'show', what: 'ports' });
  return rows.find((row) => row.name === name)!;
}

/** Waits until a port's row is as it should be. */
async function until(heddle: TestSwitch, name: string, holds: (row: PortRow) => boolean): Promise<PortRow> {
  const endMs = Date.now() + WAIT_MS;
  for (;;) {
    const row = await portRow(heddle, name);
    if (holds(row)) return row;
    assert(Date.now() < endMs, `port ${name} stayed ${JSON.stringify(row)}`);
    await sleep(20);
  }
}

/** Pings without end; `stop` tells how many answers failed to come. */
async function pingOn(host: LabHost, address: string): Promise<{ stop(): Promise<number> }> {
  const args = ['-n', '-i', '0.01', '-W', '1', address];
  const child = host.spawn('ping', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout!.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  await once(child.stdout!, 'data');
  return {
    async stop() {
      const closed = once(child, 'close');
      await end(child, 'SIGINT');
      await closed;
      const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(said)!;
      // The last may have been on its way.
      return Math.max(Number(sent) - Number(received) - 1, 0);
    },
  };
}

/** Makes the cable of host `n` anew, after its interface here was deleted. */
async function recable({ namespace, port }: LabHost, n: number): Promise<void> {
  const peer = ['peer', 'name', 'eth0', 'address', mac(n), 'netns', namespace];
  await command(['ip', 'link', 'add', port, 'type', 'veth', ...peer]);
  await command(['ip', '-n', namespace, 'address', 'add', `10.1.1.${n}/24`, 'dev', 'eth0']);
  await command(['ip', '-n', namespace, 'link', 'set', 'eth0', 'up']);
  for (const where of [[], ['ip', 'netns', 'exec', namespace]]) {
    const device = where.length > 0 ? 'eth0' : port;
    await command([...where, 'ethtool', '-K', device, 'tx', 'off', 'gso', 'off', 'gro', 'off']);
  }
  await command(['ip', 'link', 'set', port, 'up']);
}

for (const type of ['packet', 'afxdp']) {
  test(`${type}: an interface that is deleted and made again`, { skip, timeout }, async (t) => {
    await withLab(t, hosts(4), async (lab) => {
      const [h1, h3] = [lab.host('h1'), lab.host('h3')] as const;
      const config = { ports: portsOf(lab, type, 'h1', 'h2', 'h3', 'h4'), threads: { datapath: 2 } };
      await withSwitch(t, config, async (heddle) => {
        await pings(h1, '10.1.1.2');
        const others = await pingOn(h3, '10.1.1.4');
        await command(['ip', 'link', 'delete', h1.port]);
        const isGone = ({ reason }: PortRow) => /there is no network interface/.test(reason);
        const { state, carrier } = await until(heddle, 'h1', isGone);
        assert.deepEqual([state, carrier], ['down', false]);
        await recable(h1, 1);
        const up = await until(heddle, 'h1', ({ state }) => state === 'up');
        assert.deepEqual([up.number, up.reason], [1, '']);
        await pings(h1, '10.1.1.2');
        assert.equal(await others.stop(), 0, 'lost between the others');
      });
    });
  });

  test(`${type}: an interface that is set down and up again`, { skip, timeout }, async (t) => {
    await withLab(t, hosts(2), async (lab) => {
      const [h1, h2] = [lab.host('h1'), lab.host('h2')] as const;
      await withSwitch(t, { ports: portsOf(lab, type, 'h1', 'h2') }, async (heddle) => {
        await pings(h1, '10.1.1.2');
        await command(['ip', 'link', 'set', h2.port, 'down']);
        const { reason } = await until(heddle, 'h2', ({ state }) => state === 'down');
        assert.match(reason, /is down/);
        await noPing(h1, '10.1.1.2');
        assert.deepEqual(
          (await heddle.show('macs')).filter(({ port }) => port === 'h2'),
          [],
        );
        await command(['ip', 'link', 'set', h2.port, 'up']);
        await until(heddle, 'h2', ({ state }) => state === 'up');
        await pings(h1, '10.1.1.2');
      });
    });
  });

  test(`${type}: ports are added and removed under traffic`, { skip, timeout }, async (t) => {
    await withLab(t, hosts(4), async (lab) => {
      const [h1, h3, h4] = [lab.host('h1'), lab.host('h3'), lab.host('h4')] as const;
      const config = { ports: portsOf(lab, type, 'h1', 'h2', 'h3'), threads: { datapath: 2 } };
      await withSwitch(t, config, async (heddle) => {
        const others = await pingOn(h1, '10.1.1.2');
        let before = Number.POSITIVE_INFINITY;
        for (let round = 0; round < 3; round++) {
          await heddle.heddle('port', 'add', 'late', `type: ${type}, interface: ${h4.port}`);
          const row = await portRow(heddle, 'late');
          assert.deepEqual([row.number, row.state], [4, 'up']);
          assert(row.rxPackets < before, 'it counts from the beginning');
          const flood = await pingOn(h3, '10.1.1.4');
          await pings(h4, '10.1.1.3', 20);
          before = (await portRow(heddle, 'late')).rxPackets;
          await heddle.heddle('port', 'remove', 'late');
          await flood.stop();
        }
        assert.equal(await portRow(heddle, 'late'), undefined);
        await noPing(h3, '10.1.1.4');
        assert.equal(await others.stop(), 0, 'lost between the others');
      });
    });
  });

  test(`${type}: two queues on two threads`, { skip, timeout }, async (t) => {
    await withLab(t, hosts(2), async (lab) => {
      for (const name of ['h1', 'h2']) {
        const { namespace, port } = lab.host(name);
        const queues = ['rx', '2', 'tx', '2'];
        await command(['ethtool', '-L', port, ...queues]);
        await command(['ip', 'netns', 'exec', namespace, 'ethtool', '-L', 'eth0', ...queues]);
      }
      const { h1, h2 } = portsOf(lab, type, 'h1', 'h2');
      const ports = { h1: { ...h1, threads: [2, 1] }, h2: { ...h2, queues: 2 } };
      await withSwitch(t, { ports, threads: { datapath: 2 } }, async (heddle) => {
        assert.deepEqual((await portRow(heddle, 'h1')).threads, [2, 1]);
        await serve(lab.host('h2'));
        for (let i = 0; i < 4; i++) await sendsTcp(lab.host('h1'), '10.1.1.2', 2_000_000);
        await pings(lab.host('h1'), '10.1.1.2', 10);
        const { dropped } = await heddle.stop();
        assert.deepEqual(dropped, {});
      });
    });
  });
}

test('more queues than the interface has', { skip, timeout }, async (t) => {
  await withLab(t, hosts(2), async (lab) => {
    const config = { ports: portsOf(lab, 'afxdp', 'h1'), threads: { datapath: 2 } };
    await withSwitch(t, config, async (heddle) => {
      const { port } = lab.host('h2');
      const what = `type: afxdp, interface: ${port}, queues: 2`;
      await assert.rejects(
        heddle.heddle('port', 'add', 'h2', what),
        new RegExp(`port h2 \\(afxdp\\): ${port} has 1 queue, from 0; expected queues 0 to 1`),
      );
      assert.equal(await portRow(heddle, 'h2'), undefined);
      await heddle.heddle('port', 'add', 'h2', `type: afxdp, interface: ${port}`);
      await pings(lab.host('h1'), '10.1.1.2');
    });
  });
});

test('a port that waits for its interface', { skip, timeout }, async (t) => {
  await withLab(t, hosts(2), async (lab) => {
    const { port } = lab.host('h2');
    await command(['ip', 'link', 'set', port, 'down']);
    const { h1, h2 } = portsOf(lab, 'packet', 'h1', 'h2');
    await withSwitch(t, { ports: { h1: h1!, h2: { ...h2, wait: true } } }, async (heddle) => {
      assert.equal((await portRow(heddle, 'h2')).state, 'down');
      await command(['ip', 'link', 'set', port, 'up']);
      await until(heddle, 'h2', ({ state }) => state === 'up');
      await pings(lab.host('h1'), '10.1.1.2');
    });
  });
});

test('MTU and carrier are followed', { skip, timeout }, async (t) => {
  await withLab(t, hosts(2), async (lab) => {
    const { port, namespace } = lab.host('h2');
    await withSwitch(t, { ports: portsOf(lab, 'packet', 'h1', 'h2') }, async (heddle) => {
      assert.deepEqual((await portRow(heddle, 'h2')).carrier, true);
      await command(['ip', 'link', 'set', port, 'mtu', '1400']);
      await until(heddle, 'h2', ({ mtu }) => mtu === 1400);
      await command(['ip', '-n', namespace, 'link', 'set', 'eth0', 'down']);
      const { state } = await until(heddle, 'h2', ({ carrier }) => !carrier);
      assert.equal(state, 'up');
      await command(['ip', '-n', namespace, 'link', 'set', 'eth0', 'up']);
      await until(heddle, 'h2', ({ carrier }) => carrier);
    });
  });
});

interface LinkStatistics {
  rx: { packets: number; bytes: number };
  tx: { packets: number; bytes: number };
}

/** What a host's end of the cable has counted. */
async function linkStatistics({ namespace }: LabHost): Promise<LinkStatistics> {
  const { stdout } = await attempt(['ip', '-n', namespace, '-j', '-s', 'link', 'show', 'eth0']);
  return JSON.parse(stdout)[0].stats64;
}

for (const type of ['packet', 'afxdp']) {
  test(`${type}: a port counts what the interface at the other end counts`, { skip, timeout }, async (t) => {
    await withLab(t, hosts(2), async (lab) => {
      for (const name of ['h1', 'h2']) {
        // So that hosts send nothing by themselves.
        const quiet = ['sysctl', '-q', 'net.ipv6.conf.eth0.disable_ipv6=1'];
        await command(['ip', 'netns', 'exec', lab.host(name).namespace, ...quiet]);
      }
      const h1 = lab.host('h1');
      await withSwitch(t, { ports: portsOf(lab, type, 'h1', 'h2') }, async (heddle) => {
        const [row, link] = [await portRow(heddle, 'h1'), await linkStatistics(h1)];
        await pings(h1, '10.1.1.2', 20, '-s', '1000');
        await pings(h1, '10.1.1.2', 20, '-s', '0');
        const [rowNow, linkNow] = [await portRow(heddle, 'h1'), await linkStatistics(h1)];
        assert.equal(rowNow.rxPackets - row.rxPackets, linkNow.tx.packets - link.tx.packets);
        assert.equal(rowNow.txPackets - row.txPackets, linkNow.rx.packets - link.rx.packets);
        assert.equal(rowNow.txBytes - row.txBytes, linkNow.rx.bytes - link.rx.bytes);
        // With an XDP program at the other end, a veth leaves the Ethernet header out of what it says it sent.
        const header = type === 'afxdp' ? 14 * (rowNow.rxPackets - row.rxPackets) : 0;
        assert.equal(rowNow.rxBytes - row.rxBytes - header, linkNow.tx.bytes - link.tx.bytes);
        const { rxErrors, rxDropped, rxMissed, txErrors, txDropped } = rowNow;
        assert.deepEqual([rxErrors, rxDropped, rxMissed, txErrors, txDropped], [0, 0, 0, 0, 0]);
      });
    });
  });
}

test('frames that the kernel had come back when an AF_XDP port goes', { skip, timeout }, async (t) => {
  await withLab(t, hosts(3), async (lab) => {
    const [h1, h3] = [lab.host('h1'), lab.host('h3')] as const;
    const config = { ports: portsOf(lab, 'afxdp', 'h1', 'h2'), limits: { frames: 4096 } };
    await withSwitch(t, config, async (heddle) => {
      const { socket } = heddle;
      const late = { command: 'port', name: 'late' } as const;
      const others = await pingOn(h1, '10.1.1.2');
      for (let round = 0; round < 30; round++) {
        const text = `type: afxdp, interface: ${h3.port}`;
        await askSwitch(socket, { ...late, action: 'add', text });
        if (round % 10 === 9) await pings(h3, '10.1.1.1');
        await askSwitch(socket, { ...late, action: 'remove' });
      }
      assert.equal(await others.stop(), 0, 'lost between the others');
      assert.equal(await heddle.counter('dropped.no_frames'), 0);
      await heddle.heddle('port', 'add', 'late', `type: afxdp, interface: ${h3.port}`);
      await pings(h3, '10.1.1.1');
      await heddle.heddle('port', 'remove', 'late');
    });
  });
});
