/**
 * Replay: what a configuration would do to a capture. Its ports are not opened; frames come in at them from
 * the capture, and what is sent to them goes to another.
 *
 * Frames go through one at a time, each with all that follows from it before the next: the handler sees
 * to a miss at once, and what falls due between two frames is done between them, on a clock that
 * follows the frames' times. So the outcome depends on the capture and the configuration alone, not on how
 * frames fall into batches or how fast the machine is, and what goes out is in the order of what came in.
 */
import { createArena, Datapath, loadModule, MAX_LENGTH, NONE, Observer, PortTable } from '../datapath.ts';
import type { FlowRow, PortRow, Summary } from '../model.ts';
import { CaptureReader } from '../port/capture/reader.ts';
import { CaptureWriter } from '../port/capture/writer.ts';
import type { Port } from '../port/port.ts';
import { Forwarder } from '../thread/forwarder.ts';
import { SlowPath } from '../upcall/slow-path.ts';
import type { Config, PortConfig } from './config.ts';
import { configureRevalidation } from './revalidation.ts';
import { summaryOf } from './summary.ts';
import { limitsOf, slowOptions } from './switch.ts';
import { configureTracking } from './tracking.ts';

export { CaptureError } from '../port/capture/error.ts';

/** Flows hash the same in every replay. */
const HASH_SEED = 1;

export interface ReplayOptions {
  /** Number of the port for frames whose interface is not named like any port. */
  port: number;
  /** File that frames sent to any port go to. */
  write?: string | undefined;
}

export class Replay {
  /** Frames read from the capture until now. */
  frames = 0;
  readonly #config: Config;
  readonly #reader: CaptureReader;
  readonly #writer: CaptureWriter | undefined;
  readonly #datapath: Datapath;
  readonly #forwarder: Forwarder;
  readonly #slowDatapath: Datapath;
  readonly #slow: SlowPath;
  readonly #observer: Observer;
  readonly #defaultPort: number;
  /** Port numbers by the capture's interfaces, as far as they have been seen. */
  readonly #portOf: number[] = [];
  /** Time of the first frame: where the switch clock starts. */
  #startMs = Number.NaN;
  #nowMs = 0;
  /** Bytes of the current frame that were on the wire and that the capture left out. */
  #missing = 0;

  /**
   * Opens the capture, then creates the file to write. Throws CaptureError when the capture is none, and
   * what `fs.openSync` does.
   */
  constructor(config: Config, capture: string, { port, write }: ReplayOptions) {
    this.#config = config;
    this.#defaultPort = port;
    this.#reader = CaptureReader.open(capture);
    try {
      this.#writer = write === undefined ? undefined : createOutput(write, config.ports);
      const arena = createArena(loadModule(), limitsOf(config), HASH_SEED);
      configureTracking(arena, config.conntrack);
      configureRevalidation(arena, config.revalidation);
      this.#observer = new Observer(arena);
      this.#datapath = new Datapath(arena, 0);
      this.#slowDatapath = new Datapath(arena, 1);
      this.#slow = new SlowPath(this.#slowDatapath, slowOptions(config));
      this.#forwarder = new Forwarder(this.#datapath);
      const table = new PortTable(arena);
      for (const [i, { number }] of config.ports.entries()) {
        table.open(number, 0, MAX_LENGTH);
        this.#forwarder.attach(number, this.#endpoint(number, i));
      }
    } catch (error) {
      this.#writer?.close();
      this.#reader.close();
      throw error;
    }
  }

  get bytesRead(): number {
    return this.#reader.bytesRead;
  }

  /** The capture's size; 0 when that is not known. */
  get sizeBytes(): number {
    return this.#reader.sizeBytes;
  }

  /** Replays up to `frames` frames; false when the capture has ended. Throws CaptureError. */
  run(frames: number): boolean {
    for (let i = 0; i < frames; i++) {
      if (!this.#reader.next()) {
        this.#slow.close();
        return false;
      }
      this.#replay(this.#reader);
    }
    return true;
  }

