/**
 * A window that slides over a file from its first byte to its last: one buffer, filled by large reads, in
 * which records are parsed where they lie.
 *
 *     file    ├───────────────────┬───────────────┬──────────────┬──────────┤
 *                      buffer[0] at `base`   buffer[start]   buffer[end]
 *                                 consumed         unread         not read yet
 *
 * `fill` moves the unread bytes to the front when they would not fit behind, so a place in `buffer` is good
 * only until the next `fill` or `skip`. Nothing is allocated after the opening. It never seeks: a named
 * pipe works too.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { CaptureError } from './error.ts';

/** Most that `fill` can be asked for, and what one read asks for. */
export const WINDOW_BYTES = 1 << 20;

export class FileWindow {
  readonly path: string;
  /** The file's size when it was opened; 0 for a pipe. */
  readonly sizeBytes: number;
  readonly buffer = new Uint8Array(WINDOW_BYTES);
  readonly view = new DataView(this.buffer.buffer);
  /** Where the next unread byte lies in `buffer`. */
  start = 0;
  /** Number from 1 of the frame being looked for, for errors; 0 before the first is. */
  frame = 0;
  private end = 0;
  private base = 0;
  private descriptor: number;

  /** Throws what `fs.openSync` does. */
  constructor(path: string) {
    this.path = path;
    this.descriptor = openSync(path, 'r');
    this.sizeBytes = fstatSync(this.descriptor).size;
  }

  /** Offset in the file of the next unread byte. */
  get position(): number {
    return this.base + this.start;
  }

  /** Brings at least `bytes` into the buffer, and returns how many of them are there: fewer at the end. */
  fill(bytes: number): number {
    return this.end - this.start >= bytes ? bytes : this.readOn(bytes);
  }

  /** Goes past `bytes`, and returns past how many it went: fewer at the end. */
  skip(bytes: number): number {
    let left = bytes;
    while (left > 0) {
      const step = this.fill(Math.min(left, WINDOW_BYTES));
      if (step === 0) break;
      this.start += step;
      left -= step;
    }
    return bytes - left;
  }

  /** The error for what is wrong at `offset` in the file. */
  error(what: string, offset = this.position, options?: ErrorOptions): CaptureError {
    return new CaptureError(this.path, this.frame, offset, what, options);
  }

  close(): void {
    if (this.descriptor < 0) return;
    closeSync(this.descriptor);
    this.descriptor = -1;
  }

  private readOn(bytes: number): number {
    if (this.start + bytes > WINDOW_BYTES) {
      this.buffer.copyWithin(0, this.start, this.end);
      this.base += this.start;
      this.end -= this.start;
      this.start = 0;
    }
    while (this.end - this.start < bytes) {
      const got = this.read();
      if (got === 0) return this.end - this.start;
      this.end += got;
    }
    return bytes;
  }

  private read(): number {
    try {
      return readSync(this.descriptor, this.buffer, this.end, WINDOW_BYTES - this.end, null);
    } catch (cause) {
      throw this.error(`cannot be read: ${(cause as Error).message}`, this.base + this.end, { cause });
    }
  }
}
