/** Waits for a file or socket that a daemon makes when it is up. */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export async function appears(file: string, daemon: ChildProcess, withinMs: number): Promise<void> {
  for (const deadlineMs = performance.now() + withinMs; !existsSync(file); await sleep(10)) {
    if (daemon.exitCode !== null || daemon.signalCode !== null)
      throw new Error(`${daemon.spawnfile} did not start`);
    if (performance.now() > deadlineMs)
      throw new Error(`${daemon.spawnfile} was not ready within ${withinMs / 1000} s`);
  }
}
