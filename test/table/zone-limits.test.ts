/** Limits of zones as they are written. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseZoneLimits } from '../../src/table/zone-limits.ts';
import { parseZones } from '../../src/table/zones.ts';

const MOST = 1000;

test('limits of zones, of all connections and the default, in any order', () => {
  assert.deepEqual(parseZoneLimits('zone=1,limit=0 default=0x10 all=1000 zone=0 limit=3', MOST), {
    all: 1000,
    default: 16,
    zones: new Map([
      [1, 0],
      [0, 3],
    ]),
  });
  assert.deepEqual(parseZoneLimits('default=0', MOST), { default: 0, zones: new Map() });
});

test('zones to delete the limits of', () => {
  assert.deepEqual(parseZones('zone=1'), [1]);
  assert.deepEqual(parseZones('zone=1,2,5 zone=7'), [1, 2, 5, 7]);
});

const WRONG: readonly [text: string, message: RegExp][] = [
  ['', /^line 1, column 1: nothing; expected all=NUMBER, default=NUMBER or zone=ZONE,limit=NUMBER$/],
  ['zone=1', /^line 1, column 1: zone 1 without a limit; expected limit=NUMBER behind it$/],
  ['limit=1', /^line 1, column 1: "limit"; expected zone=ZONE before a limit$/],
  ['zone=1,default=1', /^line 1, column 8: "default"; expected limit=NUMBER after a zone$/],
  ['zone=65536,limit=1', /expected a zone from 0 to 65535$/],
  ['zone=1,limit=4294967295', /expected a limit from 0 to 4294967294$/],
  ['zone=1,limit=1,zone=1,limit=2', /column 16: zone 1 twice; expected each zone once$/],
  ['default=1,default=2', /column 11: "default" twice; expected it once$/],
  ['defualt=1', /unknown "defualt"; did you mean default\?; expected one of all, default, zone, limit$/],
  ['all=1001', /column 5: "1001"; expected a limit within limits.connections, from 0 to 1000$/],
  ['all=-1', /column 5: "-1"; expected a limit within limits.connections, from 0 to 1000$/],
  ['all', /"all" without a value; expected all=NUMBER$/],
  ['all=1,all=1', /column 7: "all" twice; expected it once$/],
  ['zone', /"zone" without a value; expected zone=NUMBER$/],
];

for (const [text, message] of WRONG) {
  test(`"${text}" is no limit`, () => {
    assert.throws(() => parseZoneLimits(text, MOST), { name: 'FlowError', message });
  });
}

test('what names no zone deletes nothing', () => {
  assert.throws(() => parseZones(''), { message: 'line 1, column 1: nothing; expected zone=ZONE' });
  assert.throws(() => parseZones('zone=1,x'), { message: /column 8: "x"; expected a zone from 0 to 65535$/ });
  assert.throws(() => parseZones('limit=1'), { message: /unknown "limit"; expected one of zone$/ });
});
