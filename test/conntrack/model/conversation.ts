/** What protocols make of the packets of one connection: whether it may begin, goes on, and how long it lasts. */
import { hasBadFlags, NaiveTcp, STATES as TCP_STATES, type Verdict } from '../../support/naive-tcp.ts';
import { ICMP, isIcmp, type Packet, TCP } from './packet.ts';

export type Direction = 0 | 1;
export const ORIGINAL: Direction = 0;
export const REPLY: Direction = 1;

export interface Conversation {
  /** The timeout in force, by its name in a timeout policy. */
  readonly timeout: string;
  /** Of TCP, of both ends: 0 closed … 5 time wait. */
  readonly states?: readonly [number, number];
  /** Whether this packet may begin one. */
  begin(packet: Packet): boolean;
  go(direction: Direction, packet: Packet, checksSequence: boolean): Verdict | 'unchecked';
}

export function conversationOf(protocol: number): Conversation {
  if (protocol === TCP) return new Tcp();
  return isIcmp(protocol) ? new Query() : new Other();
}

class Tcp implements Conversation {
  readonly #tcp = new NaiveTcp();

  get timeout(): string {
    return this.#tcp.timeout;
  }

  get states(): [number, number] {
    const [a, b] = this.#tcp.ends;
    return [TCP_STATES.indexOf(a.state), TCP_STATES.indexOf(b.state)];
  }

  begin({ tcp }: Packet): boolean {
    return this.#tcp.begin(tcp!);
  }

  go(direction: Direction, { tcp }: Packet, checksSequence: boolean): Verdict | 'unchecked' {
    const verdict = this.#tcp.packet(direction, tcp!, checksSequence);
    return this.#tcp.wasLetPass ? 'unchecked' : verdict;
  }
}

export const isNeverSent = ({ tcp }: Packet): boolean => tcp !== undefined && hasBadFlags(tcp.flags);

/** Requests only begin one: echo, timestamp, information; of ICMPv6 echo. */
class Query implements Conversation {
  #isAnswered = false;

  get timeout(): string {
    return this.#isAnswered ? 'ICMP_REPLY' : 'ICMP_FIRST';
  }

  begin({ protocol, icmp }: Packet): boolean {
    return (protocol === ICMP ? [8, 13, 15] : [128]).includes(icmp!.type);
  }

  go(direction: Direction): Verdict {
    if (direction === REPLY) this.#isAnswered = true;
    return this.#isAnswered ? 'valid' : 'valid new';
  }
}

/** UDP, and all that is not known better. */
class Other implements Conversation {
  timeout = 'UDP_FIRST';

  begin(): boolean {
    return true;
  }

  go(direction: Direction): Verdict {
    const isBoth = direction === REPLY || this.timeout === 'UDP_MULTIPLE';
    this.timeout = isBoth ? 'UDP_MULTIPLE' : 'UDP_SINGLE';
    return isBoth ? 'valid' : 'valid new';
  }
}
