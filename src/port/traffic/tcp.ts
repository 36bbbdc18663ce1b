/**
 * TCP (RFC 9293), as little of it as a web client and a web server need that talk to each other or to a real
 * host: the client connects, says REQUEST, and closes when the server has; the server answers the first data
 * it gets with its whole response and closes.
 *
 * Each side says one stream of known length, so what it sends is a position in its own sequence space:
 *
 *     0      1 … length     length + 1     length + 2
 *     SYN    the stream     FIN            the end
 *            ├── acked ──▶ sendNext ──▶ highest ──▶ limit
 *
 * `limit` is how far it may go for now: the client holds its FIN back, the server everything but its SYN.
 * Loss is mended by going back to `acked` when nothing was acknowledged for long enough; what arrives out of
 * order is not kept. There is no congestion window: the peer's window bounds what is on its way.
 */
import { Connection } from './connections.ts';
import type { FrameReader } from './reader.ts';
import {
  ACK,
  FIN,
  PSH,
  RST,
  rejectSegment,
  Segment,
  SYN,
  sendReset,
  WINDOW,
  writeSegment,
} from './segment.ts';
import { routeBack, type Stack } from './stack.ts';
import type { Fault } from './statistics.ts';
import { type ByteStream, NOTHING, REQUEST } from './stream.ts';
import { MAX_TRIES, retryDelayMs } from './timers.ts';
import { IPV4_BYTES, IPV6_BYTES, MTU } from './wire.ts';
import type { FrameWriter, Route } from './writer.ts';

export const TCP_SERVICE_PORT = 80;

/** RFC 5681 §4.2: an acknowledgment may wait for a second segment, but under half a second. */
const ACK_DELAY_MS = 40;
/** A connection on which nothing happens for this long is reset. */
const IDLE_MS = 10_000;
/** How long the server answers a FIN that its peer sends again: TIME-WAIT, far shorter than RFC 9293 §3.6.1's. */
const LINGER_MS = 500;

const TCP_HEADER_BYTES = 20;
/** RFC 9293 §3.7.1: what the peer takes when it does not say. */
const DEFAULT_MAX_SEGMENT_IPV4 = 536;
const DEFAULT_MAX_SEGMENT_IPV6 = 1220;
const LEAST_MAX_SEGMENT = 64;

const SYN_SENT = 0;
const SYN_RECEIVED = 1;
/** Everything from ESTABLISHED to LAST-ACK: the positions say the rest. */
const OPEN = 2;
const TIME_WAIT = 3;

const segment = new Segment();

/** A segment for host `frame.destination` arrives. */
export function receiveTcp(stack: Stack, frame: FrameReader, nowMs: number): Fault | undefined {
  if (!segment.read(frame)) return 'framesMalformed';
  if (!frame.checksumHolds()) return 'checksumsBad';
  const { sourcePort: remotePort, destinationPort: localPort, flags } = segment;
  const { destination, source, protocol } = frame;
  const connection = stack.connections.find(protocol, destination, localPort, source, remotePort);
  if (connection instanceof TcpConnection && !connection.mayBeReplacedBy(segment)) {
    connection.receive(segment, nowMs);
    return undefined;
  }
  const route = routeBack(frame);
  const isOpening = (flags & (SYN | ACK | RST)) === SYN;
  if (!isOpening || localPort !== TCP_SERVICE_PORT) {
    rejectSegment(stack, { route, localPort, remotePort }, segment);
    return undefined;
  }
  connection?.close(true);
  if (stack.connections.isFull) {
    stack.statistics.connectionsRefused++;
    return undefined;
  }
  const { local, remote } = route;
  const kept = { ...route, local: local.copy(), remote: remote.copy() };
  new TcpConnection(stack, kept, localPort, remotePort, false).accept(segment);
  return undefined;
}

export class TcpConnection extends Connection {
  private state = SYN_SENT;

  // What this side sends, as positions in its sequence space.
  private stream: ByteStream;
  private readonly initialSequence: number;
  private acked = 0;
  private sendNext = 0;
  private highest = 0;
  private limit = 1;
  private window = WINDOW;
  private maxSegment: number;
  /** How often what stands at `acked` has been sent. */
  private tries = 0;

  // What the other side sends.
  private receiveNext = 0;
  private peerHasClosed = false;
  private mustAcknowledge = false;
  /** Segments taken since the last acknowledgment. */
  private unacknowledged = 0;

  constructor(stack: Stack, route: Route, localPort: number, remotePort: number, isOurs: boolean) {
    super(stack, route, localPort, remotePort, isOurs);
    this.stream = isOurs ? REQUEST : NOTHING;
    this.initialSequence = stack.random.word();
    this.maxSegment = route.remote.isIpv4 ? DEFAULT_MAX_SEGMENT_IPV4 : DEFAULT_MAX_SEGMENT_IPV6;
  }

