import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as later } from 'node:timers/promises';
import { type Config, parseConfig } from '../../src/control/config.ts';
import { openSwitch, type Switch } from '../../src/control/switch.ts';
import { CaptureWriter } from '../../src/port/capture/writer.ts';
import { folder, pcapHeader, pcapRecord, readAll } from '../capture/build.ts';
import { udp } from '../support/frames.ts';

const frame = udp();

/** A capture of one frame every 10 ms. */
function capture(t: TestContext, frames: number): { place: string; path: string } {
  const place = folder(t);
  const path = join(place, 'in.pcap');
  const writer = CaptureWriter.create(path, ['x']);
  for (let i = 0; i < frames; i++)
    writer.write(0, 1e12 + 10 * i, Buffer.from(frame, 'hex'), 0, frame.length / 2);
  writer.close();
  return { place, path };
}

interface Ports {
  in: Record<string, unknown>;
  out?: Record<string, unknown>;
  threads?: unknown;
}

function config(ports: Ports): Config {
  const { threads = 'inline', ...rest } = ports;
  const yaml = {
    ports: Object.fromEntries(
      Object.entries(rest).map(([name, port]) => [`p-${name}`, { type: 'capture', ...port }]),
    ),
    threads,
    control: 'none',
  };
  return parseConfig('test.yaml', JSON.stringify(yaml));
}

/** Runs an inline switch to its end. */
async function run(ports: Ports, durationMs?: number): Promise<Switch> {
  const control = await openSwitch(config(ports), { durationMs });
  await control.finished;
  await control.stop();
  return control;
}

test('inline: the run ends with the capture, and lasts as long as that', async (t) => {
  const { place, path } = capture(t, 50);
  const write = join(place, 'out.pcapng');
  const summary = (await run({ in: { read: path }, out: { write } })).summary();
  assert.equal(summary.packetsForwarded, 50);
  assert.equal(summary.durationMs, 490);
  const { interfaces, frames } = readAll(write);
  assert.deepEqual(
    interfaces.map(({ name }) => name),
    ['p-out'],
  );
  assert.deepEqual(
    frames.map(({ timeMs, hex }) => ({ timeMs, hex })),
    Array.from({ length: 50 }, (_, i) => ({ timeMs: 10 * i, hex: frame })),
  );
});

test('loop: the capture begins again a millisecond after its end, also when it has but one frame', async (t) => {
  const { path } = capture(t, 3);
  assert.equal((await run({ in: { read: path, loop: true } }, 1000)).summary().packetsReceived, 143); // at 0, 10, 20; 21, …; 987, 997
  const { path: single } = capture(t, 1);
  const { packetsReceived } = (await run({ in: { read: single, loop: true } }, 1000)).summary();
  assert.ok(packetsReceived >= 1000 && packetsReceived <= 1002, String(packetsReceived));
});

test('a corrupt capture ends the reading of its port, and nothing else', async (t) => {
  const { path } = capture(t, 20);
  appendFileSync(path, 'rubbish');
  const { path: fine } = capture(t, 60);
  const control = await run({ in: { read: path, loop: true }, out: { read: fine } });
  const [corrupt, other] = control.summary().ports;
  assert.deepEqual([corrupt!.rxPackets, corrupt!.rxErrors], [20, 1]);
  assert.deepEqual([other!.rxPackets, other!.rxErrors], [60, 0]);
});

test('a frame that no port can carry is passed over', async (t) => {
  const path = join(folder(t), 'long.pcap');
  const long = `${frame.slice(0, 24)}88b5${'00'.repeat(70_000)}`;
  const records = [long, frame].map((hex, i) => pcapRecord(true, i, 0, hex));
  writeFileSync(path, Buffer.concat([pcapHeader({ little: true }), ...records]));
  const [port] = (await run({ in: { read: path } })).summary().ports;
  assert.deepEqual([port!.rxPackets, port!.rxErrors], [1, 1]);
});

test('a disk that is full: what is sent to the port is dropped from then on', {
  skip: !existsSync('/dev/full'),
}, async (t) => {
  const place = folder(t);
  const path = join(place, 'big.pcap');
  const writer = CaptureWriter.create(path, ['x']);
  const big = Buffer.from(udp({ payload: 1400 }), 'hex');
  for (let i = 0; i < 2000; i++) writer.write(0, i, big, 0, big.length);
  writer.close();
  const summary = (await run({ in: { read: path }, out: { write: '/dev/full' } })).summary();
  assert.ok(summary.dropped.transmit_error! > 1000);
  assert.equal(summary.packetsReceived, summary.packetsForwarded + summary.dropped.transmit_error!);
});

test('with threads: all frames arrive, written with their time of day, and no descriptor is left', async (t) => {
  const { place, path } = capture(t, 20);
  const write = join(place, 'out.pcapng');
  writeFileSync(write, 'what was there before');
  const descriptors = () => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  const startMs = Date.now();
  const control = await openSwitch(config({ in: { read: path }, out: { write }, threads: { datapath: 2 } }));
  while (control.summary().packetsForwarded < 20) await later(5);
  await control.stop();
  const { frames, ended } = readAll(write);
  assert.ok(ended);
  assert.equal(frames.length, 20);
  for (const { timeMs } of frames) assert.ok(timeMs >= startMs && timeMs <= Date.now() + 1);
  assert.equal(descriptors(), before);
});

test('a file is emptied only when the switch starts', async (t) => {
  const { place, path } = capture(t, 1);
  const write = join(place, 'out.pcapng');
  writeFileSync(write, 'precious');
  const missing = join(place, 'missing.pcap');
  await assert.rejects(
    openSwitch(config({ in: { write }, out: { read: missing } })),
    /port p-out \(capture\): ENOENT/,
  );
  assert.equal(readFileSync(write, 'utf8'), 'precious');
  await assert.rejects(
    openSwitch(config({ in: { read: path, write: path } })),
    /found the same file to read and to write, expected two/,
  );
});

test('two ports do not write one file', () => {
  assert.throws(
    () => config({ in: { write: 'x.pcap' }, out: { write: './x.pcap' } }),
    /p-out\.write: found "\.\/x\.pcap", expected a file that p-in does not write/,
  );
});
