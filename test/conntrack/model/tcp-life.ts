/**
 * Lives of TCP: a handshake of some kind, data, an end of some kind, and often all of it once more with the same
 * ports. Between what belongs there comes what does not.
 */
import type { TcpSegment } from '../../support/naive-tcp.ts';
import { ACK, FIN, PSH, RST, SYN, URG } from '../../support/packets.ts';
import { chance, pick, type Random, word } from '../../support/seeded.ts';
import { type Direction, ORIGINAL, REPLY } from './conversation.ts';
import { drawLength, Life, type Sent } from './life.ts';
import { type Packet, TCP } from './packet.ts';

type Step = readonly [direction: Direction, flags: number];

const [A, B] = [ORIGINAL, REPLY];

const HANDSHAKES: readonly (readonly Step[])[] = [
  ...Array<Step[]>(5).fill([
    [A, SYN],
    [B, SYN | ACK],
    [A, ACK],
  ]),
  // Both at once.
  [
    [A, SYN],
    [B, SYN],
    [A, SYN | ACK],
    [B, SYN | ACK],
    [A, ACK],
  ],
  [[A, SYN]],
  [[B, SYN | ACK]],
  // It has long begun.
  [],
];

const ENDS: readonly (readonly Step[])[] = [
  [
    [A, FIN | ACK],
    [B, ACK],
    [B, FIN | ACK],
    [A, ACK],
  ],
  [
    [B, FIN | ACK],
    [A, ACK],
    [A, FIN | ACK],
    [B, ACK],
  ],
  [
    [A, FIN | ACK],
    [B, FIN | ACK],
    [A, ACK],
    [B, ACK],
  ],
  [
    [B, FIN | ACK],
    [A, ACK],
    [B, ACK | PSH],
  ],
  [[A, RST | ACK]],
  [[B, RST]],
  [],
];

/** What an end knows of itself. */
interface End {
  next: number;
  window: number;
  scale: number | undefined;
}

const SLACK = 65535 + 1500;

export class Stream extends Life {
  #ends!: [End, End];
  #plan: Step[] = [];
  readonly #last: [TcpSegment?, TcpSegment?] = [];

  protected override say(): Sent {
    const { random } = this;
    if (this.#plan.length === 0) this.#begin();
    if (chance(random, 0.1)) return this.#nuisance(pick(random, [A, B]));
    const [direction, flags] = this.#plan.shift()!;
    const segment = this.#segment(direction, flags);
    const own = this.#ends[direction];
    own.next = (own.next + segment.length + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0)) >>> 0;
    return this.#send(direction, segment);
  }

  #begin(): void {
    const { random } = this;
    if (chance(random, 0.6)) this.move();
    this.#ends = [drawEnd(random), drawEnd(random)];
    const data = Array.from(
      { length: random.below(30) },
      (): Step => [pick(random, [A, B]), pick(random, [ACK, ACK | PSH])],
    );
    const late = Array.from({ length: random.below(3) }, (): Step => [pick(random, [A, B]), ACK]);
    this.#plan = [...pick(random, HANDSHAKES), ...data, ...pick(random, ENDS), ...late, [A, SYN]];
  }

  /** What an end sends that is in order. */
  #segment(direction: Direction, flags: number): TcpSegment {
    const { random } = this;
    const own = this.#ends[direction];
    const other = this.#ends[1 - direction]!;
    if (chance(random, 0.1)) own.window = drawWindow(random);
    return {
      flags,
      seq: own.next,
      ack: flags & ACK ? other.next : 0,
      window: own.window,
      length: flags & (SYN | RST) ? 0 : drawLength(random),
      scale: flags & SYN ? own.scale : undefined,
    };
  }

  /** Something sent again, or beside its place, or out of the blue. */
  #nuisance(direction: Direction): Sent {
    const { random } = this;
    const again = this.#last[direction];
    const off = (number: number): number => (number + drawDistance(random, this.#ends)) >>> 0;
    const data = this.#segment(direction, ACK);
    switch (random.below(9)) {
      case 0:
      case 1:
        return this.#send(direction, again ?? data);
      case 2:
        return this.#send(direction, { ...data, seq: off(data.seq) });
      case 3:
        return this.#send(direction, { ...data, ack: off(data.ack) });
      case 4: {
        const reset = this.#segment(direction, RST | pick(random, [0, ACK]));
        return this.#send(direction, {
          ...reset,
          seq: (reset.seq + pick(random, [0, 1, -1, 2, -2, 99])) >>> 0,
        });
      }
      case 5:
        return this.#send(direction, { ...this.#segment(direction, SYN), seq: word(random) });
      case 6:
        return this.#send(direction, this.#segment(direction, SYN | ACK));
      case 7:
        return this.#send(direction, { ...data, flags: random.below(URG * 2) });
      default:
        // As keep-alives do.
        return this.#send(direction, { ...data, seq: (data.seq - 1) >>> 0, length: random.below(2) });
    }
  }

  #send(direction: Direction, segment: TcpSegment): Sent {
    this.#last[direction] = segment;
    const packet: Packet = { ...this.ends(direction), protocol: TCP, length: segment.length, tcp: segment };
    return { direction, packet };
  }
}

const drawWindow = (random: Random): number =>
  chance(random, 0.7) ? 8192 + random.below(50_000) : pick(random, [0, 1, 100, 2000, 65535]);

const drawEnd = (random: Random): End => ({
  next: pick(random, [word(random), 0, 2 ** 32 - 5, 2 ** 31 - 5]),
  window: drawWindow(random),
  scale: pick(random, [undefined, 0, 2, 7, 14]),
});

/** How far beside its place: around where windows end and patience does. */
function drawDistance(random: Random, ends: readonly [End, End]): number {
  const { window, scale = 0 } = pick(random, ends);
  const limit = pick(random, [
    0,
    window,
    window * 2 ** scale,
    SLACK,
    SLACK * 2 ** scale,
    2 ** 31,
    word(random),
  ]);
  return pick(random, [1, -1]) * limit + pick(random, [-2, -1, 0, 1, 2, 20]);
}