  /** Begins as the server's side of what `syn` opens. */
  accept(syn: Segment): void {
    this.state = SYN_RECEIVED;
    this.takeSyn(syn);
    this.stack.outbox.push(this);
  }

  /** Whether this connection is over and `syn` begins the next one between the same ports (RFC 9293 §3.6.1). */
  mayBeReplacedBy({ flags }: Segment): boolean {
    return this.state === TIME_WAIT && (flags & (SYN | ACK | RST)) === SYN;
  }

  receive(segment: Segment, nowMs: number): void {
    if (this.state === SYN_SENT) this.receiveSynAck(segment, nowMs);
    else this.receiveSegment(segment, nowMs);
  }

  /** RFC 9293 §3.10.7.3. Simultaneous opening is not answered: nobody connects to a client's port. */
  private receiveSynAck(segment: Segment, nowMs: number): void {
    const { flags } = segment;
    if (!(flags & ACK)) return;
    if (((segment.acknowledgment - this.initialSequence) | 0) !== 1 || this.highest === 0) {
      rejectSegment(this.stack, this, segment);
    } else if (flags & RST) {
      this.close(false);
    } else if (flags & SYN) {
      this.state = OPEN;
      this.takeSyn(segment);
      this.window = segment.window;
      this.limit = this.stream.length + 1;
      this.takeAcknowledgment(segment, nowMs);
      this.acknowledgeNow();
    }
  }

  private takeSyn(segment: Segment): void {
    const offered = segment.maxSegment === 0 ? this.maxSegment : segment.maxSegment;
    this.receiveNext = (segment.sequence + 1) | 0;
    this.maxSegment = Math.min(this.ownMaxSegment, Math.max(LEAST_MAX_SEGMENT, offered));
    this.window = segment.window;
  }

  /** RFC 9293 §3.10.7.4, in its order. */
  private receiveSegment(segment: Segment, nowMs: number): void {
    const { flags, length } = segment;
    /** Where the segment begins, as seen from what is expected next. */
    const ahead = (segment.sequence - this.receiveNext) | 0;
    const isOld = ahead < 0 && ahead + length <= 0;
    if (flags & RST) {
      // RFC 5961 §3.2: only one that is exactly right, so that nobody can guess it.
      if (ahead === 0) this.close(this.peerHasClosed && this.highest === this.stream.length + 2);
      else if (ahead > 0 && ahead <= WINDOW) this.acknowledgeNow();
      return;
    }
    if (flags & SYN) {
      // RFC 5961 §4.2: a SYN here is answered with an acknowledgment; with its own, if it is the first again.
      if (this.state === SYN_RECEIVED && ahead === -1) this.sendNext = 0;
      this.acknowledgeNow();
      return;
    }
    if (isOld || ahead > WINDOW) {
      this.acknowledgeNow();
      return;
    }
    if (!(flags & ACK) || !this.takeAcknowledgment(segment, nowMs)) return;
    if (this.state === SYN_RECEIVED) return; // our SYN is still not acknowledged: who knows whose segment it is
    if (length > 0) this.takeData(segment, ahead, nowMs);
    this.finish(nowMs);
  }

  /** Takes note of what the peer has received; false when it acknowledges what was never sent. */
  private takeAcknowledgment(segment: Segment, nowMs: number): boolean {
    const position = (segment.acknowledgment - this.initialSequence) | 0;
    if (position > this.highest) {
      this.acknowledgeNow();
      return false;
    }
    if (position < this.acked) return true;
    this.window = segment.window;
    // RFC 9293 §3.8.6.1: a peer that answers probes of its closed window is alive and may keep it closed.
    if (position > this.acked || segment.window === 0) this.tries = 1;
    if (position > this.acked) {
      this.acked = position;
      this.sendNext = Math.max(this.sendNext, position);
      if (this.state === SYN_RECEIVED) {
        this.state = OPEN;
        this.stack.statistics.connectionsAccepted++;
      }
      this.restartTimer(nowMs);
    }
    if (this.sendNext < this.sendEnd) this.stack.outbox.push(this);
    return true;
  }

  /** Takes the data and the FIN of a segment that begins `ahead` of what is expected. */
  private takeData(segment: Segment, ahead: number, nowMs: number): void {
    if (ahead > 0 || this.peerHasClosed) {
      this.acknowledgeNow();
      return;
    }
    const newBytes = segment.dataLength + ahead;
    this.receiveNext = (this.receiveNext + newBytes) | 0;
    if (this.isOurs) this.stack.statistics.bytesReceived += newBytes;
    else if (newBytes > 0 && this.stream === NOTHING) this.say(this.stack.response);
    if (segment.flags & FIN) {
      this.receiveNext = (this.receiveNext + 1) | 0;
      this.peerHasClosed = true;
      this.say(this.stream);
    }
    this.unacknowledged++;
    this.mustAcknowledge ||= this.unacknowledged > 1 || (segment.flags & (PSH | FIN)) !== 0;
    if (this.mustAcknowledge || this.sendNext < this.sendEnd) this.stack.outbox.push(this);
    if (!this.isWaitingForPeer) this.restartTimer(nowMs);
  }

