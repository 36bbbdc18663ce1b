/** Two handlers of one switch: what packets of many flows need goes to both, and it makes no difference which. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { BURST, until, Wire } from '../support/wire.ts';

const timeout = 60_000;
/** So many that each handler has some of them. */
const FLOWS = 64;
const NEW_FLOWS = 150;
const PORTS = ['in', 'a', 'b', 'c'];

const some = <T>(make: (i: number) => T): T[] => Array.from({ length: FLOWS }, (_, i) => make(i));
const station = (i: number): string => `02:00:00:00:01:${i.toString(16).padStart(2, '0')}`;

test('two handlers', { timeout }, async (t) => {
  const wire = await Wire.open(t, PORTS, 'actions=drop');
  const { control } = wire;
  /** What each handler has handled so far. */
  const handled = async () =>
    (await control.show('threads')).filter(({ role }) => role === 'handler').map(({ packets }) => packets);

  await t.test('both get packets of the same new flow: it is installed once', async () => {
    const networks = Array.from({ length: 20 }, (_, i) => `10.1.${i}`);
    await wire.begin(networks.map((net) => `in_port=in,udp,nw_src=${net}.0/24,actions=output:a`).join('\n'));
    const before = await handled();
    for (const net of networks) {
      wire.send('in', ...some((i) => ({ flow: 1 + i, nwSrc: `${net}.1` })));
      await wire.allArrived();
    }
    const after = await handled();
    assert(
      after.every((packets, i) => packets > before[i]!),
      `${before} ${after}`,
    );
    const texts = (await control.show('megaflows')).map(({ text }) => text);
    for (const net of networks) {
      assert.equal(texts.filter((text) => text.includes(`src=${net}.0/24`)).length, 1, texts.join('\n'));
    }
    assert.equal(wire.portOf().filter((port) => port === 'a').length, networks.length * FLOWS);
    assert.equal(await wire.counted(), networks.length * FLOWS);
  });

  const ways = {
    'sent by another thread': 'actions=output:a',
    'sent by the thread that has them': 'actions=output:b',
    'tracked, and sent by another thread': 'actions=ct(commit,table=1)\ntable=1,actions=output:a',
  };
  for (const [way, actions] of Object.entries(ways)) {
    await t.test(
      `packets of a flow that begins stay in order, in however many batches they come: ${way}`,
      async () => {
        const [first, ...rest] = actions.split('\n');
        const rules = Array.from({ length: NEW_FLOWS }, (_, i) => `in_port=in,udp,tp_src=${1 + i},${first}`);
        await wire.begin([...rules, ...rest].join('\n'));
        await wire.sendAll(
          'in',
          Array.from({ length: NEW_FLOWS * 6 * BURST }, (_, i) => ({
            flow: 1 + Math.floor(i / (6 * BURST)),
          })),
        );
        for (let flow = 1; flow <= NEW_FLOWS; flow++) {
          const numbers = wire.arrivals.filter((one) => one.flow === flow).map(({ number }) => number);
          assert.deepEqual(
            numbers,
            numbers.toSorted((x, y) => x - y),
            `flow ${flow}`,
          );
        }
      },
    );
  }

  await t.test('what packets of one teach, both go by: flows of learn actions', async () => {
    await wire.begin(
      [
        'table=0,actions=learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),resubmit(,1)',
        'table=1,priority=0,actions=output:c',
      ].join('\n'),
    );
    wire.send('a', ...some((i) => ({ flow: 1 + i, src: station(i) })));
    await wire.allArrived();
    await until(async () => (await control.rules('flows', 'dump', 'table=1')).length === FLOWS + 1);
    const first = wire.sent;
    wire.send('b', ...some((i) => ({ flow: 100 + i, src: '02:00:00:00:00:0b', dst: station(i) })));
    await wire.allArrived();
    assert.deepEqual(
      wire.portOf().slice(first),
      some(() => 'a'),
    );
  });

  await t.test('… and stations that NORMAL learns', async () => {
    await wire.begin('actions=NORMAL');
    wire.send('a', ...some((i) => ({ flow: 1 + i, src: station(i) })));
    await until(() => wire.arrivals.length === FLOWS * (PORTS.length - 1));
    const first = wire.sent;
    wire.send('b', ...some((i) => ({ flow: 200 + i, src: '02:00:00:00:00:0c', dst: station(i) })));
    await wire.allArrived();
    const late = wire.arrivals.filter(({ number }) => number >= first);
    assert.deepEqual(
      late.map(({ port }) => port),
      some(() => 'a'),
    );
  });

  await t.test('one that dies leaves flows, learned addresses and counts', async () => {
    await wire.begin('actions=NORMAL');
    const known = async () => ({
      counted: await wire.counted(),
      megaflows: (await control.show('megaflows')).map(({ text }) => text).sort(),
      stations: (await control.show('macs')).map(({ mac, port }) => `${mac} ${port}`).sort(),
      upcalls: await upcalls(),
    });
    const upcalls = async () =>
      (await control.show('counters')).find(({ name }) => name === 'upcalls')!.value;
    const send = async () => {
      const first = wire.sent;
      wire.send('b', ...some((i) => ({ flow: 1 + i, src: '02:00:00:00:00:0d', dst: station(i) })));
      await wire.allArrived();
      const ports = wire.arrivals.filter(({ number }) => number >= first).map(({ port }) => port);
      assert.deepEqual(
        ports,
        some(() => 'a'),
      );
    };
    wire.send('a', ...some((i) => ({ flow: 1 + i, src: station(i) })));
    await until(() => wire.arrivals.length === FLOWS * (PORTS.length - 1));
    await send();
    for (const handler of [3, 4]) {
      const before = await known();
      await wire.kill(handler);
      assert.deepEqual(await known(), before);
      await send();
      assert.deepEqual(await known(), { ...before, counted: before.counted + FLOWS });
    }
  });

  await t.test('packet-ins of both reach one monitor, once', async () => {
    await wire.begin('in_port=in,actions=controller,output:a');
    const watched = control.watch();
    await watched.next();
    const first = wire.sent;
    const before = await handled();
    for (let time = 0; time < 5; time++)
      await wire.sendAll(
        'in',
        some((i) => ({ flow: 1 + i })),
      );
    const numbers: number[] = [];
    while (numbers.length < 5 * FLOWS) {
      const { value } = await watched.next();
      assert.equal(value.lost, 0);
      for (const event of value.events) {
        if (event.kind === 'packetIn') numbers.push(Number.parseInt(event.bytes.slice(-8), 16));
      }
    }
    await watched.return(undefined);
    assert.deepEqual(
      numbers.toSorted((x, y) => x - y),
      Array.from({ length: 5 * FLOWS }, (_, i) => first + i),
    );
    const after = await handled();
    assert(after.every((packets, i) => packets > before[i]!));
  });
});
