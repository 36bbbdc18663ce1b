/**
 * Threads of a switch under load are killed, again and again: it goes on, everything that a dead thread had is
 * taken back, and the books balance at the end.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as later } from 'node:timers/promises';
import { parseConfig } from '../../src/control/config.ts';
import { openSwitch, type Switch } from '../../src/control/switch.ts';
import { CaptureWriter } from '../../src/port/capture/writer.ts';
import { folder } from '../capture/build.ts';
import { ethernet, ipv4, udp } from '../support/packets.ts';

const TIMES = 4;
const THREADS = { datapath: 2, handler: 2, revalidator: 2 };
const NUMBERS = [1, 2, 3, 4, 5, 6];

/** Packets of many hosts, all at the same time: played in a loop, more than a switch can take. */
function flood(t: TestContext): string {
  const path = join(folder(t), 'flood.pcap');
  const writer = CaptureWriter.create(path, ['flood']);
  for (let i = 0; i < 2000; i++) {
    const packet = ethernet(
      { src: `02:00:00:00:01:${(i % 64).toString(16).padStart(2, '0')}` },
      ipv4({ dst: `10.0.${i % 8}.${i % 250}` }, udp({ src: 1000 + (i % 500) }, new Uint8Array(30))),
    );
    writer.write(0, 1e12, packet, 0, packet.length);
  }
  writer.close();
  return path;
}

async function floodedSwitch(t: TestContext): Promise<Switch> {
  const read = flood(t);
  const ports = {
    left: { type: 'capture', read, loop: true, thread: 1 },
    right: { type: 'capture', read, loop: true, thread: 2 },
    hosts: { type: 'traffic', hosts: 5, connectionsPerSecond: 200, peers: ['others'], thread: 1 },
    others: { type: 'traffic', hosts: 5, thread: 2 },
  };
  // Copies, frames for the other thread, frames for both, and megaflows by the hundred.
  const flows = [
    'priority=9,in_port=left,udp,nw_dst=10.0.1.0/24,actions=output:others,output:hosts,output:right',
    'priority=8,in_port=left,udp,actions=output:others',
    'priority=8,in_port=right,udp,actions=output:hosts,output:others',
    'actions=NORMAL',
  ].join('\n');
  const yaml = {
    ports,
    flows,
    threads: THREADS,
    revalidation: { maxIdleMs: 300 },
    limits: { frames: 4096 },
    control: 'none',
  };
  const control = await openSwitch(parseConfig('test.yaml', JSON.stringify(yaml)));
  t.after(() => control.stop().catch(() => {}));
  return control;
}

/** Looks until `condition` holds. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await later(5);
}

/** Packets that have come in at a port. */
const received = (control: Switch, name: string): number =>
  control.summary().ports.find((port) => port.name === name)!.rxPackets;

/** Kills thread `number` and waits until the switch forwards as before. */
async function drill(control: Switch, number: number): Promise<void> {
  const thread = async () => (await control.show('threads'))[number - 1]!;
  /** Packets that it has received or handled, or flows that it has seen to. */
  const doneBy = async () => {
    const { packets, stages } = await thread();
    return packets + (stages.find(({ stage }) => stage === 'dump')?.packets ?? 0);
  };
  const { restarts } = await thread();
  await control.kill(number);
  await until(async () => (await thread()).restarts > restarts);
  const done = await doneBy();
  await until(async () => (await doneBy()) > done);
  const { packetsForwarded } = control.summary();
  const [left, right] = ['left', 'right'].map((name) => received(control, name));
  await until(() => received(control, 'left') > left! && received(control, 'right') > right!);
  await until(() => control.summary().packetsForwarded > packetsForwarded);
}

async function checkBooks(control: Switch): Promise<void> {
  await control.stop();
  const { packetsReceived, packetsForwarded, dropped } = control.summary();
  const drops = Object.values(dropped).reduce((a, b) => a + b, 0);
  assert.equal(packetsForwarded + drops, packetsReceived, 'every packet has one fate');
  const counters = await control.show('counters');
  const sum = (name: string) =>
    counters.filter((row) => row.name.startsWith(name)).reduce((total, { value }) => total + value, 0);
  assert.equal(sum('copiesForwarded') + sum('copiesDropped.'), sum('copied'), 'and every copy');
  const memory = new Map((await control.show('memory')).map((row) => [row.region, row]));
  assert.equal(memory.get('frames')!.used, 0, 'every frame is free');
  assert.equal(memory.get('largeFrames')!.used, 0);
}

for (const [what, number] of [
  ['a datapath thread', 1],
  ['the other datapath thread', 2],
  ['a handler', 3],
  ['the first revalidator', 5],
  ['the other revalidator', 6],
] as const) {
  test(`${what} is killed ${TIMES} times under load`, { timeout: 120_000 }, async (t) => {
    const control = await floodedSwitch(t);
    for (let i = 0; i < TIMES; i++) await drill(control, number);
    assert.equal((await control.show('threads'))[number - 1]!.restarts, TIMES);
    await checkBooks(control);
  });
}

test('all threads are killed at once', { timeout: 60_000 }, async (t) => {
  const control = await floodedSwitch(t);
  await until(() => received(control, 'left') > 0);
  for (const number of NUMBERS) await control.kill(number);
  await until(async () => (await control.show('threads')).every(({ restarts }) => restarts === 1));
  const left = received(control, 'left');
  await until(() => received(control, 'left') > left);
  await checkBooks(control);
});

test('a new handler has the flows of the last one, those that were added since and all', async (t) => {
  const control = await floodedSwitch(t);
  for (let i = 0; i < 50; i++)
    await control.rules('flows', 'add', `priority=${100 + i},tcp,tp_dst=${i},actions=drop`);
  await control.rules('flows', 'delete', 'tcp,tp_dst=7');
  await control.rules('flows', 'modify', 'cookie=0x5,tcp,tp_dst=8,actions=output:left');
  const text = async () => (await control.show('flows')).map((row) => row.text).sort();
  const before = await text();
  await control.kill(3);
  // Asked before it is there: the answer waits.
  assert.deepEqual(await text(), before);
  await control.stop();
});

test('a thread that does not exist cannot be killed', async (t) => {
  const control = await floodedSwitch(t);
  await assert.rejects(control.kill(7), /found 7, expected a number from 1 to 6/);
  await control.stop();
});
