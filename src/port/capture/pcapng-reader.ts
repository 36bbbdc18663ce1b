/**
 * Reads pcapng: blocks, each with its length before and behind it. A section header begins a section, says
 * its byte order and forgets the interfaces before it; interface descriptions number the interfaces of
 * their section from 0; packet blocks carry the frames. Other blocks are gone over unread.
 *
 *     ┌──────┬────────┬──────────────────────────────┬─────────┬────────┐
 *     │ type │ length │ body, padded to 4 bytes      │ options │ length │   any block (pcapng §3.1)
 *     └──────┴────────┴──────────────────────────────┴─────────┴────────┘
 *      0      4        8        10      12     16         20         24         28
 *     ┌──────┬────────┬────────┬───────┬──────┬──────────┬──────────┬──────────┬───────
 *     │   6  │        │ interface      │ time │ time low │ captured │ original │ bytes…   §4.3
 *     │   2  │        │ interf.│ drops │ time │ time low │ captured │ original │ bytes…   appendix A
 *     │   3  │        │ original       │ bytes…                                          §4.4
 *     └──────┴────────┴────────────────┴────────────────────────────────────────────────
 */
import { type FileWindow, WINDOW_BYTES } from './file-window.ts';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_INTERFACE,
  BLOCK_OLD_PACKET,
  BLOCK_OVERHEAD,
  BLOCK_SECTION,
  BLOCK_SIMPLE_PACKET,
  BYTE_ORDER,
  type CaptureInterface,
  FRAME_BYTES_MAX,
  type Frame,
  type FrameReader,
  LINKTYPE_ETHERNET,
  OPTION_END,
  OPTION_IF_NAME,
  OPTION_IF_TSOFFSET,
  OPTION_IF_TSRESOL,
  PCAPNG_VERSION_MAJOR,
  padded,
  showLinkType,
  TSRESOL_MICROSECONDS,
} from './format.ts';

/** Interfaces that one file may describe, over all its sections. */
const INTERFACES_MAX = 65_536;

const SECTION_BYTES = 28;
const INTERFACE_BYTES = 20;
const PACKET_BYTES = 32;
const SIMPLE_PACKET_BYTES = 16;

/** An interface and how its clock counts. */
interface ClockedInterface extends CaptureInterface {
  readonly ticksPerSecond: number;
  readonly offsetMs: number;
}

/** Whether the four bytes at the window's start open a pcapng file. */
export function isPcapng(window: FileWindow): boolean {
  return window.view.getUint32(window.start) === BLOCK_SECTION;
}

export class PcapngReader implements FrameReader {
  readonly interfaces: ClockedInterface[] = [];
  private readonly window: FileWindow;
  private little = true;
  /** Where the interfaces of this section begin. */
  private firstInterface = 0;

  /** `window` stands at the start of a file for which `isPcapng` holds. Throws CaptureError. */
  constructor(window: FileWindow) {
    this.window = window;
    this.seekPacket(); // so that the interfaces described up front are known
  }

  next(frame: Frame): boolean {
    const type = this.seekPacket();
    if (type === 0) return false;
    frame.buffer = this.window.buffer;
    if (type === BLOCK_SIMPLE_PACKET) this.readSimplePacket(frame);
    else this.readPacket(frame, type);
    return true;
  }

  /** Takes in everything before the next packet block and returns that block's type; 0 at the end. */
  private seekPacket(): number {
    const { window } = this;
    for (;;) {
      const have = window.fill(BLOCK_OVERHEAD);
      if (have === 0) return 0;
      if (have < BLOCK_OVERHEAD)
        throw window.error(`a block has at least ${BLOCK_OVERHEAD} bytes, the file ends after ${have}`);
      const type = window.view.getUint32(window.start, this.little);
      switch (type) {
        case BLOCK_ENHANCED_PACKET:
        case BLOCK_OLD_PACKET:
        case BLOCK_SIMPLE_PACKET:
          return type;
        case BLOCK_SECTION:
          this.readSection();
          break;
        case BLOCK_INTERFACE:
          this.readInterface();
          break;
        default:
          this.skipBlock();
      }
    }
  }

