/**
 * Capture port: frames come from a capture file at the pace of their times, and frames sent to the port go
 * to another. The first frame arrives when the port does. A file that turns out to be corrupt, or a disk
 * that is full, ends the reading or the writing, not the switch.
 *
 * A pipe has somebody who waits at its other end: it gets frames at once. When it is full, some are held for it,
 * and more than that are dropped until its reader has caught up, for a datapath thread waits for nobody.
 */
import { accessSync, closeSync, constants, openSync, type Stats, statSync, writeSync } from 'node:fs';
import {
  BATCH,
  type Datapath,
  DROP_TRANSMIT_ERROR,
  DROP_TRANSMIT_QUEUE_FULL,
  MAX_LENGTH,
  NONE,
} from '../datapath.ts';
import { CaptureReader } from './capture/reader.ts';
import { CaptureWriter } from './capture/writer.ts';
import type { DriverSpec, Opening, Port, PortBasics, PortContext, PortType } from './port.ts';

interface CaptureOptions extends PortBasics {
  /** File that frames come from, at the pace of their times. */
  read?: string | undefined;
  /** Whether the file begins anew when it ends. */
  loop: boolean;
  /** File that frames sent to the port go to. */
  write?: string | undefined;
}

interface CaptureSpec extends DriverSpec {
  /** Of the port, and so of the interface in the file. */
  name: string;
  read: string | undefined;
  loop: boolean;
  write: string | undefined;
  /** When the switch clock began, since 1970: frames are written with their time of day. */
  epochMs: number;
}

export const portType: PortType<CaptureOptions, CaptureSpec> = {
  open: openCapture,
  drive: (datapath, spec) => new CapturePort(datapath, spec),
};

/** Finds out whether the files can be read and written; the port's thread opens them, and empties what it writes. */
function openCapture({ number, name, read, write, loop }: CaptureOptions, { epochMs }: PortContext): Opening {
  const source = read === undefined ? undefined : checkSource(read);
  if (write !== undefined) checkTarget(write, source);
  const driver: CaptureSpec = { type: 'capture', number, name, read, write, loop, epochMs };
  return {
    openQueue: () => ({ driver, close() {} }),
    link: () => ({ mtu: MAX_LENGTH - 14, maxLength: MAX_LENGTH, carrier: true }),
    close() {},
  };
}

/** A pipe is left alone: it can be opened and read but once. */
function checkSource(path: string): Stats {
  const source = statSync(path);
  if (source.isFIFO()) accessSync(path, constants.R_OK);
  else CaptureReader.open(path).close();
  return source;
}

function checkTarget(path: string, source: Stats | undefined): void {
  const target = statSync(path, { throwIfNoEntry: false });
  if (target?.isFIFO()) return accessSync(path, constants.W_OK);
  if (target?.isFile() && target.ino === source?.ino && target.dev === source.dev) {
    throw new Error(`${path}: found the same file to read and to write, expected two`);
  }
  closeSync(openSync(path, 'a'));
}

/** A pipe that was full is tried again after so long. */
const PIPE_RETRY_MS = 5;
/** What may be held for a full pipe; a batch may go over it. */
const MOST_HELD_BYTES = 1 << 20;
/** A reader that is behind when the port closes gets so many milliseconds. */
const LAST_CHANCE_MS = 50;

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Frames whose times are no further apart than this may share a batch. */
const GRAIN_MS = 1;

class CapturePort implements Port {
  readonly descriptors: readonly number[] = [];
  readonly #datapath: Datapath;
  readonly #spec: CaptureSpec;
  readonly #writer: CaptureWriter | undefined;
  /** Whether it is a pipe that is written to. */
  readonly #pipes: boolean = false;
  /** When a full pipe is tried again; Infinity: it has everything. */
  #retryMs = Number.POSITIVE_INFINITY;
  /** The file cannot be written on: what is sent to the port is dropped. */
  #failed = false;
  /** Stands at the frame that comes next; undefined when there is none. */
  #reader: CaptureReader | undefined;
  /** What to add to a frame's time to have it on the switch clock; NaN until the first poll. */
  #shiftMs = Number.NaN;

  constructor(datapath: Datapath, spec: CaptureSpec) {
    this.#datapath = datapath;
    this.#spec = spec;
    const { read, write } = spec;
    if (write !== undefined) {
      this.#pipes = statSync(write, { throwIfNoEntry: false })?.isFIFO() ?? false;
      this.#writer = CaptureWriter.create(write, [spec.name], !this.#pipes);
    }
    try {
      if (read !== undefined) this.#start(read);
    } catch (error) {
      this.#failReading(error as Error);
    }
  }

