/**
 * A packet as `resubmit(PORT,TABLE,ct)` has the tables see it: with the addresses, the protocol and the ports that
 * the first packet of its connection had, and its own in their place.
 *
 *     nwSrc, nwDst, IPv4      8, 9     ⇄  24, 28     ┐
 *     nwSrc, ipv6Dst, IPv6    8 … 15   ⇄  24 … 31    │ words of the key
 *     tpSrc, tpDst            6        ⇄  18         │
 *     nwProto                 5        ⇄  16         ┘ a byte of it
 */
import { Key } from '../datapath.ts';
import type { Subject } from './classifier.ts';
import type { Packet } from './packet.ts';
import { ETH_IPV6 } from './protocols.ts';

const word = (offset: number): number => offset >> 2;

const PROTO_WORD = word(Key.nwProto);
const CONNECTION_WORD = word(Key.ctNwProto);
const PROTO_BITS = 0xff; // of PROTO_WORD
const SHIFT = 8; // from there to its place in CONNECTION_WORD

const PORTS = [[word(Key.tpSrc), word(Key.ctTpSrc)]] as const;
const IPV4 = [
  [word(Key.nwSrc), word(Key.ndTarget)],
  [word(Key.nwDst), word(Key.ndSll)],
] as const;
const IPV6 = Array.from({ length: 8 }, (_, i) => [word(Key.nwSrc) + i, word(Key.ndTarget) + i] as const);

/** The word that each word is exchanged with. */
const exchanged = (pairs: readonly (readonly [number, number])[]): ReadonlyMap<number, number> =>
  new Map(pairs.flatMap(([a, b]) => [[a, b] as const, [b, a] as const]));
const IPV4_WORDS = exchanged([...PORTS, ...IPV4]);
const IPV6_WORDS = exchanged([...PORTS, ...IPV6]);

export class FirstPacket implements Subject {
  readonly words: Uint32Array;
  readonly #packet: Packet;
  readonly #others: ReadonlyMap<number, number>;

  /** @param packet of a connection */
  constructor(packet: Packet) {
    this.#packet = packet;
    this.#others = packet.ethType === ETH_IPV6 ? IPV6_WORDS : IPV4_WORDS;
    const { words } = packet;
    this.words = words.map((_, at) => words[this.#others.get(at) ?? at]!);
    const differing = (words[PROTO_WORD]! ^ (words[CONNECTION_WORD]! >>> SHIFT)) & PROTO_BITS;
    this.words[PROTO_WORD]! ^= differing;
    this.words[CONNECTION_WORD]! ^= differing << SHIFT;
  }

  look(at: number, bits: number): void {
    for (const [own, some] of this.#places(at, bits)) this.#packet.look(own, some);
  }

  isSettled(at: number, bits: number): boolean {
    return this.#places(at, bits).some(([own, some]) => this.#packet.isSettled(own, some));
  }

  /** Where the packet has the bits of a word. */
  #places(at: number, bits: number): (readonly [word: number, bits: number])[] {
    if (at === PROTO_WORD) {
      return [
        [at, bits & ~PROTO_BITS],
        [CONNECTION_WORD, (bits & PROTO_BITS) << SHIFT],
      ];
    }
    if (at !== CONNECTION_WORD) return [[this.#others.get(at) ?? at, bits]];
    return [
      [at, bits & ~(PROTO_BITS << SHIFT)],
      [PROTO_WORD, (bits >>> SHIFT) & PROTO_BITS],
    ];
  }
}
