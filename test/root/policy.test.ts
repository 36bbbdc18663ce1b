/**
 * What a policy and NAT promise holds between real hosts: in Heddle, and for the flows that it becomes in Open
 * vSwitch, so that not both sides of the contract are ours.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { PrivateOvs, unavailable } from '../../bench/peers/systems/ovs.ts';
import { parseConfig } from '../../src/control/config.ts';
import { command } from '../../src/lab/command.ts';
import { readLab } from '../../src/lab/file.ts';
import { echoesUdp, noPing, noTcp, numbered, pings, sendsTcp, serve, succeeds } from '../support/hosts.ts';
import { type LabHost, rootTools, type TestLab, withLab } from '../support/lab.ts';
import { withSwitch } from '../support/switch.ts';

/** A switch for policies, with a port for each host of the lab, called like the host. */
interface Kind {
  readonly name: string;
  readonly skip: string | false;
  /** Whether hosts may leave checksums and segments to others. */
  readonly offload: boolean;
  run(t: TestContext, lab: TestLab, sections: object, work: () => Promise<void>): Promise<void>;
}

const portsOf = ({ lab }: TestLab) =>
  Object.fromEntries(
    Object.entries(lab.hosts).map(([name, { port }]) => [name, { type: 'packet', interface: port }]),
  );

const heddle: Kind = {
  name: 'heddle',
  skip: rootTools('ip', 'ethtool', 'ping'),
  offload: true,
  run: (t, lab, sections, work) => withSwitch(t, { ports: portsOf(lab), ...sections }, work),
};

const openVswitch: Kind = {
  name: 'openvswitch',
  skip: rootTools('ip', 'ethtool', 'ping', 'ovs-ofctl') || ((await unavailable({})) ?? false),
  offload: false,
  async run(t, lab, sections, work) {
    const text = JSON.stringify({ ports: portsOf(lab), ...sections });
    const { ports, flows } = parseConfig('policy.yaml', text, () => []);
    const folder = mkdtempSync(join(tmpdir(), 'heddle-policy-'));
    const bridge = `${lab.lab.name}b`;
    const peer = new PrivateOvs(folder);
    t.after(() => peer.stop(bridge));
    await peer.start({});
    const settings = ['set', 'bridge', bridge, 'datapath_type=netdev', 'fail_mode=secure'];
    await peer.vsctl('add-br', bridge, '--', ...settings);
    let byNumber = flows;
    for (const { name, number } of ports) {
      const { port } = lab.host(name);
      await peer.vsctl('add-port', bridge, port, '--', 'set', 'interface', port, `ofport_request=${number}`);
      byNumber = byNumber.replaceAll(new RegExp(`(in_port=|output:)${name}\\b`, 'g'), `$1${number}`);
    }
    writeFileSync(join(folder, 'flows'), `${byNumber}\n`);
    await command(['ovs-ofctl', 'add-flows', `unix:${folder}/${bridge}.mgmt`, join(folder, 'flows')]);
    await work();
  },
};

const exampleFile = (name: string) =>
  fileURLToPath(new URL(`../../../examples/${name}.yaml`, import.meta.url));

for (const { name, skip, offload, run } of [heddle, openVswitch]) {
  const options = { skip, timeout: 60_000 };

  test(`${name}: a router lets hosts inside out, and in only where it forwards`, options, async (t) => {
    const { nat, policy } = parse(readFileSync(exampleFile('nat'), 'utf8'));
    const { hosts } = readLab(exampleFile('nat-lab'));
    for (const host of Object.values(hosts)) host.offload = offload;
    await withLab(t, hosts, (lab) =>
      run(t, lab, { nat, policy }, async () => {
        const [alice, bob, server, visitor] = Object.keys(hosts).map(lab.host) as [LabHost, ...LabHost[]];
        await Promise.all([serve(bob!, 80), serve(server!)]);
        await pings(alice, '10.0.0.1');
        await pings(alice, '203.0.113.10');
        await sendsTcp(alice, '203.0.113.10', 1_000_000);
        await echoesUdp(bob!, '203.0.113.10');
        await sendsTcp(visitor!, '203.0.113.1', 1_000_000, 8080);
        await sendsTcp(alice, '203.0.113.1', 1_000_000, 8080);
        await sendsTcp(visitor!, '203.0.113.10', 1000);
        await succeeds(visitor!, 'ip', 'route', 'add', '10.0.0.0/24', 'via', '203.0.113.1');
        const refused = [noTcp(visitor!, '203.0.113.1', 80), noTcp(visitor!, '10.0.0.3', 80)];
        await Promise.all([...refused, noPing(visitor!, '10.0.0.2')]);
      }),
    );
  });

  test(`${name}: rules decide between hosts of one network, over IPv4 and IPv6`, options, async (t) => {
    const policy = {
      zones: { inside: ['h1', 'h2'], outside: ['h3'] },
      sets: { trusted: ['10.1.1.1', 'fd00:1::1'] },
      rules: [
        { allow: 'inside to outside', protocol: ['icmp', 'icmpv6'] },
        { allow: 'inside to outside', from: 'trusted', protocol: 'tcp', ports: 5000 },
      ],
    };
    await withLab(
      t,
      numbered(3, () => ({ offload })),
      (lab) =>
        run(t, lab, { policy }, async () => {
          const [h1, h2, h3] = [lab.host('h1'), lab.host('h2'), lab.host('h3')];
          await Promise.all([serve(h1), serve(h3)]);
          for (const [first, third] of [
            ['10.1.1.1', '10.1.1.3'],
            ['fd00:1::1', 'fd00:1::3'],
          ] as const) {
            await pings(h1, third);
            await pings(h2, third);
            await sendsTcp(h1, third, 1_000_000);
            await Promise.all([noTcp(h2, third), noTcp(h3, first), noPing(h3, first), noPing(h2, first)]);
          }
        }),
    );
  });
}
