import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { type Config, loadConfig, parseConfig } from '../../src/control/config.ts';
import { ConfigError } from '../../src/yaml/problem.ts';

const anyFlows = () => [];

const parse = (text: string, parseFlows: (text: string) => unknown = anyFlows): Config =>
  parseConfig('demo.yaml', text, parseFlows);

function problemsOf(text: string, parseFlows?: (text: string) => unknown): string {
  try {
    parse(text, parseFlows);
  } catch (error) {
    assert.ok(error instanceof ConfigError, `expected a ConfigError, found ${error}`);
    return error.message;
  }
  return 'none';
}

/** A parser that accepts everything but `@`. */
function noAts(text: string): void {
  const at = text.indexOf('@');
  if (at === -1) return;
  const line = text.slice(0, at).split('\n').length;
  const column = at - text.lastIndexOf('\n', at - 1);
  throw Object.assign(new Error(), { line, column, found: 'an @', expected: 'a flow' });
}

test('what is not said is decided', () => {
  assert.deepEqual(parse('ports: { a: { type: packet, interface: eth0 } }'), {
    name: 'demo',
    ports: [{ name: 'a', number: 1, type: 'packet', interface: 'eth0', queues: 1, wait: false }],
    mirrors: {},
    threads: { datapath: 1, handler: 1, revalidator: 1 },
    limits: {
      rules: 1_000_000,
      tables: {},
      flows: 65536,
      frames: 16384,
      connections: 65536,
      ports: 64,
      queues: 64,
      macs: 8192,
    },
    conntrack: {
      sequenceChecking: true,
      defaultLimit: 0,
      zones: {},
      fragments: {
        ipv4: { tracked: true, leastBytes: 1200 },
        ipv6: { tracked: true, leastBytes: 1280 },
      },
    },
    revalidation: {
      flowLimit: 200_000,
      maxIdleMs: 10_000,
      maxRevalidatorMs: 500,
      minPacketsPerSecond: 5,
    },
    flows: 'actions=NORMAL',
    macAgeingSeconds: 300,
  });
});

test('a zone has the limit and the timeouts that are said, and nothing else', () => {
  const { sequenceChecking, defaultLimit, zones } = parse(`${PORT}
conntrack:
  sequenceChecking: no
  defaultLimit: 1000
  zones:
    5: { limit: 10, timeoutSeconds: { udpFirst: 1, udpSingle: 2 } }
    0: {}`).conntrack;
  assert.deepEqual(
    { sequenceChecking, defaultLimit, zones },
    {
      sequenceChecking: false,
      defaultLimit: 1000,
      zones: {
        0: { timeoutSeconds: {} },
        5: { limit: 10, timeoutSeconds: { udpFirst: 1, udpSingle: 2 } },
      },
    },
  );
});

test('a traffic port talks to all other traffic ports, and its number is its seed', () => {
  const { ports } = parse(`
ports:
  a: { type: traffic }
  b: { type: traffic, peers: [a], seed: 7 }
  c: { type: packet, interface: eth0 }`);
  assert.deepEqual(
    ports.map((port) => port.type === 'traffic' && [port.peers, port.seed]),
    [[['b'], 1], [['a'], 7], false],
  );
});

test('ports without a number take the lowest free ones, in the order of the file', () => {
  const { ports } = parse(`
ports:
  a: { type: traffic }
  b: { type: traffic, number: 1 }
  c: { type: traffic }
  d: { type: traffic, number: 3 }
  e: { type: traffic }`);
  assert.deepEqual(
    ports.map(({ name, number }) => `${name}${number}`),
    ['a2', 'b1', 'c4', 'd3', 'e5'],
  );
});

test('the name of the switch comes from the file when it is not given', () => {
  const name = (file: string) => parseConfig(file, 'ports: { a: { type: traffic } }', anyFlows).name;
  assert.equal(name('/etc/heddle/front door.yaml'), 'front-door');
  assert.equal(name('../--.yml'), 'heddle');
  assert.equal(parse('name: x\nports: { a: { type: traffic } }').name, 'x');
});

