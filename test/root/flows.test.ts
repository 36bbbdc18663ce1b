/** Flows are in force on real traffic: what they drop and rewrite, when they change, and what they count. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { SHOWN } from '../../src/model.ts';
import { echoesUdp, noPing, numbered, PORT, pings, sendsTcp, serve } from '../support/hosts.ts';
import { rootTools, type TestLab, withLab } from '../support/lab.ts';
import { withSwitch } from '../support/switch.ts';

const skip = rootTools('ip', 'ethtool', 'ping');
const timeout = 60_000;

const KINDS = [
  { name: 'afxdp', type: 'afxdp', offload: false },
  { name: 'packet, offloads on', type: 'packet', offload: true },
] as const;

function portsOf(lab: TestLab, type: string): Record<string, object> {
  const names = Object.keys(lab.lab.hosts);
  return Object.fromEntries(names.map((name) => [name, { type, interface: lab.host(name).port }]));
}

for (const { name, type, offload } of KINDS) {
  test(`${name}: a drop rule drops what it matches`, { skip, timeout }, async (t) => {
    await withLab(
      t,
      numbered(3, () => ({ offload })),
      async (lab) => {
        const flows =
          'priority=10,icmp,nw_src=10.1.1.1,nw_dst=10.1.1.2,actions=drop\npriority=0,actions=NORMAL';
        await withSwitch(t, { ports: portsOf(lab, type), flows }, async (heddle) => {
          await pings(lab.host('h1'), '10.1.1.3');
          await noPing(lab.host('h1'), '10.1.1.2');
          await pings(lab.host('h1'), 'fd00:1::2');
          await serve(lab.host('h2'));
          await sendsTcp(lab.host('h1'), '10.1.1.2', 1 << 20);
          const { dropped } = await heddle.stop();
          assert.equal(dropped.flow, 3);
        });
      },
    );
  });

  test(`${name}: addresses and ports are rewritten both ways`, { skip, timeout }, async (t) => {
    await withLab(
      t,
      numbered(2, () => ({ offload })),
      async (lab) => {
        // 10.1.1.9 and fd00:1::9, port 6000, are h2 on its real port; nobody has these addresses.
        const flows = `
        arp, actions=NORMAL
        icmp6, actions=NORMAL
        priority=10, tcp,  nw_dst=10.1.1.9,    tp_dst=6000, actions=mod_nw_dst:10.1.1.2,mod_tp_dst:${PORT},output:h2
        priority=10, udp,  nw_dst=10.1.1.9,    tp_dst=6000, actions=mod_nw_dst:10.1.1.2,mod_tp_dst:${PORT},output:h2
        priority=10, tcp,  nw_src=10.1.1.2,    tp_src=${PORT}, actions=mod_nw_src:10.1.1.9,mod_tp_src:6000,output:h1
        priority=10, udp,  nw_src=10.1.1.2,    tp_src=${PORT}, actions=mod_nw_src:10.1.1.9,mod_tp_src:6000,output:h1
        priority=10, tcp6, ipv6_dst=fd00:1::9, tp_dst=6000, actions=set_field:fd00:1::2->ipv6_dst,set_field:${PORT}->tcp_dst,output:h2
        priority=10, udp6, ipv6_dst=fd00:1::9, tp_dst=6000, actions=set_field:fd00:1::2->ipv6_dst,set_field:${PORT}->udp_dst,output:h2
        priority=10, tcp6, ipv6_src=fd00:1::2, tp_src=${PORT}, actions=set_field:fd00:1::9->ipv6_src,set_field:6000->tcp_src,output:h1
        priority=10, udp6, ipv6_src=fd00:1::2, tp_src=${PORT}, actions=set_field:fd00:1::9->ipv6_src,set_field:6000->udp_src,output:h1`;
        await withSwitch(t, { ports: portsOf(lab, type), flows }, async () => {
          const h1 = lab.host('h1');
          await serve(lab.host('h2'));
          for (const address of ['10.1.1.9', 'fd00:1::9']) {
            const neighbour = ['neighbour', 'add', address, 'lladdr', '02:00:00:00:00:02', 'dev', 'eth0'];
            await h1.run('ip', neighbour);
            await echoesUdp(h1, address, [0, 1, 100, 1400], 6000);
            await sendsTcp(h1, address, 10 << 20, 6000);
          }
        });
      },
    );
  });

  test(`${name}: flows change while traffic passes, and count it`, { skip, timeout }, async (t) => {
    await withLab(
      t,
      numbered(2, () => ({ offload })),
      async (lab) => {
        const flows = 'priority=1,actions=NORMAL';
        await withSwitch(t, { ports: portsOf(lab, type), flows }, async (heddle) => {
          const h1 = lab.host('h1');
          const counted = async (filter: string) => {
            const [line] = await heddle.heddle('flows', 'dump', filter);
            return Number(/n_packets=(\d+)/.exec(line!)![1]);
          };
          await pings(h1, '10.1.1.2');

          await heddle.heddle('flows', 'add', 'priority=10,icmp,nw_src=10.1.1.1,actions=drop');
          await noPing(h1, '10.1.1.2');
          assert.equal(await counted('icmp,nw_src=10.1.1.1'), 3);

          await heddle.heddle('flows', 'mod', 'icmp,nw_src=10.1.1.1,actions=NORMAL');
          await pings(h1, '10.1.1.2', 25);
          assert.equal(await counted('icmp,nw_src=10.1.1.1'), 28);

          await heddle.heddle('flows', 'add', 'priority=10,icmp,nw_src=10.1.1.2,icmp_type=0,actions=NORMAL');
          await pings(h1, '10.1.1.2', 40);
          assert.equal(await counted('icmp,nw_src=10.1.1.2,icmp_type=0'), 40);
          assert.equal(await counted('icmp,nw_src=10.1.1.1'), 68);

          await heddle.heddle('flows', 'del', 'icmp');
          assert.equal((await heddle.heddle('flows', 'dump')).length, 1);
          await pings(h1, '10.1.1.2');

          await heddle.heddle('flows', 'del');
          await noPing(h1, '10.1.1.2');
          const { dropped } = await heddle.stop();
          assert(dropped.table_miss! >= 3, JSON.stringify(dropped));
        });
      },
    );
  });
}

test('show tells the same to people and to programs', { skip, timeout }, async (t) => {
  await withLab(t, numbered(2), async (lab) => {
    await withSwitch(t, { ports: portsOf(lab, 'packet'), threads: { datapath: 2 } }, async (heddle) => {
      await pings(lab.host('h1'), '10.1.1.2', 10);
      const [h1, h2] = await heddle.show('ports');
      assert.deepEqual(
        [h1!.name, h1!.type, h1!.state, h1!.mtu, h1!.threads],
        ['h1', 'packet', 'up', 1500, [1]],
      );
      assert.deepEqual([h2!.name, h2!.number, h2!.threads], ['h2', 2, [2]]);
      assert(h1!.rxPackets >= 11 && h2!.txPackets >= 11 && h1!.rxBytes >= 11 * 42);

      const threads = await heddle.show('threads');
      assert.deepEqual(
        threads.map(({ role, ports }) => [role, ...ports]),
        [['datapath', 'h1'], ['datapath', 'h2'], ['handler'], ['revalidator']],
      );
      const macs = await heddle.show('macs');
      assert.deepEqual(macs.map(({ vlan, mac, port }) => `${vlan} ${mac} ${port}`).sort(), [
        '0 02:00:00:00:00:01 h1',
        '0 02:00:00:00:00:02 h2',
      ]);
      assert(macs.every(({ ageSeconds }) => ageSeconds >= 0 && ageSeconds < 60));
      const megaflows = await heddle.show('megaflows');
      assert(megaflows.some(({ text, packets }) => /in_port\(h1\)/.test(text) && packets >= 9));
      assert((await heddle.counter('received')) >= 22);
      const memory = await heddle.show('memory');
      assert(memory.some(({ region, bytes }) => region === 'frames' && bytes > 0));

      for (const what of SHOWN.filter((what) => what !== 'expectations')) {
        const lines = await heddle.heddle('show', what);
        const rows = await heddle.show(what);
        assert(lines.length > rows.length, `${what}: a line for each of ${rows.length} rows, and a head`);
      }
    });
  });
});
