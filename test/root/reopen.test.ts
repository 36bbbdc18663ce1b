/** A queue whose thread died is opened anew with fresh kernel objects, and its next driver receives. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createArena, Datapath, loadModule, QueueAreas } from '../../src/datapath.ts';
import { command } from '../../src/lab/command.ts';
import { KernelFrames } from '../../src/port/kernel-frames.ts';
import type { Port } from '../../src/port/port.ts';
import { createDriver, openPort } from '../../src/port/types.ts';
import { numbered } from '../support/hosts.ts';
import { rootTools, withLab } from '../support/lab.ts';

const skip = rootTools('ip', 'ethtool', 'ping');
const timeout = 60_000;

async function receives(driver: Port): Promise<void> {
  const endMs = Date.now() + 10_000;
  while (driver.poll() === 0) {
    assert(Date.now() < endMs, 'nothing was received');
    await sleep(5);
  }
}

for (const type of ['packet', 'afxdp']) {
  test(`${type}: a queue is opened anew, with its driver dead`, { skip, timeout }, async (t) => {
    await withLab(
      t,
      numbered(1, () => ({ offload: false })),
      async (lab) => {
        const { namespace, port } = lab.host('h1');
        const queues = ['rx', '2', 'tx', '2'];
        await command(['ethtool', '-L', port, ...queues]);
        await command(['ip', 'netns', 'exec', namespace, 'ethtool', '-L', 'eth0', ...queues]);
        // Requests for addresses of nobody, without end.
        lab.host('h1').spawn('ping', ['-n', '-i', '0.02', '-b', '10.1.1.255'], { stdio: 'ignore' });

        const limits = {
          threads: 3,
          ports: 2,
          queues: 2,
          flows: 1024,
          rules: 0,
          frames: 8192,
          largeFrames: 512,
          macs: 16,
          connections: 0,
        };
        const arena = createArena(loadModule(), limits, 1);
        const areas = new QueueAreas(arena);
        const context = { arena, areas, kernelFrames: new KernelFrames(8192, 2), epochMs: 0, ring() {} };
        const options = { name: 'p', number: 1, queues: 2, interface: port, queue: 0, mode: 'auto' };
        const open = await openPort(type, options, context);
        const datapath = new Datapath(arena, 0);
        try {
          assert.throws(() => areas.take(1), /found room for 0 more queues/);
          // All that the host sends takes one of the queues; which, is the kernel's business.
          const drivers = await Promise.all(open.drivers.map((spec) => createDriver(datapath, spec)));
          const any: Port = { ...drivers[0]!, poll: () => drivers[0]!.poll() + drivers[1]!.poll() };
          await receives(any);
          for (const queue of [0, 1]) drivers[queue] = await createDriver(datapath, open.reopen(queue));
          await receives(any);
          assert.equal(open.link().carrier, true);
        } finally {
          open.close();
        }
        assert.equal(areas.take(2).length, 2);
      },
    );
  });
}
