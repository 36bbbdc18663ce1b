/**
 * When a change has been acknowledged, it has taken hold: no packet that comes in afterwards goes the old way, and
 * none is lost over it. Load of many flows goes on meanwhile, on two threads of each kind.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { until, WINDOW, Wire } from '../support/wire.ts';

const timeout = 60_000;
const FLOWS = 64;
const CHANGES = 8;
const OUTPUTS = ['a', 'b', 'c'] as const;
const REMOVALS = 3;
const PORTS = ['in', ...OUTPUTS];

/** From when on packets went to `port`: numbers of the next packet when that was asked for, and when it was answered. */
interface Change {
  port: string;
  asked: number;
  answered: number;
}

const anyFlow = (wire: Wire) => () => ({ flow: 1 + (wire.sent % FLOWS) });

/** Has packets go to one output after another by `change`, under load. The first is where they go before. */
async function changing(wire: Wire, change: (port: string) => Promise<unknown>): Promise<Change[]> {
  const changes: Change[] = [{ port: OUTPUTS[0], asked: wire.sent, answered: wire.sent }];
  wire.arrivals.length = 0;
  const work = async () => {
    for (let i = 1; i <= CHANGES; i++) {
      await wire.after(2 * WINDOW);
      const port = OUTPUTS[i % OUTPUTS.length]!;
      const asked = wire.sent;
      await change(port);
      changes.push({ port, asked, answered: wire.sent });
    }
    await wire.after(2 * WINDOW);
  };
  await wire.load('in', anyFlow(wire), work());
  await wire.allArrived();
  return changes;
}

/**
 * Each packet but `others` came out once, where it was to go when it came in or at most as many packets later as were
 * under way.
 */
function assertFollowed(wire: Wire, changes: readonly Change[], others = new Set<number>()): void {
  const ports = wire.portOf();
  let last = 0;
  for (let number = changes[0]!.answered; number < wire.sent; number++) {
    if (others.has(number)) continue;
    while (changes[last + 1] && changes[last + 1]!.answered <= number) last++;
    const allowed = [
      changes[last]!,
      ...changes.slice(last + 1).filter(({ asked }) => asked <= number + WINDOW),
    ].map(({ port }) => port);
    assert(allowed.includes(ports[number]!), `packet ${number} came out at ${ports[number]}, not ${allowed}`);
  }
}

test('a change that was acknowledged has taken hold', { timeout }, async (t) => {
  const wire = await Wire.open(t, PORTS, 'actions=drop');
  const { control } = wire;

  await t.test('flows that are modified', async () => {
    await wire.begin('in_port=in,udp,actions=output:a');
    const before = wire.sent;
    const changes = await changing(wire, (port) =>
      control.rules('flows', 'modify', `in_port=in,actions=output:${port}`),
    );
    assertFollowed(wire, changes);
    assert.equal(await wire.counted(), wire.sent - before, 'the flow has counted each of them');
  });

  await t.test('flows that are added over others and deleted', async () => {
    await wire.begin('in_port=in,actions=output:a');
    const changes = await changing(wire, (port) => {
      if (port === 'a') return control.rules('flows', 'delete', 'udp');
      const priority = port === 'b' ? 40000 : 50000;
      return control.rules('flows', 'add', `priority=${priority},udp,actions=output:${port}`);
    });
    assertFollowed(wire, changes);
  });

  await t.test('a group whose buckets change', async () => {
    const group = (port: string) => `group_id=1,type=all,bucket=actions=output:${port}`;
    await control.rules('groups', 'add', group('a'));
    await wire.begin('in_port=in,actions=group:1');
    assertFollowed(wire, await changing(wire, (port) => control.rules('groups', 'modify', group(port))));
  });

  await t.test('a bundle, all at once or not at all', async () => {
    // What table 0 writes, table 1 goes by: of two bundles mixed up a packet would be dropped.
    const write = (port: string) => `set_field:${PORTS.indexOf(port)}->reg0,resubmit(,1)`;
    const read = (port: string) => `table=1,reg0=${PORTS.indexOf(port)},actions=output:${port}`;
    const bundle = (port: string) => [
      'flow delete table=1',
      `flow add ${read(port)}`,
      `flow modify table=0,actions=${write(port)}`,
    ];
    await wire.begin(`in_port=in,actions=${write('a')}\n${read('a')}`);
    const changes = await changing(wire, async (port) => {
      const wrong = [...bundle('in'), 'flow add table=1,actions=group:7'];
      await assert.rejects(control.rules('flows', 'bundle', wrong.join('\n')), /group/);
      await control.rules('flows', 'bundle', bundle(port).join('\n'));
    });
    assertFollowed(wire, changes);
  });

  await t.test('a port that is removed', async () => {
    await wire.begin('in_port=in,actions=output:b,output:a');
    const before = wire.sent;
    const at = (name: string, from: number) =>
      wire.arrivals.filter(({ port, number }) => port === name && number >= from).length;
    const work = async () => {
      for (let i = 0; i < REMOVALS; i++) {
        await wire.after(2 * WINDOW);
        await control.removePort('b');
        const removed = wire.sent;
        await wire.after(2 * WINDOW);
        assert.equal(at('b', removed), 0, 'came out at a port that was removed');
        await control.addPort('b', wire.portText('b', PORTS.indexOf('b') + 1));
        await wire.plug('b');
        const added = wire.sent;
        await wire.after(3 * WINDOW);
        assert(at('b', added) >= WINDOW, 'the port is back');
      }
    };
    await wire.load('in', anyFlow(wire), work());
    await wire.allArrived();
    // It may have come out at the one that is removed first.
    await until(() => at('a', before) >= wire.sent - before);
    assert.equal(at('a', before), wire.sent - before, 'the other output got every packet, once');
  });

  await t.test('a station that moves', async () => {
    await wire.begin('actions=NORMAL');
    const announce = async (port: string) => {
      wire.send(port, { src: '02:00:00:00:00:0b', dst: '02:00:00:00:00:0a' });
      await wire.arrived(wire.sent - 1);
      await control.changeUpcalls('wait', ''); // mostly an installed flow took it: only its credit tells of the move
    };
    wire.send('in', { flow: 1 });
    await until(() => wire.arrivals.length === OUTPUTS.length);
    await announce('a');
    const changes = await changing(wire, announce);
    assertFollowed(wire, changes, new Set(changes.map(({ asked }) => asked)));
  });

  await t.test('two stations that go by one address keep nobody waiting', async () => {
    await wire.begin('actions=NORMAL');
    wire.send('in', {});
    await wire.allArrived();
    const before = wire.sent;
    const work = async () => {
      for (let i = 0; i < CHANGES; i++) {
        await wire.after(2 * WINDOW);
        await control.changeUpcalls('wait', '');
      }
    };
    const claim = () => ({ src: '02:00:00:00:00:0b', dst: '02:00:00:00:00:0a' });
    const waits = work();
    await Promise.all(['a', 'b'].map((port) => wire.load(port, claim, waits)));
    await wire.allArrived();
    assert(wire.portOf().every((port, number) => number < before || port === 'in'));
  });
});
