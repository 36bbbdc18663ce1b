/**
 * Writes captures that tcpdump and Wireshark read: classic pcap where the file's name ends in `.pcap`, and
 * pcapng, which keeps several interfaces apart, everywhere else.
 */
import { FileSink } from './file-sink.ts';
import { FRAME_BYTES_MAX, type FrameWriter } from './format.ts';
import { PcapWriter } from './pcap-writer.ts';
import { PcapngWriter } from './pcapng-writer.ts';

/** Both formats end here: pcap counts seconds in 32 bits, and microseconds past it stay exact in a double. */
const TIME_MS_LIMIT = (2 ** 32 - 1) * 1000;

/** pcapng §3.5: the length of an option has 16 bits. */
const NAME_BYTES_MAX = 65_535;

export class CaptureWriter {
  readonly interfaces: readonly string[];
  private readonly sink: FileSink;
  private readonly frames: FrameWriter;

  private constructor(sink: FileSink, interfaces: readonly string[], frames: FrameWriter) {
    this.sink = sink;
    this.interfaces = interfaces;
    this.frames = frames;
  }

  /**
   * Creates the file, or empties it, for frames of the named interfaces. Throws RangeError when the
   * format cannot hold them, before it touches the file, and what `fs.openSync` does. `waits`: as in FileSink.
   */
  static create(path: string, interfaces: readonly string[], waits = true): CaptureWriter {
    const pcap = path.endsWith('.pcap');
    if (pcap && interfaces.length !== 1) {
      const given = `${interfaces.length} interfaces (${interfaces.join(', ')})`;
      throw new RangeError(`${path}: pcap has one interface, not ${given}; end the name in .pcapng`);
    }
    for (const name of interfaces) {
      const bytes = Buffer.byteLength(name);
      if (bytes > NAME_BYTES_MAX)
        throw new RangeError(`${path}: interface name of ${bytes} bytes; expected at most ${NAME_BYTES_MAX}`);
    }
    const sink = new FileSink(path, waits);
    const frames = pcap ? new PcapWriter(sink) : new PcapngWriter(sink, interfaces);
    return new CaptureWriter(sink, interfaces, frames);
  }

  /**
   * Appends the frame of `length` bytes at `bytes[offset]`; `timeMs` is since the epoch and is kept to the
   * microsecond. Throws RangeError for arguments that no capture can hold, CaptureError when the disk
   * refuses what was written before.
   */
  write(
    interfaceIndex: number,
    timeMs: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    originalLength = length,
  ): void {
    if (!(interfaceIndex >= 0 && interfaceIndex < this.interfaces.length))
      throw this.rangeError(`interface ${interfaceIndex}; there are ${this.interfaces.length}`);
    if (!(timeMs >= 0 && timeMs < TIME_MS_LIMIT))
      throw this.rangeError(`time ${timeMs} ms; expected 0 to ${TIME_MS_LIMIT}`);
    if (!(length >= 0 && length <= FRAME_BYTES_MAX))
      throw this.rangeError(`a frame of ${length} bytes; expected at most ${FRAME_BYTES_MAX}`);
    if (!(offset >= 0 && offset + length <= bytes.length))
      throw this.rangeError(`${length} bytes at ${offset} of a buffer of ${bytes.length}`);
    this.frames.write(interfaceIndex, timeMs, bytes, offset, length, originalLength);
    this.sink.frames++;
  }

  /** Bytes that the kernel has not got yet; a file is given a mebibyte at a time. */
  get unwritten(): number {
    return this.sink.unwritten;
  }

  /** Hands everything written to the kernel, or all that it takes now. Throws CaptureError when it does not take it. */
  flush(): void {
    this.sink.flush();
  }

  /** Flushes and closes, even when flushing fails. */
  close(): void {
    this.sink.close();
  }

  private rangeError(what: string): RangeError {
    return new RangeError(`${this.sink.path}: frame ${this.sink.frames + 1}: ${what}`);
  }
}
