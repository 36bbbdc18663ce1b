/**
 * What is done to a switch again and again, by three who know nothing of each other, each with a seed of its own:
 * one adds and removes ports, one changes flows, mirrors and captures, one kills threads and pulls cables out.
 * Whatever they do to each other, each of these must succeed.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import type { RuleCommand } from '../../src/model.ts';
import { chance, pick, type Random } from '../support/seeded.ts';
import { ALWAYS, type PortSpec, type Stage, THREADS } from './stage.ts';

/** Does one thing, and returns what it was. */
export type Actor = () => Promise<string>;

const UP_MS = 10_000;
const MOST_FLOWS = 50;
/** What each thread is, in their order. */
const ROLES = Object.entries(THREADS).flatMap(([role, count]) => Array<string>(count).fill(role));

export function portsActor({ heddle, transient }: Stage, random: Random): Actor {
  const absent: PortSpec[] = [];
  const present = [...transient];
  return async () => {
    const adds = absent.length > 0 && chance(random, present.length === 0 ? 1 : 0.6);
    const [from, to] = adds ? [absent, present] : [present, absent];
    const port = from.splice(random.below(from.length), 1)[0]!;
    to.push(port);
    const { name, options } = port;
    if (adds) await heddle.ask({ command: 'port', action: 'add', name, text: JSON.stringify(options) });
    else await heddle.ask({ command: 'port', action: 'remove', name });
    return `${adds ? 'add' : 'remove'} ${(options as { type: string }).type} port`;
  };
}

export function tablesActor({ heddle, folder }: Stage, random: Random): Actor {
  let mirror: string | undefined;
  let capture: string | undefined;
  let count = 0;
  const flows = (action: RuleCommand<'flows'>, text: string) =>
    heddle.ask({ command: 'rules', kind: 'flows', action, text });
  const match = () =>
    `table=0,priority=${1 + random.below(3)},ip,nw_dst=10.0.${1 + random.below(12)}.${random.below(20)}`;
  const actions = () =>
    pick(random, [
      'NORMAL',
      'resubmit(,1)',
      'ct(table=2)',
      'mod_nw_ttl:9,NORMAL',
      'drop',
      'output:sink,NORMAL',
    ]);
  const flow = () => `${match()},actions=${actions()}`;

  const operations: Record<string, () => Promise<unknown>> = {
    'add flow': () => flows('add', flow()),
    'modify flow': () => flows('modify', flow()),
    'delete flow': () => flows('delete-strict', match()),
    'add many flows': () =>
      flows('add', Array.from({ length: 1 + random.below(MOST_FLOWS) }, flow).join('\n')),
    async 'replace all flows'() {
      await flows('delete', '');
      await flows('add', `${ALWAYS}\n${flow()}`);
    },
    'flush connections': () => heddle.ask({ command: 'flush', filter: ['tcp'], from: 0 }),
    async mirror() {
      if (mirror === undefined) {
        const text = `from: [${pick(random, ['t1', 't2'])}], to: [t2], output: sink`;
        const name = `m${count++}`;
        await heddle.ask({ command: 'mirror', action: 'add', name, text });
        mirror = name;
      } else {
        await heddle.ask({ command: 'mirror', action: 'remove', name: mirror });
        mirror = undefined;
      }
    },
    async capture() {
      const file = join(folder, 'captured.pcapng');
      if (capture === undefined) {
        const name = `c${count++}`;
        await heddle.ask({ command: 'capture', name, port: pick(random, ['t1', 't2']), file });
        capture = name;
      } else {
        await heddle.ask({ command: 'port', action: 'remove', name: capture });
        rmSync(file);
        capture = undefined;
      }
    },
  };
  return async () => {
    const name = pick(random, Object.keys(operations));
    await operations[name]!();
    return name;
  };
}

export function troubleActor({ heddle, cables }: Stage, random: Random): Actor {
  return async () => {
    if (cables.length === 0 || chance(random, 0.6)) {
      const thread = random.below(ROLES.length);
      await heddle.ask({ command: 'kill', thread: thread + 1 });
      return `kill ${ROLES[thread]} thread`;
    }
    const { port, cut, mend } = pick(random, cables);
    await cut();
    await later(random.below(600));
    await mend();
    await up(port);
    return 'pull and mend cable';
  };

  async function up(name: string): Promise<void> {
    const endMs = Date.now() + UP_MS;
    for (;;) {
      const ports = await heddle.ask({ command: 'show', what: 'ports' });
      const port = ports.find((row) => row.name === name)!;
      if (port.state === 'up' && port.carrier) return;
      if (Date.now() > endMs)
        throw new Error(`port ${name} is not up ${UP_MS} ms after its cable: ${port.reason}`);
      await later(50);
    }
  }
}
