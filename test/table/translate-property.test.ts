/** Whatever the tables say, a megaflow does to every packet in it what the tables would have done. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { MacTable } from '../../src/table/mac.ts';
import { parseFlows } from '../../src/table/parse.ts';
import { Tables } from '../../src/table/table.ts';
import { translate } from '../../src/table/translate.ts';
import { contextOf } from './context.ts';
import { execute, interpret } from './naive.ts';
import { flowText, keyOf, packetAndKin, stations } from './packets.ts';

const ports = new Map([1, 2, 3].map((number) => [number, { name: `p${number}`, up: true }]));
const numbers = new Set(ports.keys());

const macs = new MacTable(8192, 300_000);
stations.forEach((text, i) => {
  const mac = Number.parseInt(text.replaceAll(':', ''), 16);
  for (const vlan of [0, 5]) if (i > 0 || vlan === 5) macs.learn({ vlan, mac, port: i + 1 }, 0);
});

test('every packet that a megaflow lets in fares as the tables say', () => {
  let shared = 0;
  const property = fc.property(
    fc.array(flowText, { minLength: 1, maxLength: 25 }),
    fc.array(packetAndKin(20), { minLength: 3, maxLength: 3 }),
    (lines, groups) => {
      const tables = new Tables();
      tables.add(parseFlows(lines.join('\n')), 0);
      for (const { packet, kin } of groups) {
        const key = keyOf(packet);
        const { mask, program } = translate(key, contextOf({ tables, macs, ports }));
        for (const description of [packet, ...kin]) {
          const other = keyOf(description);
          if (!other.every((byte, i) => ((byte ^ key[i]!) & mask[i]!) === 0)) continue;
          if (description !== packet) shared++;
          assert.deepEqual(execute(other, program), interpret(other, tables, macs, numbers), description);
        }
      }
    },
  );
  fc.assert(property, { numRuns: 600, interruptAfterTimeLimit: 15_000 });
  assert.ok(shared > 5000, `only ${shared} packets shared a megaflow: the universe is too large`);
});
