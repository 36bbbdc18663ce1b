/**
 * Does in software what a port cannot leave to its far side: completes a partial checksum, and cuts a
 * segment of up to 64 KiB into packets of its segment size, as the sender's card would have.
 */
import { COUNT_CHECKSUMS_COMPLETED, count } from '../counters';
import { NONE } from '../memory/arena';
import { fold, sum, update } from './checksum';
import { FRAME_PARTIAL, Frame, frameAt, SEGMENT_NONE, SEGMENT_UDP, takeFrame } from './frame';
import {
  be16,
  be32,
  IPV6_HEADER,
  PROTO_TCP,
  PROTO_UDP,
  putBe16,
  putBe32,
  TCP_HEADER,
  TYPE_IPV6,
  UDP_HEADER,
} from './headers';

/** Where UDP has its checksum. Zero says that there is none (RFC 768), so one that comes out so is all ones. */
const UDP_CHECKSUM: u16 = 6;
const TCP_CHECKSUM: u16 = 16;

/** Completes the checksum: the field holds the pseudo-header's sum, so summing over it covers both. */
export function completeChecksum(frame: Frame): void {
  frame.flags &= ~FRAME_PARTIAL;
  const start = <u32>frame.checksumStart;
  const place = start + <u32>frame.checksumOffset;
  if (place + 2 > frame.length) return;
  const checksum = fold(sum(frame.data + start, frame.length - start)) ^ 0xffff;
  store<u16>(
    frame.data + place,
    <u16>(checksum == 0 && frame.checksumOffset == UDP_CHECKSUM ? 0xffff : checksum),
  );
  count(COUNT_CHECKSUMS_COMPLETED, 1);
}

/** The kind of segment, without the bit that says it carries a congestion mark (…_GSO_ECN). */
function kind(frame: Frame): u8 {
  return frame.segmentType & 0x7f;
}

/** Bytes of Ethernet, IP and transport header that each segment repeats; 0: not a frame we can cut. */
export function segmentHeaders(frame: Frame): u32 {
  const l4 = <u32>frame.l4;
  const isUdp = kind(frame) == SEGMENT_UDP;
  const least = l4 + (isUdp ? UDP_HEADER : TCP_HEADER);
  if (frame.segmentType == SEGMENT_NONE || frame.segmentSize == 0) return 0;
  if (l4 == 0 || least > frame.length) return 0;
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
  segment.flags = frame.flags & ~FRAME_PARTIAL;
  segment.l3 = frame.l3;
  segment.l4 = frame.l4;
  memory.copy(segment.data, frame.data, headers);
  memory.copy(segment.data + headers, frame.data + headers + offset, payload);
  fixNetwork(segment, offset / frame.segmentSize);
  if (kind(frame) == SEGMENT_UDP) putBe16(segment.data + segment.l4 + 4, segment.length - segment.l4);
  else fixTcp(segment, offset, rest > payload);
  fixTransportChecksum(segment, kind(frame));
  return number;
}

/** Length, and for IPv4 the identification, which counts up (RFC 6864 lets it), and the checksum. */
function fixNetwork(segment: Frame, index: u32): void {
  const ip = segment.data + segment.l3;
  const length = segment.length - segment.l3;
  if (load<u16>(ip - 2) == TYPE_IPV6) {
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

/** The whole transport checksum, pseudo-header included (RFC 9293 §3.1, RFC 8200 §8.1). */
function fixTransportChecksum(segment: Frame, type: u8): void {
  const ip = segment.data + segment.l3;
  const l4 = segment.data + segment.l4;
  const length = segment.length - segment.l4;
  const v6 = load<u16>(ip - 2) == TYPE_IPV6;
  const protocol = <u32>(type == SEGMENT_UDP ? PROTO_UDP : PROTO_TCP);
  const place = l4 + (type == SEGMENT_UDP ? UDP_CHECKSUM : TCP_CHECKSUM);
  store<u16>(place, 0);
  const addresses = v6 ? sum(ip + 8, 32) : sum(ip + 12, 8);
  const pseudo = addresses + <u64>(protocol << 8) + <u64>bswap<u16>(<u16>length);
  const checksum = fold(pseudo + sum(l4, length)) ^ 0xffff;
  store<u16>(place, <u16>(checksum == 0 && type == SEGMENT_UDP ? 0xffff : checksum));
}
