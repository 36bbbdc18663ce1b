/**
 * TCP as somebody in the middle sees it: each end by what it has sent and what the other has let it send, after
 * Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2000), as OpenBSD's pf and Open vSwitch do.
 *
 *          may be sent again          new
 *     ├───────────────────────┼────────────────┤
 *     seqLow − other's window    seqLow           seqHigh           both of one end, its Peer
 *
 * A segment fits when it lies between these, what it acknowledges is near the other's `seqLow`, and a reset is
 * exactly where its receiver stands (RFC 5961 §3.2, but for one either way: some count their SYN or FIN wrong). All
 * numbers are compared modulo 2³² (RFC 9293 §3.4). Then the ends move on:
 *
 *                     it sends SYN    it sends FIN    the other sends ACK    either sends RST
 *     CLOSED          SYN_SENT        CLOSING         –                      TIME_WAIT
 *     SYN_SENT        –               CLOSING         ESTABLISHED            TIME_WAIT
 *     ESTABLISHED     –               CLOSING         –                      TIME_WAIT
 *     CLOSING         –               –               FIN_WAIT_2             TIME_WAIT
 *     FIN_WAIT_2      –               –               –                      TIME_WAIT
 *     TIME_WAIT       –               –               –                      –
 *
 * An end never moves back. The first packet of an end takes it to SYN_SENT whatever its flags, for the connection may
 * be older than what is known of it. When both ends are at FIN_WAIT_2 or beyond, a SYN begins another connection. A SYN
 * into one that is alive does not fit; the challenge with which its receiver answers (RFC 5961 §4.2) is an
 * acknowledgement like any other and moves nothing.
 *
 * What does not fit is tolerated before the other end was heard and after either is done, when it is at most
 * MOST_ASTRAY off. It does not prolong the connection's life, so that a flood of such cannot keep it.
 */
import { COUNT_CT_TCP_FLAGS, COUNT_CT_TCP_SEQUENCE, COUNT_CT_TCP_UNCHECKED, count } from '../counters';
import { ArenaMap, map } from '../memory/arena';
import { Connection, ORIGINAL, Peer, peerOf, REPLY } from './connection';
import {
  MAX_WINDOW_SHIFT,
  Segment,
  TCP_FLAG_ACK,
  TCP_FLAG_FIN,
  TCP_FLAG_PSH,
  TCP_FLAG_RST,
  TCP_FLAG_SYN,
  TCP_FLAG_URG,
  UPDATE_INVALID,
  UPDATE_NEW,
  UPDATE_TOLERATED,
  UPDATE_VALID,
  UPDATE_VALID_NEW,
  WINDOW_SCALED,
  WINDOW_SHIFT,
} from './segment';
import {
  TIMEOUT_TCP_CLOSE,
  TIMEOUT_TCP_ESTABLISHED,
  TIMEOUT_TCP_FIN_WAIT,
  TIMEOUT_TCP_SYN_RECV,
  TIMEOUT_TCP_SYN_SENT,
  TIMEOUT_TCP_TIME_WAIT,
} from './timeouts';

// `Peer.state`, in the order in which an end goes through them.
export const TCP_CLOSED: u8 = 0; // nothing came from it
export const TCP_SYN_SENT: u8 = 1;
export const TCP_ESTABLISHED: u8 = 2; // what it began with is acknowledged
export const TCP_CLOSING: u8 = 3; // it has sent FIN
export const TCP_FIN_WAIT_2: u8 = 4; // which is acknowledged
export const TCP_TIME_WAIT: u8 = 5;

/** `map.connectionFlags`: sequence numbers are not checked. */
export const CONNECTIONS_UNCHECKED: u32 = 1;

/** `Peer.windowScale` of both ends when the SYNs were not seen: any window may be as large as there are. */
export const WINDOW_SCALE_UNKNOWN: u8 = 0x40;

/** How far off an acknowledgement may be, and what is tolerated: the largest window unscaled, and some. */
const MOST_ASTRAY: u32 = 65535 + 1500;
const MAX_WINDOW: u32 = 65535;

/**
 * Begins a connection with its first packet: a SYN; or one of a connection that is older than what is known of it, and
 * be it a reset, as in Open vSwitch. Not with SYN and ACK: whoever answers a SYN that was not seen is not to be trusted.
 */
export function beginTcp(connection: Connection, segment: Segment): bool {
  const flags = segment.flags;
  if (areInvalid(flags)) return false;
  const isSyn = (flags & TCP_FLAG_SYN) != 0;
  if (isSyn && flags & TCP_FLAG_ACK) return false;
  const src = peerOf(connection, ORIGINAL);
  const dst = peerOf(connection, REPLY);
  src.seqLow = segment.seq;
  src.seqHigh = endOf(segment) + 1;
  src.windowScale = isSyn ? segment.windowScale : WINDOW_SCALE_UNKNOWN;
  src.maxWindow = <u16>scaledDown(max<u32>(segment.window, 1), src.windowScale & WINDOW_SHIFT);
  src.state = TCP_SYN_SENT;
  dst.seqHigh = 1; // it is not known
  dst.windowScale = isSyn ? 0 : WINDOW_SCALE_UNKNOWN;
  dst.maxWindow = 1;
  connection.timeout = TIMEOUT_TCP_SYN_SENT;
  return true;
}

