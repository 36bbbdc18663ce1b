/** Packets drawn at random over everything that the packet path knows. */
import {
  arp,
  concat,
  ethernet,
  icmp,
  icmp6,
  ipv4,
  ipv6,
  type Network,
  type Transport,
  tcp,
  udp,
} from './packets.ts';
import { chance, pick, type Random, randomBytes, word } from './seeded.ts';

export const NETWORKS = ['arp', 'ipv4', 'ipv6', 'other'] as const;
export const TRANSPORTS = ['tcp', 'udp', 'icmp', 'other'] as const;

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
    case 'icmp': {
      const fields = { type: random.below(256), code: random.below(256), rest: word(random) | 1 };
      return v6 ? icmp6(fields, payload) : icmp(fields, payload);
    }
    case 'other':
      return { protocol: pick(random, [0, 2, 47, 50, 132, v6 ? 1 : 58, 253]), bytes: payload };
  }
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
      });
    case 'ipv4':
      return ipv4(
        {
          tos: random.below(256),
          ttl: random.below(256),
          id: random.below(65536),
          fragment: chance(random, 0.7) ? pick(random, [0, 0x4000]) : pick(random, [0x2000, 0x2001, 0x0100]),
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
        },
        randomTransport(random, true, choices),
      );
    case 'other':
      return {
        type: pick(random, [0, 46, 0x05ff, 0x0600, 0x8100, 0x88cc, 0x8847]),
        bytes: randomBytes(random, random.below(64)),
      };
  }
}

export function randomPacket(random: Random, choices: Choices = {}): Uint8Array {
  const fields = {
    dst: randomMac(random),
    src: randomMac(random),
    vlan: chance(random, 0.3) ? random.below(65536) : undefined,
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
        if (at < result.length) result[at] = pick(random, [0, 1, 4, 5, 6, 17, 58, 0x45, 0x60, 0x81, 0xff]);
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