  poll(): number {
    const { nowMs } = this.#datapath;
    if (nowMs >= this.#retryMs) this.#flushPipe(nowMs);
    if (this.#reader && Number.isNaN(this.#shiftMs)) this.#shiftMs = nowMs - this.#reader.timeMs;
    let n = 0;
    while (n < BATCH && this.#reader && this.#frameDueMs() <= nowMs + GRAIN_MS) {
      const { buffer, offset, length } = this.#reader;
      if (length <= MAX_LENGTH) {
        const frame = this.#datapath.takeFrame(length);
        if (frame === NONE) break;
        this.#datapath.u8.set(buffer.subarray(offset, offset + length), this.#datapath.dataAddress(frame));
        this.#datapath.receive(n++, this.#spec.number, frame, length);
      } else {
        this.#datapath.refuse(this.#spec.number);
      }
      this.#advance(this.#reader);
    }
    if (n > 0) this.#datapath.exports.process(this.#spec.number, n);
    return n;
  }

  /** Moves to the next frame; with `loop`, the first comes a little after the last, and so time passes. */
  #advance(reader: CaptureReader): void {
    const lastMs = this.#frameDueMs();
    try {
      if (reader.next()) return;
      this.#endReading();
      const { read, loop } = this.#spec;
      if (!loop) return;
      this.#start(read!);
      if (this.#reader) this.#shiftMs = lastMs + GRAIN_MS - this.#reader.timeMs;
    } catch (error) {
      this.#failReading(error as Error);
    }
  }

  /** Opens the file at its first frame, if it has any. */
  #start(path: string): void {
    this.#reader = CaptureReader.open(path);
    if (!this.#reader.next()) this.#endReading();
  }

  #endReading(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }

  /** What could not be read counts as a frame not received. */
  #failReading(error: Error): void {
    this.#endReading();
    this.#datapath.refuse(this.#spec.number);
    this.#report(error);
  }

  transmit(): void {
    const { nowMs } = this.#datapath;
    const { number, epochMs } = this.#spec;
    if (this.#pipes && this.#writer!.unwritten > MOST_HELD_BYTES) {
      return this.#datapath.dropQueue(number, DROP_TRANSMIT_QUEUE_FULL);
    }
    if (!this.#failed) this.#write(nowMs + epochMs);
    if (this.#failed) return this.#datapath.dropQueue(number, DROP_TRANSMIT_ERROR);
    if (this.#pipes) this.#flushPipe(nowMs);
  }

  /** Gives a pipe all that it takes now. */
  #flushPipe(nowMs: number): void {
    this.#retryMs = Number.POSITIVE_INFINITY;
    this.#trying(() => this.#writer!.flush());
    if (!this.#failed && this.#writer!.unwritten > 0) this.#retryMs = nowMs + PIPE_RETRY_MS;
  }

  #write(timeMs: number): void {
    this.#trying(() =>
      this.#datapath.drainQueue(this.#spec.number, false, (address, length) =>
        this.#writer?.write(0, timeMs, this.#datapath.u8, address, length),
      ),
    );
  }

  /** Writes; what cannot be written ends the writing. */
  #trying(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#failed = true;
      this.#report(error as Error);
    }
  }

  /** A datapath thread never returns to its event loop, which `console.error` would need. */
  #report({ message }: Error): void {
    try {
      writeSync(2, `heddle: port ${this.#spec.name}: ${message}\n`);
    } catch {
      // Nobody listens.
    }
  }

  dueMs(): number {
    return Math.min(this.#frameDueMs(), this.#retryMs);
  }

  /** When the next frame comes. */
  #frameDueMs(): number {
    if (!this.#reader) return Number.POSITIVE_INFINITY;
    return Number.isNaN(this.#shiftMs) ? 0 : this.#reader.timeMs + this.#shiftMs;
  }

  /** Throws CaptureError when what is left cannot be written and nobody has been told yet. */
  close(): void {
    this.#endReading();
    for (let i = 0; i < LAST_CHANCE_MS && this.#retryMs !== Number.POSITIVE_INFINITY; i++) {
      Atomics.wait(pause, 0, 0, 1);
      this.#flushPipe(0);
    }
    try {
      this.#writer?.close();
    } catch (error) {
      if (!this.#failed) throw error;
    }
  }
}
