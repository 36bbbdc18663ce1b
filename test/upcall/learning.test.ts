/** What NORMAL has learned outlives ports, but for those behind them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { MacSlice } from '../../src/upcall/macs.ts';
import { ethernet, ipv4, udp } from '../support/packets.ts';
import { SmallSwitch } from './small-switch.ts';

const portsOf = (small: SmallSwitch): string[] =>
  (small.request({ command: 'macs', from: 0 }) as MacSlice).rows.map(({ mac, port }) => `${mac} ${port}`);

test('what was learned is known on, but for what is behind a port that goes', () => {
  const small = new SmallSwitch('actions=NORMAL');
  for (const port of [1, 2, 3]) {
    small.send(port, ethernet({ src: `02:00:00:00:00:0${port}` }, ipv4({}, udp({}, new Uint8Array(20)))));
    small.advance(0.001);
  }
  assert.deepEqual(portsOf(small), ['02:00:00:00:00:01 p1', '02:00:00:00:00:02 p2', '02:00:00:00:00:03 p3']);
  small.request({ command: 'ports', ports: small.ports(2) });
  assert.deepEqual(portsOf(small), ['02:00:00:00:00:01 p1', '02:00:00:00:00:03 p3']);
});
