/**
 * What the two capture formats have in common: the frame that a reader shows, the interfaces it came
 * from, and the numbers that reader and writer of one format must agree on.
 *
 * pcap is draft-ietf-opsawg-pcap, pcapng is draft-ietf-opsawg-pcapng; comments cite their sections.
 */

/** An interface that frames were captured on. */
export interface CaptureInterface {
  /** As the file names it; '' where it does not. */
  readonly name: string;
  /** LINKTYPE_ value. */
  readonly linkType: number;
  /** Bytes that the capture kept of a frame at most; 0: all of it. */
  readonly snapLength: number;
}

/** One captured frame: a place in a buffer that its owner will use again. */
export interface Frame {
  buffer: Uint8Array;
  /** Of the first byte, in `buffer`. */
  offset: number;
  /** Bytes captured. */
  length: number;
  /** Bytes that the frame had on the wire, as the file says. */
  originalLength: number;
  /** Milliseconds since the epoch, with as many digits below as a double holds. */
  timeMs: number;
  /** Position in the reader's `interfaces`. */
  interfaceIndex: number;
}

/** Reads the frames of one file, whatever its format. */
export interface FrameReader {
  /** Those seen until now: a pcapng file may describe more between its frames. */
  readonly interfaces: readonly CaptureInterface[];
  /** Writes where the next frame lies into `frame`; false at a clean end. Throws CaptureError. */
  next(frame: Frame): boolean;
}

/** Writes frames in one format. The caller has checked the arguments. */
export interface FrameWriter {
  write(
    interfaceIndex: number,
    timeMs: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    originalLength: number,
  ): void;
}

/** Longest frame that is believed, libpcap's MAXIMUM_SNAPLEN: a record that says more is corrupt. */
export const FRAME_BYTES_MAX = 262_144;

export const LINKTYPE_ETHERNET = 1;

const LINKTYPE_NAMES: Readonly<Record<number, string>> = {
  0: 'NULL',
  1: 'ETHERNET',
  9: 'PPP',
  101: 'RAW',
  105: 'IEEE802_11',
  108: 'LOOP',
  113: 'LINUX_SLL',
  127: 'IEEE802_11_RADIOTAP',
  189: 'USB_LINUX',
  220: 'USB_LINUX_MMAPPED',
  228: 'IPV4',
  229: 'IPV6',
  253: 'NETLINK',
  276: 'LINUX_SLL2',
};

/** A link type for people: `113 (LINUX_SLL)`. */
export function showLinkType(linkType: number): string {
  const name = LINKTYPE_NAMES[linkType];
  return name === undefined ? String(linkType) : `${linkType} (${name})`;
}

/** pcap §4: the first word, in the byte order of the machine that wrote the file. */
export const PCAP_MICROSECONDS = 0xa1b2c3d4;
export const PCAP_NANOSECONDS = 0xa1b23c4d;
export const PCAP_VERSION_MAJOR = 2;
export const PCAP_VERSION_MINOR = 4;
export const PCAP_HEADER_BYTES = 24;
export const PCAP_RECORD_BYTES = 16;

/** pcapng §4.1: reads the same in both byte orders, so that the first four bytes name the format. */
export const BLOCK_SECTION = 0x0a0d0d0a;
export const BLOCK_INTERFACE = 1;
export const BLOCK_OLD_PACKET = 2;
export const BLOCK_SIMPLE_PACKET = 3;
export const BLOCK_ENHANCED_PACKET = 6;
export const BYTE_ORDER = 0x1a2b3c4d;
export const PCAPNG_VERSION_MAJOR = 1;

/** pcapng §3.1: type and length before the body, the length again behind it. */
export const BLOCK_OVERHEAD = 12;

/** pcapng §3.5 and §4.2. */
export const OPTION_END = 0;
export const OPTION_IF_NAME = 2;
export const OPTION_IF_TSRESOL = 9;
export const OPTION_IF_TSOFFSET = 14;
/** if_tsresol: ticks of 10^-6 s, also what a file without the option means. */
export const TSRESOL_MICROSECONDS = 6;

/** `bytes` rounded up to a multiple of four, to which pcapng pads bodies and options. */
export function padded(bytes: number): number {
  return (bytes + 3) & ~3;
}
