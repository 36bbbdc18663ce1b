/** NORMAL learns where hosts are: what is for one is seen by no other, and traffic follows a host that moves. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { echoesUdp, numbered, pings, sendsFrames, serve, succeeds } from '../support/hosts.ts';
import { type LabHost, rootTools, withLab } from '../support/lab.ts';
import { sniff } from '../support/sniff.ts';
import { withSwitch } from '../support/switch.ts';

const skip = rootTools('ip', 'ethtool', 'ping', 'tcpdump');
const timeout = 60_000;

for (const type of ['afxdp', 'packet'] as const) {
  const hosts = () => numbered(3, () => ({ offload: type === 'packet' }));

  test(`${type}: a third host sees nothing of what two say to each other`, { skip, timeout }, async (t) => {
    await withLab(t, hosts(), async (lab) => {
      const [h1, h2, h3] = [lab.host('h1'), lab.host('h2'), lab.host('h3')] as const;
      const ports = {
        p1: { type, interface: h1.port },
        p2: { type, interface: h2.port },
        p3: { type, interface: h3.port },
      };
      await withSwitch(t, { ports }, async () => {
        await serve(h2);
        await pings(h1, '10.1.1.2');
        const wire = await sniff(h3);
        await pings(h1, '10.1.1.2', 20);
        await echoesUdp(h1, '10.1.1.2');
        // A frame for everybody, sent last, proves that the others would have been seen.
        await sendsFrames(h1, `ffffffffffff 020000000001 88b5 ${'5a'.repeat(50)}`);
        await wire.find((frame) => frame.readUInt16BE(12) === 0x88b5);
        const seen = wire.frames.filter((frame) => (frame[0]! & 1) === 0);
        assert.deepEqual(
          seen.map((frame) => frame.toString('hex')),
          [],
        );
      });
    });
  });

  test(`${type}: traffic follows a host from port to port and back`, { skip, timeout }, async (t) => {
    await withLab(t, hosts(), async (lab) => {
      const [h1, h2, h3] = [lab.host('h1'), lab.host('h2'), lab.host('h3')] as const;
      const ports = {
        p1: { type, interface: h1.port },
        p2: { type, interface: h2.port },
        p3: { type, interface: h3.port },
      };
      await withSwitch(t, { ports }, async (heddle) => {
        const where = async () =>
          (await heddle.show('macs')).find(({ mac }) => mac === '02:00:00:00:00:02')?.port;
        await pings(h1, '10.1.1.2');
        assert.equal(await where(), 'p2');
        // There and back and there again: flows of an earlier stay are still installed.
        for (const [from, to, port] of [
          [h2, h3, 'p3'],
          [h3, h2, 'p2'],
          [h2, h3, 'p3'],
        ] as const) {
          await swapAddresses(from, to);
          await answeredWithin(to, '10.1.1.1', 2);
          await answeredWithin(h1, '10.1.1.2', 2);
          assert.equal(await where(), port);
        }
      });
    });
  });
}

/** Whoever of the two is 10.1.1.2 and 02:...:02 becomes 10.1.1.3 and 02:...:03, and the other way round. */
async function swapAddresses(second: LabHost, third: LabHost): Promise<void> {
  const become = async (host: LabHost, was: number, is: number) => {
    const commands = `
      ip link set eth0 address 02:00:00:00:00:0${is}
      ip address del 10.1.1.${was}/24 dev eth0
      ip address add 10.1.1.${is}/24 dev eth0
      ip neighbour flush dev eth0`;
    await succeeds(host, 'sh', '-ec', commands);
  };
  await become(second, 2, 3);
  await become(third, 3, 2);
}

async function answeredWithin(host: LabHost, address: string, seconds: number): Promise<void> {
  await succeeds(host, 'ping', '-n', '-i', '0.1', '-c', '1', '-w', String(seconds), address);
}
