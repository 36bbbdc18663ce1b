import assert from 'node:assert/strict';
import test from 'node:test';
import { type Child, fakeRun, file, heddle, said } from './child.ts';

const config = (name: string) => file(`${name}.yaml`, 'ports: { web: { type: traffic } }\n');

/** A switch that runs, for the time of `use`; its name is the configuration's. */
async function running(names: string[], use: () => Promise<void>): Promise<void> {
  const children: Child[] = [];
  for (const name of names) {
    const child = fakeRun(config(name));
    children.push(child);
    await said(child, 'ready');
  }
  try {
    await use();
  } finally {
    for (const child of children) child.process.kill('SIGTERM');
    await Promise.all(children.map(({ outcome }) => outcome));
  }
}

test('run says when it is ready, and prints the summary at the end', async () => {
  const { code, stdout, stderr } = await fakeRun(config('brief'), '--text', '0.01').outcome;
  assert.match(
    stderr,
    /^heddle: brief ready: 1 port, 1 datapath thread, control socket .*\/heddle\/brief.sock\nstopped\n$/,
  );
  assert.match(stdout, /^\ndemo ran for /);
  assert.equal(code, 0);
});

test('run --json prints the summary as one object and nothing else', async () => {
  const { code, stdout } = await fakeRun(config('json'), '--json', '0.01').outcome;
  assert.equal(stdout.split('\n').length, 2);
  const { packetsReceived, packetsForwarded, dropped } = JSON.parse(stdout);
  assert.deepEqual(
    { packetsReceived, packetsForwarded, dropped },
    { packetsReceived: 3, packetsForwarded: 2, dropped: { flow: 1 } },
  );
  assert.equal(code, 0);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} stops it cleanly`, async () => {
    const child = fakeRun(config(signal), '--json');
    await said(child, 'ready');
    child.process.kill(signal);
    const { code, stdout, stderr } = await child.outcome;
    assert.match(stderr, /\nstopped\n$/);
    assert.equal(JSON.parse(stdout).name, 'demo');
    assert.equal(code, 0);
  });
}

test('a second SIGINT does not wait', async () => {
  const child = fakeRun(config('stuck'), '--json');
  await said(child, 'ready');
  child.process.kill('SIGINT');
  await said(child, 'stopped');
  child.process.kill('SIGINT');
  const { code, stdout } = await child.outcome;
  assert.equal(stdout, '');
  assert.equal(code, 130);
});

test('a reader that goes away is the end, not a crash', async () => {
  const child = fakeRun(config('pipe'));
  child.process.stdout!.destroy();
  const { code, stderr } = await child.outcome;
  assert.match(stderr, /ready: .*\nstopped\n$/);
  assert.equal(code, 0);
});

test('show finds the only switch', () =>
  running(['only'], async () => {
    const [text, json] = await Promise.all([
      heddle('show', 'ports').outcome,
      heddle('show', 'ports', '--json').outcome,
    ]);
    assert.match(text.stdout, /^# {2}port {2}type .*\n1 {2}web {3}traffic /);
    assert.equal(JSON.parse(json.stdout).name, 'web');
    assert.deepEqual([text.code, json.code], [0, 0]);
  }));

test('flows are sent as they are, and an error of the switch is a failure', () =>
  running(['only'], async () => {
    const done = await heddle('flows', 'del', '--strict', 'priority=1,arp').outcome;
    assert.deepEqual(done, { code: 0, signal: null, stdout: 'delete-strict done\n', stderr: '' });
    const wrong = await heddle('flows', 'add', 'wrong').outcome;
    assert.equal(wrong.stderr, 'heddle: line 1, column 1: found wrong, expected a flow\n');
    assert.equal(wrong.code, 1);
  }));

test('connections are listed page by page, in either format or as JSON', () =>
  running(['only'], async () => {
    const [ovs, linux, json] = await Promise.all([
      heddle('show', 'connections', 'tcp', '--stats').outcome,
      heddle('show', 'connections', '--format', 'linux').outcome,
      heddle('show', 'connections', '--json').outcome,
    ]);
    const lines = ovs.stdout.trimEnd().split('\n');
    assert.equal(lines.length, 2);
    assert.match(lines[0]!, /^tcp,orig=\(src=10.0.1.2,.*,packets=3,bytes=200\).*,timeout=431999,/);
    assert.match(lines[1]!, /,zone=7,/);
    assert.match(linux.stdout, /^tcp {6}6 431999 ESTABLISHED .*use=1\ntcp .* zone=7 use=1\n$/);
    const rows = json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      rows.map(({ zone, original }) => [zone, original.dport]),
      [
        [0, 80],
        [7, 80],
      ],
    );
    assert.deepEqual([ovs.code, linux.code, json.code], [0, 0, 0]);
  }));

test('a flush says how many connections it has removed, and a wrong filter is a wrong argument', () =>
  running(['only'], async () => {
    const done = await heddle('flush', 'connections', '', 'ct_nw_src=10.1.1.2').outcome;
    assert.deepEqual([done.code, done.stdout], [0, '4 connections removed\n']);
    const wrong = await heddle('flush', 'connections', 'zone=wrong').outcome;
    assert.equal(wrong.stderr, 'heddle: line 1, column 6: found "wrong"\n');
    assert.equal(wrong.code, 2);
  }));

test('settings of connection tracking are sent as they are, and the switch says what it has done', () =>
  running(['only'], async () => {
    const commands = [
      ['limits', 'set', 'all=10', 'zone=5,limit=3'],
      ['timeouts', 'set', 'zone=5,udp_first=1', 'zone=6,icmp_reply=2'],
      ['timeouts', 'del', 'zone=5,6'],
      ['conntrack', 'sequence-checking', 'off'],
      ['conntrack', 'sequence-checking'],
    ];
    const outcomes = await Promise.all(commands.map((args) => heddle(...args).outcome));
    assert.deepEqual(
      outcomes.map(({ stdout }) => stdout),
      [
        'limits set done\n',
        'timeouts set done\n',
        'timeouts del done\n',
        'sequence checking is off\n',
        'sequence checking is on\n',
      ],
    );
    assert.ok(outcomes.every(({ code }) => code === 0));
  }));

test('what is said of the upkeep of flows is sent as it is', () =>
  running(['only'], async () => {
    const commands = [
      ['set', 'flow-limit=10', 'max-idle=500'],
      ['pause'],
      ['resume'],
      ['wait'],
      ['purge'],
      ['replace', 'off'],
    ];
    for (const args of commands) {
      const { code, stdout } = await heddle('upcalls', ...args).outcome;
      assert.deepEqual([code, stdout], [0, `upcalls ${args[0]} done\n`]);
    }
  }));

test('events are shown as they happen, until there have been enough', () =>
  running(['only'], async () => {
    const { code, stdout } = await heddle('events', 'zone=0', '--count', '3').outcome;
    assert.match(
      stdout,
      /^1.000s new: tcp,.*\n1.000s destroyed reason=expired: tcp,.*\n2.000s new: tcp,.*\n$/,
    );
    assert.equal(code, 0);
  }));

test('with several switches, one must be named', () =>
  running(['red', 'blue'], async () => {
    const unclear = await heddle('show', 'ports').outcome;
    assert.equal(unclear.stderr, 'heddle: found 2 running switches, expected --name with one of blue, red\n');
    assert.equal(unclear.code, 2);
    assert.equal((await heddle('show', 'ports', '--name', 'red').outcome).code, 0);
    const unknown = await heddle('show', 'ports', '--name', 'green').outcome;
    assert.match(unknown.stderr, /found "green", expected one of blue, red/);
    assert.equal(unknown.code, 2);
  }));

test('with no switch, show fails and says what to do', async () => {
  const { code, stderr } = await heddle('show', 'ports').outcome;
  assert.equal(stderr, 'heddle: found no running switch; "heddle run CONFIG" starts one\n');
  assert.equal(code, 1);
});

test('thread kill names the thread, from 1', () =>
  running(['only'], async () => {
    const { code, stdout } = await heddle('thread', 'kill', '2').outcome;
    assert.deepEqual([code, stdout], [0, 'thread 2 killed\n']);
    assert.equal((await heddle('thread', 'kill', 'two').outcome).code, 2);
  }));

test('top prints a row a second, until it is interrupted', () =>
  running(['only'], async () => {
    const child = heddle('top', 'only', '--json');
    child.process.stdout!.once('data', () => child.process.kill('SIGINT'));
    const { code, stdout } = await child.outcome;
    const { name, ports } = JSON.parse(stdout.split('\n')[0]!);
    assert.deepEqual([code, name, ports[0].name], [0, 'demo', 'web']);
  }));
