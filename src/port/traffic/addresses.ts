/**
 * The address plan: which addresses host `index` of traffic port `portNumber` has. All traffic ports share one
 * IPv4 network and one plan, so each knows the addresses behind the others without being told.
 *
 *     MAC    02:00:PP:PP:II:II       P the port's number, I the host's index; locally administered
 *     IPv4   network │ port │ index + 1
 *     IPv6   fd00:: and the IPv4 address, as in fd00::10.0.3.1 (a way of writing it that ping and curl take)
 *
 * The port takes half of the bits that the network leaves free, but at most 8; the host has the rest:
 *
 *     10.0.0.0/8     10.<port>.x.y     256 ports of 65534 hosts
 *     10.0.0.0/16    10.0.<port>.<y>   256 ports of 254 hosts
 *     10.0.0.0/24    10.0.0.<z>        16 ports of 14 hosts: port 1 from 10.0.0.17, port 2 from 10.0.0.33
 *
 * Switch ports count from 1, so the addresses of port 0 are free for real hosts in the same network.
 */
import ipaddr from 'ipaddr.js';

/**
 * An IPv4 or IPv6 address as four 32-bit words, signed, the leftmost first. An IPv4 address is held as its
 * IPv4-mapped IPv6 address, ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), so that both compare and hash alike.
 */
export class Address {
  a = 0;
  b = 0;
  c = 0;
  d = 0;

  set(a: number, b: number, c: number, d: number): this {
    this.a = a;
    this.b = b;
    this.c = c;
    this.d = d;
    return this;
  }

  setIpv4(word: number): this {
    return this.set(0, 0, MAPPED, word);
  }

  copy(): Address {
    return new Address().set(this.a, this.b, this.c, this.d);
  }

  equals(other: Address): boolean {
    return this.d === other.d && this.c === other.c && this.b === other.b && this.a === other.a;
  }

  get isIpv4(): boolean {
    return this.c === MAPPED && this.b === 0 && this.a === 0;
  }
}

const MAPPED = 0xffff;
const IPV6_PREFIX = 0xfd000000 | 0;
const MAC_PREFIX = 0x020000000000;
const MAX_PORT_BITS = 8;

/** How many ports, from 0, an IPv4 network such as 10.0.0.0/16 has addresses for, and how many hosts behind each. */
export function roomIn(network: string): { ports: number; hosts: number } {
  const free = 32 - ipaddr.IPv4.parseCIDR(network)[1];
  const portBits = Math.min(MAX_PORT_BITS, free >> 1);
  return { ports: 2 ** portBits, hosts: 2 ** (free - portBits) - 2 }; // all zeros and all ones are no host's
}

export class AddressPlan {
  readonly network: string;
  private readonly base: number;
  private readonly room: { readonly ports: number; readonly hosts: number };

  /** `network` is an IPv4 network such as 10.0.0.0/16. Throws a RangeError that says what is wrong with it. */
  constructor(network: string) {
    if (!ipaddr.IPv4.isValidCIDR(network)) {
      throw new RangeError(`network is ${network}; expected an IPv4 network such as 10.0.0.0/16`);
    }
    const [, prefix] = ipaddr.IPv4.parseCIDR(network);
    const first = ipaddr.IPv4.networkAddressFromCIDR(network);
    if (`${first}/${prefix}` !== network) {
      throw new RangeError(`network is ${network}; expected its first address, ${first}/${prefix}`);
    }
    if (prefix < 1 || prefix > 28) {
      throw new RangeError(`network is ${network}; expected a prefix length from 1 to 28`);
    }
    this.network = network;
    this.base = first.octets.reduce((word, octet) => (word << 8) | octet, 0);
    this.room = roomIn(network);
  }

  /** Throws a RangeError unless the plan has addresses for `hosts` hosts behind port `portNumber`. */
  check(portNumber: number, hosts: number): void {
    const { ports, hosts: most } = this.room;
    if (!Number.isInteger(portNumber) || portNumber < 0 || portNumber >= ports) {
      throw new RangeError(
        `port number is ${portNumber}; expected 0 to ${ports - 1}, as ${this.network} is divided`,
      );
    }
    if (hosts > most) {
      throw new RangeError(
        `port ${portNumber} has ${hosts} hosts; ${this.network} leaves each port ${most} addresses`,
      );
    }
  }

  /** The IPv4 address as a signed 32-bit number. */
  ipv4(portNumber: number, index: number): number {
    return (this.base + portNumber * (this.room.hosts + 2) + index + 1) | 0;
  }

  address(version: 4 | 6, portNumber: number, index: number): Address {
    const word = this.ipv4(portNumber, index);
    return version === 4 ? new Address().setIpv4(word) : new Address().set(IPV6_PREFIX, 0, 0, word);
  }
}

/** The hosts behind one port: from index to addresses and back. An index is -1 where there is no such host. */
export class LocalHosts {
  readonly count: number;
  private readonly plan: AddressPlan;
  private readonly portNumber: number;
  private readonly firstIpv4: number;
  private readonly firstMac: number;

  constructor(plan: AddressPlan, portNumber: number, count: number) {
    this.plan = plan;
    this.portNumber = portNumber;
    this.count = count;
    this.firstIpv4 = plan.ipv4(portNumber, 0);
    this.firstMac = MAC_PREFIX + portNumber * 2 ** 16;
  }

  mac(index: number): number {
    return this.firstMac + index;
  }

  address(version: 4 | 6, index: number): Address {
    return this.plan.address(version, this.portNumber, index);
  }

  indexOfMac(mac: number): number {
    const index = mac - this.firstMac;
    return index >= 0 && index < this.count ? index : -1;
  }

  indexOfAddress(address: Address): number {
    const isPlanned = address.isIpv4 || (address.a === IPV6_PREFIX && address.b === 0 && address.c === 0);
    return isPlanned ? this.indexOfIpv4(address.d) : -1;
  }

  indexOfIpv4(word: number): number {
    const index = (word - this.firstIpv4) >>> 0;
    return index < this.count ? index : -1;
  }
}

/** The addresses of one host, for people: `{ mac: '02:00:00:03:00:00', ipv4: '10.0.3.1', ipv6: 'fd00::10.0.3.1' }`. */
export function hostAddress(
  network: string,
  portNumber: number,
  index: number,
): { mac: string; ipv4: string; ipv6: string } {
  const plan = new AddressPlan(network);
  plan.check(portNumber, index + 1);
  const word = plan.ipv4(portNumber, index);
  const ipv4 = [24, 16, 8, 0].map((shift) => (word >>> shift) & 255).join('.');
  const mac = (MAC_PREFIX + portNumber * 2 ** 16 + index).toString(16).padStart(12, '0');
  return { mac: mac.match(/../g)!.join(':'), ipv4, ipv6: `fd00::${ipv4}` };
}