  private readSection(): void {
    const { window } = this;
    const { view } = window;
    const order = view.getUint32(window.start + 8, true);
    this.little = order === BYTE_ORDER;
    if (!this.little && view.getUint32(window.start + 8, false) !== BYTE_ORDER)
      throw window.error(`section header has byte order ${hex(order)}; expected ${hex(BYTE_ORDER)}`);
    const length = this.fillBlock('section header', SECTION_BYTES);
    const major = view.getUint16(window.start + 12, this.little);
    if (major !== PCAPNG_VERSION_MAJOR)
      throw window.error(`section header has version ${major}; expected ${PCAPNG_VERSION_MAJOR}`);
    this.firstInterface = this.interfaces.length;
    window.start += length;
  }

  private readInterface(): void {
    const { window, little } = this;
    const { view } = window;
    const length = this.fillBlock('interface description', INTERFACE_BYTES);
    if (this.interfaces.length === INTERFACES_MAX)
      throw window.error(
        `interface description number ${INTERFACES_MAX + 1}; a file has at most ${INTERFACES_MAX}`,
      );
    const at = window.start;
    const end = at + length - 4;
    let name = '';
    let resolution = TSRESOL_MICROSECONDS;
    let offsetSeconds = 0n;
    for (let option = at + 16; option < end; ) {
      const code = view.getUint16(option, little);
      const bytes = view.getUint16(option + 2, little);
      const value = option + 4;
      if (code === OPTION_END) break;
      if (value + padded(bytes) > end)
        throw window.error(
          `interface option ${code} says ${bytes} bytes, its block ends after ${end - value}`,
        );
      if (code === OPTION_IF_NAME) {
        name = Buffer.from(window.buffer.buffer, value, bytes).toString();
      } else if (code === OPTION_IF_TSRESOL) {
        this.expectOption('if_tsresol', bytes, 1);
        resolution = view.getUint8(value);
      } else if (code === OPTION_IF_TSOFFSET) {
        this.expectOption('if_tsoffset', bytes, 8);
        offsetSeconds = view.getBigInt64(value, little);
      }
      option = value + padded(bytes);
    }
    this.interfaces.push({
      name,
      linkType: view.getUint16(at + 8, little),
      snapLength: view.getUint32(at + 12, little),
      // pcapng §4.2: the top bit chooses the base.
      ticksPerSecond: resolution & 0x80 ? 2 ** (resolution & 0x7f) : 10 ** resolution,
      offsetMs: Number(offsetSeconds) * 1000,
    });
    window.start += length;
  }

  /** An enhanced packet block, or the packet block that it replaced. */
  private readPacket(frame: Frame, type: number): void {
    const { window, little } = this;
    const { view } = window;
    const whole = this.fillBlock('packet', PACKET_BYTES);
    const at = window.start;
    const id = type === BLOCK_OLD_PACKET ? view.getUint16(at + 8, little) : view.getUint32(at + 8, little);
    const { ticksPerSecond, offsetMs } = this.interfaceOf(id);
    const length = view.getUint32(at + 20, little);
    this.checkLength(length, whole - PACKET_BYTES);

    // Seconds are taken off before the low half is added: a count of nanoseconds since 1970 has more digits
    // than a double, but its upper half and whole seconds of it do not, nor does what is left of them.
    const high = view.getUint32(at + 12, little) * 2 ** 32;
    const low = view.getUint32(at + 16, little);
    const seconds = Math.floor((high + low) / ticksPerSecond);
    const ticks = high - seconds * ticksPerSecond + low;

    frame.offset = at + 28;
    frame.length = length;
    frame.originalLength = view.getUint32(at + 24, little);
    frame.timeMs = seconds * 1000 + ticks / (ticksPerSecond / 1000) + offsetMs;
    frame.interfaceIndex = this.firstInterface + id;
    window.start += whole;
  }

