/**
 * Address translation: which reply tuples `nat(…)` may choose, and what is done to packets. Which of those that are
 * allowed and free is chosen, by a hash or at random, is not known here.
 */
import { hasPorts, isIcmp, nameOf, type Packet, reverse, type Tuple, withTuple } from './packet.ts';

export interface Nat {
  end: 'src' | 'dst';
  /** One after the other; none, or one that is all zeros: the packet's own. */
  addresses: readonly string[];
  ports?: readonly [first: number, last: number];
  choice?: 'hash' | 'random';
  persistent?: boolean;
}

export type Choice = 'as asked for' | 'next port' | 'none left' | 'not allowed';

type IsFree = (tuple: Tuple) => boolean;

export class Translator {
  readonly #isFree: IsFree;
  /** What a client got from a range for all that it does. */
  readonly #persistent = new Map<string, string>();

  constructor(isFree: IsFree) {
    this.#isFree = isFree;
  }

  /**
   * How a connection came to this reply tuple, undefined: to none; or that it may not have it. What is chosen of a
   * range that is persistent is to be chosen again.
   */
  judge(original: Tuple, nat: Nat, chosen: Tuple | undefined): Choice {
    const addresses = addressesFor(original, nat);
    if (!nat.persistent) return this.#judge(original, nat, addresses, chosen);
    const who = `${original.src} ${addresses.join()}`;
    const known = this.#persistent.get(who);
    const choice = (known ? [known] : addresses)
      .map((address) => this.#judge(original, nat, [address], chosen))
      .find((choice) => choice !== 'not allowed');
    if (choice && chosen) this.#persistent.set(who, reverse(chosen)[nat.end]);
    return choice ?? 'not allowed';
  }

  #judge(original: Tuple, nat: Nat, addresses: readonly string[], chosen: Tuple | undefined): Choice {
    const free = addresses
      .flatMap((address) =>
        portsFor(original, nat).map((ports) => ({ ...original, [nat.end]: address, ...ports })),
      )
      .filter((sent) => this.#mayBe(original, sent));
    const sent = chosen && reverse(chosen);
    if (free.length > 0) {
      return sent && free.some((other) => isSame(sent, other)) ? 'as asked for' : 'not allowed';
    }
    const hasSourcePort = hasPorts(original.protocol) || isIcmp(original.protocol);
    if (!hasSourcePort || (nat.end === 'src' && nat.ports)) return sent ? 'not allowed' : 'none left';
    return sent && this.#isNextPort(original, nat, addresses, sent) ? 'next port' : 'not allowed';
  }

  /** Whether packets may go out like this: nobody else gets such answers, and they are not what comes in. */
  #mayBe(original: Tuple, sent: Tuple): boolean {
    const reply = reverse(sent);
    return this.#isFree(reply) && (isSame(sent, original) || !isSame(reply, original));
  }

  /** Whether packets are sent from the next free port up of the sender's class. */
  #isNextPort(original: Tuple, nat: Nat, addresses: readonly string[], sent: Tuple): boolean {
    const [first, last] = classOf(original.sport);
    let sport = original.sport;
    do sport = sport < first || sport >= last ? first : sport + 1;
    while (sport !== original.sport && !this.#mayBe(original, { ...sent, sport }));
    const isInRange = portsFor(original, nat).some(({ dport }) => dport === sent.dport);
    const address = addresses.find((address) => address === sent[nat.end]);
    return isInRange && isSame(sent, { ...original, dport: sent.dport, [nat.end]: address, sport });
  }
}

const isSame = (a: Tuple, b: Tuple): boolean => nameOf(a) === nameOf(b);

function addressesFor(original: Tuple, { addresses, end }: Nat): readonly string[] {
  const first = addresses[0];
  return first === undefined || first === '0.0.0.0' || first === '::' ? [original[end]] : addresses;
}

/** The ports to try before the sender's own is given up. */
function portsFor(
  { protocol, sport, dport }: Tuple,
  { ports, end }: Nat,
): { sport: number; dport: number }[] {
  const isMeant = hasPorts(protocol) || (isIcmp(protocol) && end === 'src');
  if (!ports || !isMeant) return [{ sport, dport }];
  const [first, last] = ports;
  const all = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return all.map((port) => (end === 'src' ? { sport: port, dport } : { sport, dport: port }));
}

const classOf = (port: number): [first: number, last: number] =>
  port < 512 ? [1, 511] : port < 1024 ? [600, 1023] : [1024, 65535];

/** What both tuples of a connection say of packets of one direction. */
export interface Rewrite {
  /** As they come in. */
  from: Tuple;
  /** As they go out. */
  to: Tuple;
}

export const rewrite = (packet: Packet, { to }: Rewrite): Packet => withTuple(packet, to);

/**
 * An ICMP error has the packet that it quotes as its sender knows it, who is the receiver of the error; its own
 * addresses change where the connection translates them.
 */
export function rewriteError(error: Packet, { from, to }: Rewrite): Packet {
  return {
    ...error,
    src: from.src === to.src ? error.src : to.src,
    dst: from.dst === to.dst ? error.dst : to.dst,
    icmp: { ...error.icmp!, quoted: withTuple(error.icmp!.quoted!, reverse(to)) },
  };
}
