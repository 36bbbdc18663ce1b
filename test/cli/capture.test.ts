/** Mirrors, and captures of a running switch. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { attempt, lacking } from '../../src/lab/command.ts';
import { folder, readAll } from '../capture/build.ts';
import { type TestSwitch, withSwitch } from '../support/switch.ts';

const HEDDLE = fileURLToPath(new URL('../../../bin/heddle.js', import.meta.url));

const ports = {
  web: { type: 'traffic', hosts: 2, connectionsPerSecond: 0 },
  office: { type: 'traffic', hosts: 5, connectionsPerSecond: 200, peers: ['web'] },
};

function capture({ socket }: TestSwitch, ...args: string[]) {
  const argv = [HEDDLE, 'capture', 'web', ...args, '--socket', socket];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const outcome = once(child, 'close').then(([code]) => ({ code, stderr }));
  return { child, outcome };
}

/** Nothing is left of a capture but the file. */
async function assertGone(heddle: TestSwitch): Promise<void> {
  assert.deepEqual(
    (await heddle.show('ports')).map(({ name }) => name),
    ['web', 'office'],
  );
}

test('a capture of so many frames has so many', (t) =>
  withSwitch(t, { ports }, async (heddle) => {
    const file = join(folder(t), 'out.pcapng');
    const { code, stderr } = await capture(heddle, '--write', file, '--count', '500').outcome;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^heddle: capturing at port web\nheddle: 500 frames captured\n$/);
    assert.equal(readAll(file).frames.length, 500);
    await assertGone(heddle);
  }));

test('a capture ends in order with Ctrl-C, and when its time is over', (t) =>
  withSwitch(t, { ports }, async (heddle) => {
    const file = join(folder(t), 'out.pcapng');
    const { child, outcome } = capture(heddle, '--write', file);
    await once(child.stderr, 'data');
    child.kill('SIGINT');
    assert.equal((await outcome).code, 0);
    await assertGone(heddle);
    assert.equal((await capture(heddle, '--write', file, '--duration', '0.3').outcome).code, 0);
    assert(readAll(file).frames.length > 0);
    await assertGone(heddle);
  }));

test('a capture ends with the switch', (t) =>
  withSwitch(t, { ports }, async (heddle) => {
    const file = join(folder(t), 'out.pcapng');
    const { child, outcome } = capture(heddle, '--write', file);
    await once(child.stderr, 'data');
    await heddle.stop();
    const { code, stderr } = await outcome;
    assert.equal(code, 0, stderr);
    readAll(file);
  }));

test('a port that is not there cannot be captured', (t) =>
  withSwitch(t, { ports }, async ({ socket }) => {
    const args = ['capture', 'wbe', '--write', '-', '--socket', socket];
    const { code, stdout, stderr } = await attempt([process.execPath, HEDDLE, ...args]);
    assert.equal(stderr, 'heddle: found no port wbe, expected one of web, office\n');
    assert.deepEqual([code, stdout], [1, '']);
  }));

test('tcpdump reads a capture as it is made', { skip: lacking('tcpdump') ?? false }, (t) =>
  withSwitch(t, { ports }, async (heddle) => {
    const { child, outcome } = capture(heddle, '--write', '-');
    const tcpdump = spawn('tcpdump', ['-n', '-r', '-', '-c', '100'], { stdio: ['pipe', 'pipe', 'ignore'] });
    tcpdump.stdin.on('error', () => {}); // it ends before we do
    child.stdout.pipe(tcpdump.stdin);
    let said = '';
    tcpdump.stdout.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    await once(tcpdump, 'close');
    child.stdout.destroy();
    assert.equal((await outcome).code, 0);
    assert.equal(said.trimEnd().split('\n').length, 100);
    assert.match(said, /10\.0\.1\.\d/);
    await assertGone(heddle);
  }),
);

test('a mirror copies both directions of a port, once, and floods leave its output out', (t) =>
  withSwitch(
    t,
    {
      ports: { ...ports, trace: { type: 'capture', write: join(folder(t), 'trace.pcapng') } },
      mirrors: { all: { from: ['web'], to: ['web'], output: 'trace' } },
    },
    async (heddle) => {
      await capture(heddle, '--write', '/dev/null', '--count', '1000').outcome;
      const { ports: rows, copiesDropped } = await heddle.stop();
      const [web, , trace] = rows;
      assert(web!.rxPackets > 100 && web!.txPackets > 100);
      // A segment that leaves as several packets is copied as the one frame it was.
      assert(Math.abs(trace!.txPackets - web!.rxPackets - web!.txPackets) <= web!.txPackets / 2);
      // What was on its way when the capture ended has no port any more.
      const { no_such_port: _, port_closed: __, ...others } = copiesDropped;
      assert.deepEqual(others, {});
    },
  ));