test('yes and no are accepted where true and false are', () => {
  const { ports } = parse(
    'ports: { a: { type: capture, read: x.pcap, loop: yes }, b: { type: capture, write: y, loop: no } }',
  );
  assert.deepEqual(
    ports.map((port) => port.type === 'capture' && port.loop),
    [true, false],
  );
});

const PORT = 'ports: { a: { type: traffic } }\n';
const MISTAKES: readonly [why: string, text: string, message: RegExp | string][] = [
  [
    'a type that is nearly right',
    'ports:\n  alice:\n    type: packt\n',
    'demo.yaml:3:11: ports.alice.type: found "packt", expected one of packet, afxdp, tap, stream, traffic, capture (did you mean packet?)',
  ],
  [
    'no type',
    'ports:\n  alice: { interface: eth0 }\n',
    'demo.yaml:2:3: ports.alice.type: found nothing, expected one of packet, afxdp, tap, stream, traffic, capture',
  ],
  [
    'an unknown section',
    `${PORT}thread: inline\n`,
    /^demo.yaml:2:1: found "thread", expected one of name, ports, mirrors, threads, .* \(did you mean threads\?\)$/,
  ],
  [
    'an unknown key of a port',
    'ports:\n  a:\n    type: packet\n    interfce: eth0\n    interface: eth0\n',
    /^demo.yaml:4:5: ports.a: found "interfce", expected one of type, .* \(did you mean interface\?\)$/,
  ],
  [
    'a key of another type of port',
    'ports: { a: { type: packet, interface: eth0, queue: 1 } }',
    /^demo.yaml:1:46: ports.a: found "queue", expected one of type, number, thread, interface, queues, threads, wait/,
  ],
  ['an empty file', '', /^demo.yaml:1:1: found nothing, expected a mapping$/],
  [
    'no ports',
    'name: x\n',
    /^demo.yaml:1:1: ports: found nothing, expected a mapping of port names to ports$/,
  ],
  [
    'an empty list of ports',
    'ports: {}\n',
    'demo.yaml:1:8: ports: found a mapping, expected at least one port',
  ],
  [
    'a port that is a number',
    'ports: { a: 3 }',
    'demo.yaml:1:13: ports.a: found 3, expected a mapping with type',
  ],
  [
    'a port name that is a number',
    'ports: { 7: { type: traffic } }',
    /^demo.yaml:1:10: ports: found "7", expected a port name/,
  ],
  [
    'a port name of the flow syntax',
    'ports: { LOCAL: { type: traffic } }',
    /^demo.yaml:1:10: ports: found "LOCAL", expected a port name/,
  ],
  [
    'a port name of JavaScript',
    'ports: { a: { type: traffic }, __proto__: { type: traffic } }',
    /^demo.yaml:1:32: ports: found "__proto__"/,
  ],
  [
    'an interface with a long name',
    'ports: { a: { type: packet, interface: enp0s31f6-uplink } }',
    /^demo.yaml:1:40: ports.a.interface: found "enp0s31f6-uplink", expected .* at most 15/,
  ],
  [
    'less than no connections',
    `${PORT}limits: { connections: -1 }`,
    'demo.yaml:2:24: limits.connections: found -1, expected a whole number from 0 to 8388608',
  ],
  [
    'a zone that there cannot be',
    `${PORT}conntrack: { zones: { 65536: { limit: 1 } } }`,
    'demo.yaml:2:23: conntrack.zones: found "65536", expected a zone from 0 to 65535',
  ],
  [
    'a limit that is none',
    `${PORT}conntrack:\n  zones:\n    5: { limit: many }`,
    'demo.yaml:4:17: conntrack.zones.5.limit: found "many", expected a whole number from 0 to 4294967294',
  ],
  [
    'no time at all',
    `${PORT}conntrack: { zones: { 5: { timeoutSeconds: { udpFirst: 0 } } } }`,
    /^demo.yaml:2:56: conntrack.zones.5.timeoutSeconds.udpFirst: found 0, expected a whole number from 1 to 4294967$/,
  ],
  [
    'too many zones with timeouts',
    `${PORT}conntrack:\n  zones:\n${Array.from({ length: 256 }, (_, i) => `    ${i}: { timeoutSeconds: { udpFirst: 1 } }\n`).join('')}`,
    'demo.yaml:4:5: conntrack.zones: found a mapping, expected at most 255 zones with timeouts',
  ],
  [
    'an unknown timeout',
    `${PORT}conntrack: { zones: { 5: { timeoutSeconds: { udpFrist: 1 } } } }`,
    /^demo.yaml:2:46: conntrack.zones.5.timeoutSeconds: found "udpFrist", .* \(did you mean udpFirst\?\)$/,
  ],
  [
    'sequence checking that is neither on nor off',
    `${PORT}conntrack: { sequenceChecking: loose }`,
    'demo.yaml:2:32: conntrack.sequenceChecking: found "loose", expected one of yes, no',
  ],
  [
    'too many threads',
    `${PORT}threads: { datapath: 17 }`,
    'demo.yaml:2:22: threads.datapath: found 17, expected a whole number from 1 to 16',
  ],
  [
    'half a thread',
    `${PORT}threads: { datapath: 1.5 }`,
    'demo.yaml:2:22: threads.datapath: found 1.5, expected a whole number from 1 to 16',
  ],
  [
    'a thread that is not there',
    'ports: { a: { type: traffic, thread: 2 } }',
    /^demo.yaml:1:38: ports.a.thread: found 2, expected a datapath thread, of which there is 1$/,
  ],
  [
    'more queues than threads',
    'threads: { datapath: 2 }\nports: { a: { type: packet, interface: eth0, queues: 3 } }',
    /^demo.yaml:2:54: ports.a.queues: found 3, expected at most 2, since a thread has one queue of a port$/,
  ],
  [
    'other queues than threads',
    'threads: { datapath: 2 }\nports: { a: { type: packet, interface: eth0, queues: 1, threads: [1, 2] } }',
    /^demo.yaml:2:54: ports.a.queues: found 1, expected 2, one for each thread named$/,
  ],
  [
    'a thread twice',
    'threads: { datapath: 2 }\nports: { a: { type: afxdp, interface: eth0, threads: [1, 1] } }',
    /^demo.yaml:2:58: ports.a.threads.1: found 1, expected each thread once/,
  ],
  [
    'an unknown way of threading',
    `${PORT}threads: inlin`,
    /^demo.yaml:2:10: threads: found "inlin", expected inline or a mapping/,
  ],
  [
    'an unknown thread',
    `${PORT}threads: { datapth: 1 }`,
    /^demo.yaml:2:12: threads: found "datapth", expected one of datapath, handler, revalidator \(did you mean datapath\?\)$/,
  ],
  [
    'a kernel port without a clock',
    'threads: inline\nports: { a: { type: packet, interface: eth0 } }',
    /^demo.yaml:2:21: ports.a.type: found "packet", expected traffic or capture, because with threads: inline/,
  ],
  [
    'two ports with one number',
    'ports: { a: { type: traffic, number: 2 }, b: { type: traffic, number: 2 } }',
    /^demo.yaml:1:71: ports.b.number: found 2, expected a number that a does not have$/,
  ],
  [
    'more ports than the limit',
    'limits: { ports: 1 }\nports: { a: { type: traffic }, b: { type: traffic } }',
    /^demo.yaml:2:32: ports.b.number: found 2, expected at most limits.ports, 1$/,
  ],
  [
    'a peer that is not there',
    'ports: { web: { type: traffic }, b: { type: traffic, peers: [web, wbe] } }',
    /^demo.yaml:1:67: ports.b.peers.1: found "wbe", expected one of web \(did you mean web\?\)$/,
  ],
  [
    'a network with host bits',
    'ports: { a: { type: traffic, network: 10.0.0.1/16 } }',
    /^demo.yaml:1:39: ports.a.network: found "10.0.0.1\/16", expected an IPv4 network/,
  ],
  [
    'more hosts than addresses',
    'ports: { a: { type: traffic, network: 10.0.0.0/24, hosts: 15 } }',
    /^demo.yaml:1:39: ports.a.network: found 10.0.0.0\/24, .* expected room for port 1 with 15 hosts$/,
  ],
  [
    'a capture that does nothing',
    'ports: { a: { type: capture } }',
    /^demo.yaml:1:13: ports.a: found a capture with neither, expected read, write or both$/,
  ],
  ['a list of flows', `${PORT}flows: [a, b]`, /^demo.yaml:2:8: flows: found a list, expected flows as text/],
  [
    'broken YAML',
    'ports:\n  a: { type: packet\n',
    /^demo.yaml:3:1: found text that is not YAML \(.*\), expected YAML 1.2/,
  ],
  [
    'a key that comes twice',
    'name: a\nname: b\n',
    /^demo.yaml:2:1: found text that is not YAML \(Map keys must be unique\)/,
  ],
  ['an anchor that is not there', 'ports: *nowhere\n', /^demo.yaml:1:8: found text that is not YAML/],
  [
    'a flow that is wrong',
    `${PORT}flows: |\n  # comment\n    arp,@\n`,
    'demo.yaml:4:9: flows: found an @, expected a flow',
  ],
];

