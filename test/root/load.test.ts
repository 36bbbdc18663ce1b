/** Too much traffic is dropped and counted, and is over when it is over; no traffic costs nothing. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { floods, numbered, pings, sendsTcp, serve } from '../support/hosts.ts';
import { rootTools, withLab } from '../support/lab.ts';
import { withSwitch } from '../support/switch.ts';

const skip = rootTools('ip', 'ethtool', 'ping');
const timeout = 60_000;
const FLOOD_SECONDS = 2;

for (const type of ['afxdp', 'packet']) {
  for (const kind of ['udp', 'strangers'] as const) {
    test(`${type}: after a flood (${kind}) the next ping is answered`, { skip, timeout }, async (t) => {
      await withLab(
        t,
        numbered(2, () => ({ offload: type === 'packet' })),
        async (lab) => {
          const [h1, h2] = [lab.host('h1'), lab.host('h2')] as const;
          const ports = { p1: { type, interface: h1.port }, p2: { type, interface: h2.port } };
          await withSwitch(t, { ports }, async (heddle) => {
            await serve(h2);
            await pings(h1, '10.1.1.2');
            const sent = await floods(h1, kind, '10.1.1.2', FLOOD_SECONDS);
            await pings(h1, '10.1.1.2', 1, '-W', '1');
            await sendsTcp(h1, '10.1.1.2', 10 << 20); // every frame is back in its pool
            const { packetsReceived, dropped, megaflows } = await heddle.stop();
            assert(packetsReceived > 1000);
            t.diagnostic(
              `sent ${sent}, received ${packetsReceived}, megaflows ${megaflows}, dropped ${JSON.stringify(dropped)}`,
            );
          });
        },
      );
    });
  }
}

const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux that Node.js runs on

/** CPU time of a process so far, in seconds: proc(5), utime and stime. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

test('an idle switch sleeps', { skip, timeout }, async (t) => {
  await withLab(
    t,
    numbered(4, (n) => ({ offload: n > 2 })),
    async (lab) => {
      const port = (n: number) => ({ type: n > 2 ? 'packet' : 'afxdp', interface: lab.host(`h${n}`).port });
      const ports = { p1: port(1), p2: port(2), p3: port(3), p4: port(4) };
      await withSwitch(t, { ports, threads: { datapath: 2 } }, async (heddle) => {
        await pings(lab.host('h1'), '10.1.1.3');
        await sleep(1000);
        const before = cpuSeconds(heddle.pid);
        await sleep(3000);
        const share = (cpuSeconds(heddle.pid) - before) / 3;
        t.diagnostic(`${(share * 100).toFixed(1)} % of a core`);
        assert(share < 0.1, `${share * 100} % of a core`);
      });
    },
  );
});
