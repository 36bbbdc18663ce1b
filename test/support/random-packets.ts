/** Packets drawn at random over everything that the packet path knows. */
import {
  arp,
  concat,
  type Extension,
  ethernet,
  extension,
  fragmentHeader,
  icmp,
  icmp6,
  ipv4,
  ipv6,
  labelEntry,
  linkOption,
  mpls,
  type Network,
  neighbour,
  routingHeader,
  sctp,
  type Transport,
  tcp,
  udp,
} from './packets.ts';
import { chance, pick, type Random, randomBytes, word } from './seeded.ts';

export const NETWORKS = ['arp', 'ipv4', 'ipv6', 'mpls', 'other'] as const;
export const TRANSPORTS = ['tcp', 'udp', 'sctp', 'icmp', 'nd', 'other'] as const;

export const randomMac = (random: Random): string =>
  Array.from(randomBytes(random, 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');

export const randomIpv4 = (random: Random): string => randomBytes(random, 4).join('.');

export const randomIpv6 = (random: Random): string =>
  Array.from({ length: 8 }, () => random.below(65536).toString(16)).join(':');

export interface Choices {
  network?: (typeof NETWORKS)[number];
  transport?: (typeof TRANSPORTS)[number];
  /** Bytes of payload, at most. */
  payload?: number;
  /** UDP without a checksum. */
  unchecked?: boolean;
  /** Whether a tag and padding may be there; by default they may. */
  bare?: boolean;
  /** Whether it may be a fragment; by default it may. */
  whole?: boolean;
}

export function randomTransport(random: Random, v6: boolean, choices: Choices): Transport {
  const payload = randomBytes(random, random.below(choices.payload ?? 64));
  const ports = { src: random.below(65536), dst: random.below(65536) };
  switch (choices.transport ?? pick(random, TRANSPORTS)) {
    case 'tcp': {
      const options = randomBytes(random, 4 * random.below(11));
      return tcp({ ...ports, seq: word(random), flags: random.below(4096), options }, payload);
    }
    case 'udp':
      return udp({ ...ports, ...(choices.unchecked ? { checksum: 0 } : {}) }, payload);
    case 'sctp':
      return sctp({ ...ports, tag: word(random) }, payload);
    case 'nd':
      if (v6) return neighbour(pick(random, [135, 136]), randomIpv6(random), ...randomOptions(random));
      return icmp({ type: random.below(256), code: random.below(256) }, payload);
    case 'icmp': {
      // Neighbour discovery has options, which a random payload is not: those are drawn as `nd`.
      const type = pick(random, [random.below(135), 137 + random.below(119)]);
      const fields = { type, code: random.below(256), rest: word(random) | 1 };
      return v6 ? icmp6(fields, payload) : icmp(fields, payload);
    }
    case 'other':
      return { protocol: pick(random, [2, 47, 50, 59, 135, v6 ? 1 : 58, 253]), bytes: payload };
  }
}

/** Neighbour discovery options: each kind of address at most once, among others. */
function randomOptions(random: Random): Uint8Array[] {
  const other = () => {
    const units = 1 + random.below(3);
    return concat(Uint8Array.of(pick(random, [3, 5, 14]), units), randomBytes(random, 8 * units - 2));
  };
  return [1, 2].flatMap((kind) => [
    ...(chance(random, 0.2) ? [other()] : []),
    ...(chance(random, 0.6) ? [linkOption(kind, randomMac(random))] : []),
  ]);
}

/** Extension headers in any order, and the destination that a routing header among them makes the last. */
function randomExtensions(random: Random, whole: boolean): { extensions: Extension[]; finalDst?: string } {
  const extensions: Extension[] = [];
  let finalDst: string | undefined;
  while (chance(random, 0.4) && extensions.length < 8) {
    const kind = pick(random, [0, 43, 44, 51, 60]);
    if (kind === 44) {
      extensions.push(fragmentHeader(whole || chance(random, 0.7) ? 0 : 8, !whole && chance(random, 0.5)));
    } else if (kind === 43) {
      const last = randomIpv6(random);
      const segmentsLeft = finalDst === undefined ? random.below(2) : 0;
      if (segmentsLeft !== 0) finalDst = last;
      extensions.push(routingHeader(segmentsLeft, last));
    } else {
      extensions.push(extension(kind, randomBytes(random, 8 * (1 + random.below(3)) - 2)));
    }
  }
  return finalDst === undefined ? { extensions } : { extensions, finalDst };
}

export function randomNetwork(random: Random, choices: Choices = {}): Network {
  switch (choices.network ?? pick(random, NETWORKS)) {
    case 'arp':
      return arp({
        operation: random.below(65536),
        sha: randomMac(random),
        spa: randomIpv4(random),
        tha: randomMac(random),
        tpa: randomIpv4(random),
        hardware: chance(random, 0.9) || choices.bare ? 1 : 6,
        type: chance(random, 0.8) ? 0x0806 : 0x8035,
      });
    case 'ipv4':
      return ipv4(
        {
          tos: random.below(256),
          ttl: random.below(256),
          id: random.below(65536),
          fragment:
            choices.whole || chance(random, 0.7)
              ? pick(random, [0, 0x4000])
              : pick(random, [0x2000, 0x2001, 0x0100]),
          src: randomIpv4(random),
          dst: randomIpv4(random),
          options: chance(random, 0.2) ? randomBytes(random, 4 * random.below(11)) : new Uint8Array(),
        },
        randomTransport(random, false, choices),
      );
    case 'ipv6':
      return ipv6(
        {
          trafficClass: random.below(256),
          flowLabel: random.below(2 ** 20),
          hopLimit: random.below(256),
          src: randomIpv6(random),
          dst: randomIpv6(random),
          ...(chance(random, 0.4) ? randomExtensions(random, choices.whole ?? false) : {}),
        },
        randomTransport(random, true, choices),
      );
    case 'mpls': {
      const depth = 1 + random.below(5);
      const entries = Array.from({ length: depth }, (_, i) =>
        labelEntry(random.below(2 ** 20), i === depth - 1, random.below(8), random.below(256)),
      );
      return mpls(entries, randomBytes(random, random.below(64)), pick(random, [0x8847, 0x8848]));
    }
    case 'other':
      return {
        type: pick(random, [0, 46, 0x05ff, 0x0600, 0x8100, 0x88a8, 0x88cc]),
        bytes: randomBytes(random, random.below(64)),
      };
  }
}

export function randomPacket(random: Random, choices: Choices = {}): Uint8Array {
  const vlan = chance(random, 0.3) ? random.below(65536) : undefined;
  const fields = {
    dst: randomMac(random),
    src: randomMac(random),
    vlan,
    innerVlan: vlan !== undefined && chance(random, 0.3) ? random.below(65536) : undefined,
    tpid: pick(random, [0x8100, 0x88a8]),
    padding: chance(random, 0.2) && !choices.bare ? random.below(40) : 0,
  };
  return ethernet(fields, randomNetwork(random, choices));
}

/** The packet with some bits or bytes changed, cut short or grown. */
export function mutated(random: Random, packet: Uint8Array): Uint8Array {
  let result: Uint8Array = packet.slice();
  for (let times = random.below(4); times > 0; times--) {
    // Most of what matters to a parser stands in the first bytes.
    const at = random.below(chance(random, 0.5) ? Math.min(64, result.length) : result.length);
    switch (random.below(4)) {
      case 0:
        if (at < result.length) result[at]! ^= 1 << random.below(8);
        break;
      case 1:
        if (at < result.length)
          result[at] = pick(
            random,
            [0, 1, 2, 4, 5, 6, 17, 43, 44, 51, 58, 60, 132, 135, 0x45, 0x60, 0x81, 0xff],
          );
        break;
      case 2:
        result = result.slice(0, at);
        break;
      case 3:
        result = concat(result, randomBytes(random, random.below(24)));
        break;
    }
  }
  return result;
}
