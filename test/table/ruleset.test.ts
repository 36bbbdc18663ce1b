/** Rules, groups and meters under random changes, against a twin that is nothing but arrays. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseBundle } from '../../src/table/parse-bundle.ts';
import { Ruleset } from '../../src/table/ruleset.ts';
import { FlowError } from '../../src/table/syntax.ts';
import { pick, type Random, seeded } from '../support/seeded.ts';

const LIMITS = { rules: 12, tables: { 1: { rules: 3, overflow: 'evict' } } } as const;
const FLOWS_MAX = 12;
const EVICTING = { table: 1, flows: 3 };

interface TwinFlow {
  table: number;
  priority: number;
  port: number;
  /** What the actions use. */
  group: number;
  meter: number;
  idle: number;
  hard: number;
  importance: number;
  modified: number;
  used: number;
}

/** Everything is copied before a bundle, and put back when it fails. Times are in seconds. */
class Twin {
  flows: TwinFlow[] = [];
  /** The group that each group sends to; 0: none. */
  groups = new Map<number, number>();
  meters = new Set<number>();

  attempt(steps: readonly ((twin: Twin) => boolean)[]): boolean {
    const before = structuredClone({ flows: this.flows, groups: this.groups, meters: this.meters });
    if (steps.every((step) => step(this))) return true;
    Object.assign(this, before);
    return false;
  }

  add(flow: TwinFlow): boolean {
    const { table, priority, port, group, meter } = flow;
    if ((group && !this.groups.has(group)) || (meter && !this.meters.has(meter))) return false;
    const same = (other: TwinFlow) =>
      other.table === table && other.priority === priority && other.port === port;
    const there = this.flows.some(same);
    if (there) this.flows = this.flows.filter((other) => !same(other));
    else {
      const beside = this.flows.filter((other) => other.table === table);
      if (table === EVICTING.table && beside.length >= EVICTING.flows) {
        const [first] = beside
          .filter(({ idle, hard }) => idle + hard > 0)
          .sort((a, b) => a.importance - b.importance || deadline(a) - deadline(b));
        if (!first) return false;
        this.flows = this.flows.filter((other) => other !== first);
      }
      if (this.flows.length >= FLOWS_MAX) return false;
    }
    this.flows.push(flow);
    return true;
  }

  /** Of a table those whose match is in_port=PORT; 0: all of them. */
  modify(table: number, port: number, to: TwinFlow): boolean {
    if ((to.group && !this.groups.has(to.group)) || (to.meter && !this.meters.has(to.meter))) return false;
    const selected = this.flows.filter((flow) => flow.table === table && (port === 0 || flow.port === port));
    for (const flow of selected) {
      Object.assign(flow, { group: to.group, meter: to.meter, modified: to.modified });
    }
    return selected.length > 0 || this.add(to);
  }

  expire(now: number): void {
    this.flows = this.flows.filter((flow) => deadline(flow) > now);
  }

  show(): string[] {
    return [
      ...[...this.meters].map((id) => `meter ${id}`),
      ...[...this.groups].map(([id, to]) => `group ${id} ${to}`),
      ...this.flows.map(({ table, priority, port, group, meter }) =>
        [table, priority, port, group, meter].join(' '),
      ),
    ].sort();
  }
}

const deadline = ({ idle, hard, modified, used }: TwinFlow): number =>
  Math.min(hard ? modified + hard : Number.POSITIVE_INFINITY, idle ? used + idle : Number.POSITIVE_INFINITY);

const idOf = (text: string | undefined): number => Number(text ?? 0);

/** As `Twin.show`. */
function show(ruleset: Ruleset): string[] {
  return ruleset
    .snapshot(0)
    .map((line) => {
      const group = idOf(/group:(\d+)/.exec(line)?.[1]);
      if (line.startsWith('meter')) return `meter ${/meter=(\d+)/.exec(line)![1]}`;
      if (line.startsWith('group')) return `group ${/group_id=(\d+)/.exec(line)![1]} ${group}`;
      const [table, port, meter] = [/table=(\d+)/, /in_port=(\d+)/, /meter:(\d+)/].map((pattern) =>
        idOf(pattern.exec(line)?.[1]),
      );
      return [table, /priority=(\d+)/.exec(line)![1], port, group, meter].join(' ');
    })
    .sort();
}

interface Step {
  readonly text: string;
  readonly twin: (twin: Twin) => boolean;
}

/** Deadlines that never fall on one another, so that it is clear what goes first. */
let fraction = 0;

