/** UDP (RFC 768): a service that sends every datagram back, and asking that service of others. */
import type { Unreachables } from './icmp.ts';
import { Query } from './query.ts';
import type { FrameReader } from './reader.ts';
import { routeBack, type Stack } from './stack.ts';
import type { Fault } from './statistics.ts';
import { IPV4_BYTES, IPV6_BYTES, MTU } from './wire.ts';
import type { FrameWriter } from './writer.ts';

export const UDP_SERVICE_PORT = 53;

const UDP_HEADER_BYTES = 8;
const CHECKSUM_FIELD = 6;
const REQUEST_BYTES = 32;

/** A datagram for host `frame.destination` arrives. */
export function receiveUdp(
  stack: Stack,
  unreachables: Unreachables,
  frame: FrameReader,
  nowMs: number,
): Fault | undefined {
  const { view, transportAt: at, transportLength, protocol, destination, source } = frame;
  if (transportLength < UDP_HEADER_BYTES || view.getUint16(at + 4) !== transportLength)
    return 'framesMalformed';
  if (!frame.checksumHolds()) return 'checksumsBad';
  const sourcePort = view.getUint16(at);
  const destinationPort = view.getUint16(at + 2);
  if (destinationPort === UDP_SERVICE_PORT) return echo(stack, frame);
  const request = stack.connections.find(protocol, destination, destinationPort, source, sourcePort);
  if (request === undefined) {
    unreachables.send(frame, nowMs);
    return undefined;
  }
  stack.statistics.udpResponses++;
  request.close(true);
  return undefined;
}

function echo(stack: Stack, request: FrameReader): Fault | undefined {
  const length = request.transportLength;
  if (length > MTU - (request.source.isIpv4 ? IPV4_BYTES : IPV6_BYTES)) return 'framesIgnored';
  const reply = stack.outbox.takeReply();
  if (reply === undefined) return undefined;
  const { view, bytes, transportAt: requestAt } = request;
  const route = routeBack(request);
  const at = reply.frame.begin(route, length);
  reply.frame.bytes.set(bytes.subarray(requestAt, request.end), at);
  reply.frame.view.setUint16(at, view.getUint16(requestAt + 2));
  reply.frame.view.setUint16(at + 2, view.getUint16(requestAt));
  stack.statistics.udpServed++;
  stack.outbox.post(reply, reply.frame.seal(route, at, length, CHECKSUM_FIELD));
  return undefined;
}

/** One host asks the service of another. */
export class UdpRequest extends Query {
  protected override writeRequest(frame: FrameWriter): number {
    const { route, localPort, remotePort } = this;
    const length = UDP_HEADER_BYTES + REQUEST_BYTES;
    const at = frame.begin(route, length);
    frame.view.setUint16(at, localPort);
    frame.view.setUint16(at + 2, remotePort);
    frame.view.setUint16(at + 4, length);
    frame.bytes.fill(0, at + UDP_HEADER_BYTES, at + length);
    this.stack.statistics.udpRequests++;
    return frame.seal(route, at, length, CHECKSUM_FIELD);
  }
}
