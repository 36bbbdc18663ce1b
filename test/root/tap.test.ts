/** Tap devices: made or adopted, in namespaces or not, and what arrives is what was sent. */
import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { attempt } from '../../src/lab/command.ts';
import { echoesUdp, numbered, pings, sendsTcp, serve } from '../support/hosts.ts';
import { rootTools, type TestLab, withLab } from '../support/lab.ts';
import { runSwitch, withSwitch } from '../support/switch.ts';

const skip = rootTools('ip', 'ethtool', 'ping') || lackingTun();
const timeout = 60_000;

function lackingTun(): string | false {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return false;
  } catch {
    return 'needs /dev/net/tun';
  }
}

const run = async (...argv: string[]): Promise<string> => {
  const outcome = await attempt(argv);
  assert.equal(outcome.code, 0, `${argv.join(' ')}: ${outcome.stderr}`);
  return outcome.stdout;
};

/** A tap device in the namespace of host N, beside the host's own cable. */
const tapOf = (lab: TestLab, n: number) => ({
  type: 'tap',
  device: `${lab.lab.name}t${n}`,
  namespace: lab.host(`h${n}`).namespace,
  mac: `02:00:00:00:01:0${n}`,
  addresses: [`10.1.2.${n}/24`, `fd00:2::${n}/64`],
});

/** A persistent device that goes with the test. */
async function persistent(t: TestContext, device: string, ...more: string[]): Promise<void> {
  await run('ip', 'tuntap', 'add', device, 'mode', 'tap', ...more);
  t.after(() => attempt(['ip', 'link', 'delete', device]));
}

test('devices made and moved into namespaces carry everything', { skip, timeout }, async (t) => {
  await withLab(t, numbered(2), async (lab) => {
    const ports = { one: tapOf(lab, 1), two: { ...tapOf(lab, 2), mtu: 1500 } };
    await withSwitch(t, { ports }, async (heddle) => {
      const [one, two] = [lab.host('h1'), lab.host('h2')];
      await Promise.all([serve(one), serve(two)]);
      await pings(one, '10.1.2.2');
      await pings(two, 'fd00:2::1', 3, '-s', '8000');
      await echoesUdp(one, '10.1.2.2');
      await Promise.all([sendsTcp(one, '10.1.2.2', 50 << 20), sendsTcp(two, 'fd00:2::1', 50 << 20)]);
      const averages = (await heddle.show('ports')).map((port) => port.rxBytes / port.rxPackets);
      for (const average of averages) assert(average > 3 * 1514, `segments stay whole: ${average} bytes`);
    });
    const { stdout } = await lab.host('h1').run('ip', ['link', 'show']);
    assert.doesNotMatch(stdout, new RegExp(ports.one.device), 'a device that the port made goes with it');
  });
});

test('a tap device and a veth reach each other', { skip, timeout }, async (t) => {
  await withLab(t, numbered(2), async (lab) => {
    const [one, two] = [lab.host('h1'), lab.host('h2')];
    const tap = { ...tapOf(lab, 2), addresses: ['10.1.3.2/24'] };
    await run('ip', '-netns', one.namespace, 'address', 'add', '10.1.3.1/24', 'dev', 'eth0');
    const ports = { veth: { type: 'packet', interface: one.port }, tap };
    await withSwitch(t, { ports }, async () => {
      await serve(two);
      await pings(one, '10.1.3.2');
      await sendsTcp(one, '10.1.3.2', 20 << 20);
    });
  });
});

test('a device that is there is adopted as it is, and left', { skip, timeout }, async (t) => {
  const device = `hd${process.pid}`;
  await persistent(t, device);
  await run('ip', 'link', 'set', device, 'mtu', '1400', 'address', '02:00:00:00:00:77');
  await withSwitch(t, { ports: { tap: { type: 'tap', device } } }, async (heddle) => {
    const [port] = await heddle.show('ports');
    assert.equal(port!.mtu, 1400);
  });
  const [link] = JSON.parse(await run('ip', '-json', 'link', 'show', device));
  assert.deepEqual([link.address, link.mtu], ['02:00:00:00:00:77', 1400]);
});

test('what cannot be opened is named with the reason', { skip, timeout }, async (t) => {
  const wrong = async (tap: object): Promise<string> => {
    const { code, stderr } = await runSwitch({ ports: { bad: { type: 'tap', ...tap } } });
    assert.equal(code, 1);
    return stderr;
  };
  assert.match(await wrong({ device: 'lo' }), /port bad \(tap\): lo is no tap device/);
  const missing = { device: `hd${process.pid}n`, namespace: 'no-such-namespace' };
  assert.match(await wrong(missing), /port bad \(tap\): .*no-such-namespace/);
  const device = `hd${process.pid}b`;
  await persistent(t, device);
  await withSwitch(t, { ports: { tap: { type: 'tap', device } } }, async () => {
    assert.match(await wrong({ device }), new RegExp(`${device} is in use`));
  });
});
