/**
 * Capture port: frames come from a capture file at the pace of their times, and frames sent to the port go
 * to another. The first frame arrives when the port does.
 */
import { accessSync, constants } from 'node:fs';
import { BATCH, type Datapath, MAX_LENGTH, NONE } from '../datapath.ts';
import { CaptureReader } from './capture/reader.ts';
import { CaptureWriter } from './capture/writer.ts';
import type { CaptureOptions, OpenPort, Port } from './port.ts';

export function openCapture(number: number, name: string, options: CaptureOptions): OpenPort {
  if (options.read !== undefined) CaptureReader.open(options.read).close();
  if (options.write !== undefined) {
    CaptureWriter.create(options.write, [name]).close();
    accessSync(options.write, constants.W_OK);
  }
  return {
    driver: { type: 'capture', number, options },
    mtu: MAX_LENGTH - 14,
    maxLength: MAX_LENGTH,
    close() {},
  };
}

/** Frames whose times are no further apart than this may share a batch. */
const GRAIN_MS = 1;

export class CapturePort implements Port {
  readonly descriptors: readonly number[] = [];
  readonly #datapath: Datapath;
  readonly #number: number;
  readonly #options: CaptureOptions;
  readonly #writer: CaptureWriter | undefined;
  #reader: CaptureReader | undefined;
  /** What to add to the current frame's time to have it on the switch clock. */
  #shiftMs = Number.NaN;

  constructor(datapath: Datapath, number: number, options: CaptureOptions) {
    this.#datapath = datapath;
    this.#number = number;
    this.#options = options;
    if (options.write !== undefined) this.#writer = CaptureWriter.create(options.write, ['heddle']);
    this.#rewind();
  }

  #rewind(): void {
    this.#reader?.close();
    this.#reader = undefined;
    if (this.#options.read === undefined) return;
    const reader = CaptureReader.open(this.#options.read);
    this.#shiftMs = Number.NaN;
    if (reader.next()) this.#reader = reader;
    else reader.close();
  }

  poll(nowMs: number): number {
    let n = 0;
    while (n < BATCH && this.#reader && this.#due(this.#reader, nowMs) <= nowMs + GRAIN_MS) {
      const { buffer, offset, length } = this.#reader;
      const frame = this.#datapath.takeFrame(length);
      if (frame === NONE) break;
      this.#datapath.u8.set(buffer.subarray(offset, offset + length), this.#datapath.dataAddress(frame));
      this.#datapath.receive(n++, this.#number, frame, length);
      this.#advance(this.#reader);
    }
    if (n > 0) this.#datapath.exports.process(this.#number, n);
    return n;
  }

  #due(reader: CaptureReader, nowMs: number): number {
    if (Number.isNaN(this.#shiftMs)) this.#shiftMs = nowMs - reader.timeMs;
    return reader.timeMs + this.#shiftMs;
  }

  #advance(reader: CaptureReader): void {
    if (reader.next()) return;
    if (this.#options.loop) this.#rewind();
    else {
      reader.close();
      this.#reader = undefined;
    }
  }

  transmit(nowMs: number): void {
    this.#datapath.drainQueue(this.#number, false, (address, length) =>
      this.#writer?.write(0, nowMs, this.#datapath.u8, address, length),
    );
  }

  dueMs(): number {
    if (!this.#reader) return Number.POSITIVE_INFINITY;
    return Number.isNaN(this.#shiftMs) ? 0 : this.#reader.timeMs + this.#shiftMs;
  }

  close(): void {
    this.#reader?.close();
    this.#writer?.close();
  }
}
