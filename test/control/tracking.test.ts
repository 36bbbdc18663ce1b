/** Connection tracking as the configuration has it, and as it is then changed: both outlast the handler. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConfig } from '../../src/control/config.ts';
import { openSwitch } from '../../src/control/switch.ts';

const CONFIG = `
ports: { a: { type: traffic, connectionsPerSecond: 0 } }
control: none
limits: { connections: 100 }
conntrack:
  sequenceChecking: no
  defaultLimit: 7
  zones:
    5: { limit: 3, timeoutSeconds: { udpFirst: 1, tcpEstablished: 3600 } }
    6: { timeoutSeconds: { icmpReply: 2 } }
    7: { limit: 0 }`;
const HANDLER = 2;

test('what the configuration says holds until it is changed, whatever becomes of the handler', async (t) => {
  const control = await openSwitch(parseConfig('test.yaml', CONFIG));
  t.after(() => control.stop());
  const limits = async () => (await control.show('limits')).map(({ zone, limit }) => [zone, limit]);
  const timeouts = async () => (await control.show('timeouts')).slice(1);

  assert.deepEqual(await limits(), [
    ['all', 100],
    ['default', 7],
    [5, 3],
    [7, 0],
  ]);
  const ofZone6 = { zone: 6, seconds: { icmpReply: 2 } };
  assert.deepEqual(await timeouts(), [{ zone: 5, seconds: { tcpEstablished: 3600, udpFirst: 1 } }, ofZone6]);
  assert.deepEqual(await control.sequenceChecking(), ['sequence checking is off']);

  await control.changeZones('limits', 'set', 'all=50 default=0');
  await control.changeZones('timeouts', 'del', 'zone=5');
  await control.sequenceChecking(true);
  await control.kill(HANDLER);
  assert.deepEqual(await limits(), [
    ['all', 50],
    ['default', null],
    [5, 3],
    [7, 0],
  ]);
  assert.deepEqual(await timeouts(), [ofZone6]);
  assert.deepEqual(await control.sequenceChecking(), ['sequence checking is on']);
});
