/** Pings and datagrams too long for one packet, tracked between real hosts, which cut and join them themselves. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { echoesUdp, noPing, numbered, pings, serve, succeeds } from '../support/hosts.ts';
import { rootTools, type TestLab, withLab } from '../support/lab.ts';
import { type TestSwitch, withSwitch } from '../support/switch.ts';

const skip = rootTools('ip', 'ethtool', 'ping');
const timeout = 60_000;

const KINDS = [
  { name: 'afxdp', type: 'afxdp', offload: false },
  { name: 'packet, offloads on', type: 'packet', offload: true },
] as const;

const portsOf = ({ host }: TestLab, type: string) => ({
  p1: { type, interface: host('h1').port },
  p2: { type, interface: host('h2').port },
});

/** Accepted fragments went on, all of them, and none is held. */
async function allCompleted(heddle: TestSwitch, least: [ipv4: number, ipv6: number]): Promise<void> {
  const rows = await heddle.show('fragments');
  for (const [i, { accepted, completed, held, overlapping }] of rows.entries()) {
    assert.deepEqual([completed, held, overlapping], [accepted, 0, 0]);
    assert.ok(accepted >= least[i]!, JSON.stringify(rows));
  }
}

for (const { name, type, offload } of KINDS) {
  test(`${name}: what is longer than a packet passes ct() both ways`, { skip, timeout }, async (t) => {
    const flows = `
      priority=100, arp, actions=NORMAL
      priority=100, icmp6, icmp_type=135, actions=NORMAL
      priority=100, icmp6, icmp_type=136, actions=NORMAL
      priority=10, ip, ct_state=-trk, actions=ct(table=1,zone=9)
      priority=10, ipv6, ct_state=-trk, actions=ct(table=1,zone=9)
      table=1, in_port=p1, ip, ct_state=+trk-inv, actions=ct(commit,zone=9),p2
      table=1, in_port=p1, ipv6, ct_state=+trk-inv, actions=ct(commit,zone=9),p2
      table=1, in_port=p2, ct_state=+est, actions=p1`;
    await withLab(
      t,
      numbered(2, () => ({ offload })),
      async (lab) => {
        await withSwitch(t, { ports: portsOf(lab, type), flows }, async (heddle) => {
          const [h1, h2] = [lab.host('h1'), lab.host('h2')];
          for (const bytes of ['1600', '3200', '4500']) {
            await pings(h1, '10.1.1.2', 3, '-s', bytes);
            await pings(h1, 'fd00:1::2', 3, '-s', bytes);
          }
          await pings(h1, '10.1.1.2', 1, '-s', '65507');
          await serve(h2);
          await echoesUdp(h1, '10.1.1.2');
          await echoesUdp(h1, 'fd00:1::2');
          await noPing(h2, '10.1.1.1');
          const echoed = 3 * (2 + 3 + 4); // requests come to ct() twice, answers once
          await allCompleted(heddle, [3 * echoed, 3 * echoed]);
          const echoes = (await heddle.heddle('show', 'connections')).filter((line) =>
            line.startsWith('icmp'),
          );
          assert.equal(echoes.length, 7, echoes.join('\n'));
        });
      },
    );
  });
}

test('fragments are translated, tagged ones too', { skip, timeout }, async (t) => {
  const flows = `
    priority=100, arp, actions=NORMAL
    in_port=p1, icmp, actions=push_vlan:0x8100,mod_vlan_vid:7,ct(commit,zone=9,nat(src=10.1.1.240)),strip_vlan,p2
    in_port=p2, icmp, ct_state=-trk, actions=ct(table=1,zone=9,nat)
    table=1, in_port=p2, ct_state=+est+dnat, actions=p1`;
  await withLab(t, numbered(2), async (lab) => {
    await withSwitch(t, { ports: portsOf(lab, 'packet'), flows }, async (heddle) => {
      const [h1, h2] = [lab.host('h1'), lab.host('h2')];
      await succeeds(h2, 'ip', 'neigh', 'add', '10.1.1.240', 'lladdr', '02:00:00:00:00:01', 'dev', 'eth0');
      await pings(h1, '10.1.1.2', 3, '-s', '4500');
      await allCompleted(heddle, [3 * 4 * 2, 0]);
    });
  });
});

test('while later fragments do not come, the first ones wait, and are dropped', {
  skip,
  timeout,
}, async (t) => {
  const flows = `
    priority=100, arp, actions=NORMAL
    in_port=p1, icmp, ip_frag=first, ct_state=-trk, actions=ct(commit,zone=9),p2
    in_port=p1, icmp, ip_frag=later, actions=drop
    in_port=p2, actions=p1`;
  await withLab(t, numbered(2), async (lab) => {
    await withSwitch(t, { ports: portsOf(lab, 'packet'), flows }, async (heddle) => {
      const ping = ['-n', '-i', '0.05', '-c', '7', '-W', '0.3', '-s', '1600', '10.1.1.2'];
      const { code } = await lab.host('h1').run('ping', ping);
      assert.equal(code, 1);
      const { accepted, completed, held } = (await heddle.show('fragments'))[0]!;
      assert.deepEqual([accepted, completed, held], [7, 0, 7]);
      assert.deepEqual(await heddle.heddle('show', 'connections'), []);
      const summary = await heddle.stop();
      assert.equal(summary.dropped.fragment_incomplete, 7);
    });
  });
});
