/** Heddle itself, as people run it: a child process with a configuration of two ports and no flows. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { end, lacking } from '../../../src/lab/command.ts';
import type { Offload } from '../topology.ts';
import type { System } from './system.ts';

const HEDDLE = fileURLToPath(new URL('../../../../bin/heddle.js', import.meta.url));
const READY_MS = 15_000;

export function heddle(name: string, type: 'afxdp' | 'packet', offload: Offload): System {
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
      const output = new Output(child);
      try {
        await output.ready();
      } catch (error) {
        await stop();
        throw error;
      }
      return {
        processId: child.pid,
        parameters: { ports: type },
        async stop() {
          const early = child.exitCode !== null || child.signalCode !== null;
          await stop();
          if (early) throw new Error(`it ended by itself: ${output.said}`);
          if (child.signalCode === 'SIGKILL') throw new Error(`SIGINT did not end it: ${output.said}`);
        },
      };
    },
  };
}

/** What the switch says. It is read to the end, so that no pipe fills up. */
class Output {
  /** Its last words. */
  said = '';
  private readonly child: ChildProcess;
  private readonly isReady: Promise<void>;

  constructor(child: ChildProcess) {
    this.child = child;
    this.isReady = new Promise((resolve) => {
      for (const stream of [child.stdout!, child.stderr!])
        createInterface({ input: stream }).on('line', (line) => {
          this.said = `${this.said} ${line}`.slice(-500).trim();
          if (/\bready\b/.test(line)) resolve();
        });
    });
  }

  /** Resolves when it has said that packets are forwarded. */
  async ready(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const trouble = new Promise<never>((_, reject) => {
      const fail = (what: string) => reject(new Error(`${what}: ${this.said}`));
      timer = setTimeout(() => fail(`not ready after ${READY_MS / 1000} s`), READY_MS);
      this.child.once('error', (error) => fail(error.message));
      this.child.once('close', (code) => fail(`ended with exit code ${code}`));
    });
    await Promise.race([this.isReady, trouble]).finally(() => clearTimeout(timer));
  }
}
