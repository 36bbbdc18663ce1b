/** Hosts reach each other over every kind of port, and what arrives is what was sent. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { echoesUdp, echoesUdpSegments, numbered, pings, sendsTcp, serve } from '../support/hosts.ts';
import { rootTools, withLab } from '../support/lab.ts';
import { withSwitch } from '../support/switch.ts';

const skip = rootTools('ip', 'ethtool', 'ping');
const timeout = 60_000;
const LARGE = 100 << 20;

/** Port type and offloads of host N, from 1. */
interface Kind {
  name: string;
  host(n: number): { type: 'packet' | 'afxdp'; offload: boolean };
}

const KINDS: Kind[] = [
  { name: 'afxdp', host: () => ({ type: 'afxdp', offload: false }) },
  { name: 'packet, offloads on', host: () => ({ type: 'packet', offload: true }) },
  { name: 'packet, offloads off', host: () => ({ type: 'packet', offload: false }) },
  {
    name: 'mixed',
    host: (n) => (n === 2 ? { type: 'afxdp', offload: false } : { type: 'packet', offload: true }),
  },
];

for (const { name, host } of KINDS) {
  // Each host sends to the next, the last to the first.
  for (const count of [2, 3]) {
    test(`${name}: ${count} hosts`, { skip, timeout }, async (t) => {
      const hosts = numbered(count, (n) => ({ offload: host(n).offload }));
      await withLab(t, hosts, async (lab) => {
        const names = Object.keys(hosts);
        const ports = Object.fromEntries(
          names.map((h, i) => [h, { type: host(i + 1).type, interface: lab.host(h).port }]),
        );
        await withSwitch(t, { ports }, async (heddle) => {
          await Promise.all(names.map((h) => serve(lab.host(h))));
          for (const [i, from] of names.entries()) {
            const n = ((i + 1) % count) + 1;
            const h = lab.host(from);
            await pings(h, `10.1.1.${n}`);
            await pings(h, `fd00:1::${n}`);
            await pings(h, `10.1.1.${n}`, 3, '-s', '8000');
            await pings(h, `fd00:1::${n}`, 3, '-s', '8000');
            await echoesUdp(h, `10.1.1.${n}`);
            await echoesUdp(h, `fd00:1::${n}`);
            await sendsTcp(h, `fd00:1::${n}`, 1 << 20);
            if (host(i + 1).offload) {
              await echoesUdpSegments(h, `10.1.1.${n}`);
              await echoesUdpSegments(h, `fd00:1::${n}`);
            }
          }
          await Promise.all(
            names.map((from, i) => sendsTcp(lab.host(from), `10.1.1.${((i + 1) % count) + 1}`, LARGE)),
          );

          const segmented = await heddle.counter('segmented');
          const averages = (await heddle.show('ports')).map((port) => port.rxBytes / port.rxPackets);
          if (name === 'mixed') assert(segmented > 0, 'segments are cut');
          else assert.equal(segmented, 0);
          if (name === 'packet, offloads on') {
            for (const average of averages) assert(average > 3 * 1514, `packets of ${average} bytes`);
          }
          t.diagnostic(`bytes a packet: ${averages.map(Math.round)}; segmented: ${segmented}`);
          const summary = await heddle.stop();
          t.diagnostic(`dropped: ${JSON.stringify(summary.dropped)}`);
        });
      });
    });
  }
}
