/** The random world around the tracker: what flows do with packets, and what happens besides. */
import { chance, pick, type Random, word } from '../../support/seeded.ts';
import type { Call } from './call.ts';
import { type Direction, ORIGINAL } from './conversation.ts';
import { Datagrams, HOSTS, type Life, Queries } from './life.ts';
import { ICMP, ICMPV6, SCTP, TCP, UDP } from './packet.ts';
import { Stream } from './tcp-life.ts';
import type { Nat } from './translation.ts';

const USUAL_ZONE = 1;
export const ZONES = [0, USUAL_ZONE, 2, 65535];
const OTHERS = [47, 89, 255];

/** How a life's packets go through the tables. */
export interface Route {
  hops: readonly Hop[];
}

interface Hop {
  zone: number;
  nat?: Nat;
  isTranslated: boolean;
}

export function drawLife(random: Random): Life {
  const isV4 = chance(random, 0.65);
  const hosts = HOSTS[isV4 ? 0 : 1];
  switch (random.below(10)) {
    case 0:
    case 1:
      return new Datagrams(random, hosts, UDP);
    case 2:
      return new Queries(random, hosts, isV4 ? ICMP : ICMPV6);
    case 3:
      return new Datagrams(random, hosts, pick(random, [SCTP, SCTP, ...OTHERS]));
    default:
      return new Stream(random, hosts, TCP);
  }
}

export function drawRoute(random: Random, { isV4 }: Life): Route {
  const hop = (): Hop => {
    const isTranslated = chance(random, 0.7);
    return {
      zone: chance(random, 0.5) ? USUAL_ZONE : pick(random, ZONES),
      isTranslated,
      ...(isTranslated && chance(random, 0.9) && { nat: drawNat(random, isV4) }),
    };
  };
  return { hops: chance(random, 0.25) ? [hop(), hop()] : [hop()] };
}

function drawNat(random: Random, isV4: boolean): Nat {
  const { pool, clients, servers, none } = HOSTS[isV4 ? 0 : 1];
  const end = pick(random, ['src', 'dst'] as const);
  const own = end === 'src' ? clients : servers;
  const only = pool.slice(0, 1);
  const port = pick(random, [53, 80, 300, 2000, 40000]);
  return {
    end,
    addresses: pick(random, [[], [none], only, only, pool.slice(0, 2), pool, own, own.slice(0, 1)]),
    ...(chance(random, 0.4) && { ports: [port, port + random.below(3)] as const }),
    choice: pick(random, [undefined, 'hash', 'random']),
    persistent: chance(random, 0.15),
  };
}

/** The ct()s that a packet goes through, one of them possibly in several goes. */
export function drawCalls(random: Random, { hops }: Route, direction: Direction): Call[] {
  const inOrder = direction === ORIGINAL ? hops : hops.toReversed();
  return inOrder.flatMap((hop) => drawGoes(random, hop, direction));
}

function drawGoes(random: Random, { zone, nat, isTranslated }: Hop, direction: Direction): Call[] {
  const isUsual = chance(random, 0.95);
  const commit = isUsual ? direction === ORIGINAL : chance(random, 0.5);
  const call: Call = {
    zone: isUsual ? zone : pick(random, ZONES),
    commit,
    force: commit && chance(random, direction === ORIGINAL ? 0.03 : 0.3),
    mark: drawMark(random),
    ...(isTranslated && { nat: commit && nat && isUsual ? nat : 'as committed' }),
    ...(chance(random, 0.1) && { label: drawLabel(random) }),
  };
  const look: Call = { ...call, commit: false, force: false, ...(call.nat && { nat: 'as committed' }) };
  return chance(random, 0.25) ? [look, call] : [call];
}

function drawMark(random: Random): Call['mark'] {
  const mask = pick(random, [0, 0, 0, 0xff, 0xffff0000, 0xffffffff]);
  return { value: (word(random) & mask) >>> 0, mask };
}

function drawLabel(random: Random): NonNullable<Call['label']> {
  const mask = pick(random, [2n ** 128n - 1n, 0xffn << 60n]);
  return { value: (BigInt(word(random)) << BigInt(random.below(100))) & mask, mask };
}
