/**
 * Reads captures, pcap or pcapng, frame by frame and without copying: the format is told by the file's
 * first bytes, whatever its name.
 *
 *     const capture = CaptureReader.open('in.pcapng');
 *     while (capture.next()) consume(capture.buffer, capture.offset, capture.length);
 *     capture.close();
 */
import { FileWindow } from './file-window.ts';
import type { CaptureInterface, Frame, FrameReader } from './format.ts';
import { isPcap, PcapReader } from './pcap-reader.ts';
import { isPcapng, PcapngReader } from './pcapng-reader.ts';

export { CaptureError } from './error.ts';

/** First bytes of what captures are often compressed to, in hex, and what undoes it. */
const COMPRESSIONS = [
  { magic: '1f8b', name: 'gzip', undo: 'gunzip' },
  { magic: '28b52ffd', name: 'zstd', undo: 'unzstd' },
  { magic: 'fd377a58', name: 'xz', undo: 'unxz' },
];

/**
 * An open capture and, after `next`, its current frame: `length` bytes from `buffer[offset]`, good until
 * the next call of `next`.
 */
export class CaptureReader implements Frame {
  readonly format: 'pcap' | 'pcapng';
  /** Number of the current frame, from 1; 0 before the first. */
  frame = 0;
  buffer: Uint8Array;
  offset = 0;
  length = 0;
  originalLength = 0;
  timeMs = 0;
  interfaceIndex = 0;
  private readonly window: FileWindow;
  private readonly frames: FrameReader;

  private constructor(window: FileWindow) {
    const pcapng = recognise(window) === 'pcapng';
    this.format = pcapng ? 'pcapng' : 'pcap';
    this.frames = pcapng ? new PcapngReader(window) : new PcapReader(window);
    this.window = window;
    this.buffer = window.buffer;
  }

  /** Opens a capture. Throws CaptureError when it is none, and what `fs.openSync` does. */
  static open(path: string): CaptureReader {
    const window = new FileWindow(path);
    try {
      return new CaptureReader(window);
    } catch (error) {
      window.close();
      throw error;
    }
  }

  /**
   * The interfaces that the file has described until the current frame; all that it describes before its
   * first frame are here from the start. pcap describes one, without a name. Where a pcapng file has
   * several sections, those of later sections follow.
   */
  get interfaces(): readonly CaptureInterface[] {
    return this.frames.interfaces;
  }

  /** The file's size when it was opened; 0 for a pipe. */
  get sizeBytes(): number {
    return this.window.sizeBytes;
  }

  /** Bytes of the file up to the end of the current frame. */
  get bytesRead(): number {
    return this.window.position;
  }

  /** Moves to the next frame; false at a clean end. Throws CaptureError; after that only `close` is left. */
  next(): boolean {
    this.window.frame = this.frame + 1;
    if (!this.frames.next(this)) return false;
    this.frame++;
    return true;
  }

  close(): void {
    this.window.close();
  }
}

/** The format that the file's first bytes name. Throws CaptureError when they name none. */
function recognise(window: FileWindow): 'pcap' | 'pcapng' {
  const have = window.fill(4);
  if (have === 0) throw window.error('the file is empty; expected a pcap or pcapng capture');
  const start = Buffer.from(window.buffer.buffer, 0, have).toString('hex');
  const compression = COMPRESSIONS.find(({ magic }) => start.startsWith(magic));
  if (compression)
    throw window.error(
      `the file is compressed with ${compression.name}; decompress it first (${compression.undo})`,
    );
  if (have === 4 && isPcapng(window)) return 'pcapng';
  if (have === 4 && isPcap(window)) return 'pcap';
  throw window.error(`not a capture: starts with ${start}; expected pcap (a1b2c3d4) or pcapng (0a0d0d0a)`);
}
