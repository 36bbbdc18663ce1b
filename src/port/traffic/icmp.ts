/**
 * ICMP (RFC 792) and ICMPv6 (RFC 4443): answering echo requests, pinging others, and saying that a port is
 * unreachable. The two differ in the numbers of their types only.
 */
import { Query } from './query.ts';
import type { FrameReader } from './reader.ts';
import { routeBack, type Stack } from './stack.ts';
import type { Fault } from './statistics.ts';
import { IPV4_BYTES, IPV6_BYTES, MTU, PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from './wire.ts';
import type { FrameWriter } from './writer.ts';

const ECHO_REPLY = 0;
const ECHO_REQUEST = 8;
const UNREACHABLE = 3;
const PORT_UNREACHABLE = 3;
const ECHO_REQUEST_V6 = 128;
const ECHO_REPLY_V6 = 129;
const UNREACHABLE_V6 = 1;
const PORT_UNREACHABLE_V6 = 4;

/** Type, code, checksum, and four bytes that mean something different in every message. */
const ICMP_HEADER_BYTES = 8;
const CHECKSUM_FIELD = 2;

/** What a ping carries behind its header, as everywhere. */
const PING_BYTES = 56;

/** RFC 1812 §4.3.2.3 and RFC 4443 §3.1: as much of the packet as fits in a message of this size. */
const MAX_ERROR_BYTES = 576;
const MAX_ERROR_BYTES_V6 = 1280;

/** All hosts of the port together (RFC 4443 §2.4 (f) wants a bound). */
const UNREACHABLES_PER_SECOND = 100;

/** Whether the packet is long enough for an ICMP message. */
export const hasIcmpHeader = (frame: FrameReader): boolean => frame.transportLength >= ICMP_HEADER_BYTES;

/** An echo request or reply for host `frame.destination` arrives, its checksum verified. */
export function receiveEcho(stack: Stack, frame: FrameReader): Fault | undefined {
  const { view, transportAt, protocol } = frame;
  switch (view.getUint8(transportAt)) {
    case protocol === PROTOCOL_ICMP ? ECHO_REQUEST : ECHO_REQUEST_V6:
      return answerEcho(stack, frame);
    case protocol === PROTOCOL_ICMP ? ECHO_REPLY : ECHO_REPLY_V6: {
      const identifier = view.getUint16(transportAt + 4);
      const ping = stack.connections.find(protocol, frame.destination, identifier, frame.source, 0);
      if (ping === undefined) return 'framesIgnored';
      stack.statistics.pingsAnswered++;
      ping.close(true);
      return undefined;
    }
    default:
      return 'framesIgnored';
  }
}

function answerEcho(stack: Stack, frame: FrameReader): Fault | undefined {
  const length = frame.transportLength;
  if (length > MTU - (frame.source.isIpv4 ? IPV4_BYTES : IPV6_BYTES)) return 'framesIgnored';
  const reply = stack.outbox.takeReply();
  if (reply === undefined) return undefined;
  const route = routeBack(frame);
  const at = reply.frame.begin(route, length);
  reply.frame.bytes.set(frame.bytes.subarray(frame.transportAt, frame.end), at);
  reply.frame.view.setUint16(at, (frame.protocol === PROTOCOL_ICMP ? ECHO_REPLY : ECHO_REPLY_V6) << 8);
  stack.statistics.pingsServed++;
  stack.outbox.post(reply, reply.frame.seal(route, at, length, CHECKSUM_FIELD));
  return undefined;
}

/** One host pings another; the identifier is the connection's local port. */
export class Ping extends Query {
  protected override writeRequest(frame: FrameWriter, tries: number): number {
    const { route, localPort } = this;
    const length = ICMP_HEADER_BYTES + PING_BYTES;
    const at = frame.begin(route, length);
    frame.view.setUint16(at, (route.protocol === PROTOCOL_ICMP ? ECHO_REQUEST : ECHO_REQUEST_V6) << 8);
    frame.view.setUint16(at + 4, localPort);
    frame.view.setUint16(at + 6, tries);
    for (let index = 0; index < PING_BYTES; index++) frame.bytes[at + ICMP_HEADER_BYTES + index] = index;
    this.stack.statistics.pingsSent++;
    return frame.seal(route, at, length, CHECKSUM_FIELD);
  }
}

/** Sends port unreachable messages, not too many of them. */
export class Unreachables {
  private readonly stack: Stack;
  private secondEndsMs = 0;
  private leftInSecond = 0;

  constructor(stack: Stack) {
    this.stack = stack;
  }

  /** Tells the sender of `frame` that nobody listens on the port that it is for. */
  send(frame: FrameReader, nowMs: number): void {
    const { outbox, statistics } = this.stack;
    if (nowMs >= this.secondEndsMs) {
      this.secondEndsMs = nowMs + 1000;
      this.leftInSecond = UNREACHABLES_PER_SECOND;
    }
    if (this.leftInSecond === 0) {
      statistics.unreachablesSuppressed++;
      return;
    }
    const reply = outbox.takeReply();
    if (reply === undefined) return;
    this.leftInSecond--;
    statistics.unreachablesSent++;
    const isIpv4 = frame.source.isIpv4;
    const route = { ...routeBack(frame), protocol: isIpv4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6 };
    const room = isIpv4 ? MAX_ERROR_BYTES - IPV4_BYTES : MAX_ERROR_BYTES_V6 - IPV6_BYTES;
    const length = Math.min(room, ICMP_HEADER_BYTES + frame.end - frame.networkAt);
    const at = reply.frame.begin(route, length);
    const { view, bytes } = reply.frame;
    view.setUint8(at, isIpv4 ? UNREACHABLE : UNREACHABLE_V6);
    view.setUint8(at + 1, isIpv4 ? PORT_UNREACHABLE : PORT_UNREACHABLE_V6);
    view.setUint32(at + 4, 0);
    const quoted = length - ICMP_HEADER_BYTES;
    bytes.set(frame.bytes.subarray(frame.networkAt, frame.networkAt + quoted), at + ICMP_HEADER_BYTES);
    outbox.post(reply, reply.frame.seal(route, at, length, CHECKSUM_FIELD));
  }
}