for (const [why, text, message] of MISTAKES) {
  test(`refused: ${why}`, () => {
    const problems = problemsOf(text, noAts);
    if (typeof message === 'string') assert.equal(problems, message);
    else assert.match(problems, message);
  });
}

test('all mistakes are reported at once', () => {
  const problems = problemsOf(
    'ports: { a: { type: x }, b: { type: packet } }\nnam: y\nmacAgeingSeconds: 0\n',
  );
  assert.equal(problems.split('\n').length, 4, problems);
});

test('after twenty problems the rest are counted', () => {
  const ports = Array.from({ length: 30 }, (_, i) => `  p${i}: { type: x }`).join('\n');
  const lines = problemsOf(`ports:\n${ports}\n`).split('\n');
  assert.equal(lines.length, 21);
  assert.equal(lines[20], 'and 10 more');
});

test('a problem in an alias points at what it stands for', () => {
  const problems = problemsOf('ports:\n  a: &p { type: packet, interface: 5 }\n  b: *p\n');
  assert.match(problems, /^demo.yaml:2:36: ports.a.interface: .*\ndemo.yaml:2:36: ports.b.interface: /);
});

test('a file that is not there is a problem of the configuration', () => {
  assert.throws(
    () => loadConfig('/nowhere/x.yaml'),
    new ConfigError([
      { file: '/nowhere/x.yaml', path: '', found: 'no such file', expected: 'a configuration in YAML' },
    ]),
  );
});

