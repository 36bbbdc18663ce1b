/** CPU time and memory as the kernel accounts for them. */
import { readFileSync } from 'node:fs';

/** USER_HZ: the unit of CPU times under /proc, the same on every Linux that Node runs on. */
const TICK_NS = 1e9 / 100;

/** User and system time of all threads of a process, in nanoseconds, to the tick. */
export function processCpuNs(processId: number): number {
  const stat = readFileSync(`/proc/${processId}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from the third field of proc(5) on
  return (Number(fields[11]) + Number(fields[12])) * TICK_NS;
}

/** Time that all CPUs together were busy: user, nice, system, irq and softirq, in nanoseconds. */
export function systemCpuNs(): number {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8').split(/\s+/);
  return [user, nice, system, irq, softirq].reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_NS;
}

/** Memory of a process in MiB: its proportional share of shared pages where the kernel tells, else resident. */
export function memoryMiB(processId: number): { value: number; kind: 'PSS' | 'RSS' } {
  const kib = (text: string, key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text)![1]);
  try {
    const rollup = readFileSync(`/proc/${processId}/smaps_rollup`, 'utf8');
    return { value: kib(rollup, 'Pss') / 1024, kind: 'PSS' };
  } catch {
    return { value: kib(readFileSync(`/proc/${processId}/status`, 'utf8'), 'VmRSS') / 1024, kind: 'RSS' };
  }
}
