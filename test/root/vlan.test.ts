/** VLAN tags (IEEE 802.1Q §9) pass the switch as they are, and flows push, pop and change them. */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { command } from '../../src/lab/command.ts';
import { numbered, pings, sendsFrames, sendsTcp, serve } from '../support/hosts.ts';
import { rootTools, withLab } from '../support/lab.ts';
import { sniff } from '../support/sniff.ts';
import { withSwitch } from '../support/switch.ts';

const skip = rootTools('ip', 'ethtool', 'ping', 'tcpdump');
const timeout = 60_000;

const KINDS = [
  { name: 'afxdp', type: 'afxdp', offload: false },
  { name: 'packet, offloads on', type: 'packet', offload: true },
] as const;

/** An EtherType that no stack answers (IEEE 802 §9.2.4: for experiments), and 50 bytes. */
const CONTENT = `88b5${'5a'.repeat(50)}`;
/** Tags in front of it, outermost first: none; VLAN 5; VLAN 7 with priority 3; none but a priority; two. */
const TAGS = ['', '81000005', '81006007', '8100e000', '8100000a8100000b', '88a8000c8100000d'];

const mac = (n: number) => `02000000000${n}`;

for (const { name, type, offload } of KINDS) {
  test(`${name}: tags pass both ways`, { skip, timeout }, async (t) => {
    await withLab(
      t,
      numbered(2, () => ({ offload })),
      async (lab) => {
        const ports = {
          p1: { type, interface: lab.host('h1').port },
          p2: { type, interface: lab.host('h2').port },
        };
        await withSwitch(t, { ports }, async (heddle) => {
          for (const [from, to] of [
            [1, 2],
            [2, 1],
          ] as const) {
            const wire = await sniff(lab.host(`h${to}`));
            const frames = TAGS.map((tag) => `${mac(to)}${mac(from)}${tag}${CONTENT}`);
            await sendsFrames(lab.host(`h${from}`), ...frames);
            for (const frame of frames) await wire.find((came) => came.toString('hex') === frame);
          }
          const learned = (await heddle.show('macs')).map((row) => `${row.vlan} ${row.mac} ${row.port}`);
          for (const vlan of [0, 5, 7, 10, 12]) {
            assert(learned.includes(`${vlan} 02:00:00:00:00:01 p1`), `${vlan} in ${learned}`);
            assert(learned.includes(`${vlan} 02:00:00:00:00:02 p2`), `${vlan} in ${learned}`);
          }
        });
      },
    );
  });

  test(`${name}: access ports, a trunk, and VLAN numbers changed on it`, { skip, timeout }, async (t) => {
    await withLab(
      t,
      numbered(3, () => ({ offload })),
      async (lab) => {
        const [near, far] = await cable(t, lab.lab.name, offload);
        const port = (device: string) => ({ type, interface: device });
        const config = {
          ports: {
            h1: port(lab.host('h1').port),
            h2: port(lab.host('h2').port),
            near: port(near),
            far: port(far),
            mirror: port(lab.host('h3').port),
          },
          // h1 sends in VLAN 10 and h2 in VLAN 20; h3 sees what the trunk carries.
          flows: `
          in_port=h1, vlan_tci=0, actions=push_vlan:0x8100,set_field:4106->vlan_vid,output:near,output:mirror
          in_port=near, dl_vlan=10, actions=pop_vlan,output:h1
          in_port=h2, vlan_tci=0, actions=mod_vlan_vid:20,output:far,output:mirror
          in_port=far, dl_vlan=20, actions=strip_vlan,output:h2
          in_port=far, dl_vlan=10, actions=mod_vlan_vid:20,pop_vlan,output:h2
          in_port=near, dl_vlan=20, actions=mod_vlan_vid:10,strip_vlan,output:h1`,
        };
        await withSwitch(t, config, async () => {
          const wire = await sniff(lab.host('h3'), 'vlan', 'and', 'icmp');
          await serve(lab.host('h1'));
          await serve(lab.host('h2'));
          await pings(lab.host('h1'), '10.1.1.2');
          await pings(lab.host('h2'), '10.1.1.1');
          const request = await wire.find((frame) => frame.subarray(6, 12).toString('hex') === mac(1));
          assert.equal(request.subarray(12, 16).toString('hex'), '8100000a');
          const reply = await wire.find((frame) => frame.subarray(6, 12).toString('hex') === mac(2));
          assert.equal(reply.subarray(12, 16).toString('hex'), '81000014');
          await sendsTcp(lab.host('h1'), '10.1.1.2', 10 << 20);
          await sendsTcp(lab.host('h2'), 'fd00:1::1', 10 << 20);
        });
      },
    );
  });
}

/** A cable out here whose two ends the switch uses as ports. Gone after the test. */
async function cable(t: TestContext, name: string, offload: boolean): Promise<[string, string]> {
  const ends: [string, string] = [`${name}near`, `${name}far`];
  t.after(() => command(['ip', 'link', 'delete', ends[0]]));
  await command(['ip', 'link', 'add', ends[0], 'type', 'veth', 'peer', 'name', ends[1]]);
  for (const end of ends) {
    await command(['sysctl', '-q', `net.ipv6.conf.${end}.disable_ipv6=1`]);
    if (!offload) await command(['ethtool', '-K', end, 'tx', 'off', 'rx', 'off', 'gro', 'off']);
    await command(['ip', 'link', 'set', end, 'up']);
  }
  return ends;
}
