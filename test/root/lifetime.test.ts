/**
 * A switch that cannot start says why in one line, and however one ends, it leaves nothing behind: no XDP
 * program, no promiscuity, no control socket.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import test from 'node:test';
import { command, type Outcome } from '../../src/lab/command.ts';
import { numbered, pings } from '../support/hosts.ts';
import { type LabHost, rootTools, withLab } from '../support/lab.ts';
import { runSwitch, withSwitch } from '../support/switch.ts';

const skip = rootTools('ip', 'ethtool', 'ping');
const timeout = 60_000;

const hosts = () => numbered(2, () => ({ offload: false }));

/** Failed with exit code 1 and this one line. */
function assertFailed({ code, stdout, stderr }: Outcome, line: RegExp): void {
  assert.match(stderr, line);
  assert.equal(stderr.trim().split('\n').length, 1, stderr);
  assert.equal(stdout, '');
  assert.equal(code, 1);
}

/** The interface is as the lab made it. The kernel detaches a dead process's program a moment later. */
async function assertUntouched({ port }: LabHost): Promise<void> {
  for (let left = 20; ; left--) {
    const [link] = JSON.parse(await command(['ip', '-json', '-details', 'link', 'show', port]));
    if (left > 0 && (link.xdp || link.promiscuity > 0)) continue;
    assert.equal(link.xdp, undefined);
    assert.equal(link.promiscuity, 0);
    return;
  }
}

test('a device that is not there', { skip, timeout }, async (t) => {
  await withLab(t, hosts(), async (lab) => {
    for (const type of ['afxdp', 'packet']) {
      const ports = {
        good: { type, interface: lab.host('h1').port },
        bad: { type, interface: 'no-such-device' },
      };
      const expected = new RegExp(
        `^heddle: port bad \\(${type}\\): .*there is no network interface no-such-device`,
      );
      assertFailed(await runSwitch({ ports }), expected);
      await assertUntouched(lab.host('h1'));
    }
  });
});

test('an interface that is down', { skip, timeout }, async (t) => {
  await withLab(t, hosts(), async (lab) => {
    const { port } = lab.host('h1');
    await command(['ip', 'link', 'set', port, 'down']);
    for (const type of ['afxdp', 'packet']) {
      const ports = { bad: { type, interface: port } };
      assertFailed(
        await runSwitch({ ports }),
        new RegExp(`^heddle: port bad \\(${type}\\): ${port} is down`),
      );
    }
  });
});

test('an MTU that AF_XDP cannot take', { skip, timeout }, async (t) => {
  await withLab(t, { h1: { address: '10.1.1.1/24', mtu: 9000 } }, async (lab) => {
    const ports = { bad: { type: 'afxdp', interface: lab.host('h1').port } };
    assertFailed(await runSwitch({ ports }), /^heddle: port bad \(afxdp\): the MTU of \S+ is 9000; /);
    await assertUntouched(lab.host('h1'));
  });
});

const skipSetpriv = rootTools('ip', 'ethtool', 'setpriv');

test('a process without the rights of root', { skip: skipSetpriv, timeout }, async (t) => {
  await withLab(t, hosts(), async (lab) => {
    for (const type of ['afxdp', 'packet']) {
      const ports = { bad: { type, interface: lab.host('h1').port } };
      const before = ['setpriv', '--bounding-set=-all', '--inh-caps=-all'];
      assertFailed(
        await runSwitch({ ports }, { before }),
        new RegExp(`^heddle: port bad \\(${type}\\): .*not permitted \\(EPERM\\)`),
      );
      await assertUntouched(lab.host('h1'));
    }
  });
});

test('an interface that another switch has', { skip, timeout }, async (t) => {
  await withLab(t, hosts(), async (lab) => {
    const ports = {
      p1: { type: 'afxdp', interface: lab.host('h1').port },
      p2: { type: 'afxdp', interface: lab.host('h2').port },
    };
    await withSwitch(t, { ports }, async () => {
      assertFailed(await runSwitch({ ports }), /^heddle: port p1 \(afxdp\): .*busy.*EBUSY/);
      await pings(lab.host('h1'), '10.1.1.2'); // the first is none the worse for it
    });
    await assertUntouched(lab.host('h1'));
  });
});

test('without koffi everything but kernel ports works', { skip, timeout }, async (t) => {
  await withLab(t, hosts(), async (lab) => {
    // As if it were not installed: resolving its name fails as it does for any name that is not there.
    const hide = `import { Module } from 'node:module';
      const find = Module._resolveFilename;
      Module._resolveFilename = (name, ...rest) => find(name === 'koffi' ? 'no-such-package' : name, ...rest);`;
    const node = ['--import', `data:text/javascript,${encodeURIComponent(hide)}`];
    for (const type of ['afxdp', 'packet']) {
      const ports = { bad: { type, interface: lab.host('h1').port } };
      assertFailed(
        await runSwitch({ ports }, { node }),
        new RegExp(`^heddle: port bad \\(${type}\\): needs the package koffi`),
      );
    }
    const ports = { a: { type: 'traffic', hosts: 2 }, b: { type: 'traffic', hosts: 2 } };
    const { code, stdout, stderr } = await runSwitch(
      { ports, threads: { datapath: 2 } },
      { node, more: ['--duration', '1'] },
    );
    assert.equal(code, 0, stderr);
    assert(JSON.parse(stdout).packetsForwarded > 0);
  });
});

for (const type of ['afxdp', 'packet']) {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`${type}: ${signal} ends it and leaves the interfaces as they were`, {
      skip,
      timeout,
    }, async (t) => {
      await withLab(t, hosts(), async (lab) => {
        const [h1, h2] = [lab.host('h1'), lab.host('h2')] as const;
        const ports = { p1: { type, interface: h1.port }, p2: { type, interface: h2.port } };
        await withSwitch(t, { ports }, async (heddle) => {
          assert.equal(statSync(heddle.socket).mode & 0o777, 0o600);
          assert(statSync(heddle.socket).isSocket());
          // It is working while it is stopped.
          const ping = h1.spawn('ping', ['-n', '-i', '0.01', '10.1.1.2'], {
            stdio: ['ignore', 'pipe', 'ignore'],
          });
          await once(ping.stdout!, 'data');
          await heddle.stop(signal);
          assert(!existsSync(heddle.socket));
        });
        await assertUntouched(h1);
        await assertUntouched(h2);
      });
    });
  }

  test(`${type}: nothing is left of one that was killed, and the next starts at once`, {
    skip,
    timeout,
  }, async (t) => {
    await withLab(t, hosts(), async (lab) => {
      const [h1, h2] = [lab.host('h1'), lab.host('h2')] as const;
      const ports = { p1: { type, interface: h1.port }, p2: { type, interface: h2.port } };
      await withSwitch(t, { ports }, async (heddle) => {
        await pings(h1, '10.1.1.2');
        await heddle.kill();
      });
      await withSwitch(t, { ports }, () => pings(h1, '10.1.1.2'));
      await withSwitch(t, { ports }, (heddle) => heddle.kill());
      await assertUntouched(h1);
      await assertUntouched(h2);
    });
  });
}
