/** A connection, and the row that people see of it. */
import type { ConnectionRow, ConnectionTuple } from '../../../src/model.ts';
import { shownState, TCP_STATES } from '../../../src/table/connection-filter.ts';
import { type Conversation, type Direction, ORIGINAL, REPLY } from './conversation.ts';
import type { Count } from './limits.ts';
import { isIcmp, reverse, type Tuple } from './packet.ts';
import type { Rewrite } from './translation.ts';

export class Connection {
  /** What packets of each direction come in with. */
  readonly tuples: [original: Tuple, reply: Tuple];
  readonly conversation: Conversation;
  readonly startedMs: number;
  mark = 0;
  label = 0n;
  expiresMs = 0;
  isReplied = false;
  readonly packets: [number, number] = [0, 0];
  readonly bytes: [number, number] = [0, 0];
  /** Of its zone's limit, if it is counted under one. */
  count: Count | undefined;

  constructor(original: Tuple, conversation: Conversation, nowMs: number) {
    this.tuples = [original, reverse(original)];
    this.conversation = conversation;
    this.startedMs = nowMs;
  }

  /** What becomes of packets of a direction: they go out as the answers of those that come back. */
  rewriteOf(direction: Direction): Rewrite {
    return { from: this.tuples[direction], to: reverse(this.tuples[1 - direction]!) };
  }

  /** Whether packets of the original direction get another source; the identifier of ICMP counts as its port. */
  get isSourceTranslated(): boolean {
    const { from, to } = this.rewriteOf(ORIGINAL);
    return from.src !== to.src || from.sport !== to.sport;
  }

  get isDestinationTranslated(): boolean {
    const { from, to } = this.rewriteOf(ORIGINAL);
    return from.dst !== to.dst || (!isIcmp(from.protocol) && from.dport !== to.dport);
  }

  row(nowMs: number): ConnectionRow {
    const { tuples, conversation, startedMs } = this;
    const { protocol, zone } = tuples[ORIGINAL];
    return {
      protocol,
      original: this.#shown(ORIGINAL),
      reply: this.#shown(REPLY),
      zone,
      mark: this.mark,
      labels: `0x${this.label.toString(16)}`,
      ...(conversation.states && shownStates(conversation.states)),
      replied: this.isReplied,
      snat: this.isSourceTranslated,
      dnat: this.isDestinationTranslated,
      expiresSeconds: Math.max(this.expiresMs - nowMs, 0) / 1000,
      ageSeconds: Math.max(nowMs / 1000 - Math.fround(startedMs / 1000), 0),
    };
  }

  #shown(direction: Direction): ConnectionTuple {
    const { protocol, src, dst, sport, dport } = this.tuples[direction];
    return {
      src,
      dst,
      ...(isIcmp(protocol) ? { id: sport, type: dport >> 8, code: dport & 255 } : { sport, dport }),
      packets: this.packets[direction],
      bytes: this.bytes[direction],
    };
  }
}

const shownStates = ([original, reply]: readonly [number, number]) => ({
  state: shownState(Math.max(original, reply)),
  originalState: TCP_STATES[original]!,
  replyState: TCP_STATES[reply]!,
});