  /** Sends `stream` and then FIN. */
  private say(stream: ByteStream): void {
    this.stream = stream;
    this.limit = stream.length + 2;
  }

  /** Ends the connection once both sides have closed and know it of each other. */
  private finish(nowMs: number): void {
    if (this.state !== OPEN || !this.peerHasClosed || this.acked < this.stream.length + 2) return;
    if (this.isOurs) {
      this.close(true);
    } else {
      this.state = TIME_WAIT;
      this.stack.timers.set(this, nowMs + LINGER_MS);
    }
  }

  override expire(nowMs: number): void {
    if (this.state === TIME_WAIT) {
      this.close(true);
    } else if (this.isWaitingForPeer && this.tries < MAX_TRIES) {
      this.sendNext = this.acked;
      this.tries++;
      this.stack.timers.set(this, nowMs + retryDelayMs(this.tries));
      this.stack.outbox.push(this);
    } else if (!this.isWaitingForPeer && this.unacknowledged > 0) {
      this.acknowledgeNow();
    } else {
      if (this.state !== SYN_SENT) sendReset(this.stack, this, this.highestSequence, this.receiveNext, ACK);
      this.close(false);
    }
  }

  override write(frame: FrameWriter, nowMs: number): number {
    const { sendNext: from, sendEnd: end, isWaitingForPeer: wasWaiting } = this;
    if (from >= end && !this.mustAcknowledge) return 0;
    const length = from < end ? this.writeNext(frame, end - from) : this.writeAcknowledgment(frame);
    this.mustAcknowledge = false;
    this.unacknowledged = 0;
    if (from < this.highest && from < this.sendNext) this.stack.statistics.segmentsRetransmitted++;
    this.highest = Math.max(this.highest, this.sendNext);
    if (!wasWaiting) {
      this.tries = 1;
      this.restartTimer(nowMs);
    }
    if (this.sendNext < this.sendEnd) this.stack.outbox.push(this);
    return length;
  }

  /** Writes what stands at `sendNext`, at most `room` places of the sequence, and moves on. */
  private writeNext(frame: FrameWriter, room: number): number {
    const { sendNext: from, stream, initialSequence, receiveNext } = this;
    if (from === 0) {
      this.sendNext = 1;
      const flags = this.state === SYN_SENT ? SYN : SYN | ACK;
      return writeSegment(frame, this, initialSequence, receiveNext, flags, this.ownMaxSegment);
    }
    const left = stream.length + 1 - from;
    const dataLength = Math.min(left, room, this.maxSegment);
    const hasFin = dataLength === left && dataLength < room;
    const isLast = dataLength === left && dataLength > 0;
    const flags = ACK | (isLast ? PSH : 0) | (hasFin ? FIN : 0);
    this.sendNext += dataLength + (hasFin ? 1 : 0);
    const sequence = (initialSequence + from) | 0;
    return writeSegment(frame, this, sequence, receiveNext, flags, 0, stream, from - 1, dataLength);
  }

  private writeAcknowledgment(frame: FrameWriter): number {
    return writeSegment(frame, this, this.highestSequence, this.receiveNext, ACK);
  }

  /** Waits for an acknowledgment, or to give one, or just for something to happen. */
  private restartTimer(nowMs: number): void {
    if (this.state === TIME_WAIT) return;
    const waiting = this.unacknowledged > 0 ? ACK_DELAY_MS : IDLE_MS;
    this.stack.timers.set(this, nowMs + (this.isWaitingForPeer ? retryDelayMs(this.tries) : waiting));
  }

  private acknowledgeNow(): void {
    this.mustAcknowledge = true;
    this.stack.outbox.push(this);
  }

  /** Whether something that was sent is not acknowledged yet. */
  private get isWaitingForPeer(): boolean {
    return this.acked < this.highest;
  }

  /** How far it may send now. One byte may always go, as a probe of a closed window. */
  private get sendEnd(): number {
    return Math.min(this.limit, this.acked + Math.max(1, this.window));
  }

  private get highestSequence(): number {
    return (this.initialSequence + this.highest) | 0;
  }

  private get ownMaxSegment(): number {
    return MTU - TCP_HEADER_BYTES - (this.route.remote.isIpv4 ? IPV4_BYTES : IPV6_BYTES);
  }
}