  /** A simple packet block belongs to interface 0 and has no time: the frame keeps that of the one before. */
  private readSimplePacket(frame: Frame): void {
    const { window } = this;
    const whole = this.fillBlock('simple packet', SIMPLE_PACKET_BYTES);
    const { snapLength } = this.interfaceOf(0);
    const originalLength = window.view.getUint32(window.start + 8, this.little);
    const length = snapLength === 0 ? originalLength : Math.min(originalLength, snapLength);
    this.checkLength(length, whole - SIMPLE_PACKET_BYTES);

    frame.offset = window.start + 12;
    frame.length = length;
    frame.originalLength = originalLength;
    frame.interfaceIndex = this.firstInterface;
    window.start += whole;
  }

  /** The interface that this section calls `id`. */
  private interfaceOf(id: number): ClockedInterface {
    const { window } = this;
    const found = this.interfaces[this.firstInterface + id];
    if (found === undefined) {
      const described = this.interfaces.length - this.firstInterface;
      throw window.error(`packet of interface ${id}; its section has described ${described} until here`);
    }
    if (found.linkType !== LINKTYPE_ETHERNET)
      throw window.error(
        `packet of interface ${id} ('${found.name}') with link type ${showLinkType(found.linkType)}; ` +
          `expected ${showLinkType(LINKTYPE_ETHERNET)}`,
      );
    return found;
  }

  private checkLength(length: number, room: number): void {
    const { window } = this;
    if (length > FRAME_BYTES_MAX)
      throw window.error(`packet says ${length} bytes; a frame has at most ${FRAME_BYTES_MAX}`);
    if (length > room) throw window.error(`packet says ${length} bytes, its block has room for ${room}`);
  }

  private expectOption(name: string, bytes: number, expected: number): void {
    if (bytes !== expected)
      throw this.window.error(`interface option ${name} has ${bytes} bytes; expected ${expected}`);
  }

  /** Brings the whole block into the window, with both its lengths checked, and returns its length. */
  private fillBlock(name: string, minimum: number): number {
    const { window } = this;
    const length = this.blockLength(name, minimum);
    if (length > WINDOW_BYTES)
      throw window.error(`${name} block says ${length} bytes; expected at most ${WINDOW_BYTES}`);
    const have = window.fill(length);
    if (have < length) throw window.error(`${name} block says ${length} bytes, the file ends after ${have}`);
    this.checkTrailer(name, length, window.start + length - 4, window.position);
    return length;
  }

  /** Goes over a block of any length without holding it. */
  private skipBlock(): void {
    const { window } = this;
    const at = window.position;
    const name = `type ${hex(window.view.getUint32(window.start, this.little))}`;
    const length = this.blockLength(name, BLOCK_OVERHEAD);
    const body = window.skip(length - 4);
    const have = body + window.fill(4);
    if (have < length)
      throw window.error(`${name} block says ${length} bytes, the file ends after ${have}`, at);
    this.checkTrailer(name, length, window.start, at);
    window.start += 4;
  }

  /** Compares the block's length behind it, at `trailer` in the buffer, with the one before it. */
  private checkTrailer(name: string, length: number, trailer: number, position: number): void {
    const { window } = this;
    const again = window.view.getUint32(trailer, this.little);
    if (again !== length)
      throw window.error(`${name} block says ${length} bytes at its start, ${again} at its end`, position);
  }

  private blockLength(name: string, minimum: number): number {
    const { window } = this;
    const length = window.view.getUint32(window.start + 4, this.little);
    if (length < minimum || length % 4 !== 0)
      throw window.error(`${name} block says ${length} bytes; expected a multiple of 4, at least ${minimum}`);
    return length;
  }
}

function hex(word: number): string {
  return `0x${word.toString(16).padStart(8, '0')}`;
}
