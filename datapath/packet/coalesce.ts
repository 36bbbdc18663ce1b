/**
 * Joins TCP segments that follow each other into one whole segment, for a port behind which the kernel cuts
 * it again or passes it on whole: so the far side's work is done once a batch instead of once a packet.
 *
 *     queue   [ Eth IP TCP 1..1448 ][ Eth IP TCP 1449..2896 ][ … ]   same connection, same acknowledgement
 *     joined  [ Eth IP TCP 1 ··········································· 64 KiB ]   segmentSize 1448
 *
 * What cutting would not restore is never joined: the packets must be equal in every header field but
 * length, identification, sequence number, PSH and checksums; each but the last must be full; and their
 * checksums are verified first, because cutting makes new ones.
 */
import { COUNT_JOINED, count } from '../counters';
import { NONE } from '../memory/arena';
import { portAt, queued, setQueued, transmitQueue } from '../port/port';
import { fold, sum, update } from './checksum';
import {
  CHECKSUM_PARTIAL,
  duplicate,
  FRAME_COPY,
  FRAME_HEADROOM,
  Frame,
  frameAt,
  giveFrame,
  LARGE_FRAME_SIZE,
  NETWORK_IPV4,
  NETWORK_IPV6,
  SEGMENT_NONE,
  SEGMENT_TCP4,
  SEGMENT_TCP6,
} from './frame';
import { be16, be32, IPV4_HEADER, IPV6_HEADER, PROTO_TCP, putBe16 } from './headers';
import { isIpv6, pseudoHeader, transportLength, verifyChecksum } from './transport-checksum';

/** Longest joined packet, network header included: what its length field can say. */
const LONGEST: u32 = 65535;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/** Joins what can be joined in the transmit queue of `port`. Returns how many frames are gone into others. */
export function coalesce(port: u32): u32 {
  const queue = transmitQueue(port);
  let kept: u32 = 0;
  const longest = portAt(port).maxLength;
  for (let i: u32 = 0; i < queue.count; i++) {
    const number = queued(queue, i);
    if (kept != 0) {
      const joined = join(queued(queue, kept - 1), number, longest);
      if (joined != NONE) {
        setQueued(queue, kept - 1, joined);
        continue;
      }
    }
    setQueued(queue, kept++, number);
  }
  const gone = queue.count - kept;
  if (gone != 0) count(COUNT_JOINED, gone);
  queue.count = kept;
  return gone;
}

/**
 * Appends `next` to `number`, which moves to a large frame if it is not in one. Returns its number, or NONE:
 * also when one of them alone is more than the `longest` that the port takes, which cutting would not mend.
 */
function join(number: u32, next: u32, longest: u32): u32 {
  const segment = frameAt(number);
  const packet = frameAt(next);
  const headers = packet.length <= longest ? tcpHeaders(packet) : 0;
  if (headers == 0 || !follows(segment, packet, headers)) return NONE;
  if (!verifyChecksum(packet)) return NONE;
  if (segment.segmentType == SEGMENT_NONE) {
    if (segment.length > longest || !verifyChecksum(segment)) return NONE;
    number = begin(segment, number, headers);
    if (number == NONE) return NONE;
  }
  append(frameAt(number), packet, headers);
  giveFrame(next);
  return number;
}

/**
 * Bytes up to the payload of a plain TCP data segment, else 0: ACK and perhaps PSH, no IP options or extension
 * headers, no labels, no fragment, no padding.
 */
function tcpHeaders(frame: Frame): u32 {
  if (frame.checksum == CHECKSUM_PARTIAL || frame.segmentType != SEGMENT_NONE) return 0;
  if (frame.transport != PROTO_TCP || frame.shape != 0) return 0;
  const ipHeader: u32 = isIpv6(frame) ? IPV6_HEADER : IPV4_HEADER;
  if (<u32>frame.l4 != <u32>frame.l3 + ipHeader || frame.l4 + transportLength(frame) != frame.length)
    return 0;
  if (frame.network == NETWORK_IPV4) {
    if (fold(sum(frame.data + frame.l3, IPV4_HEADER)) != 0xffff) return 0;
  } else if (frame.network != NETWORK_IPV6) return 0;
  const tcp = frame.data + frame.l4;
  if ((load<u8>(tcp + 13) & ~PSH) != ACK || load<u8>(tcp + 12) & 15) return 0;
  const headers = <u32>frame.l4 + ((<u32>load<u8>(tcp + 12) >>> 4) << 2);
  return headers < frame.length ? headers : 0;
}

