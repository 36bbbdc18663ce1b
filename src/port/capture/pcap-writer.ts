/** Writes classic pcap: little endian, microseconds, Ethernet. `pcap-reader.ts` shows the layout. */
import type { FileSink } from './file-sink.ts';
import {
  FRAME_BYTES_MAX,
  type FrameWriter,
  LINKTYPE_ETHERNET,
  PCAP_HEADER_BYTES,
  PCAP_MICROSECONDS,
  PCAP_RECORD_BYTES,
  PCAP_VERSION_MAJOR,
  PCAP_VERSION_MINOR,
} from './format.ts';

export class PcapWriter implements FrameWriter {
  private readonly sink: FileSink;

  constructor(sink: FileSink) {
    this.sink = sink;
    const { view } = sink;
    const at = sink.reserve(PCAP_HEADER_BYTES);
    view.setUint32(at, PCAP_MICROSECONDS, true);
    view.setUint16(at + 4, PCAP_VERSION_MAJOR, true);
    view.setUint16(at + 6, PCAP_VERSION_MINOR, true);
    view.setUint32(at + 8, 0, true);
    view.setUint32(at + 12, 0, true);
    view.setUint32(at + 16, FRAME_BYTES_MAX, true);
    view.setUint32(at + 20, LINKTYPE_ETHERNET, true);
  }

  write(
    _interfaceIndex: number,
    timeMs: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    originalLength: number,
  ): void {
    const { sink } = this;
    const { view } = sink;
    const at = sink.reserve(PCAP_RECORD_BYTES + length);
    const microseconds = Math.round(timeMs * 1000);
    const seconds = Math.floor(microseconds / 1e6);
    view.setUint32(at, seconds, true);
    view.setUint32(at + 4, microseconds - seconds * 1e6, true);
    view.setUint32(at + 8, length, true);
    view.setUint32(at + 12, originalLength, true);
    sink.copy(at + PCAP_RECORD_BYTES, bytes, offset, length);
  }
}
