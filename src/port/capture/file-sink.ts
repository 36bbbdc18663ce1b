/**
 * A file written front to back through one buffer: records are laid out where they will leave from, and
 * go to the kernel a mebibyte at a time.
 *
 * A pipe whose reader is slow can be written without waiting: then the buffer grows with what the pipe has no
 * room for, and the caller, who sees that by `unwritten`, keeps from adding more.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { CaptureError } from './error.ts';

/** Most that `reserve` can be asked for, and about what one write carries. */
const SINK_BYTES = 1 << 20;

export class FileSink {
  readonly path: string;
  buffer: Uint8Array = new Uint8Array(SINK_BYTES);
  view: DataView = new DataView(this.buffer.buffer);
  /** Frames laid out until now, for errors. */
  frames = 0;
  private end = 0;
  private written = 0;
  private descriptor: number;
  private readonly waits: boolean;

  /** Creates the file or empties it. Throws what `fs.openSync` does; also for a pipe without reader, unless it `waits`. */
  constructor(path: string, waits = true) {
    this.path = path;
    this.waits = waits;
    const { O_WRONLY, O_CREAT, O_TRUNC, O_NONBLOCK } = constants;
    this.descriptor = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | (waits ? 0 : O_NONBLOCK), 0o666);
  }

  /** Bytes that the kernel has not got yet. */
  get unwritten(): number {
    return this.end;
  }

  /** Makes room for `bytes` and returns where in `buffer` they go; the caller writes every one of them. */
  reserve(bytes: number): number {
    if (this.end + bytes > this.buffer.length) this.flush();
    if (this.end + bytes > this.buffer.length) this.grow(this.end + bytes);
    const at = this.end;
    this.end += bytes;
    return at;
  }

  /**
   * Copies `length` bytes from `bytes[offset]` to `buffer[at]`. The view lives for this line only and still
   * beats a loop: at 64 bytes 34 to 51 ns against 70 to 96, at 1500 a fraction (Node 20, 2.5 GHz).
   */
  copy(at: number, bytes: Uint8Array, offset: number, length: number): void {
    this.buffer.set(bytes.subarray(offset, offset + length), at);
  }

  private grow(bytes: number): void {
    const larger = new Uint8Array(2 * bytes);
    larger.set(this.buffer.subarray(0, this.end));
    this.buffer = larger;
    this.view = new DataView(larger.buffer);
  }

  /** Hands everything to the kernel, or all that it takes now. Throws CaptureError when it refuses. */
  flush(): void {
    let from = 0;
    try {
      while (from < this.end) from += writeSync(this.descriptor, this.buffer, from, this.end - from);
    } catch (cause) {
      if (!this.waits && (cause as NodeJS.ErrnoException).code === 'EAGAIN') return;
      const what = `cannot be written: ${(cause as Error).message}`;
      throw new CaptureError(this.path, this.frames, this.written + from, what, { cause });
    } finally {
      this.buffer.copyWithin(0, from, this.end);
      this.end -= from;
      this.written += from;
    }
  }

  /** Flushes and lets go of the file, even when flushing fails. */
  close(): void {
    if (this.descriptor < 0) return;
    try {
      this.flush();
    } finally {
      closeSync(this.descriptor);
      this.descriptor = -1;
    }
  }
}
