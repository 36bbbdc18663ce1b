/**
 * What rules have counted, against what the datapath has: while no thread dies, every packet that came in and was
 * looked up is counted by one rule of table 0, whatever became of the datapath flow that it took.
 */
import { setTimeout as later } from 'node:timers/promises';
import { chance, pick, type Random } from '../support/seeded.ts';
import type { TestSwitch } from '../support/switch.ts';
import { booksOf, unbalanced } from './books.ts';
import { portsActor } from './operations.ts';
import { STEADY, type Stage } from './stage.ts';

const PAUSE_MS = 100;
/** Dropped for this, a packet has met no rule. */
const UNMET = 'upcall_queue_full';
/** Flows of the datapath change, merge and part as they come; none of them goes, for it would take its count along. */
const ACTIONS = ['NORMAL', 'resubmit(,1)', 'mod_nw_ttl:9,NORMAL', 'drop', 'output:t1,output:t2'];

/**
 * Begins anew with flows that count from zero, and has ports come and go and flows be added and modified for
 * `seconds`. The switch has no ports then, and none at the end. Returns what does not add up.
 */
export async function miscounted(stage: Stage, random: Random, seconds: number): Promise<string[]> {
  const { heddle, transient } = stage;
  const flows = (action: 'add' | 'delete' | 'modify', text: string) =>
    heddle.ask({ command: 'rules', kind: 'flows', action, text });
  await flows('delete', '');
  await flows('add', 'table=0,priority=0,actions=NORMAL\ntable=1,actions=NORMAL');
  const before = await booksOf(heddle);
  for (const { name, options } of [...STEADY, ...transient]) {
    await heddle.ask({ command: 'port', action: 'add', name, text: JSON.stringify(options) });
  }
  const changePorts = portsActor(stage, random);
  let added = 0;
  const endMs = Date.now() + seconds * 1000;
  while (Date.now() < endMs) {
    const match = `table=0,priority=${1 + (added % 3)},ip,nw_dst=10.0.${added >> 5}.${added & 31}`;
    if (chance(random, 0.3)) await changePorts();
    else if (chance(random, 0.5)) await flows('modify', `table=0,actions=${pick(random, ACTIONS)}`);
    else {
      await flows('add', `${match},actions=${pick(random, ACTIONS)}`);
      added++;
    }
    await later(random.below(PAUSE_MS));
  }
  const { books, wrong } = await unbalanced(heddle);
  const unmet = (books.dropped[UNMET] ?? 0) - (before.dropped[UNMET] ?? 0);
  const lookedUp = books.received - before.received - unmet;
  const counted = await countedIn(heddle, 0);
  if (lookedUp === 0) wrong.push('nothing came in that rules could count');
  if (counted !== lookedUp) wrong.push(`rules counted ${counted} packets of ${lookedUp}`);
  return wrong;
}

async function countedIn(heddle: TestSwitch, table: number): Promise<number> {
  const request = { command: 'rules', kind: 'flows', action: 'dump', text: `table=${table}` } as const;
  return (await heddle.ask(request))
    .map((line) => Number(/n_packets=(\d+)/.exec(line)?.[1] ?? 0))
    .reduce((a, b) => a + b, 0);
}
