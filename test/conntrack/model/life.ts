/**
 * Random lives: two hosts that talk, over and over the same few addresses and ports, so that connections meet,
 * come again, and take each other's translations. A life goes on by what arrives: a server answers whoever it sees,
 * and quotes in errors what it got.
 */
import { chance, pick, type Random } from '../../support/seeded.ts';
import { type Direction, ORIGINAL, REPLY } from './conversation.ts';
import {
  hasPorts,
  ICMP,
  ICMPV6,
  isIcmp,
  type Packet,
  SCTP,
  TCP,
  UDP,
  type Wrong,
  whyUntrackable,
} from './packet.ts';

/** Where packets go, and where they come from. */
type Ends = Pick<Packet, 'src' | 'dst' | 'sport' | 'dport'>;

export interface Sent {
  direction: Direction;
  packet: Packet;
}

interface Hosts {
  clients: readonly string[];
  servers: readonly string[];
  pool: readonly string[];
  router: string;
  none: string;
}

export const HOSTS: readonly [Hosts, Hosts] = [
  {
    clients: ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
    servers: ['10.0.1.1', '10.0.1.2'],
    pool: ['10.0.1.255', '10.0.2.0', '10.0.2.1'],
    router: '10.0.9.9',
    none: '0.0.0.0',
  },
  {
    clients: ['fd00::1', 'fd00::2', 'fd00::3'],
    servers: ['fd00::a:1', 'fd00::a:2'],
    pool: ['fd00::ffff:ffff:ffff:ffff', 'fd00:0:0:1::', 'fd00:0:0:1::1'],
    router: 'fd00::9:9',
    none: '::',
  },
];

const CLIENT_PORTS = [1, 300, 511, 512, 700, 1023, 1024, 40000, 40001, 65535];
const SERVER_PORTS = [80, 80, 80, 53, 81];
/** Bytes behind the IP header that errors quote: never half a checksum. */
const QUOTES = [0, 4, 8, 8, 8, 12, 28, 60];
const LENGTHS = [0, 0, 1, 20, 20, 100];

export const drawLength = (random: Random): number => pick(random, LENGTHS);

/** Who talks to whom; now and then somebody to himself. */
function drawEnds(random: Random, hosts: Hosts): Ends {
  const { clients, servers, pool } = hosts;
  const isOdd = chance(random, 0.05);
  return {
    src: pick(random, isOdd ? [...servers, ...pool] : clients),
    dst: pick(random, isOdd ? [...clients, ...pool] : servers),
    sport: pick(random, isOdd ? SERVER_PORTS : CLIENT_PORTS),
    dport: pick(random, SERVER_PORTS),
  };
}

export abstract class Life {
  readonly random: Random;
  readonly hosts: Hosts;
  readonly isV4: boolean;
  readonly protocol: number;
  #ends: Ends;
  /** What arrived last, by the direction in which it went. */
  #arrived: [Packet?, Packet?] = [];
  /** Packets that are still to come. */
  #left: number;

  constructor(random: Random, hosts: Hosts, protocol: number) {
    this.random = random;
    this.hosts = hosts;
    this.isV4 = hosts === HOSTS[0];
    this.protocol = protocol;
    this.#ends = drawEnds(random, hosts);
    this.#left = 1 + random.below(chance(random, 0.2) ? 1000 : 60);
  }

  get isOver(): boolean {
    return this.#left <= 0;
  }

  /** The next packet of what these hosts say to each other. */
  protected abstract say(): Sent;

