/** The rows that `heddle show upcalls` prints, from what the threads note. */
import {
  type Arena,
  Lives,
  type Observer,
  Rounds,
  STAGE_DUMP,
  STAGE_SWEEP,
  STAGE_TRANSLATE,
} from '../datapath.ts';
import type {
  RevalidatorRow,
  ThreadRole,
  UpcallDatapathRow,
  UpcallHandlerRow,
  UpcallRow,
  UpkeepRow,
} from '../model.ts';
import { occurred } from './counter-rows.ts';
import { roleOf } from './rows.ts';

export function upcallRows(arena: Arena, observer: Observer): UpcallRow[] {
  const rounds = new Rounds(arena);
  return [
    upkeepRow(arena, observer, rounds),
    ...threadsAs(arena, 'datapath').map((thread) => datapathRow(observer, thread)),
    ...threadsAs(arena, 'handler').map((thread) => handlerRow(observer, thread)),
    ...revalidatingThreads(arena).map((thread) => revalidatorRow(observer, rounds, thread)),
  ];
}

/** The threads that revalidate, from 0: inline, where none is only for that, the handler's. */
export function revalidatingThreads(arena: Arena): number[] {
  const revalidators = threadsAs(arena, 'revalidator');
  return revalidators.length > 0 ? revalidators : threadsAs(arena, 'handler');
}

function threadsAs(arena: Arena, role: ThreadRole): number[] {
  const all = Array.from({ length: arena.limits.threads }, (_, thread) => thread);
  return all.filter((thread) => roleOf(arena, thread) === role);
}

function upkeepRow(arena: Arena, observer: Observer, rounds: Rounds): UpkeepRow {
  const current = rounds.liveFlows;
  return {
    kind: 'flows',
    current,
    average: rounds.averageFlows,
    most: Math.max(rounds.get('mostLive'), current),
    limit: rounds.flowLimit,
    ceiling: rounds.get('mostFlows'),
    dumpMs: rounds.get('dumpMs'),
    rounds: rounds.get('rounds'),
    isPaused: rounds.get('isPaused') !== 0,
    idleMs: rounds.idleMs,
    maxIdleMs: rounds.get('maxIdleMs'),
    maxRevalidatorMs: rounds.get('maxRevalidatorMs'),
    minPacketsPerSecond: rounds.get('minRevalidatePps'),
    replacesEvicted: rounds.replacesEvicted,
    evicted: occurred(observer.evictions()),
    refusedMoves: new Lives(arena).refused,
  };
}

function datapathRow(observer: Observer, thread: number): UpcallDatapathRow {
  return { kind: 'datapath', thread: thread + 1, waiting: observer.waitingInOrder(thread) };
}

function handlerRow(observer: Observer, thread: number): UpcallHandlerRow {
  return {
    kind: 'handler',
    thread: thread + 1,
    handled: observer.totals(thread).upcallsHandled,
    waiting: observer.waiting(thread),
  };
}

function revalidatorRow(observer: Observer, rounds: Rounds, thread: number): RevalidatorRow {
  const { stages } = observer.thread(thread);
  const cost = (stage: number) => {
    const { packets, ns } = stages[stage]!;
    return packets === 0 ? undefined : ns / packets;
  };
  const costs = { dumpNs: cost(STAGE_DUMP), sweepNs: cost(STAGE_SWEEP), translateNs: cost(STAGE_TRANSLATE) };
  return {
    kind: 'revalidator',
    thread: thread + 1,
    flows: rounds.flowsOf(thread),
    ...Object.fromEntries(Object.entries(costs).filter(([, ns]) => ns !== undefined)),
  };
}
