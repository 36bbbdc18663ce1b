/** Whatever the tables say, the datapath does to every packet what the tables say. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseFlows } from '../../src/table/parse.ts';
import { NaiveMacs } from '../support/naive-macs.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';
import type { TestContext } from './context.ts';
import { Machine } from './machine.ts';
import { Beyond, Naive, type Outcome } from './naive.ts';
import { universeFlow, universePacket, universeTables } from './universe.ts';

const RUNS = 40;

const sorted = <T>(list: readonly T[]): string[] =>
  list
    .map((one) => JSON.stringify(one, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)))
    .sort();

/** All that may become of a packet: select groups may take any of their buckets. */
function* outcomes(packet: Uint8Array, port: number, context: TestContext): Generator<Outcome> {
  const choices: number[] = [];
  for (;;) {
    const naive = new Naive(packet, port, context, choices);
    yield naive.run();
    // The next combination of choices, the last one counting fastest.
    while (choices.length < naive.arities.length) choices.push(0);
    while (choices.length > 0 && choices.at(-1)! + 1 >= naive.arities[choices.length - 1]!) choices.pop();
    if (choices.length === 0) return;
    choices.push(choices.pop()! + 1);
  }
}

/** What the datapath gives up on, or the naive walk: limits that only one of the two has. */
const LIMITS = new Set(['resubmit_limit', 'recirculation_limit', 'batch_full', 'too_long']);

interface World {
  readonly context: TestContext;
  readonly machine: Machine;
  readonly lines: string[];
}

function randomWorld(random: Random): World {
  const macs = new NaiveMacs(8192, 300_000);
  for (const [i, mac] of [0x0200_0000_000a, 0x0200_0000_000b, 0x0200_0000_010b].entries()) {
    for (const vlan of [0, 5]) if (i > 0 || vlan === 5) macs.learn({ vlan, mac, port: i + 1 }, 0);
  }
  const up = chance(random, 0.5);
  const ports = new Map([1, 2, 3].map((number) => [number, { name: `p${number}`, up: number !== 2 || up }]));
  const { context, lines } = universeTables(random, macs, ports);
  return { context, machine: new Machine(context), lines };
}

function changeTables(random: Random, { context: { tables }, lines }: World): void {
  const rules = tables.dump();
  if (rules.length > 0 && chance(random, 0.5)) {
    const { table, priority, match } = pick(random, rules);
    const filter = {
      table,
      priority,
      match,
      cookie: 0n,
      cookieMask: 0n,
      outPort: undefined,
      outGroup: undefined,
    };
    lines.push(`- deleted ${tables.delete(filter, true)} of table ${table}, priority ${priority}`);
  } else {
    const line = universeFlow(random);
    tables.add(parseFlows(line), 0);
    lines.push(line);
  }
}

function check(world: World, packet: Uint8Array, port: number): boolean {
  const { context, machine, lines } = world;
  const possible: Outcome[] = [];
  let isBeyond = false;
  try {
    for (const outcome of outcomes(packet, port, context)) possible.push(outcome);
  } catch (error) {
    if (!(error instanceof Beyond)) throw error;
    isBeyond = true;
  }
  const real = machine.take(port, packet);
  if (isBeyond || (real.reason && LIMITS.has(real.reason))) return false;
  const show = ({ sent, punts, tallies, reason }: Outcome) => ({
    sent: sorted(sent),
    punts: sorted(punts),
    tallies: sorted(tallies),
    reason,
  });
  const wanted = possible.map(show);
  const shown = show(real);
  const isRight = wanted.some((one) => {
    const reason = one.reason ?? shown.reason;
    return JSON.stringify({ ...one, reason }) === JSON.stringify(shown);
  });
  if (!isRight) {
    const where = `packet ${Buffer.from(packet).toString('hex')} at port ${port}`;
    assert.deepEqual(shown, wanted[0], `${where}\n${lines.join('\n')}`);
  }
  return true;
}

test(
  'every packet fares as the tables say, by whatever megaflow, while the tables change',
  seeded((random) => {
    let checked = 0;
    let hits = 0;
    let kept = 0;
    for (let run = 0; run < RUNS; run++) {
      const world = randomWorld(random);
      const { machine } = world;
      const packets = Array.from({ length: 25 }, () => universePacket(random));
      for (let step = 0; step < 60; step++) {
        if (chance(random, 0.1)) {
          changeTables(random, world);
          machine.revalidate();
        }
        if (check(world, pick(random, packets), 1 + random.below(3))) checked++;
      }
      machine.clear();
      machine.rig.checkFates();
      machine.rig.checkNoFlows();
      hits += machine.hits;
      kept += machine.kept;
    }
    if (process.env.STATS) console.log({ checked, hits, kept });
    assert.ok(checked > RUNS * 40, `only ${checked} packets could be compared`);
    assert.ok(hits > RUNS * 15, `only ${hits} packets found a flow`);
    assert.ok(kept > RUNS * 20, `only ${kept} flows outlived a change`);
  }),
);
