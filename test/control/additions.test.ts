/** Ports and mirrors that join a running switch are held against the same rules as those of its configuration. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConfig, parseMirror, parsePort } from '../../src/control/config.ts';
import { ConfigError } from '../../src/yaml/problem.ts';

const config = parseConfig(
  'demo.yaml',
  `
threads: { datapath: 2 }
ports:
  a: { type: traffic }
  b: { type: traffic, number: 3 }
mirrors: { m: { from: [a], output: b } }`,
);

const port = (name: string, text: string) => parsePort(config, config.ports, name, text);
const mirror = (name: string, text: string) => parseMirror(config.ports, config.mirrors, name, text);

function problemsOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return 'none';
}

test('a port takes the lowest free number and may have one queue on each thread', () => {
  assert.deepEqual(port('c', 'type: packet, interface: eth0, queues: 2'), {
    type: 'packet',
    interface: 'eth0',
    name: 'c',
    number: 2,
    queues: 2,
    wait: false,
  });
  assert.deepEqual(port('c', '{ type: traffic, thread: 2 }').threads, [2]);
});

test('a port may join one of the kernel that has a thread of its own', () => {
  const present = [port('c', 'type: packet, interface: eth0, thread: 2')];
  assert.equal(parsePort(config, present, 'd', 'type: traffic').number, 1);
});

test('what is wrong with a port is said with its place in what was given', () => {
  const cases: [string, string, RegExp][] = [
    [
      'c',
      'type: packt',
      /^c:1:7: ports.c.type: found "packt", expected one of .* \(did you mean packet\?\)$/,
    ],
    ['c', '{ type: packt }', /^c:1:9: ports.c.type: found "packt"/],
    [
      'c',
      'type: packet',
      /^c:1:1: ports.c.interface: found nothing, expected the name of a network interface/,
    ],
    [
      'c',
      'type: traffic, number: 3',
      /^c:1:24: ports.c.number: found 3, expected a number that b does not have$/,
    ],
    [
      'c',
      'type: traffic, thread: 3',
      /^c:1:24: ports.c.thread: found 3, expected a datapath thread, of which/,
    ],
    ['a', 'type: traffic', /^a:1:1: ports: found "a", expected a name that no port has$/],
    ['normal', 'type: traffic', /found "normal", expected a port name/],
    ['c', 'type: traffic}, d: {type: traffic', /found "d", expected only c$/],
    ['c', 'type: {', /found text that is not YAML/],
  ];
  for (const [name, text, expected] of cases)
    assert.match(
      problemsOf(() => port(name, text)),
      expected,
    );
});

test('mirrors name ports that are there, and each port has at most four', () => {
  assert.deepEqual(mirror('n', 'from: [a], to: [a], output: b'), { from: ['a'], to: ['a'], output: 'b' });
  const cases: [string, string, RegExp][] = [
    ['n', 'from: [x], output: b', /mirrors.n.from.0: found "x", expected one of a, b/],
    ['n', 'from: [a], output: c', /mirrors.n.output: found "c", expected one of a, b/],
    ['n', 'from: [b], output: b', /mirrors.n.from.0: found "b", expected another port than the output$/],
    ['n', 'output: b', /mirrors.n: found a mirror of nothing, expected from, to or both$/],
    ['m', 'from: [a], output: b', /mirrors: found "m", expected a name that no mirror has$/],
    ['n', 'from: [a, a, a, a], output: b', /mirrors.n.from.3: found "a", expected a port that 4 mirrors/],
  ];
  for (const [name, text, expected] of cases)
    assert.match(
      problemsOf(() => mirror(name, text)),
      expected,
    );
});

test('a configuration’s own mirrors are checked as well', () => {
  const text = 'ports: { a: { type: traffic } }\nmirrors: { m: { to: [a], output: nobody } }';
  assert.match(
    problemsOf(() => parseConfig('demo.yaml', text)),
    /^demo.yaml:2:34: mirrors.m.output: found "nobody", expected one of a/,
  );
});
