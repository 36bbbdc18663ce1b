/**
 * From a frame to the tuple that names its connection, and to what it says to that (segment.ts).
 *
 * The parser has seen to it that headers and lengths fit the frame (packet/parse.ts). What is looked at here beside the
 * tuple is what a receiver looks at before it believes a packet: the checksums, the transport's unless it is known
 * (packet/transport-checksum.ts); UDP's own length (RFC 768) and that of SCTP's first chunk (RFC 9260 §3.2); that no
 * port is 0. A fragment has no tuple, not even the first, for what it says is not all there: see reassemble.ts.
 *
 * Of ICMP, queries and their answers are connections. An error belongs to the connection whose packet it quotes:
 *
 *     Ethernet │ IP  r → a │ ICMP error │ IP  a → b │ ports …        a router r tells a
 *                                         └ innerL3   └ innerL4      tuple: b → a, as if b had answered
 *
 * Everything else, like neighbour discovery, is between neighbours and no connection.
 */
import { BATCH_INNER, batch } from '../batch';
import { COUNT_CT_CHECKSUM, COUNT_CT_IPV4_CHECKSUM, count } from '../counters';
import { fold, headerSum } from '../packet/checksum';
import { CHECKSUM_GOOD, Frame, NETWORK_IPV4, NETWORK_IPV6, SHAPE_FRAGMENT } from '../packet/frame';
import {
  be16,
  ICMP_HEADER,
  PROTO_SCTP,
  PROTO_TCP,
  PROTO_UDP,
  SCTP_HEADER,
  UDP_HEADER,
} from '../packet/headers';
import { transportLength, verifyChecksum } from '../packet/transport-checksum';
import { isError, readNetwork, readTransport } from './read-tuple';
import { ownSegment, readSegment } from './segment';
import { isIcmp, reverseTuple, Tuple } from './tuple';

export const EXTRACT_INVALID: u32 = 0; // it names no connection
export const EXTRACT_OK: u32 = 1;
export const EXTRACT_ERROR: u32 = 2; // an ICMP error: the tuple is the quoted packet's, reversed

/** Goes up by one with each tuple that this thread reads: while it stays, packets have the tuple of the one before. */
export let namesRead: u32 = 0;

/** Bits of the transports that `isNamed` is for. Of the others that the parser reads none is one of these modulo 32. */
const NAMED_BY_WORDS: u32 = (1 << PROTO_TCP) | (1 << PROTO_UDP);

const CHUNK_HEADER: u32 = 4;

/** Fills `tuple` and the thread's segment from a parsed frame. */
export function extract(frame: Frame, zone: u16, tuple: Tuple): u32 {
  if (frame.shape & SHAPE_FRAGMENT) return EXTRACT_INVALID;
  const ip = frame.data + frame.l3;
  const network = frame.network;
  if (network == NETWORK_IPV4) {
    if (!isHeaderGood(ip)) return refuse(COUNT_CT_IPV4_CHECKSUM);
  } else if (network != NETWORK_IPV6) {
    return EXTRACT_INVALID;
  }
  if (frame.checksum != CHECKSUM_GOOD && !verifyChecksum(frame)) return refuse(COUNT_CT_CHECKSUM);
  const l4 = frame.data + frame.l4;
  const length = transportLength(frame);
  const transport = frame.transport;
  if (!isNamed(frame, zone, tuple, ip, l4)) {
    const kind = readName(frame, zone, tuple, l4 + length);
    if (kind != EXTRACT_OK) return kind;
  }
  if (transport == PROTO_UDP) return isUdpLengthGood(l4, length) ? EXTRACT_OK : EXTRACT_INVALID;
  if (transport == PROTO_TCP) readSegment(ownSegment(), l4, length);
  else if (transport == PROTO_SCTP && !isChunkGood(l4, length)) return EXTRACT_INVALID;
  return EXTRACT_OK;
}

/**
 * Whether the tuple, which is that of the packet before, is this one's as well: packets come in trains. It is told of TCP
 * and UDP over IPv4 alone, whose tuples have nothing but these three words.
 */
function isNamed(frame: Frame, zone: u16, tuple: Tuple, ip: usize, l4: usize): bool {
  const transport = <u32>frame.transport;
  if (frame.network != NETWORK_IPV4) return false;
  if (!((NAMED_BY_WORDS >>> transport) & 1)) return false;
  const name = changetype<usize>(tuple);
  const rest = <u32>NETWORK_IPV4 | (transport << 8) | ((<u32>zone) << 16);
  if (load<u32>(name, offsetof<Tuple>('l3')) != rest) return false;
  if (load<u32>(name, offsetof<Tuple>('tpSrc')) != load<u32>(l4)) return false;
  return (tuple.srcLow | (tuple.dstLow << 32)) == load<u64>(ip, 12);
}

/** Fills the tuple from a packet that ends at `end`, or from the one that it quotes. EXTRACT_… */
function readName(frame: Frame, zone: u16, tuple: Tuple, end: usize): u32 {
  namesRead++;
  const l4 = frame.data + frame.l4;
  tuple.zone = zone;
  readNetwork(tuple, frame.network, frame.data + frame.l3, end);
  if (isIcmp(frame.transport) && isError(frame.transport, load<u8>(l4))) {
    return readQuoted(frame, tuple, l4 + ICMP_HEADER, end) ? EXTRACT_ERROR : EXTRACT_INVALID;
  }
  const isWhole = frame.transport == tuple.proto || !hasHeader(tuple.proto); // else the parser found it cut short
  if (isWhole && readTransport(tuple, l4, end)) return EXTRACT_OK;
  tuple.l3 = 0; // the next packet like this has no tuple either
  return EXTRACT_INVALID;
}

/** Whether the parser reads a header of this protocol. */
function hasHeader(proto: u8): bool {
  return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP || isIcmp(proto);
}

function isHeaderGood(ip: usize): bool {
  return fold(headerSum(ip, (<u32>load<u8>(ip) & 15) << 2)) == 0xffff;
}

/** EXTRACT_INVALID, for a reason that is counted. */
function refuse(why: u32): u32 {
  count(why, 1);
  return EXTRACT_INVALID;
}

function isUdpLengthGood(udp: usize, room: u32): bool {
  const length = be16(udp + 4);
  return length >= UDP_HEADER && length <= room;
}

function isChunkGood(sctp: usize, room: u32): bool {
  if (room < SCTP_HEADER + CHUNK_HEADER) return false;
  const length = be16(sctp + SCTP_HEADER + 2);
  return length >= CHUNK_HEADER && length <= room - SCTP_HEADER;
}

/** Puts into `tuple`, which is the error's own, the reverse of that of the packet quoted at `ip`. */
function readQuoted(frame: Frame, tuple: Tuple, ip: usize, end: usize): bool {
  const inner = changetype<Tuple>(batch() + BATCH_INNER);
  const segment = ownSegment();
  segment.isRouted = false;
  inner.zone = tuple.zone;
  const l4 = readNetwork(inner, tuple.l3, ip, end);
  if (l4 == 0 || !readTransport(inner, l4, end)) return false;
  segment.innerL3 = <u16>(ip - frame.data);
  segment.innerL4 = <u16>(l4 - frame.data);
  segment.isMisdirected = inner.srcLow != tuple.dstLow || inner.srcHigh != tuple.dstHigh;
  reverseTuple(tuple, inner);
  return true;
}
