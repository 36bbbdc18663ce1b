/**
 * Files come over FTP and TFTP, whose data come over connections of their own, with and without translation: in Heddle,
 * and with the same flows in Open vSwitch.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PrivateOvs, unavailable } from '../../bench/peers/systems/ovs.ts';
import { command } from '../../src/lab/command.ts';
import { numbered, succeeds } from '../support/hosts.ts';
import { type LabHost, rootTools, type TestLab, withLab } from '../support/lab.ts';
import { withSwitch } from '../support/switch.ts';

const FILES = fileURLToPath(new URL('../support/host/files.js', import.meta.url));
const BYTES = 300_000;

const SERVER = '10.1.1.2';
const SERVER6 = 'fd00:1::2';
/** What stands for the client, and for the server. */
const CLIENT_OUTSIDE = '10.1.1.100';
const CLIENT_OUTSIDE6 = 'fd00:1::100';
const SERVICE = '10.1.1.200';
const SERVICE6 = 'fd00:1::200';

/** How a file is fetched over FTP: who opens the data connection, and how the other one is told where. */
const PASV = ['--disable-epsv', '--no-ftp-skip-pasv-ip'];
const EPRT = ['-P', '-'];
const PORT = [...EPRT, '--disable-eprt'];
const EPSV: readonly string[] = [];

/** A switch with host h1 at port 1 and h2 at port 2. */
interface Kind {
  readonly name: string;
  readonly skip: string | false;
  /** Whether hosts may leave checksums and segments to others. */
  readonly offload: boolean;
  /** Ways that it knows over IPv4; over IPv6 it knows the extended ones. */
  readonly ways: readonly (readonly string[])[];
  run(t: TestContext, lab: TestLab, work: (running: Running) => Promise<void>): Promise<void>;
}

interface Running {
  /** These are the flows from now on, and no connections are known. */
  use(flows: string): Promise<void>;
  connections(): Promise<string[]>;
  /** Where that can be shown. */
  expectations?(): Promise<string[]>;
}

const heddle: Kind = {
  name: 'heddle',
  skip: rootTools('ip', 'ethtool', 'curl'),
  offload: true,
  ways: [EPSV, PASV, EPRT, PORT],
  run(t, lab, work) {
    const port = (host: string) => ({ type: 'packet', interface: lab.host(host).port });
    return withSwitch(t, { ports: { p1: port('h1'), p2: port('h2') } }, (heddle) =>
      work({
        async use(flows) {
          await heddle.heddle('flush', 'connections', '--all');
          await heddle.ask({ command: 'rules', kind: 'flows', action: 'replace', text: flows });
        },
        connections: () => heddle.heddle('show', 'connections'),
        expectations: () => heddle.heddle('show', 'expectations'),
      }),
    );
  },
};

const openVswitch: Kind = {
  name: 'openvswitch',
  skip: rootTools('ip', 'ethtool', 'curl', 'ovs-ofctl') || ((await unavailable({})) ?? false),
  offload: false,
  ways: [PASV, PORT], // the extended ones since 3.7
  async run(t, lab, work) {
    const folder = mkdtempSync(join(tmpdir(), 'heddle-helpers-'));
    const bridge = `${lab.lab.name}b`;
    const file = join(folder, 'flows');
    const peer = new PrivateOvs(folder);
    t.after(() => peer.stop(bridge));
    await peer.start({});
    const settings = ['set', 'bridge', bridge, 'datapath_type=netdev', 'fail_mode=secure'];
    await peer.vsctl('add-br', bridge, '--', ...settings);
    for (const number of [1, 2]) {
      const { port } = lab.host(`h${number}`);
      await peer.vsctl('add-port', bridge, port, '--', 'set', 'interface', port, `ofport_request=${number}`);
    }
    await work({
      async use(flows) {
        writeFileSync(file, `${flows}\n`);
        await command([
          'ovs-ofctl',
          '-O',
          'OpenFlow13',
          'replace-flows',
          `unix:${folder}/${bridge}.mgmt`,
          file,
        ]);
        await peer.appctl('revalidator/wait');
        await peer.appctl('dpctl/flush-conntrack');
      },
      connections: async () => (await peer.appctl('dpctl/dump-conntrack')).trim().split('\n'),
    });
  },
};