test('an error that is not about flows is not taken for one', () => {
  const broken = () => {
    throw new TypeError('a bug');
  };
  assert.throws(() => parse(PORT, broken), /^TypeError: a bug$/);
});

test('whatever a file says, it is accepted or refused with places in it', () => {
  const port = fc.record(
    {
      type: fc.constantFrom('packet', 'afxdp', 'traffic', 'capture', 'tap', 1),
      interface: fc.oneof(fc.string(), fc.constant('eth0')),
      number: fc.oneof(fc.integer(), fc.integer({ min: 1, max: 4 })),
      thread: fc.integer({ min: 0, max: 3 }),
      peers: fc.array(fc.constantFrom('a', 'b', 'c', 'd')),
      network: fc.oneof(
        fc.string(),
        fc.ipV4().map((ip) => `${ip}/8`),
        fc.constant('10.0.0.0/12'),
      ),
      read: fc.string(),
    },
    { requiredKeys: ['type'] },
  );
  const section = fc.record(
    {
      ports: fc.oneof(fc.dictionary(fc.constantFrom('a', 'b', 'c', '7', 'normal'), port), fc.anything()),
      threads: fc.oneof(
        fc.constant('inline'),
        fc.record({ datapath: fc.integer({ min: 0, max: 17 }) }),
        fc.anything(),
      ),
      limits: fc.oneof(fc.record({ ports: fc.integer({ min: 0, max: 4 }) }), fc.anything()),
      flows: fc.oneof(fc.string(), fc.constantFrom('@', 'a\n @'), fc.anything()),
      control: fc.string(),
    },
    { requiredKeys: ['ports'] },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.jsonValue().map((value) => stringify(value)),
        section.map(toYaml),
      ),
      (text) => {
        try {
          parse(text, noAts);
        } catch (error) {
          assert.ok(error instanceof ConfigError, `expected a ConfigError, found ${error}`);
          assert.ok(error.problems.length > 0);
          const lines = text.split('\n');
          for (const { line = 1, column = 1, found, expected } of error.problems) {
            assert.ok(line >= 1 && line <= lines.length, `line ${line}`);
            assert.ok(column >= 1 && column <= lines[line - 1]!.length + 1, `column ${column}`);
            assert.doesNotMatch(`${found}${expected}`, /\n|undefined/);
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});

function toYaml(value: unknown): string {
  try {
    return (
      stringify(JSON.parse(JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v)))) ?? ''
    );
  } catch {
    return '';
  }
}

test('a place in flows is found in the file, however the text is written', () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9=,]{0,8}$/);
  const line = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(' '));
  const before = fc.array(fc.oneof(line, fc.constant('')), { maxLength: 4 });
  const styles = fc.constantFrom('literal', 'folded', 'double', 'single', 'plain');
  fc.assert(
    fc.property(
      before,
      line,
      line,
      styles,
      fc.integer({ min: 1, max: 6 }),
      (above, left, right, style, indent) => {
        const margin = ' '.repeat(indent);
        const lines = [...above, `${left} @${right}`];
        const block = lines.map((text) => (text === '' ? '' : margin + text)).join('\n');
        const inline = lines.filter((text) => text !== '').join(`\n${margin}`);
        const flows = {
          literal: `flows: |\n${block}\n`,
          folded: `flows: >- # folded\n${block}\n`,
          double: `flows: "${inline.replace('@', '\\"\\n@')}"\n`,
          single: `flows: '${inline.replace('@', "''@")}'\n`,
          plain: `flows: ${inline}\n`,
        }[style];
        const text = `ports: { a: { type: traffic } }\n${flows}`;
        const at = text.indexOf('@');
        const [found] = problemsOf(text, noAts).split(': flows');
        const row = text.slice(0, at).split('\n').length;
        assert.equal(found, `demo.yaml:${row}:${at - text.lastIndexOf('\n', at)}`, text);
      },
    ),
    { numRuns: 300 },
  );
});

test('in a file with Windows line ends, too', () => {
  assert.match(
    problemsOf(`${PORT}flows: |\n  a\n  b @\n`.replaceAll('\n', '\r\n'), noAts),
    /^demo.yaml:4:5: flows/,
  );
});

test('a word with one wrong letter is recognised', () => {
  const types = ['packet', 'afxdp', 'traffic', 'capture'];
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.nat(6), fc.constantFrom('', 'z', 'zz'), (type, at, letters) => {
      const typo = type.slice(0, at) + letters.slice(0, 1) + type.slice(at + 1);
      fc.pre(!types.includes(typo));
      assert.match(problemsOf(`ports: { a: { type: "${typo}" } }`), new RegExp(`did you mean ${type}`));
    }),
  );
});
