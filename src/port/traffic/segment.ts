/** A TCP header (RFC 9293 §3.1): the one received, and writing one. */
import type { FrameReader } from './reader.ts';
import type { Stack } from './stack.ts';
import { NOTHING } from './stream.ts';
import type { FrameWriter, Route } from './writer.ts';

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

const HEADER_BYTES = 20;
const CHECKSUM_FIELD = 16;
/** Every segment offers this much: all that fits in the field, since the windows are not scaled. */
export const WINDOW = 0xffff;

const OPTION_END = 0;
const OPTION_NONE = 1;
const OPTION_MAX_SEGMENT = 2;
const OPTION_MAX_SEGMENT_BYTES = 4;

/** The segment in a received packet. Sequence numbers are signed 32-bit numbers: compare differences. */
export class Segment {
  sourcePort = 0;
  destinationPort = 0;
  sequence = 0;
  acknowledgment = 0;
  flags = 0;
  window = 0;
  dataLength = 0;
  /** Of a SYN, the largest segment that its sender takes; 0 when it does not say. */
  maxSegment = 0;

  /** Whether the header fits the packet. */
  read(frame: FrameReader): boolean {
    const { view, transportAt: at, transportLength } = frame;
    if (transportLength < HEADER_BYTES) return false;
    const headerLength = (view.getUint8(at + 12) >> 4) * 4;
    if (headerLength < HEADER_BYTES || headerLength > transportLength) return false;
    this.sourcePort = view.getUint16(at);
    this.destinationPort = view.getUint16(at + 2);
    this.sequence = view.getInt32(at + 4);
    this.acknowledgment = view.getInt32(at + 8);
    this.flags = view.getUint8(at + 13);
    this.window = view.getUint16(at + 14);
    this.dataLength = transportLength - headerLength;
    this.maxSegment = 0;
    return (this.flags & SYN) === 0 || this.readOptions(view, at + HEADER_BYTES, at + headerLength);
  }

  /** Places in the sequence that the segment takes up. */
  get length(): number {
    return this.dataLength + (this.flags & SYN ? 1 : 0) + (this.flags & FIN ? 1 : 0);
  }

  private readOptions(view: DataView, at: number, end: number): boolean {
    while (at < end) {
      const kind = view.getUint8(at);
      if (kind === OPTION_END) return true;
      if (kind === OPTION_NONE) {
        at++;
        continue;
      }
      const length = at + 1 < end ? view.getUint8(at + 1) : 0;
      if (length < 2 || at + length > end) return false;
      if (kind === OPTION_MAX_SEGMENT && length === OPTION_MAX_SEGMENT_BYTES) {
        this.maxSegment = view.getUint16(at + 2);
      }
      at += length;
    }
    return true;
  }
}

/** Both ends of a TCP connection, as the local one sees them. */
export interface Ends {
  readonly route: Route;
  readonly localPort: number;
  readonly remotePort: number;
}

/**
 * Writes a segment with the largest segment size as an option unless `maxSegment` is 0, and `length` bytes of
 * `stream` beginning at `from`. Returns the frame's length.
 */
export function writeSegment(
  frame: FrameWriter,
  { route, localPort, remotePort }: Ends,
  sequence: number,
  acknowledgment: number,
  flags: number,
  maxSegment = 0,
  stream = NOTHING,
  from = 0,
  length = 0,
): number {
  const { view } = frame;
  const headerLength = HEADER_BYTES + (maxSegment === 0 ? 0 : OPTION_MAX_SEGMENT_BYTES);
  const at = frame.begin(route, headerLength + length);
  view.setUint16(at, localPort);
  view.setUint16(at + 2, remotePort);
  view.setInt32(at + 4, sequence);
  view.setInt32(at + 8, acknowledgment);
  view.setUint16(at + 12, (headerLength << 10) | flags);
  view.setUint16(at + 14, WINDOW);
  view.setUint16(at + 18, 0); // no urgent data
  if (maxSegment !== 0) {
    view.setUint16(at + 20, (OPTION_MAX_SEGMENT << 8) | OPTION_MAX_SEGMENT_BYTES);
    view.setUint16(at + 22, maxSegment);
  }
  stream.write(frame.bytes, at + headerLength, from, length);
  return frame.seal(route, at, headerLength + length, CHECKSUM_FIELD);
}

/** Resets a connection that this side has or, after a crash or a mistake of the other's, does not have. */
export function sendReset(
  stack: Stack,
  ends: Ends,
  sequence: number,
  acknowledgment: number,
  flags: number,
): void {
  const reply = stack.outbox.takeReply();
  if (reply === undefined) return;
  stack.statistics.resetsSent++;
  stack.outbox.post(reply, writeSegment(reply.frame, ends, sequence, acknowledgment, RST | flags));
}

/** Answers a segment that fits no connection with a reset which its sender will take (RFC 9293 §3.10.7.1). */
export function rejectSegment(stack: Stack, ends: Ends, segment: Segment): void {
  if (segment.flags & RST) return;
  if (segment.flags & ACK) sendReset(stack, ends, segment.acknowledgment, 0, 0);
  else sendReset(stack, ends, 0, segment.sequence + segment.length, ACK);
}
