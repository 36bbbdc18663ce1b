/**
 * Translates packets in place, as the two tuples of their connection say: addresses, ports, ICMP identifiers.
 *
 *     original   client ▶ service              reply   server ▶ outside address
 *
 *     a packet comes in as                     and leaves as
 *     original   client ▶ service              outside address ▶ server     the reply tuple, reversed
 *     reply      server ▶ outside address      service ▶ client             the original tuple, reversed
 *
 * An ICMP error is about a packet that went the other way, and has its beginning inside as it looked where the
 * error arose: after its translation. It gets back what its sender gave it, which is the other direction's tuple
 * as it stands, with the checksums of its own headers where they have not been cut off. An address outside is
 * translated where the connection translates that address: so the source of an error from a router out in the
 * world stays (RFC 5508 REQ-4), and a router inside does not show (REQ-5).
 *
 * Checksums change by what changes under them (transport-checksum.ts): wrong ones stay wrong, of the packet
 * inside too, which nobody can verify when it was cut short (REQ-3); of a checksum that was cut through, what is
 * left stays. A later fragment has only addresses.
 */
import { Key } from '../flow/key';
import { fold, sum } from '../packet/checksum';
import { Frame, NETWORK_IPV4, SHAPE_ROUTED } from '../packet/frame';
import {
  ICMP_HEADER,
  PROTO_SCTP,
  PROTO_TCP,
  PROTO_UDP,
  SCTP_HEADER,
  setBytes,
  UDP_HEADER,
} from '../packet/headers';
import { setIpv4 } from '../packet/ipv4';
import { setIpv6 } from '../packet/ipv6';
import { setPorts } from '../packet/transport';
import { setCovered, transportLength, updateCovered } from '../packet/transport-checksum';
import { CONNECTION_DNAT, CONNECTION_SNAT, Connection, ORIGINAL, tupleOf } from './connection';
import { ownSegment, Segment } from './segment';
import { CT_DNAT, CT_SNAT } from './state';
import { isIcmp, Tuple } from './tuple';

const ALL: u32 = 0xffffffff;

const ICMP_ID: usize = 4; // behind type, code and checksum (RFC 792; RFC 4443 §4.1)
const TCP_TO_CHECKSUM: u32 = 18; // RFC 9293 §3.1

/** Translates a packet of `direction`, whose headers have been read. What was translated, as ct_state says it. */
export function translate(frame: Frame, connection: Connection, direction: u32): u32 {
  const state = stateOf(connection, direction);
  if (state == 0) return 0;
  const answer = tupleOf(connection, direction ^ 1);
  setAddresses(frame, destinationOf(answer), sourceOf(answer));
  setEnds(frame, rotl<u32>(portsOf(answer), 16), answer.tpSrc);
  return state;
}

/** The same for an ICMP error that goes in `direction`, about a packet of the other; `extract` has just read both. */
export function translateError(frame: Frame, connection: Connection, direction: u32): u32 {
  const state = stateOf(connection, direction);
  if (state == 0) return 0;
  const about = tupleOf(connection, direction ^ 1);
  translateInside(frame, about);
  const own = tupleOf(connection, direction);
  const header = frame.data + frame.l3;
  const source = header + (frame.network == NETWORK_IPV4 ? 12 : 8);
  const destination = header + (frame.network == NETWORK_IPV4 ? 16 : 24);
  setAddresses(
    frame,
    isSameAddress(sourceOf(own), destinationOf(about)) ? source : destinationOf(about),
    isSameAddress(destinationOf(own), sourceOf(about)) ? destination : sourceOf(about),
  );
  return state;
}

/** Which ends of the packets of a direction are translated: the source of one is the destination of the other. */
function stateOf(connection: Connection, direction: u32): u32 {
  const flags = connection.flags;
  const isOriginal = direction == ORIGINAL;
  const source = (flags & (isOriginal ? CONNECTION_SNAT : CONNECTION_DNAT)) != 0;
  const destination = (flags & (isOriginal ? CONNECTION_DNAT : CONNECTION_SNAT)) != 0;
  return (source ? CT_SNAT : 0) | (destination ? CT_DNAT : 0);
}

