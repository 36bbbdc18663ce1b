/**
 * Reads classic pcap, in either byte order, with microseconds or nanoseconds.
 *
 *      0       4    6    8         12        16        20         24
 *     ┌───────┬────┬────┬─────────┬─────────┬─────────┬──────────┐
 *     │ magic │ maj│ min│ 0       │ 0       │ snaplen │ linktype │   once (pcap §4)
 *     └───────┴────┴────┴─────────┴─────────┴─────────┴──────────┘
 *     ┌─────────┬──────────────────┬──────────┬──────────┬───────┐
 *     │ seconds │ micro- or nanos. │ captured │ original │ bytes…│   a frame (pcap §5)
 *     └─────────┴──────────────────┴──────────┴──────────┴───────┘
 */
import type { FileWindow } from './file-window.ts';
import {
  type CaptureInterface,
  FRAME_BYTES_MAX,
  type Frame,
  type FrameReader,
  LINKTYPE_ETHERNET,
  PCAP_HEADER_BYTES,
  PCAP_MICROSECONDS,
  PCAP_NANOSECONDS,
  PCAP_RECORD_BYTES,
  PCAP_VERSION_MAJOR,
  PCAP_VERSION_MINOR,
  showLinkType,
} from './format.ts';

/** Whether the four bytes at the window's start open a pcap file. */
export function isPcap({ view, start }: FileWindow): boolean {
  return isMagic(view.getUint32(start, true)) || isMagic(view.getUint32(start, false));
}

function isMagic(word: number): boolean {
  return word === PCAP_MICROSECONDS || word === PCAP_NANOSECONDS;
}

export class PcapReader implements FrameReader {
  readonly interfaces: readonly CaptureInterface[];
  private readonly window: FileWindow;
  private readonly little: boolean;
  private readonly ticksPerMs: number;

  /** `window` stands at the start of a file for which `isPcap` holds. Throws CaptureError. */
  constructor(window: FileWindow) {
    const have = window.fill(PCAP_HEADER_BYTES);
    if (have < PCAP_HEADER_BYTES)
      throw window.error(`a pcap header has ${PCAP_HEADER_BYTES} bytes, the file ends after ${have}`);

    const { view, start } = window;
    const little = isMagic(view.getUint32(start, true));
    const major = view.getUint16(start + 4, little);
    const minor = view.getUint16(start + 6, little);
    if (major !== PCAP_VERSION_MAJOR || minor !== PCAP_VERSION_MINOR)
      throw window.error(
        `pcap version ${major}.${minor}; expected ${PCAP_VERSION_MAJOR}.${PCAP_VERSION_MINOR}`,
      );

    // pcap §4: the upper half says whether frames keep their check sequence.
    const linkType = view.getUint32(start + 20, little) & 0xffff;
    if (linkType !== LINKTYPE_ETHERNET)
      throw window.error(`link type ${showLinkType(linkType)}; expected ${showLinkType(LINKTYPE_ETHERNET)}`);

    this.window = window;
    this.little = little;
    this.ticksPerMs = view.getUint32(start, little) === PCAP_NANOSECONDS ? 1e6 : 1e3;
    this.interfaces = [{ name: '', linkType, snapLength: view.getUint32(start + 16, little) }];
    window.start += PCAP_HEADER_BYTES;
  }

  next(frame: Frame): boolean {
    const { window, little } = this;
    const { view } = window;
    const have = window.fill(PCAP_RECORD_BYTES);
    if (have === 0) return false;
    if (have < PCAP_RECORD_BYTES)
      throw window.error(`a record header has ${PCAP_RECORD_BYTES} bytes, the file ends after ${have}`);

    const length = view.getUint32(window.start + 8, little);
    if (length > FRAME_BYTES_MAX)
      throw window.error(`record says ${length} bytes; a frame has at most ${FRAME_BYTES_MAX}`);
    const whole = PCAP_RECORD_BYTES + length;
    const there = window.fill(whole);
    if (there < whole)
      throw window.error(`record says ${length} bytes, the file ends after ${there - PCAP_RECORD_BYTES}`);

    const at = window.start;
    frame.buffer = window.buffer;
    frame.offset = at + PCAP_RECORD_BYTES;
    frame.length = length;
    frame.originalLength = view.getUint32(at + 12, little);
    frame.timeMs = view.getUint32(at, little) * 1000 + view.getUint32(at + 4, little) / this.ticksPerMs;
    frame.interfaceIndex = 0;
    window.start += whole;
    return true;
  }
}