function step(random: Random, now: number): Step {
  const id = 1 + random.below(3);
  switch (random.below(9)) {
    case 0:
      return {
        text: `meter add meter=${id},kbps,bands=type=drop,rate=1`,
        twin: ({ meters }) => !meters.has(id) && !!meters.add(id),
      };
    case 1:
      return {
        text: `meter delete meter=${id}`,
        twin: (twin) => {
          if (twin.meters.delete(id)) twin.flows = twin.flows.filter(({ meter }) => meter !== id);
          return true;
        },
      };
    case 2: {
      const to = random.below(4);
      const bucket = to === 0 ? 'output:1' : `group:${to}`;
      return {
        text: `group add_or_mod group_id=${id},type=indirect,bucket=${bucket}`,
        twin: ({ groups }) => {
          if (to === id || (to !== 0 && !groups.has(to))) return false;
          for (let next = to; next !== 0; next = groups.get(next)!) if (next === id) return false;
          groups.set(id, to);
          return true;
        },
      };
    }
    case 3:
      return {
        text: `group delete group_id=${id}`,
        twin: (twin) => {
          if ([...twin.groups].some(([from, to]) => to === id && from !== id)) return !twin.groups.has(id);
          if (twin.groups.delete(id)) twin.flows = twin.flows.filter(({ group }) => group !== id);
          return true;
        },
      };
    case 4: {
      const table = random.below(3);
      return {
        text: `flow delete table=${table}`,
        twin: (twin) => {
          twin.flows = twin.flows.filter((flow) => flow.table !== table);
          return true;
        },
      };
    }
    default:
      return flowStep(random, now);
  }
}

function flowStep(random: Random, now: number): Step {
  const flow: TwinFlow = {
    table: random.below(3),
    priority: 1 + random.below(2),
    port: 1 + random.below(3),
    group: random.below(3) === 0 ? 1 + random.below(3) : 0,
    meter: random.below(3) === 0 ? 1 + random.below(3) : 0,
    idle: pick(random, [0, 0, 5, 9]),
    hard: pick(random, [0, 0, 7, 20]),
    importance: random.below(3),
    modified: now,
    used: now,
  };
  const { table, priority, port, group, meter, idle, hard, importance } = flow;
  const actions = [meter && `meter:${meter}`, group && `group:${group}`, 'output:1']
    .filter(Boolean)
    .join(',');
  const lifetime = `idle_timeout=${idle},hard_timeout=${hard},importance=${importance}`;
  const rest = `table=${table},priority=${priority},in_port=${port},${lifetime},actions=${actions}`;
  if (random.below(3) > 0) return { text: rest, twin: (twin) => twin.add(flow) };
  return { text: `flow modify ${rest}`, twin: (twin) => twin.modify(table, port, flow) };
}

function use(random: Random, ruleset: Ruleset, twin: Twin, now: number): void {
  const rule = pick(random, ruleset.tables.dump());
  const port = new DataView(new Uint8Array(rule.match.value.buffer).buffer).getUint32(0, true);
  rule.usedMs = now * 1000;
  for (const flow of twin.flows) {
    if (flow.table === rule.table && flow.priority === rule.priority && flow.port === port) flow.used = now;
  }
}

test(
  'bundles, time-outs and evictions do what a plain twin does',
  seeded((random) => {
    let failed = 0;
    let made = 0;
    for (let run = 0; run < 60; run++) {
      const ruleset = new Ruleset(LIMITS);
      const twin = new Twin();
      let now = 0;
      for (let i = 0; i < 60; i++) {
        fraction = (fraction + 0.001) % 0.9;
        now = Math.floor(now) + random.below(3) + fraction;
        ruleset.tables.expire(now * 1000);
        twin.expire(now);
        if (twin.flows.length > 0 && random.below(2) === 0) use(random, ruleset, twin, now);
        const steps = Array.from({ length: 1 + random.below(4) }, () => step(random, now));
        const expected = twin.attempt(steps.map((one) => one.twin));
        const text = steps.map((one) => one.text).join('\n');
        const { generation } = ruleset;
        const before = show(ruleset);
        try {
          ruleset.apply(parseBundle(text), now * 1000);
          assert.ok(expected, `should fail:\n${text}`);
          assert.ok(ruleset.generation > generation);
          made++;
        } catch (error) {
          if (!(error instanceof FlowError)) throw error;
          assert.ok(!expected, `${error.message}:\n${text}`);
          assert.deepEqual(show(ruleset), before);
          failed++;
        }
        assert.deepEqual(show(ruleset), twin.show(), text);
        assert.equal(ruleset.tables.size, twin.flows.length);
      }
    }
    assert.ok(failed > 100 && made > 100, `${failed} failed, ${made} made`);
  }),
);