  #replay(frame: CaptureReader): void {
    this.frames++;
    if (Number.isNaN(this.#startMs)) this.#startMs = frame.timeMs;
    this.#advance(frame.timeMs - this.#startMs);
    const port = this.#portOf[frame.interfaceIndex] ?? this.#findPort(frame.interfaceIndex);
    if (!this.#receive(frame, port)) return this.#datapath.refuse(port);

    this.#datapath.exports.process(port, 1);
    this.#forwarder.transmit();
    while (this.#slowDatapath.exports.hasWork()) {
      this.#slow.round(this.#nowMs);
      while (this.#forwarder.finish() > 0);
    }
  }

  /** Moves the clock on, past everything that falls due on the way. It never goes back. */
  #advance(nowMs: number): void {
    for (let dueMs = this.#slow.dueMs(); dueMs <= nowMs; dueMs = this.#slow.dueMs()) {
      this.#nowMs = Math.max(this.#nowMs, dueMs);
      this.#slow.round(this.#nowMs);
    }
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#datapath.setClock(this.#nowMs);
  }

  /**
   * Puts a frame at its length on the wire into the batch, with zeros for what the capture left out, lest
   * its headers seem wrong; false when it is longer than any frame can be.
   */
  #receive({ buffer, offset, length, originalLength }: CaptureReader, port: number): boolean {
    const wireLength = Math.max(length, originalLength);
    const frame = wireLength <= MAX_LENGTH ? this.#datapath.takeFrame(wireLength) : NONE;
    if (frame === NONE) return false;
    const address = this.#datapath.dataAddress(frame);
    this.#datapath.u8.set(buffer.subarray(offset, offset + length), address);
    this.#missing = wireLength - length;
    if (this.#missing > 0) this.#datapath.u8.fill(0, address + length, address + wireLength);
    this.#datapath.receive(0, port, frame, wireLength);
    return true;
  }

  #findPort(interfaceIndex: number): number {
    const { name } = this.#reader.interfaces[interfaceIndex]!;
    const number = this.#config.ports.find((port) => port.name === name)?.number ?? this.#defaultPort;
    this.#portOf[interfaceIndex] = number;
    return number;
  }

  /** What stands in for port `number`, the `i`th of the configuration. */
  #endpoint(number: number, i: number): Port {
    const writer = this.#writer;
    const out = writer && writer.interfaces.length > 1 ? i : 0;
    const take = (address: number, length: number) =>
      writer?.write(out, this.#reader.timeMs, this.#datapath.u8, address, length - this.#missing, length);
    return {
      descriptors: [],
      poll: () => 0,
      transmit: () => this.#datapath.drainQueue(number, false, take),
      dueMs: () => Number.POSITIVE_INFINITY,
      close() {},
    };
  }

  summary(): Summary {
    const ports = this.#config.ports.map(
      ({ number, name, type }): PortRow => ({
        number,
        name,
        type,
        threads: [1],
        state: 'up',
        carrier: true,
        reason: '',
        sinceSeconds: 0,
        mtu: MAX_LENGTH - 14,
        ...this.#observer.port(number),
        rxDropped: 0,
        rxMissed: 0,
      }),
    );
    return summaryOf(this.#config.name, this.#nowMs, this.#observer, ports);
  }

  /** The flows of the tables, with the packets that took them. */
  flows(): FlowRow[] {
    return this.#slow.ask({ command: 'flows' }) as FlowRow[];
  }

  /** Throws CaptureError when what is left cannot be written. */
  close(): void {
    this.#reader.close();
    this.#writer?.close();
  }
}

/** A pcapng file has an interface for each port; pcap has one. */
function createOutput(path: string, ports: readonly PortConfig[]): CaptureWriter {
  const names = path.endsWith('.pcap') ? ['heddle'] : ports.map(({ name }) => name);
  return CaptureWriter.create(path, names);
}
