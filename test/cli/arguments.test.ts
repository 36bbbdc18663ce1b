import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { file, heddle } from './child.ts';

const PACKAGE = new URL('../../../package.json', import.meta.url);

test('without arguments, help', async () => {
  const { code, stdout, stderr } = await heddle().outcome;
  assert.equal(code, 0);
  assert.equal(stderr, '');
  for (const command of ['run', 'check', 'replay', 'show', 'flows', 'lab', 'bench']) {
    assert.match(stdout, new RegExp(`^  ${command} `, 'm'));
  }
});

test('help and version are no errors', async () => {
  const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8'));
  assert.deepEqual(await heddle('--version').outcome, {
    code: 0,
    signal: null,
    stdout: `${version}\n`,
    stderr: '',
  });
  const [whole, run, alias] = await Promise.all([
    heddle('--help').outcome,
    heddle('run', '--help').outcome,
    heddle('help', 'run').outcome,
  ]);
  assert.deepEqual([whole.code, run.code, alias.code], [0, 0, 0]);
  assert.match(run.stdout, /--duration <seconds>/);
  assert.equal(alias.stdout, run.stdout);
});

const WRONG: readonly [args: string[], message: RegExp][] = [
  [['rnu'], /^heddle: unknown command 'rnu'\n\(Did you mean run\?\)$/m],
  [['run'], /^heddle: missing required argument 'config'$/m],
  [['run', 'a', 'b'], /too many arguments/],
  [['run', 'a', '--durtion', '1'], /unknown option '--durtion'/],
  [['run', 'a', '--duration', '0'], /Expected seconds, more than 0/],
  [['run', 'a', '--duration', '1e3'], /Expected seconds/],
  [['run', 'nowhere.yaml'], /^nowhere.yaml: found no such file, expected a configuration in YAML$/m],
  [['check', 'nowhere.yaml'], /^nowhere.yaml: found no such file/],
  [['show', 'everything'], /Allowed choices are ports, tables/],
  [['show', 'ports', 'zone=1'], /^heddle: show ports: found "zone=1", expected no filter$/m],
  [['show', 'ports', '--format', 'linux'], /found --format, which is for connections/],
  [['show', 'ports', '--stats'], /found --stats, which is for connections/],
  [['show', 'connections', '--format', 'csv'], /Allowed choices are ovs, linux/],
  [['show', 'connections', '--format', 'ovs', '--json'], /found --json and --format, expected one of them/],
  [['flush', 'flows'], /Allowed choices are connections/],
  [['flush', 'connections'], /^heddle: flush connections: found nothing, expected FILTER or --all$/m],
  [['flush', 'connections', 'zone=1', '--all'], /found FILTER and --all, expected one of them/],
  [['events', '--count', '0'], /Expected a whole number/],
  [['limits', 'set'], /missing required argument 'setting'/],
  [['limits', 'ad', 'zone=1'], /unknown command 'ad'/],
  [['timeouts', 'del'], /missing required argument 'setting'/],
  [['upcalls', 'set'], /missing required argument 'setting'/],
  [['upcalls', 'stop'], /unknown command 'stop'/],
  [['upcalls', 'replace', 'yes'], /Allowed choices are on, off/],
  [['upcalls', 'purge', 'all'], /too many arguments/],
  [['flows', 'add'], /^heddle: flows add: found nothing, expected FLOW or -f FILE$/m],
  [['flows', 'add', '--strict', 'arp,actions=drop'], /unknown option '--strict'/],
  [['flows', 'add', 'arp,actions=drop', '-f', 'x'], /found FLOW and -f FILE/],
  [['flows', 'add', '-f', 'nowhere'], /^heddle: nowhere: ENOENT/m],
  [['conntrack', 'pcap'], /^heddle: missing required argument 'file'$/m],
  [['conntrack', 'pcap', 'nowhere', '0'], /Expected a whole number from 1 to 32/],
  [['conntrack', 'sequence-checking', 'no'], /Allowed choices are on, off/],
  [['conntrack', 'pcpa'], /unknown command 'pcpa'/],
];

for (const [args, message] of WRONG) {
  test(`heddle ${args.join(' ')}: exit code 2 and a reason`, async () => {
    const { code, stdout, stderr } = await heddle(...args).outcome;
    assert.match(stderr, message);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.doesNotMatch(stderr, /\n {4}at /);
  });
}

for (const command of ['run', 'check']) {
  test(`heddle ${command}: a wrong configuration names line and column, and nothing is opened`, async () => {
    const path = file(`${command}.yaml`, 'ports:\n  a:\n    type: packt\nflows: |\n  arp,actions=NORMAL\n');
    const { code, stdout, stderr } = await heddle(command, path).outcome;
    assert.equal(
      stderr,
      `${path}:3:11: ports.a.type: found "packt", ` +
        'expected one of packet, afxdp, tap, stream, traffic, capture (did you mean packet?)\n',
    );
    assert.equal(code, 2);
    assert.equal(stdout, '');
  });

  test(`heddle ${command}: a wrong flow names its place in the file`, async () => {
    const path = file(
      `${command}-flow.yaml`,
      'ports: { a: { type: traffic } }\nflows: |\n  arp,actions=NORMAL\n  tcp,tp_dst=x,actions=drop\n',
    );
    const { code, stderr } = await heddle(command, path).outcome;
    assert.match(stderr, new RegExp(`^${path}:4:\\d+: flows: found .*x.*, expected `));
    assert.equal(code, 2);
  });
}

test('heddle check prints the flows', async () => {
  const path = file(
    'good.yaml',
    'ports: { a: { type: traffic } }\nflows: |\n  # comment\n  priority=5,arp,actions=drop\n',
  );
  const { code, stdout, stderr } = await heddle('check', path).outcome;
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.match(stdout, /^.*priority=5,arp.*drop\n$/);
});

test('the examples are right', async () => {
  for (const name of ['balance', 'demo', 'firewall', 'nat', 'patch', 'switch', 'vlans', 'vm']) {
    const path = new URL(`../../../examples/${name}.yaml`, import.meta.url).pathname;
    const { code, stderr } = await heddle('check', path).outcome;
    assert.equal(stderr, '');
    assert.equal(code, 0);
  }
});
