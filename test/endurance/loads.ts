/** Programs that are kept running to put load on a switch: one that ends is started again. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect as dial, type Socket } from 'node:net';
import { setTimeout as later } from 'node:timers/promises';
import { MAX_LENGTH } from '../../src/datapath.ts';
import { end } from '../../src/lab/command.ts';
import type { Ending } from '../support/ending.ts';
import { udp } from '../support/frames.ts';

/** One that ends at once is not started more often than this. */
const AGAIN_MS = 100;
const STREAM_EVERY_MS = 5;
const LEAST_FRAME = 14;

export class Loads {
  /** What stream peers got that is no sequence of frames. */
  readonly faults: string[] = [];
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

  /**
   * Is the peer of a stream port that listens at `path`: sends frames for a station nobody knows, all the time, and
   * looks whether it gets whole frames.
   */
  stream(path: string): void {
    const frame = Buffer.from(udp({ payload: 100 }), 'hex');
    const message = Buffer.concat([Buffer.alloc(4), frame]);
    message.writeUInt32BE(frame.length);
    const join = (): void => {
      if (this.#isOver) return;
      const socket = dial(path);
      const check = framesCheck();
      socket.on('data', (bytes: Buffer) => {
        const fault = check(bytes);
        if (fault !== undefined) this.faults.push(fault);
      });
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

/** Takes the bytes of a stream as they come; tells what is wrong when one is no frame behind its length. */
function framesCheck(): (bytes: Buffer) => string | undefined {
  let held = Buffer.alloc(0);
  return (bytes) => {
    held = Buffer.concat([held, bytes]);
    while (held.length >= 4) {
      const length = held.readUInt32BE();
      if (length < LEAST_FRAME || length > MAX_LENGTH) return `a frame of ${length} bytes`;
      if (held.length < 4 + length) return;
      held = held.subarray(4 + length);
    }
    return;
  };
}
