/**
 * Does in software what a port cannot leave to its far side: cuts a segment of up to 64 KiB into packets of
 * its segment size, as the sender's card would have. Headers in front of the transport's, options and pushed
 * labels among them, are repeated as they are; only lengths and IPv4's identification differ.
 */
import { NONE } from '../memory/arena';
import { update } from './checksum';
import { copyHeaders, Frame, frameAt, SEGMENT_NONE, SEGMENT_UDP, takeFrame } from './frame';
import {
  be16,
  be32,
  IPV6_HEADER,
  PROTO_TCP,
  PROTO_UDP,
  putBe16,
  putBe32,
  TCP_HEADER,
  UDP_HEADER,
} from './headers';
import { isIpv6, makeChecksum } from './transport-checksum';

/** The kind of segment, without the bit that says it carries a congestion mark (…_GSO_ECN). */
function kind(frame: Frame): u8 {
  return frame.segmentType & 0x7f;
}

/**
 * Bytes of headers that each segment repeats; 0: not a frame we can cut. A fragment is none, nor is one with
 * a routing header under way, whose checksum covers another destination.
 */
export function segmentHeaders(frame: Frame): u32 {
  if (frame.segmentType == SEGMENT_NONE || frame.segmentSize == 0 || frame.shape != 0) return 0;
  const isUdp = kind(frame) == SEGMENT_UDP;
  if (frame.transport != (isUdp ? PROTO_UDP : PROTO_TCP)) return 0;
  const l4 = <u32>frame.l4;
  const least = l4 + (isUdp ? UDP_HEADER : TCP_HEADER);
  const headers = isUdp ? least : l4 + ((<u32>load<u8>(frame.data + l4 + 12) >>> 4) << 2);
  return headers >= least && headers < frame.length ? headers : 0;
}

/** How many packets the frame is on the wire. */
export function segmentCount(frame: Frame): u32 {
  const headers = segmentHeaders(frame);
  if (headers == 0) return 1;
  return (frame.length - headers + frame.segmentSize - 1) / frame.segmentSize;
}

/**
 * The segment of `frame` whose payload begins `offset` bytes behind the `headers`, as a frame of its own
 * with every length, number and checksum right; NONE when there is no free frame.
 */
export function cutSegment(frame: Frame, headers: u32, offset: u32): u32 {
  const rest = frame.length - headers - offset;
  const payload = min<u32>(rest, frame.segmentSize);
  const number = takeFrame(headers + payload);
  if (number == NONE) return NONE;
  const segment = frameAt(number);
  segment.length = headers + payload;
  segment.port = frame.port;
  segment.flags = frame.flags;
  copyHeaders(segment, frame);
  memory.copy(segment.data, frame.data, headers);
  memory.copy(segment.data + headers, frame.data + headers + offset, payload);
  fixNetwork(segment, offset / frame.segmentSize);
  if (kind(frame) == SEGMENT_UDP) putBe16(segment.data + segment.l4 + 4, segment.length - segment.l4);
  else fixTcp(segment, offset, rest > payload);
  makeChecksum(segment);
  return number;
}

/** Length, and for IPv4 the identification, which counts up (RFC 6864 lets it), and the checksum. */
function fixNetwork(segment: Frame, index: u32): void {
  const ip = segment.data + segment.l3;
  const length = segment.length - segment.l3;
  if (isIpv6(segment)) {
    putBe16(ip + 4, length - IPV6_HEADER);
    return;
  }
  const before = load<u32>(ip);
  putBe16(ip + 2, length);
  update(ip + 10, before, load<u32>(ip));
  const identification = load<u32>(ip + 4);
  putBe16(ip + 4, be16(ip + 4) + index);
  update(ip + 10, identification, load<u32>(ip + 4));
}

const FLAGS_FIN_PSH: u8 = 0x09;
const FLAG_CWR: u8 = 0x80;

/** Sequence number; FIN and PSH only on the last segment, CWR only on the first (RFC 3168 §6.1.2). */
function fixTcp(segment: Frame, offset: u32, more: bool): void {
  const tcp = segment.data + segment.l4;
  putBe32(tcp + 4, be32(tcp + 4) + offset);
  let flags = load<u8>(tcp + 13);
  if (more) flags &= ~FLAGS_FIN_PSH;
  if (offset != 0) flags &= ~FLAG_CWR;
  store<u8>(tcp + 13, flags);
}
