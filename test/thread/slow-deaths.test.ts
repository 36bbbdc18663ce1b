/** Threads of the slow path die: what they did for the flows goes on, and of what was known nothing is lost. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as later } from 'node:timers/promises';
import { type Numbered, until, WINDOW, Wire } from '../support/wire.ts';

const timeout = 60_000;
const FLOWS = 64;
const PORTS = ['in', 'a', 'b', 'c'];
/** Flows of the datapath are evicted all the time, and come again. */
const IDLE_MS = 100;
const HANDLERS = [3, 4];
const REVALIDATORS = [5, 6];

const anyFlow = (wire: Wire) => (): Numbered => ({ flow: 1 + (wire.sent % FLOWS) });

test('threads of the slow path', { timeout }, async (t) => {
  const wire = await Wire.open(t, PORTS, 'actions=drop', { revalidation: { maxIdleMs: IDLE_MS } });
  const { control } = wire;

  await t.test('every packet is counted, whatever becomes of the flow that it takes', async () => {
    await wire.begin('in_port=in,actions=output:a');
    const before = wire.sent;
    const work = async () => {
      for (let i = 0; i < 20; i++) {
        await wire.after(WINDOW);
        // Other flows than before, each matching on more: those of before go, and their packets come again.
        if (i % 2 === 0)
          await control.rules('flows', 'add', `priority=${40000 + i},udp,tp_src=${i},actions=output:b`);
        else await control.rules('flows', 'modify', `actions=output:${PORTS[1 + (i % 3)]}`);
        if (i % 5 === 0) await later(2 * IDLE_MS);
      }
    };
    await wire.load('in', anyFlow(wire), work());
    await wire.allArrived();
    assert.equal(await wire.counted(), wire.sent - before);
  });

  await t.test('who asks for flows is answered while revalidators die, the first of them too', async () => {
    await wire.begin('in_port=in,actions=output:a');
    const before = wire.sent;
    const restarts = async () =>
      (await control.show('threads')).reduce((sum, thread) => sum + thread.restarts, 0);
    const work = async () => {
      for (const revalidator of [...REVALIDATORS, ...REVALIDATORS]) {
        const began = await restarts();
        const asked = [wire.counted(), control.show('flows')];
        await control.kill(revalidator);
        asked.push(wire.counted());
        await Promise.all(asked);
        await control.rules('flows', 'modify', 'in_port=in,actions=output:b');
        await until(async () => (await restarts()) > began);
        await control.rules('flows', 'modify', 'in_port=in,actions=output:a');
        await wire.after(WINDOW);
      }
    };
    await wire.load('in', anyFlow(wire), work());
    await wire.allArrived();
    const counted = await wire.counted();
    assert(counted <= wire.sent - before, `${counted} packets counted of ${wire.sent - before}`);
  });

  await t.test('all of them die at once, and packets of new flows come through', async () => {
    await wire.begin('in_port=in,actions=output:a');
    await Promise.all([...HANDLERS, ...REVALIDATORS].map((thread) => wire.kill(thread)));
    await wire.sendAll(
      'in',
      Array.from({ length: 1000 }, (_, i) => ({ flow: 1000 + i })),
    );
    await control.rules('flows', 'modify', 'in_port=in,actions=output:c');
    const changed = wire.sent;
    await wire.sendAll(
      'in',
      Array.from({ length: 1000 }, (_, i) => ({ flow: 1000 + i })),
    );
    assert(wire.arrivals.every(({ port, number }) => port === (number < changed ? 'a' : 'c')));
    assert.equal(await wire.counted(), 2000);
  });
});
