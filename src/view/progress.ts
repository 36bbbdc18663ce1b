/**
 * How far something is, on standard error: a bar on a terminal, elsewhere a line a second. Standard output
 * is left to results.
 */
import { SingleBar } from 'cli-progress';
import { count, share } from './units.ts';

const LINE_EVERY_MS = 1000;

export class Progress {
  readonly #name: string;
  readonly #totalBytes: number;
  readonly #bar: SingleBar | undefined;
  #lineDueMs = performance.now() + LINE_EVERY_MS;

  /** `totalBytes`: 0 when it is not known. */
  constructor(name: string, totalBytes: number) {
    this.#name = name;
    this.#totalBytes = totalBytes;
    if (!process.stderr.isTTY || totalBytes === 0) return;
    this.#bar = new SingleBar({
      format: `${name} [{bar}] {percentage} %  {frames} frames`,
      stream: process.stderr,
      clearOnComplete: true,
      linewrap: true, // or a terminal would stay without it after Ctrl-C
    });
    this.#bar.start(totalBytes, 0, { frames: '0' });
  }

  update(bytes: number, frames: number): void {
    if (this.#bar) return this.#bar.update(bytes, { frames: count(frames) });
    const nowMs = performance.now();
    if (nowMs < this.#lineDueMs) return;
    this.#lineDueMs = nowMs + LINE_EVERY_MS;
    const part = this.#totalBytes > 0 ? `${share(bytes, this.#totalBytes)}, ` : '';
    console.error(`heddle: ${this.#name} ${part}${count(frames)} frames`);
  }

  stop(): void {
    this.#bar?.stop();
  }
}
