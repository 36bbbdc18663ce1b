/**
 * The naive twin of TCP's tracking (`datapath/conntrack/tcp.ts`): the rules of Open vSwitch's userspace datapath, one
 * after the other, over plain objects.
 */
import { ACK, FIN, PSH, RST, SYN, URG } from './packets.ts';

export interface TcpSegment {
  flags: number;
  seq: number;
  ack: number;
  /** As in the header. */
  window: number;
  /** Bytes of payload. */
  length: number;
  /** The shift that the window scale option announces. */
  scale?: number | undefined;
}

export type Verdict = 'invalid' | 'valid' | 'tolerated' | 'valid new' | 'new';

export const STATES = ['closed', 'syn sent', 'established', 'closing', 'fin wait 2', 'time wait'] as const;
const rank = (state: (typeof STATES)[number]): number => STATES.indexOf(state);

export interface TcpEnd {
  seqLow: number;
  seqHigh: number;
  maxWindow: number;
  /** The shift, if one was announced, or nobody knows since the beginning was not seen. */
  scale: number | 'unknown' | undefined;
  state: (typeof STATES)[number];
}

/** How far `a` is ahead of `b`; less than 0: behind. */
const ahead = (a: number, b: number): number => (a - b) | 0;
const SLACK = 65535 + 1500;

const fresh = (): TcpEnd => ({ seqLow: 0, seqHigh: 0, maxWindow: 0, scale: undefined, state: 'closed' });

/** Flags that no stack sends. */
export const hasBadFlags = (flags: number): boolean => {
  if (flags & SYN && flags & (RST | FIN)) return true;
  if (!(flags & (SYN | ACK | RST))) return true;
  return !(flags & ACK) && (flags & (FIN | PSH | URG)) !== 0;
};

export class NaiveTcp {
  ends: [TcpEnd, TcpEnd] = [fresh(), fresh()];
  timeout = '';
  /** The last segment does not fit, and was let pass since nobody wanted it checked. */
  wasLetPass = false;

  /** Begins anew with a first packet, if that may begin a connection. */
  begin({ flags, seq, length, window, scale }: TcpSegment): boolean {
    if (hasBadFlags(flags)) return false;
    if (flags & SYN && flags & ACK) return false;
    const pureSyn = (flags & SYN) !== 0;
    const first = pureSyn ? scale : 'unknown';
    const divisor = typeof first === 'number' ? 2 ** first : 1;
    this.ends = [
      {
        seqLow: seq,
        seqHigh: (seq + length + 1 + (pureSyn ? 1 : 0) + (flags & FIN ? 1 : 0)) >>> 0,
        maxWindow: Math.ceil(Math.max(window, 1) / divisor),
        scale: first,
        state: 'syn sent',
      },
      { ...fresh(), seqHigh: 1, maxWindow: 1, scale: pureSyn ? undefined : 'unknown' },
    ];
    this.timeout = 'TCP_SYN_SENT';
    return true;
  }

  packet(direction: 0 | 1, segment: TcpSegment, checked = true): Verdict {
    const { flags, length } = segment;
    this.wasLetPass = false;
    const has = (flag: number) => (flags & flag) !== 0;
    if (hasBadFlags(flags)) return 'invalid';
    const src = this.ends[direction];
    const dst = this.ends[1 - direction]!;
    const isDone = (end: TcpEnd) => rank(end.state) >= rank('fin wait 2');

    if (has(SYN) && !has(ACK)) {
      if (isDone(src) && isDone(dst)) return 'new';
      if (rank(src.state) <= rank('syn sent')) {
        this.timeout = 'TCP_SYN_SENT';
        return 'valid new';
      }
    }

    let window = segment.window;
    let srcFactor = 1;
    let dstFactor = 1;
    if (!has(SYN) && typeof src.scale === 'number' && typeof dst.scale === 'number') {
      srcFactor = 2 ** src.scale;
      dstFactor = 2 ** dst.scale;
    }
    if (!has(SYN) && src.scale === 'unknown' && dst.scale === 'unknown') srcFactor = dstFactor = 2 ** 14;

    let seq = segment.seq;
    let end = (seq + length + (has(SYN) ? 1 : 0) + (has(FIN) ? 1 : 0)) >>> 0;
    let checksAck = true;
    if (src.state === 'closed') {
      if (has(SYN) && typeof dst.scale === 'number') {
        src.scale = segment.scale;
        if (src.scale === undefined) {
          dst.maxWindow = Math.min(65535, dst.maxWindow * 2 ** dst.scale);
          dst.scale = undefined;
        } else {
          srcFactor = 2 ** src.scale;
          dstFactor = 2 ** dst.scale;
          window = Math.ceil(window / srcFactor);
        }
      }
      src.state = 'syn sent';
      src.seqLow = seq;
      src.maxWindow = Math.max(src.maxWindow, window);
      const reach = (end + Math.max(1, dst.maxWindow * dstFactor)) >>> 0;
      if (src.seqHigh === 1 || ahead(reach, src.seqHigh) >= 0) {
        src.seqHigh = reach;
        checksAck = false;
      }
    }

    const ack = !has(ACK) || (has(RST) && segment.ack === 0) ? dst.seqLow : segment.ack;
    if (seq === end) seq = end = src.seqLow;

    const skew = checksAck ? ahead(dst.seqLow, ack) : 0;
    const fits =
      ahead(src.seqHigh, end) >= 0 &&
      ahead(seq, src.seqLow - dst.maxWindow * dstFactor) >= 0 &&
      skew >= -SLACK &&
      skew <= SLACK * srcFactor &&
      (!has(RST) || [-1, 0, 1].includes(ahead(segment.seq, src.seqLow)));
    const awkward = dst.state === 'closed' || isDone(src) || isDone(dst);
    const near = ahead(src.seqHigh + SLACK, end) >= 0 && ahead(seq, src.seqLow - SLACK) >= 0;
    if (!fits && checked && !(awkward && near)) return 'invalid';

    src.maxWindow = Math.max(src.maxWindow, window);
    if (ahead(end, src.seqLow) > 0) src.seqLow = end;
    if (ahead(ack + window * srcFactor, dst.seqHigh) >= 0)
      dst.seqHigh = (ack + Math.max(1, window * srcFactor)) >>> 0;
    if (has(FIN) && rank(src.state) < rank('closing')) src.state = 'closing';
    const accepted = fits || !checked;
    this.wasLetPass = accepted && !fits;
    if (accepted && has(ACK)) {
      if (dst.state === 'syn sent') dst.state = 'established';
      else if (dst.state === 'closing') dst.state = 'fin wait 2';
    }
    if (has(RST)) src.state = dst.state = 'time wait';
    if (!accepted) return 'tolerated';
    this.timeout = this.#timeout();
    return 'valid';
  }

  #timeout(): string {
    const states = this.ends.map(({ state }) => rank(state));
    const both = (state: (typeof STATES)[number]) => states.every((s) => s >= rank(state));
    const either = (state: (typeof STATES)[number]) => states.some((s) => s >= rank(state));
    if (both('fin wait 2')) return 'TCP_CLOSE';
    if (both('closing')) return 'TCP_TIME_WAIT';
    if (!both('established')) return 'TCP_SYN_RECV';
    return either('closing') ? 'TCP_FIN_WAIT' : 'TCP_ESTABLISHED';
  }
}
