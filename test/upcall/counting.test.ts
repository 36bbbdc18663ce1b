/**
 * Each rule has counted the packets that took it, no more and no fewer, whatever became meanwhile of the flows of the
 * datapath that they took: evicted, replaced, given other programs, or never installed. Held against one that counts
 * packet by packet.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Rounds } from '../../src/datapath.ts';
import { ethernet, ipv4, udp } from '../support/packets.ts';
import { chance, pick, type Random, seeded } from '../support/seeded.ts';
import { SmallSwitch } from './small-switch.ts';

const OPERATIONS = 1500;
const TABLES = 3;

interface Packet {
  port: number;
  source: number;
  network: number;
}

interface NaiveRule {
  cookie: number;
  table: number;
  /** No two of a table have the same. */
  priority: number;
  match: Partial<Packet>;
  output: number | 'drop' | 'next';
  packets: number;
}

class NaiveCounts {
  rules: NaiveRule[] = [];

  /** Where a packet goes; every rule on its way counts it. */
  forward(packet: Packet): number[] {
    for (let table = 0; table < TABLES; table++) {
      const rule = this.rules
        .filter((one) => one.table === table && matches(one, packet))
        .sort((a, b) => b.priority - a.priority)[0];
      if (!rule) return [];
      rule.packets++;
      if (rule.output === 'next') continue;
      return rule.output === 'drop' || rule.output === packet.port ? [] : [rule.output];
    }
    return [];
  }

  counts(): string[] {
    return this.rules.map(({ cookie, packets }) => `0x${cookie.toString(16)} ${packets}`).sort();
  }
}

const matches = ({ match }: NaiveRule, packet: Packet): boolean =>
  (Object.keys(match) as (keyof Packet)[]).every((field) => match[field] === packet[field]);

const randomPacket = (random: Random): Packet => ({
  port: 1 + random.below(3),
  source: 1 + random.below(6),
  network: random.below(4),
});

function bytesOf({ source, network }: Packet): Uint8Array {
  return ethernet({}, ipv4({ src: `10.0.${network}.1` }, udp({ src: source }, new Uint8Array(20))));
}

function randomRule(random: Random, cookie: number): NaiveRule {
  const { port, source, network } = randomPacket(random);
  return {
    cookie,
    table: random.below(TABLES),
    priority: cookie,
    match: {
      ...(chance(random, 0.4) && { port }),
      ...(chance(random, 0.4) && { source }),
      ...(chance(random, 0.4) && { network }),
    },
    output: randomOutput(random),
    packets: 0,
  };
}

const randomOutput = (random: Random): NaiveRule['output'] => pick(random, [1, 2, 3, 'drop', 'next', 'next']);

function matchText({ table, priority, match }: NaiveRule): string {
  const { port, source, network } = match;
  return [
    `table=${table},priority=${priority},udp`,
    ...(port === undefined ? [] : [`in_port=${port}`]),
    ...(source === undefined ? [] : [`tp_src=${source}`]),
    ...(network === undefined ? [] : [`nw_src=10.0.${network}.0/24`]),
  ].join(',');
}

const actionsText = ({ table, output }: NaiveRule): string =>
  `actions=${output === 'next' ? `resubmit(,${table + 1})` : output}`;

function countsOf(small: SmallSwitch): string[] {
  return small
    .ask('flows', 'dump')
    .map((line) => /cookie=(0x\w+).* n_packets=(\d+)/.exec(line)!)
    .map(([, cookie, packets]) => `${cookie} ${packets}`)
    .sort();
}

test(
  'rules count what took them',
  seeded((random) => {
    const small = new SmallSwitch('');
    const naive = new NaiveCounts();
    const rounds = new Rounds(small.rig.arena);
    let cookies = 0;
    const add = () => {
      const rule = randomRule(random, ++cookies);
      naive.rules.push(rule);
      small.ask(
        'flows',
        'add',
        `cookie=0x${rule.cookie.toString(16)},${matchText(rule)},${actionsText(rule)}`,
      );
    };
    const operations: readonly [number, () => void][] = [
      [0.04, add],
      [
        0.06,
        () => {
          const rule = pick(random, naive.rules);
          rule.output = randomOutput(random);
          small.ask('flows', 'modify-strict', `${matchText(rule)},${actionsText(rule)}`);
        },
      ],
      [
        0.08,
        () => {
          const rule = pick(random, naive.rules);
          naive.rules = naive.rules.filter((other) => other !== rule);
          small.ask('flows', 'delete-strict', matchText(rule));
          if (naive.rules.length === 0) add();
        },
      ],
      // Idle flows go, or only some rounds pass, or none.
      [0.12, () => small.advance(pick(random, [0.001, 0.6, 11]))],
      // No more flows are installed until the next round, or all of them go.
      [
        0.13,
        () => {
          rounds.flowLimit = random.below(4);
        },
      ],
      [0.15, () => assert.deepEqual(countsOf(small), naive.counts())],
      [
        1,
        () => {
          const packet = randomPacket(random);
          assert.deepEqual(small.send(packet.port, bytesOf(packet)), naive.forward(packet));
        },
      ],
    ];
    add();
    for (let i = 0; i < OPERATIONS; i++) {
      const draw = random.fraction();
      operations.find(([below]) => draw < below)![1]();
    }
    assert.deepEqual(countsOf(small), naive.counts());
    assert.equal(small.rig.observer.totals().refusedMoves, 0);
    assert(cookies > 10);
  }),
);
