/** Heddle itself, as people run it: a child process with a configuration of two ports and no flows. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { end, lacking } from '../../../src/lab/command.ts';
import type { System } from './system.ts';

const HEDDLE = fileURLToPath(new URL('../../../../bin/heddle.js', import.meta.url));
const READY_MS = 15_000;

export function heddle(name: string, type: 'afxdp' | 'packet', offload: boolean): System {
  return {
    name,
    offload,
    unavailable: async () => lacking('ip') ?? (existsSync(HEDDLE) ? undefined : 'bin/heddle.js is not there'),
    async start({ ports }) {
      const folder = mkdtempSync(join(tmpdir(), 'heddle-peers-'));
      const config = join(folder, 'switch.yaml');
      const lines = Object.entries(ports).map(
        ([port, device]) => `  ${port}: { type: ${type}, interface: ${device} }`,
      );
      writeFileSync(config, `ports:\n${lines.join('\n')}\n`);
      const child = spawn(process.execPath, [HEDDLE, 'run', config], {
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true, // Ctrl-C is for us, who then end it in order
      });
      const stop = async () => {
        await end(child, 'SIGINT');
        rmSync(folder, { recursive: true });
      };
      try {
        await ready(child);
      } catch (error) {
        await stop();
        throw error;
      }
      return { processId: child.pid, parameters: { ports: type }, stop };
    },
  };
}

/** Waits for the line that says that packets are forwarded; keeps reading afterwards, so that no pipe fills. */
function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(
      () => reject(new Error(`not ready after ${READY_MS / 1000} s: ${said}`)),
      READY_MS,
    );
    const settle = (error?: Error) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve();
    };
    for (const stream of [child.stdout!, child.stderr!])
      createInterface({ input: stream }).on('line', (line) => {
        said = `${said} ${line}`.slice(-500).trim();
        if (/\bready\b/.test(line)) settle();
      });
    child.on('error', settle);
    child.on('exit', (code) => settle(new Error(`ended with exit code ${code}: ${said}`)));
  });
}