function sourceOf(tuple: Tuple): usize {
  return changetype<usize>(tuple) + offsetof<Tuple>('srcLow');
}

function destinationOf(tuple: Tuple): usize {
  return changetype<usize>(tuple) + offsetof<Tuple>('dstLow');
}

/** Both ports, as they stand in a header. */
function portsOf(tuple: Tuple): u32 {
  return load<u32>(changetype<usize>(tuple), offsetof<Tuple>('tpSrc'));
}

function isSameAddress(a: usize, b: usize): bool {
  return !v128.any_true(v128.xor(v128.load(a), v128.load(b)));
}

/** Gives the packet the addresses that stand at `source` and `destination`. */
export function setAddresses(frame: Frame, source: usize, destination: usize): void {
  if (frame.network == NETWORK_IPV4) {
    setIpv4(frame, offsetof<Key>('nwSrc'), load<u32>(source), ALL);
    setIpv4(frame, offsetof<Key>('nwDst'), load<u32>(destination), ALL);
  } else {
    for (let i: u32 = 0; i < 16; i += 4) {
      setIpv6(frame, offsetof<Key>('nwSrc') + i, load<u32>(source + i), ALL);
      setIpv6(frame, offsetof<Key>('ipv6Dst') + i, load<u32>(destination + i), ALL);
    }
  }
}

/** Gives it the ports, or if it is ICMP the identifier. */
function setEnds(frame: Frame, ports: u32, id: u16): void {
  if (isIcmp(frame.transport)) setCovered(frame, frame.data + frame.l4 + ICMP_ID, id, 0xffff);
  else setPorts(frame, ports, ALL);
}

/**
 * Makes the packet inside the error, which has been read into the thread's segment, what `sent` says. While it is
 * rewritten, the frame's record tells of it and not of the error; to the error's checksum it is then so many bytes
 * whose sum has changed.
 */
function translateInside(frame: Frame, sent: Tuple): void {
  const segment = ownSegment();
  const start = <u32>segment.innerL3;
  const end = <u32>frame.l4 + transportLength(frame);
  const before = fold(sum(frame.data + start, end - start));
  const outside = load<u64>(changetype<usize>(frame), offsetof<Frame>('l3'));
  const length = frame.length;
  frame.length = ALL; // its CRC covers also what was cut off, as long as its own header says it was
  lookInside(frame, segment, sent.proto, end);
  setAddresses(frame, sourceOf(sent), destinationOf(sent));
  if (frame.transport != 0) setEnds(frame, portsOf(sent), sent.tpSrc);
  else if (frame.l4 != 0) setBytes(frame.data + frame.l4, portsOf(sent), ALL);
  frame.length = length;
  store<u64>(changetype<usize>(frame), outside, offsetof<Frame>('l3'));
  updateCovered(frame, before, fold(sum(frame.data + start, end - start)));
}

/**
 * Makes the frame's record tell of the packet inside, which goes up to `end`: `l4` if it has ports or an identifier,
 * and `transport` if it has the checksum over them too.
 */
function lookInside(frame: Frame, segment: Segment, protocol: u8, end: u32): void {
  const toChecksum = bytesToChecksum(protocol);
  const hasChecksum = segment.innerL4 + toChecksum <= end;
  frame.l3 = segment.innerL3;
  frame.l4 = toChecksum == 0 ? 0 : segment.innerL4;
  frame.transport = toChecksum != 0 && hasChecksum ? protocol : 0;
  frame.shape = segment.isRouted ? SHAPE_ROUTED : 0;
}

/** Bytes of the header up to the end of its ports or identifier and its checksum; 0: it has none. */
function bytesToChecksum(protocol: u8): u32 {
  if (protocol == PROTO_TCP) return TCP_TO_CHECKSUM;
  if (protocol == PROTO_UDP) return UDP_HEADER;
  if (protocol == PROTO_SCTP) return SCTP_HEADER;
  return isIcmp(protocol) ? ICMP_HEADER : 0;
}