/** Only what begins a control connection, and what is related to one, is let in. */
const flows = (helper: { ftp: string; tftp: string }, nat = '', nat6 = ''): string =>
  [
    'priority=1,actions=NORMAL',
    ...['', '6'].flatMap((six) =>
      (['tcp', 'udp'] as const).flatMap((protocol) => {
        const packets = `${protocol}${six}`;
        const options = ['commit', protocol === 'tcp' ? helper.ftp : helper.tftp, six ? nat6 : nat];
        const port = protocol === 'tcp' ? 21 : 69;
        return [
          `priority=9,${packets},actions=ct(table=1,nat)`,
          `table=1,${packets},in_port=1,ct_state=+new-rel,tp_dst=${port},actions=ct(${options.filter(Boolean).join()}),2`,
          `table=1,${packets},in_port=1,ct_state=+new+rel,actions=ct(commit,nat),2`,
          `table=1,${packets},in_port=2,ct_state=+new+rel,actions=ct(commit,nat),1`,
          `table=1,${packets},in_port=1,ct_state=+est,actions=2`,
          `table=1,${packets},in_port=2,ct_state=+est,actions=1`,
        ];
      }),
    ),
  ].join('\n');

const HELPERS = { ftp: 'alg=ftp', tftp: 'alg=tftp' };

/** The server serves, and both know where the addresses are that nobody has. */
async function prepare({ host }: TestLab): Promise<LabHost> {
  const [client, server] = [host('h1'), host('h2')];
  const neighbours = (addresses: readonly string[], mac: number) =>
    addresses.map((address) => `ip neighbour add ${address} lladdr 02:00:00:00:00:0${mac} dev eth0`);
  await succeeds(client, 'sh', '-ec', neighbours([SERVICE, SERVICE6], 2).join('\n'));
  await succeeds(server, 'sh', '-ec', neighbours([CLIENT_OUTSIDE, CLIENT_OUTSIDE6], 1).join('\n'));
  const files = server.spawn(process.execPath, [FILES], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(files.stdout!, 'data', { signal: AbortSignal.timeout(10_000) });
  return client;
}

const url = (scheme: string, address: string): string =>
  `${scheme}://${address.includes(':') ? `[${address}]` : address}/${BYTES}`;

async function fetches(client: LabHost, scheme: string, address: string, ...options: string[]) {
  const args = ['-sS', '-g', '-m', '10', '-o', '/dev/null', '-w', '%{size_download}', ...options];
  assert.equal(await succeeds(client, 'curl', ...args, url(scheme, address)), String(BYTES));
}

async function failsToFetch(client: LabHost, scheme: string, address: string, ...options: readonly string[]) {
  const args = ['-sS', '-g', '-m', '1', '-o', '/dev/null', ...options, url(scheme, address)];
  const { code, stderr } = await client.run('curl', args);
  assert.equal(code, 28, stderr); // it took too long
}

for (const { name, skip, offload, ways, run } of [heddle, openVswitch]) {
  async function fetchesAll(client: LabHost, address: string, address6: string): Promise<void> {
    for (const way of ways) await fetches(client, 'ftp', address, ...way);
    for (const way of [EPSV, EPRT]) await fetches(client, 'ftp', address6, ...way);
    await fetches(client, 'tftp', address);
    await fetches(client, 'tftp', address6);
  }

  test(`${name}: files come over connections that others announce`, { skip, timeout: 60_000 }, (t) =>
    withLab(
      t,
      numbered(2, () => ({ offload })),
      (lab) =>
        run(t, lab, async ({ use, connections, expectations }) => {
          const client = await prepare(lab);
          await use(flows(HELPERS));
          await fetchesAll(client, SERVER, SERVER6);
          const lines = await connections();
          for (const line of lines) {
            const helper = /dport=21\),reply/.test(line)
              ? 'ftp'
              : /dport=69\),reply/.test(line)
                ? 'tftp'
                : '';
            assert.equal(/helper=(\w+)$/.exec(line)?.[1] ?? '', helper, line);
          }
          const transfers = ways.length + 4;
          assert.equal(lines.length, 2 * transfers, 'a parent and a child each');
          if (expectations) assert.equal((await expectations()).length, transfers);

          await use(flows(HELPERS, `nat(src=${CLIENT_OUTSIDE})`, `nat(src=${CLIENT_OUTSIDE6})`));
          await fetchesAll(client, SERVER, SERVER6);

          await use(flows(HELPERS, `nat(dst=${SERVER})`, `nat(dst=${SERVER6})`));
          await fetchesAll(client, SERVICE, SERVICE6);

          await use(flows({ ftp: '', tftp: '' }));
          const tries = [...ways.map((way) => ['ftp', way] as const), ['tftp', EPSV] as const];
          await Promise.all(tries.map(([scheme, way]) => failsToFetch(client, scheme, SERVER, ...way)));
        }),
    ),
  );
}
