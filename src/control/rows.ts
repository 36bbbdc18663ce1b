/** The rows that `heddle show threads`, `memory` and `fragments` print, from what the threads note. */
import {
  type Arena,
  HeldFragments,
  type Observer,
  POOL_BLOCKS,
  POOL_CONNECTIONS,
  POOL_FLOWS,
  POOL_FRAMES,
  POOL_LARGE_FRAMES,
  type Region,
  rolesOf,
} from '../datapath.ts';
import type { FragmentRow, MemoryRow, StageRow, ThreadRole, ThreadRow } from '../model.ts';
import { touchedBytes } from '../thread/touched.ts';
import { cyclesPerNs } from './frequency.ts';

/** By the numbers STAGE_…. */
const STAGES = ['receive', 'parse', 'look up', 'act', 'transmit', 'translate', 'install', 'dump', 'sweep'];

/** Thread `thread`, from 0, which owns `ports`. */
export function threadRow(arena: Arena, observer: Observer, thread: number, ports: string[]): ThreadRow {
  const totals = observer.totals(thread);
  const { load, stages } = observer.thread(thread);
  const packets = totals.received + totals.upcallsHandled;
  const perNs = cyclesPerNs();
  const timed = stages.flatMap(({ packets, ns }, i): StageRow[] => {
    if (packets === 0) return [];
    const nsPerPacket = ns / packets;
    return [{ stage: STAGES[i]!, packets, nsPerPacket, cyclesPerPacket: nsPerPacket * perNs }];
  });
  return {
    number: thread + 1,
    role: roleOf(arena, thread),
    ports,
    load,
    batches: totals.batches,
    packets,
    packetsPerBatch: totals.batches === 0 ? 0 : packets / totals.batches,
    sleeps: totals.sleeps,
    wakeUps: totals.wakeUps,
    restarts: totals.threadRestarts,
    stages: timed,
  };
}

/** What thread `thread`, from 0, does. */
export function roleOf({ limits }: Arena, thread: number): ThreadRole {
  const { datapaths, handlers } = rolesOf(limits);
  if (thread < datapaths) return 'datapath';
  return thread < datapaths + handlers ? 'handler' : 'revalidator';
}

export function memoryRows(arena: Arena, observer: Observer): MemoryRow[] {
  const touched = touchedBytes(arena);
  return arena.regions.map((region, i) => ({
    region: region.name,
    address: region.address,
    bytes: region.records * region.recordBytes,
    records: region.records,
    recordBytes: region.recordBytes,
    ...useOf(region, observer),
    ...(touched ? { touchedBytes: touched[i]! } : {}),
  }));
}

export function fragmentRows(arena: Arena, observer: Observer): FragmentRow[] {
  const fragments = new HeldFragments(arena);
  const { most } = fragments;
  return ([4, 6] as const).map((version) => ({
    version: `IPv${version}`,
    ...fragments.settings(version),
    ...observer.fragments(version),
    held: fragments.held(version),
    most,
  }));
}

/** How many of a region's records are in use, and were at most, where that can be told. */
function useOf({ name }: Region, observer: Observer): { used?: number; mostUsed?: number } {
  switch (name) {
    case 'frames':
      return observer.pool(POOL_FRAMES);
    case 'largeFrames':
      return observer.pool(POOL_LARGE_FRAMES);
    case 'flows':
      return observer.pool(POOL_FLOWS);
    case 'connections':
      return observer.pool(POOL_CONNECTIONS);
    case 'blocks':
      return observer.pool(POOL_BLOCKS);
    case 'subtables':
      return { used: observer.masks() };
    case 'stations':
      return { used: observer.stations() };
    case 'rings':
      return { used: observer.busyRings() };
    default:
      return {};
  }
}