  next(): Sent {
    this.#left--;
    const { random } = this;
    const about = pick(random, this.#arrived);
    if (about && chance(random, 0.05)) return this.#error(about);
    const { direction, packet } = this.say();
    return { direction, packet: this.#odd(packet) };
  }

  /** Now and then there is more to a packet than usual, or less. */
  #odd(packet: Packet): Packet {
    const { random } = this;
    if (chance(random, 0.03)) return this.#damaged(packet);
    if (chance(random, 0.03)) return { ...packet, hasOptions: true };
    if (chance(random, 0.03)) return { ...packet, padding: 1 + random.below(20) };
    return chance(random, 0.03) ? { ...packet, tagged: true } : packet;
  }

  arrive({ direction, packet }: Sent): void {
    const isAnswered = !packet.icmp?.quoted && whyUntrackable(packet) === undefined;
    if (isAnswered) this.#arrived[direction] = packet;
  }

  /** From now on it is others who talk. */
  protected move(): void {
    this.#ends = drawEnds(this.random, this.hosts);
    this.#arrived = [];
  }

  /** Addresses and ports of packets in a direction: a server answers the client that it sees. */
  protected ends(direction: Direction): Ends {
    if (direction === ORIGINAL) return this.#ends;
    const { src, dst, sport, dport } = this.#arrived[ORIGINAL] ?? this.#ends;
    return { src: dst, dst: src, sport: dport, dport: sport };
  }

  /** From whom it was for, or from a router on its way, to whom it came from, as it seems. */
  #error(about: Packet): Sent {
    const { random, hosts, isV4 } = this;
    const isOdd = chance(random, 0.1) && about.sport !== 0;
    const quoted = isOdd ? { ...about, sport: about.sport ^ 1 } : about;
    const size = sizeOf(quoted);
    const quotes = QUOTES.filter((bytes) => bytes <= size);
    const direction = about === this.#arrived[ORIGINAL] ? REPLY : ORIGINAL;
    const packet: Packet = {
      src: pick(random, [quoted.dst, quoted.dst, hosts.router]),
      dst: chance(random, 0.05) ? pick(random, hosts.clients) : quoted.src,
      protocol: isV4 ? ICMP : ICMPV6,
      sport: 0,
      dport: 0,
      length: 0,
      icmp: {
        type: pick(random, isV4 ? [3, 4, 5, 11, 12] : [1, 2, 3, 4]),
        code: random.below(4),
        quoted,
        bytes: pick(random, quotes),
      },
    };
    return { direction, packet };
  }

  #damaged(packet: Packet): Packet {
    const { random, protocol, isV4 } = this;
    const kinds: (Wrong | undefined)[] = isV4 ? ['IP checksum'] : [undefined];
    if (hasPorts(protocol) || isIcmp(protocol)) kinds.push('checksum');
    if (protocol === SCTP || (protocol === UDP && isV4)) kinds.push('length');
    if (protocol === UDP) kinds.push('no checksum', 'no checksum');
    const hasNoPort = hasPorts(protocol) && chance(random, 0.2);
    return hasNoPort
      ? { ...packet, [pick(random, ['sport', 'dport'])]: 0 }
      : { ...packet, wrong: pick(random, kinds) };
  }
}

/** Bytes of a packet behind the IP header. */
function sizeOf({ protocol, length, tcp }: Packet): number {
  const header = { [TCP]: tcp?.scale === undefined ? 20 : 24, [SCTP]: 16 }[protocol];
  return length + (header ?? (protocol === UDP || isIcmp(protocol) ? 8 : 0));
}

/** UDP, SCTP and others: now this one sends something, now that one. */
export class Datagrams extends Life {
  readonly #answers = this.random.fraction();

  protected override say(): Sent {
    const { random, protocol } = this;
    const direction = chance(random, this.#answers * 0.7) ? REPLY : ORIGINAL;
    const { src, dst, sport, dport } = this.ends(direction);
    const length = drawLength(random);
    const ports = hasPorts(protocol) ? { sport, dport } : { sport: 0, dport: 0 };
    return { direction, packet: { src, dst, ...ports, protocol, length } };
  }
}

const REQUESTS = { 8: 0, 13: 14, 15: 16, 128: 129 } as const;

/** Queries of ICMP and ICMPv6 and their answers; and what is none. */
export class Queries extends Life {
  readonly #request = this.isV4 ? pick(this.random, [8, 8, 13, 15] as const) : 128;

  protected override say(): Sent {
    const { random } = this;
    const direction = chance(random, 0.4) ? REPLY : ORIGINAL;
    const { src, dst, sport, dport } = this.ends(direction);
    const id = direction === ORIGINAL ? sport : dport;
    const type = direction === ORIGINAL ? this.#request : REQUESTS[this.#request];
    const isOdd = chance(random, 0.03);
    const icmp = isOdd
      ? { type: pick(random, [type, 9, 10, 130]), code: pick(random, [0, 1]) }
      : { type, code: 0 };
    return {
      direction,
      packet: { src, dst, sport: id, dport: 0, protocol: this.protocol, length: 20, icmp },
    };
  }
}
