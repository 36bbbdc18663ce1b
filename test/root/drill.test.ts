/** Threads that drive real interfaces are killed while traffic flows: it flows again, and nothing is lost track of. */
import test from 'node:test';
import { setTimeout as later } from 'node:timers/promises';
import { floods, numbered, pings, sendsTcp, serve } from '../support/hosts.ts';
import { type LabHost, rootTools, withLab } from '../support/lab.ts';
import { withSwitch } from '../support/switch.ts';

const skip = rootTools('ip', 'ethtool', 'ping');
const timeout = 120_000;
const TIMES = 3;
/** Two for packets, a handler, a revalidator. */
const THREADS = 4;

/** Pings until there is an answer. */
async function untilPinged(host: LabHost, address: string): Promise<void> {
  while (
    !(await pings(host, address, 1, '-W', '1').then(
      () => true,
      () => false,
    ))
  );
}

for (const types of [
  ['afxdp', 'afxdp'],
  ['packet', 'packet'],
  ['afxdp', 'packet'],
] as const) {
  test(`${types.join(' and ')}: killed threads come back with their ports`, { skip, timeout }, async (t) => {
    await withLab(
      t,
      numbered(2, (n) => ({ offload: types[n - 1] === 'packet' })),
      async (lab) => {
        const hosts = [lab.host('h1'), lab.host('h2')] as const;
        const port = (n: 0 | 1) => ({ type: types[n], interface: hosts[n].port, thread: n + 1 });
        const ports = { p1: port(0), p2: port(1) };
        await withSwitch(t, { ports, threads: { datapath: 2 } }, async (heddle) => {
          await serve(hosts[1]);
          await pings(hosts[0], '10.1.1.2');
          const restarts = async () =>
            (await heddle.show('threads')).reduce((sum, thread) => sum + thread.restarts, 0);
          for (let i = 0; i < TIMES * THREADS; i++) {
            const flood = floods(hosts[0], 'udp', '10.1.1.2', 0.25);
            await heddle.heddle('thread', 'kill', String(1 + (i % THREADS)));
            while ((await restarts()) <= i) await later(10);
            await flood;
            await untilPinged(hosts[0], '10.1.1.2');
          }
          // More than there are frames: none may be missing.
          await sendsTcp(hosts[0], '10.1.1.2', 50 << 20);
          await heddle.stop();
        });
      },
    );
  });
}
