/** The line for the log about a thread that died and was started anew. */
import type { ThreadRole } from '../model.ts';
import type { Recovery } from '../thread/supervisor.ts';

/** `ports`: the names of those that stood still with it. */
export function recoveryLine(recovery: Recovery, role: ThreadRole, ports: readonly string[]): string {
  const { thread, cause, locks, frames, flows, connections, packets, copies, pausedMs, haltedMs } = recovery;
  const who = ports.length > 0 ? `ports ${ports.join(', ')}` : role === 'datapath' ? 'no port' : `a ${role}`;
  const after = pausedMs === undefined ? 'died again before it went round' : `${pausedMs.toFixed(0)} ms`;
  return [
    `thread ${thread + 1} died: ${cause}`,
    pausedMs === undefined ? `${who}: ${after}` : `${who} paused for ${after}`,
    `taken back: ${frames} frames, ${locks} locks, ${flows} flows, ${connections} connections`,
    `dropped as thread_died: ${packets} packets, ${copies} copies`,
    `other threads stood still for ${haltedMs.toFixed(1)} ms`,
  ].join('; ');
}
