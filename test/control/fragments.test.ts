/** What a configuration says of fragments, and what the datapath then has. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConfig } from '../../src/control/config.ts';
import { configureFragments } from '../../src/control/fragments.ts';
import { fragmentRows } from '../../src/control/rows.ts';
import { Rig } from '../support/rig.ts';

const parse = (text: string) =>
  parseConfig('demo.yaml', `ports: { a: { type: traffic } }\n${text}`, () => []);

/** What `heddle show fragments` says of a switch with this configuration. */
function rows(text: string) {
  const rig = new Rig({ connections: 256, frames: 16_384 });
  configureFragments(rig.arena, parse(text).conntrack.fragments);
  return fragmentRows(rig.arena, rig.observer).map(({ version, tracked, leastBytes, most }) => [
    version,
    tracked,
    leastBytes,
    most,
  ]);
}

test('fragments are tracked as in Open vSwitch unless something else is said', () => {
  assert.deepEqual(rows(''), [
    ['IPv4', true, 1200, 1000],
    ['IPv6', true, 1280, 1000],
  ]);
  assert.deepEqual(
    rows('conntrack: { fragments: { ipv4: { leastBytes: 400 }, ipv6: { tracked: no }, most: 1024 } }'),
    [
      ['IPv4', true, 400, 1024],
      ['IPv6', false, 1280, 1024],
    ],
  );
});

test('what cannot be is refused', () => {
  for (const [text, message] of [
    ['ipv4: { leastBytes: 399 }', /expected a whole number from 400 to 65535/],
    ['most: 5001', /expected a whole number from 1 to 5000/],
    ['most: 1025', /found 1025, expected at most a sixteenth of limits.frames, 1024/],
  ] as const) {
    assert.throws(() => parse(`conntrack: { fragments: { ${text} } }`), message);
  }
  parse('conntrack: { fragments: { most: 5000 } }\nlimits: { frames: 80000 }');
});
