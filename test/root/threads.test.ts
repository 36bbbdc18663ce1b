/** Ports on different threads: frames cross from one to the other whole, in order, and counted once. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { echoesUdp, numbered, pings, sendsTcp, serve } from '../support/hosts.ts';
import { rootTools, withLab } from '../support/lab.ts';
import { withSwitch } from '../support/switch.ts';

const skip = rootTools('ip', 'ethtool', 'ping');
const timeout = 60_000;

for (const [first, second] of [
  ['afxdp', 'afxdp'],
  ['packet', 'packet'],
  ['packet', 'afxdp'],
] as const) {
  test(`${first} and ${second} on threads of their own`, { skip, timeout }, async (t) => {
    const types = [first, second] as const;
    await withLab(
      t,
      numbered(2, (n) => ({ offload: types[n - 1] === 'packet' })),
      async (lab) => {
        const [h1, h2] = [lab.host('h1'), lab.host('h2')] as const;
        const ports = {
          p1: { type: first, interface: h1.port, thread: 1 },
          p2: { type: second, interface: h2.port, thread: 2 },
        };
        await withSwitch(t, { ports, threads: { datapath: 2 } }, async (heddle) => {
          await Promise.all([serve(h1), serve(h2)]);
          await pings(h1, '10.1.1.2');
          await pings(h2, 'fd00:1::1', 3, '-s', '8000');
          await echoesUdp(h1, 'fd00:1::2');
          await Promise.all([sendsTcp(h1, '10.1.1.2', 100 << 20), sendsTcp(h2, 'fd00:1::1', 100 << 20)]);
          const threads = (await heddle.show('threads')).filter(({ role }) => role === 'datapath');
          assert(threads.every(({ packets }) => packets > 100));
          const { dropped } = await heddle.stop();
          t.diagnostic(`dropped: ${JSON.stringify(dropped)}`);
        });
      },
    );
  });
}
