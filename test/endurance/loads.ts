/** Programs that are kept running to put load on a switch: one that ends is started again. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect as dial, type Socket } from 'node:net';
import { setTimeout as later } from 'node:timers/promises';
import { end } from '../../src/lab/command.ts';
import type { Ending } from '../support/ending.ts';
import { udp } from '../support/frames.ts';

/** One that ends at once is not started more often than this. */
const AGAIN_MS = 100;
const STREAM_EVERY_MS = 5;

export class Loads {
  readonly #running = new Set<ChildProcess>();
  readonly #peers = new Set<Socket>();
  #isOver = false;

  constructor(ending: Ending) {
    ending.after(() => this.stop());
  }

  /** Keeps a program running, each time for `mostMs` at most: some wait forever for a peer that is gone. */
  keep(start: () => ChildProcess, mostMs: number): void {
    void (async () => {
      while (!this.#isOver) {
        const child = start();
        this.#running.add(child);
        const timer = setTimeout(() => child.kill('SIGKILL'), mostMs);
        await once(child, 'close').catch(() => {});
        clearTimeout(timer);
        this.#running.delete(child);
        await later(AGAIN_MS);
      }
    })();
  }

  /** Is the peer of a stream port that listens at `path`: sends frames for a station nobody knows, all the time. */
  stream(path: string): void {
    const frame = Buffer.from(udp({ payload: 100 }), 'hex');
    const message = Buffer.concat([Buffer.alloc(4), frame]);
    message.writeUInt32BE(frame.length);
    const join = (): void => {
      if (this.#isOver) return;
      const socket = dial(path).resume();
      this.#peers.add(socket);
      const timer = setInterval(() => {
        if (!socket.connecting && !socket.writableNeedDrain) socket.write(message);
      }, STREAM_EVERY_MS);
      socket
        .on('error', () => {})
        .once('close', () => {
          clearInterval(timer);
          this.#peers.delete(socket);
          setTimeout(join, AGAIN_MS);
        });
    };
    join();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    for (const peer of this.#peers) peer.destroy();
    await Promise.all([...this.#running].map((child) => end(child, 'SIGKILL')));
  }
}
