/** `heddle show upcalls`, in the shape of `ovs-appctl upcall/show`: facts about all flows, then one line a thread. */
import type { RevalidatorRow, UpcallHandlerRow, UpcallRow, UpkeepRow } from '../model.ts';

type Fact = readonly [name: string, text: string];

export function upcallLines(rows: readonly UpcallRow[]): string[] {
  const facts = rows.flatMap(factsOf);
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, text]) => `${name.padEnd(width)} : ${text}`);
}

function factsOf(row: UpcallRow): Fact[] {
  switch (row.kind) {
    case 'flows':
      return upkeepFacts(row);
    case 'datapath':
      return [[`datapath ${row.thread}`, values({ waiting: row.waiting })]];
    case 'handler':
      return [handlerFact(row)];
    case 'revalidator':
      return [revalidatorFact(row)];
  }
}

function upkeepFacts(row: UpkeepRow): Fact[] {
  const { current, average, most, limit, ceiling } = row;
  const settings = {
    'max-idle': row.maxIdleMs,
    'max-revalidator': row.maxRevalidatorMs,
    'min-revalidate-pps': row.minPacketsPerSecond,
    replace: row.replacesEvicted ? 'on' : 'off',
  };
  return [
    ['flows', values({ current, average: Math.round(average), most, limit, ceiling })],
    ['dump duration', `${row.dumpMs} ms`],
    ['rounds', `${row.rounds}${row.isPaused ? ', paused' : ''}`],
    ['idle time', `${row.idleMs} ms`],
    ['settings', values(settings)],
    ['evicted', values(row.evicted) || 'none'],
    ['refused moves', String(row.refusedMoves)],
  ];
}

function handlerFact({ thread, handled, waiting }: UpcallHandlerRow): Fact {
  return [`handler ${thread}`, values({ handled, waiting })];
}

function revalidatorFact({ thread, flows, dumpNs, sweepNs, translateNs }: RevalidatorRow): Fact {
  const cost = (ns: number | undefined) => (ns === undefined ? undefined : `${ns.toFixed(0)} ns`);
  const costs = { dump: cost(dumpNs), sweep: cost(sweepNs), translate: cost(translateNs) };
  return [`revalidator ${thread}`, values({ flows, ...costs })];
}

/** `(current 3) (most 7)`, of those that are known. */
function values(named: Record<string, string | number | undefined>): string {
  return Object.entries(named)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `(${name} ${value})`)
    .join(' ');
}
