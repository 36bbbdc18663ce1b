/** What the system takes when there is nothing to do: CPU time over five quiet seconds, and its memory. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Measure } from './measure.ts';
import { memoryMiB, processCpuNs } from './usage.ts';

const QUIET_MS = 5000;

export const idleCpu: Measure = {
  name: 'idleCpu',
  tools: [],
  async take({ running: { processId }, signal }) {
    if (processId === undefined) return [];
    const before = { atMs: performance.now(), ns: processCpuNs(processId) };
    await sleep(QUIET_MS, undefined, { signal });
    const elapsedNs = (performance.now() - before.atMs) * 1e6;
    return [
      {
        name: 'idleCpu',
        unit: '% of a core',
        value: ((processCpuNs(processId) - before.ns) / elapsedNs) * 100,
      },
    ];
  },
};

/** After the load, so that what the load made the system take is counted. */
export const memory: Measure = {
  name: 'memory',
  tools: [],
  async take({ running: { processId } }) {
    if (processId === undefined) return [];
    const { value, kind } = memoryMiB(processId);
    return [{ name: 'memory', unit: 'MiB', value, parameters: { kind } }];
  },
};
