/**
 * What the hosts of one traffic port have done, counted since the start. A connection is a TCP connection, a
 * UDP request or a ping that a host of this port began, and always
 * `connectionsOpened = connectionsCompleted + connectionsFailed + connectionsLive`.
 */
export interface Statistics {
  connectionsOpened: number;
  /** Answered, and for TCP closed by both sides. */
  connectionsCompleted: number;
  /** Reset, never answered, or the peer's hardware address was not found. */
  connectionsFailed: number;
  connectionsLive: number;
  /** Were due and not opened: the connection table was full, or the clock jumped by more than a second. */
  connectionsSkipped: number;

  /** TCP connections that others opened to these hosts. */
  connectionsAccepted: number;
  /** SYNs of others that were dropped because the connection table was full. */
  connectionsRefused: number;

  /** TCP payload that the connections opened by these hosts received, each byte once. */
  bytesReceived: number;
  segmentsRetransmitted: number;
  resetsSent: number;
  pingsSent: number;
  pingsAnswered: number;
  /** Echo requests of others that these hosts answered. */
  pingsServed: number;
  udpRequests: number;
  udpResponses: number;
  /** UDP requests of others that these hosts answered. */
  udpServed: number;
  unreachablesSent: number;
  /** Port unreachable messages not sent: there were too many in this second. */
  unreachablesSuppressed: number;

  framesSent: number;
  framesReceived: number;
  /** Not addressed to these hosts, or of a kind that they do not know (fragments, extension headers). */
  framesIgnored: number;
  /** The headers contradict each other or the frame's length. */
  framesMalformed: number;
  /** The IPv4, TCP, UDP, ICMP or ICMPv6 checksum is wrong. */
  checksumsBad: number;
  /** Answers (ARP, echo, unreachable, reset …) not sent: too many were waiting already. */
  repliesDropped: number;
}

/** The counter under which a received frame that has no effect falls. */
export type Fault = 'framesIgnored' | 'framesMalformed' | 'checksumsBad';

export function noStatistics(): Statistics {
  return {
    connectionsOpened: 0,
    connectionsCompleted: 0,
    connectionsFailed: 0,
    connectionsLive: 0,
    connectionsSkipped: 0,
    connectionsAccepted: 0,
    connectionsRefused: 0,
    bytesReceived: 0,
    segmentsRetransmitted: 0,
    resetsSent: 0,
    pingsSent: 0,
    pingsAnswered: 0,
    pingsServed: 0,
    udpRequests: 0,
    udpResponses: 0,
    udpServed: 0,
    unreachablesSent: 0,
    unreachablesSuppressed: 0,
    framesSent: 0,
    framesReceived: 0,
    framesIgnored: 0,
    framesMalformed: 0,
    checksumsBad: 0,
    repliesDropped: 0,
  };
}
