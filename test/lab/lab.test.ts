import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { attempt, command } from '../../src/lab/command.ts';
import type { Lab } from '../../src/lab/file.ts';
import { enter, labDown, labRun, labUp } from '../../src/lab/lab.ts';
import { rootTools, withLab } from '../support/lab.ts';

const skip = rootTools('ip', 'ethtool', 'ping');
const prefix = `u${process.pid.toString(36)}`;
let labs = 0;

/** A lab of two hosts with names of its own, gone after the test. */
function twoHosts(t: TestContext): Lab {
  const name = `${prefix}${labs++}`;
  const lab: Lab = {
    name,
    hosts: {
      h1: {
        port: `${name}p1`,
        address: ['10.1.1.1/24', 'fd00:1::1/64'],
        mac: '02:00:00:00:00:01',
        gateway: '10.1.1.2',
        offload: true,
      },
      h2: { port: `${name}p2`, address: ['10.1.1.2/24'], offload: false, mtu: 1400 },
    },
  };
  t.after(() => labDown(lab));
  return lab;
}

const namespaceExists = (name: string) => existsSync(`/run/netns/${name}`);
const deviceExists = (name: string) => existsSync(`/sys/class/net/${name}`);
const nothingLeft = ({ name, hosts }: Lab) =>
  Object.entries(hosts).every(
    ([host, { port }]) => !namespaceExists(`${name}-${host}`) && !deviceExists(port),
  );

test('hosts come up as described, and go without a trace', { skip }, async (t) => {
  const lab = twoHosts(t);
  await labUp(lab);

  const inHost = async (host: string, ...argv: string[]) => (await attempt(enter(lab, host, argv))).stdout;
  const [eth0] = JSON.parse(await inHost('h1', 'ip', '-json', 'address', 'show', 'eth0'));
  assert.equal(eth0.address, '02:00:00:00:00:01');
  const addresses = eth0.addr_info.map(
    (a: { local: string; prefixlen: number }) => `${a.local}/${a.prefixlen}`,
  );
  assert(addresses.includes('10.1.1.1/24') && addresses.includes('fd00:1::1/64'));
  const ipv6 = eth0.addr_info.find((a: { local: string }) => a.local === 'fd00:1::1');
  assert(ipv6.nodad && !ipv6.tentative);
  assert.match(await inHost('h1', 'ip', 'route'), /^default via 10.1.1.2 dev eth0/m);

  assert.match(await inHost('h1', 'ethtool', '-k', 'eth0'), /^tcp-segmentation-offload: on/m);
  assert.match(await inHost('h2', 'ethtool', '-k', 'eth0'), /^tcp-segmentation-offload: off/m);
  assert.match(await command(['ethtool', '-k', lab.hosts.h2.port]), /^tx-checksumming: off/m);
  assert.equal(readFileSync(`/sys/class/net/${lab.hosts.h2.port}/mtu`, 'utf8').trim(), '1400');
  assert.match(await inHost('h2', 'ip', 'link', 'show', 'eth0'), /mtu 1400/);
  assert.equal(readFileSync(`/proc/sys/net/ipv6/conf/${lab.hosts.h1.port}/disable_ipv6`, 'utf8').trim(), '1');

  await labDown(lab);
  assert(nothingLeft(lab));
});

test('hosts reach each other over whatever joins their ports', { skip }, async (t) => {
  await withLab(t, { h1: { address: '10.1.1.1/24' }, h2: { address: '10.1.1.2/24' } }, async (lab) => {
    const bridge = `${lab.lab.name}br`;
    await command(['ip', 'link', 'add', bridge, 'up', 'type', 'bridge']);
    try {
      for (const host of ['h1', 'h2'])
        await command(['ip', 'link', 'set', lab.host(host).port, 'master', bridge]);
      const { code, stderr } = await lab.host('h1').run('ping', ['-c', '1', '-w', '5', '10.1.1.2']);
      assert.equal(code, 0, stderr);
    } finally {
      await command(['ip', 'link', 'delete', bridge]);
    }
  });
});

test('taking down what is not there is fine', { skip }, async (t) => {
  await labDown(twoHosts(t));
});

test('a namespace that exists already is an error and stays', { skip }, async (t) => {
  const lab = twoHosts(t);
  const other = `${lab.name}-h2`;
  await command(['ip', 'netns', 'add', other]);
  t.after(() => command(['ip', 'netns', 'delete', other]));

  await assert.rejects(labUp(lab), { message: `network namespace ${other} exists already` });
  await labDown(lab);
  assert(namespaceExists(other));
  assert(!namespaceExists(`${lab.name}-h1`));
});

test('an interface that exists already is an error and stays', { skip }, async (t) => {
  const lab = twoHosts(t);
  const { port } = lab.hosts.h2;
  await command(['ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', `${lab.name}x`]);
  t.after(() => command(['ip', 'link', 'delete', port]));

  await assert.rejects(labUp(lab), { message: `interface ${port} exists already` });
  assert(deviceExists(port));
});

test('a lab that fails half-way is taken down, and the error names the command', { skip }, async (t) => {
  const lab = twoHosts(t);
  lab.hosts.h2.address.push('10.1.1.2/24'); // the kernel refuses the same address twice
  await assert.rejects(labUp(lab), /address add 10\.1\.1\.2\/24 dev eth0: /);
  assert(nothingLeft(lab));
});

test('a failing run takes the lab down and passes the failure on', { skip }, async (t) => {
  const lab = twoHosts(t);
  const failing = labRun(lab, async () => {
    assert(!nothingLeft(lab));
    throw new Error('no luck');
  });
  await assert.rejects(failing, { message: 'no luck' });
  assert(nothingLeft(lab));
});

test('a run of a command answers its exit code', { skip }, async (t) => {
  const lab = twoHosts(t);
  assert.equal(await labRun(lab, ['sh', '-c', `test -e /sys/class/net/${lab.hosts.h1.port} && exit 7`]), 7);
  assert.equal(await labRun(lab, ['sh', '-c', 'kill -TERM $$']), 143);
  await assert.rejects(labRun(lab, ['/no/such/program']), { message: '/no/such/program: no such program' });
  assert(nothingLeft(lab));
});

test('a host that the lab does not have is named', { skip }, (t) => {
  const lab = twoHosts(t);
  assert.throws(() => enter(lab, 'h9', ['true']), {
    message: `lab ${lab.name} has no host h9; it has h1, h2`,
  });
});

test('a program in a host is killed when its time is over', { skip }, async (t) => {
  await withLab(t, { h1: { address: '10.1.1.1/24' } }, async (lab) => {
    const { code, signal } = await lab.host('h1').run('sleep', ['60'], { timeoutMs: 50 });
    assert.deepEqual({ code, signal }, { code: null, signal: 'SIGKILL' });
  });
});

test('a program that a test started in a host ends with the test', { skip }, async (t) => {
  let started!: ChildProcess;
  await withLab(t, { h1: { address: '10.1.1.1/24' } }, async (lab) => {
    started = lab.host('h1').spawn('sleep', ['60']);
    await once(started, 'spawn');
  });
  assert.equal(started.signalCode, 'SIGTERM');
});

test('a tool that is missing is named with its package', () => {
  const expected =
    process.getuid?.() === 0 ? 'no-such-tool is not installed (Debian package no-such-tool)' : 'needs root';
  assert.equal(rootTools('no-such-tool'), expected);
});
