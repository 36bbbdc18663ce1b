/**
 * Writes pcapng: one little-endian section, an interface description for each interface, then an enhanced
 * packet block a frame, in microseconds. `pcapng-reader.ts` shows the layout.
 */
import type { FileSink } from './file-sink.ts';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_INTERFACE,
  BLOCK_SECTION,
  BYTE_ORDER,
  FRAME_BYTES_MAX,
  type FrameWriter,
  LINKTYPE_ETHERNET,
  OPTION_END,
  OPTION_IF_NAME,
  OPTION_IF_TSRESOL,
  PCAPNG_VERSION_MAJOR,
  padded,
  TSRESOL_MICROSECONDS,
} from './format.ts';

export class PcapngWriter implements FrameWriter {
  private readonly sink: FileSink;

  constructor(sink: FileSink, interfaces: readonly string[]) {
    this.sink = sink;
    this.writeSection();
    for (const name of interfaces) this.writeInterface(Buffer.from(name));
  }

  write(
    interfaceIndex: number,
    timeMs: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    originalLength: number,
  ): void {
    const whole = 32 + padded(length);
    const at = this.openBlock(BLOCK_ENHANCED_PACKET, whole);
    const { view } = this.sink;
    const microseconds = Math.round(timeMs * 1000);
    const high = Math.floor(microseconds / 2 ** 32);
    view.setUint32(at + whole - 8, 0, true); // the padding, where nothing below goes over it
    view.setUint32(at + 8, interfaceIndex, true);
    view.setUint32(at + 12, high, true);
    view.setUint32(at + 16, microseconds - high * 2 ** 32, true);
    view.setUint32(at + 20, length, true);
    view.setUint32(at + 24, originalLength, true);
    this.sink.copy(at + 28, bytes, offset, length);
  }

  private writeSection(): void {
    const at = this.openBlock(BLOCK_SECTION, 28);
    const { view } = this.sink;
    view.setUint32(at + 8, BYTE_ORDER, true);
    view.setUint16(at + 12, PCAPNG_VERSION_MAJOR, true);
    view.setUint16(at + 14, 0, true);
    view.setBigInt64(at + 16, -1n, true); // pcapng §4.1: the section's length is not known
  }

  private writeInterface(name: Uint8Array): void {
    const whole = 36 + padded(name.length);
    const at = this.openBlock(BLOCK_INTERFACE, whole);
    const { buffer, view } = this.sink;
    buffer.fill(0, at + 8, at + whole - 4);
    view.setUint16(at + 8, LINKTYPE_ETHERNET, true);
    view.setUint32(at + 12, FRAME_BYTES_MAX, true);
    view.setUint16(at + 16, OPTION_IF_NAME, true);
    view.setUint16(at + 18, name.length, true);
    buffer.set(name, at + 20);
    const resolution = at + 20 + padded(name.length);
    view.setUint16(resolution, OPTION_IF_TSRESOL, true);
    view.setUint16(resolution + 2, 1, true);
    view.setUint8(resolution + 4, TSRESOL_MICROSECONDS);
    view.setUint32(resolution + 8, OPTION_END, true);
  }

  /** Reserves a block of `whole` bytes, writes its type and both its lengths, and returns where it is. */
  private openBlock(type: number, whole: number): number {
    const at = this.sink.reserve(whole);
    const { view } = this.sink;
    view.setUint32(at, type, true);
    view.setUint32(at + 4, whole, true);
    view.setUint32(at + whole - 4, whole, true);
    return at;
  }
}