/** Whether `packet`, whose headers are `headers` long, goes on where `segment` ends. */
function follows(segment: Frame, packet: Frame, headers: u32): bool {
  const plain = segment.segmentType == SEGMENT_NONE;
  if (plain && tcpHeaders(segment) != headers) return false;
  if (segment.l3 != packet.l3 || segment.l4 != packet.l4) return false;
  if ((segment.flags ^ packet.flags) & FRAME_COPY) return false;
  const held = segment.length - headers;
  const size = plain ? held : <u32>segment.segmentSize;
  const more = packet.length - headers;
  if (held % size != 0 || more > size || segment.length - segment.l3 + more > LONGEST) return false;
  return sameConnection(segment, packet, headers, held) && sameNetwork(segment, packet, held / size);
}

/** Equal Ethernet and TCP headers but for PSH, which must not have come yet, and the sequence, which goes on. */
function sameConnection(segment: Frame, packet: Frame, headers: u32, held: u32): bool {
  if (memory.compare(segment.data, packet.data, segment.l3) != 0) return false;
  const a = segment.data + segment.l4;
  const b = packet.data + packet.l4;
  if (load<u32>(a) != load<u32>(b) || load<u32>(a, 8) != load<u32>(b, 8)) return false;
  if (be32(b + 4) != be32(a + 4) + held) return false;
  if (load<u8>(a + 12) != load<u8>(b + 12) || load<u8>(a + 13) != (load<u8>(b + 13) & ~PSH)) return false;
  if (load<u16>(a + 14) != load<u16>(b + 14)) return false;
  return memory.compare(a + 18, b + 18, headers - segment.l4 - 18) == 0;
}

/** Equal network headers but for length, checksum and the identification, which counts up or means nothing. */
function sameNetwork(segment: Frame, packet: Frame, packets: u32): bool {
  const a = segment.data + segment.l3;
  const b = packet.data + packet.l3;
  if (load<u16>(a) != load<u16>(b)) return false;
  if (isIpv6(segment)) {
    return load<u16>(a, 2) == load<u16>(b, 2) && memory.compare(a + 6, b + 6, IPV6_HEADER - 6) == 0;
  }
  if (load<u32>(a, 6) != load<u32>(b, 6) || load<u64>(a, 12) != load<u64>(b, 12)) return false;
  // RFC 6864 §4.1: the identification of a datagram that may not be fragmented has no meaning.
  const dontFragment = load<u8>(a, 6) & 0x40;
  return dontFragment != 0 || be16(b + 4) == ((be16(a + 4) + packets) & 0xffff);
}

/** Moves a packet to a large frame as the first of a segment. Returns that frame's number, or NONE. */
function begin(packet: Frame, number: u32, headers: u32): u32 {
  const large = duplicate(packet, LARGE_FRAME_SIZE - FRAME_HEADROOM);
  if (large == NONE) return NONE;
  const segment = frameAt(large);
  segment.checksum = CHECKSUM_PARTIAL;
  segment.checksumStart = packet.l4;
  segment.checksumOffset = 16;
  segment.segmentType = isIpv6(packet) ? SEGMENT_TCP6 : SEGMENT_TCP4;
  segment.segmentSize = <u16>(packet.length - headers);
  segment.joined = packet.joined;
  giveFrame(number);
  return large;
}

function append(segment: Frame, packet: Frame, headers: u32): void {
  const more = packet.length - headers;
  memory.copy(segment.data + segment.length, packet.data + headers, more);
  segment.length += more;
  segment.joined += packet.joined + 1;
  const ip = segment.data + segment.l3;
  const length = segment.length - segment.l3;
  if (segment.segmentType == SEGMENT_TCP6) {
    putBe16(ip + 4, length - IPV6_HEADER);
  } else {
    const before = load<u32>(ip);
    putBe16(ip + 2, length);
    update(ip + 10, before, load<u32>(ip));
  }
  const tcp = segment.data + segment.l4;
  store<u8>(tcp + 13, load<u8>(tcp + 13) | (load<u8>(packet.data + packet.l4 + 13) & PSH));
  store<u16>(tcp + 16, <u16>fold(pseudoHeader(segment, transportLength(segment))));
}