/** What a later packet in `direction` does to the connection. */
export function advanceTcp(connection: Connection, direction: u32, segment: Segment): u32 {
  const flags = segment.flags;
  if (areInvalid(flags)) return UPDATE_INVALID;
  const src = peerOf(connection, direction);
  const dst = peerOf(connection, direction ^ 1);
  if ((flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN) {
    if (src.state >= TCP_FIN_WAIT_2 && dst.state >= TCP_FIN_WAIT_2) return UPDATE_NEW;
    if (src.state <= TCP_SYN_SENT) {
      // Sent again; or both ends began at once, and the next packet of this one is taken for its first.
      connection.timeout = TIMEOUT_TCP_SYN_SENT;
      return UPDATE_VALID_NEW;
    }
  }
  look(src, dst, segment);
  if (fits(src, dst, segment) || isUnchecked()) {
    slide(src, dst);
    move(src, dst, flags);
    connection.timeout = timeoutBetween(src.state, dst.state);
    return UPDATE_VALID;
  }
  if (isTolerable(src, dst)) {
    slide(src, dst);
    moveAstray(src, dst, flags);
    return UPDATE_TOLERATED;
  }
  count(COUNT_CT_TCP_SEQUENCE, 1);
  return UPDATE_INVALID;
}

/** Whether no stack sends such flags: SYN with RST or FIN; no SYN, ACK or RST; FIN, PSH or URG without ACK. */
function areInvalid(flags: u8): bool {
  const isGood =
    flags & TCP_FLAG_SYN
      ? !(flags & (TCP_FLAG_RST | TCP_FLAG_FIN))
      : (flags & (TCP_FLAG_ACK | TCP_FLAG_RST)) != 0;
  const needsAck = (flags & (TCP_FLAG_FIN | TCP_FLAG_PSH | TCP_FLAG_URG)) != 0;
  if (isGood && (!needsAck || flags & TCP_FLAG_ACK)) return false;
  count(COUNT_CT_TCP_FLAGS, 1);
  return true;
}

// The segment at hand, as it is held against the two ends.
let seq: u32 = 0;
let end: u32 = 0; // behind its last number; SYN and FIN have one each
let ack: u32 = 0;
let window: u32 = 0; // unscaled
let srcShift: u32 = 0;
let dstShift: u32 = 0;
let isAckKnown: bool = false; // whether there is anything to hold its acknowledgement against

function look(src: Peer, dst: Peer, segment: Segment): void {
  const flags = segment.flags;
  seq = segment.seq;
  end = endOf(segment);
  window = segment.window;
  isAckKnown = true;
  readShifts(src, dst, flags);
  if (src.state < TCP_SYN_SENT) meet(src, dst, segment);
  // A reset may come without an acknowledgement, and some then have ACK set all the same.
  const hasAck = (flags & TCP_FLAG_ACK) != 0 && !(segment.ack == 0 && flags & TCP_FLAG_RST);
  ack = hasAck ? segment.ack : dst.seqLow;
  // Without data it may stand anywhere, as a probe that keeps the connection alive does.
  if (seq == end) {
    seq = src.seqLow;
    end = seq;
  }
}

/** Windows of SYNs are not scaled (RFC 7323 §2.2), others when both ends have announced it. */
function readShifts(src: Peer, dst: Peer, flags: u8): void {
  srcShift = 0;
  dstShift = 0;
  if (flags & TCP_FLAG_SYN) return;
  const both = src.windowScale & dst.windowScale;
  if (both & WINDOW_SCALED) {
    srcShift = src.windowScale & WINDOW_SHIFT;
    dstShift = dst.windowScale & WINDOW_SHIFT;
  } else if (both & WINDOW_SCALE_UNKNOWN) {
    srcShift = MAX_WINDOW_SHIFT;
    dstShift = MAX_WINDOW_SHIFT;
  }
}

/** The first packet of an end. */
function meet(src: Peer, dst: Peer, segment: Segment): void {
  if (segment.flags & TCP_FLAG_SYN && dst.windowScale & WINDOW_SCALED) agreeOnScale(src, dst, segment);
  src.state = TCP_SYN_SENT;
  src.seqLow = seq;
  src.maxWindow = max<u16>(src.maxWindow, <u16>window);
  const reach = end + max<u32>(1, (<u32>dst.maxWindow) << dstShift);
  if (src.seqHigh != 1 && !isAtLeast(reach, src.seqHigh)) return;
  src.seqHigh = reach;
  isAckKnown = false;
}

/** The answer to a SYN with a scale: windows are scaled if it has one as well (RFC 7323 §2.2). */
function agreeOnScale(src: Peer, dst: Peer, segment: Segment): void {
  const shift = <u32>(dst.windowScale & WINDOW_SHIFT);
  src.windowScale = segment.windowScale;
  if (src.windowScale & WINDOW_SCALED) {
    dstShift = shift;
    srcShift = src.windowScale & WINDOW_SHIFT;
    window = scaledDown(window, srcShift);
  } else {
    dst.windowScale = 0;
    dst.maxWindow = <u16>min<u32>((<u32>dst.maxWindow) << shift, MAX_WINDOW);
  }
}

function fits(src: Peer, dst: Peer, segment: Segment): bool {
  const behind = isAckKnown ? <i32>(dst.seqLow - ack) : 0;
  return (
    isAtLeast(src.seqHigh, end) &&
    isAtLeast(seq, src.seqLow - ((<u32>dst.maxWindow) << dstShift)) &&
    behind >= -(<i32>MOST_ASTRAY) &&
    behind <= <i32>(MOST_ASTRAY << srcShift) &&
    (!(segment.flags & TCP_FLAG_RST) || segment.seq - src.seqLow + 1 <= 2)
  );
}

function flagsAt(): usize {
  return changetype<usize>(map) + offsetof<ArenaMap>('connectionFlags');
}

/** Whether segments must fit their connection's windows to be valid: at first they must. */
export function checksSequence(): bool {
  return !(atomic.load<u32>(flagsAt()) & CONNECTIONS_UNCHECKED);
}

/** Says whether they must, from the next segment on. */
export function setSequenceChecking(isOn: bool): void {
  atomic.store<u32>(flagsAt(), isOn ? 0 : CONNECTIONS_UNCHECKED);
}

function isUnchecked(): bool {
  if (checksSequence()) return false;
  count(COUNT_CT_TCP_UNCHECKED, 1);
  return true;
}

function isTolerable(src: Peer, dst: Peer): bool {
  const isEarlyOrLate =
    dst.state < TCP_SYN_SENT || dst.state >= TCP_FIN_WAIT_2 || src.state >= TCP_FIN_WAIT_2;
  return (
    isEarlyOrLate && isAtLeast(src.seqHigh + MOST_ASTRAY, end) && isAtLeast(seq, src.seqLow - MOST_ASTRAY)
  );
}

/** Moves on what the sender has sent, and what it lets the other send. */
function slide(src: Peer, dst: Peer): void {
  src.maxWindow = max<u16>(src.maxWindow, <u16>window);
  if (isAtLeast(end, src.seqLow)) src.seqLow = end;
  const offered = window << srcShift;
  if (isAtLeast(ack + offered, dst.seqHigh)) dst.seqHigh = ack + max<u32>(offered, 1);
}

function move(src: Peer, dst: Peer, flags: u8): void {
  if (flags & TCP_FLAG_ACK) acknowledge(dst);
  moveAstray(src, dst, flags);
}

function acknowledge(peer: Peer): void {
  if (peer.state == TCP_SYN_SENT) peer.state = TCP_ESTABLISHED;
  else if (peer.state == TCP_CLOSING) peer.state = TCP_FIN_WAIT_2;
}

/** By what does not fit nothing is acknowledged. */
function moveAstray(src: Peer, dst: Peer, flags: u8): void {
  if (flags & TCP_FLAG_FIN) src.state = max(src.state, TCP_CLOSING);
  if (flags & TCP_FLAG_RST) {
    src.state = TCP_TIME_WAIT;
    dst.state = TCP_TIME_WAIT;
  }
}

/** By the states of both ends, in any order. */
function timeoutBetween(a: u8, b: u8): u8 {
  const least = min(a, b);
  if (least >= TCP_FIN_WAIT_2) return TIMEOUT_TCP_CLOSE;
  if (least >= TCP_CLOSING) return TIMEOUT_TCP_TIME_WAIT;
  if (least < TCP_ESTABLISHED) return TIMEOUT_TCP_SYN_RECV;
  return max(a, b) >= TCP_CLOSING ? TIMEOUT_TCP_FIN_WAIT : TIMEOUT_TCP_ESTABLISHED;
}

function endOf(segment: Segment): u32 {
  const flags = segment.flags;
  return (
    segment.seq + segment.length + <u32>((flags & TCP_FLAG_SYN) != 0) + <u32>((flags & TCP_FLAG_FIN) != 0)
  );
}

/** The window that shifted by `shift` is `whole` or a little more. */
function scaledDown(whole: u32, shift: u32): u32 {
  return (whole + (((<u32>1) << shift) - 1)) >>> shift;
}

/** Whether `a` is `b` or comes after it. */
function isAtLeast(a: u32, b: u32): bool {
  return <i32>(a - b) >= 0;
}
